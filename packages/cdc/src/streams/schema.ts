import type { StreamDatabase, StreamReader, StreamTransaction } from './database.ts';

/** A row of `dosql_stream`. */
export interface StreamRow {
  readonly id: number;
  /** NULL once the stream is dropped: nobody can reach it, and its rows are being removed. */
  readonly name: string | null;
  readonly content_type: string;
  /** Bytes appended to this stream itself: what a fork has from its source does not count. */
  readonly bytes: number;
  readonly is_closed: number;
  /** Deleted, but kept for its forks. */
  readonly is_deleted: number;
  /** The sliding time to live. */
  readonly ttl_s: number | null;
  /** When it expires, in ms since the epoch. */
  readonly expires_at: number | null;
  /** The last `Stream-Seq`. */
  readonly last_seq: string | null;
  /** The stream that this one was forked from. */
  readonly source_id: number | null;
  /** The place where it was forked: in the source, or in a stream that the source was itself forked from. */
  readonly fork_id: number | null;
  readonly fork_position: number | null;
  /** The place as the client asked for it, so that the same request again is known as such. */
  readonly fork_offset: string | null;
  readonly fork_sub_offset: number | null;
}

/** A row of `dosql_stream_message`: a message, or a part of one that is larger than a row should be. */
export interface MessageRow {
  readonly stream_id: number;
  /** Bytes of the stream up to and with this row. */
  readonly position: number;
  /** Which part of its message the row is, from 1. */
  readonly part: number;
  readonly parts: number;
  /** TEXT for JSON, else BLOB. */
  readonly data: string | Uint8Array;
}

const LAST_TABLE = 'dosql_stream_producer';

const TABLES: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS dosql_stream(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT UNIQUE,
    content_type TEXT NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,
    is_closed INTEGER NOT NULL DEFAULT 0,
    is_deleted INTEGER NOT NULL DEFAULT 0,
    ttl_s INTEGER,
    expires_at INTEGER,
    last_seq TEXT,
    source_id INTEGER,
    fork_id INTEGER,
    fork_position INTEGER,
    fork_offset TEXT,
    fork_sub_offset INTEGER,
    created_at INTEGER NOT NULL
  )`,
  'CREATE INDEX IF NOT EXISTS dosql_stream_source ON dosql_stream(source_id) WHERE source_id IS NOT NULL',
  'CREATE INDEX IF NOT EXISTS dosql_stream_expires ON dosql_stream(expires_at) WHERE expires_at IS NOT NULL',
  'CREATE INDEX IF NOT EXISTS dosql_stream_dropped ON dosql_stream(id) WHERE name IS NULL',
  `CREATE TABLE IF NOT EXISTS dosql_stream_message(
    stream_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    part INTEGER NOT NULL DEFAULT 1,
    parts INTEGER NOT NULL DEFAULT 1,
    data BLOB NOT NULL,
    appended_at INTEGER NOT NULL,
    PRIMARY KEY(stream_id, position)
  ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS ${LAST_TABLE}(
    stream_id INTEGER NOT NULL,
    producer TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY(stream_id, producer)
  ) WITHOUT ROWID`,
];

/** Makes the tables that the streams are kept in, where they are not there yet. */
export async function createTables(database: StreamDatabase): Promise<void> {
  if (!(await hasTables(database))) await database.transaction(createTablesIn);
}

/** The same in an open transaction. */
export async function createTablesIn(tx: StreamTransaction): Promise<void> {
  if (!(await hasTables(tx))) await tx.batch(TABLES.map((sql) => ({ sql })));
}

async function hasTables(database: StreamReader): Promise<boolean> {
  return (await database.get('SELECT 1 FROM sqlite_schema WHERE name = ?', [LAST_TABLE])) !== null;
}
