import { rowToJson, type JsonRow } from './json.ts';
import type { ChangeEvent } from './reader.ts';

/** Where an event comes from. */
export interface DebeziumSource {
  readonly version: string;
  readonly connector: 'dosql';
  readonly name: string;
  readonly db: string;
  readonly table: string;
  readonly ts_ms: number;
  readonly snapshot: 'true' | 'false';
  readonly lsn: number;
  readonly txId: string;
}

/**
 * A row change in Debezium's envelope
 * (https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events). Its message key
 * is the change's `key`.
 */
export interface DebeziumChange {
  readonly before: JsonRow | null;
  readonly after: JsonRow | null;
  readonly source: DebeziumSource;
  /** Created, updated, deleted, read by a snapshot. */
  readonly op: 'c' | 'u' | 'd' | 'r';
  readonly ts_ms: number;
  /** Order numbers are LSNs: they rise inside a transaction and do not begin at 1. */
  readonly transaction: {
    readonly id: string;
    readonly total_order: number;
    readonly data_collection_order: number;
  };
}

/** A changed definition; `ddl` is the CREATE statement now, empty for a table that was dropped. */
export interface DebeziumSchemaChange {
  readonly source: DebeziumSource;
  readonly ts_ms: number;
  readonly databaseName: string;
  readonly ddl: string;
  readonly tableChanges: readonly { readonly type: 'ALTER' | 'DROP'; readonly id: string }[];
}

/** The boundary of a transaction. */
export interface DebeziumTransaction {
  readonly status: 'BEGIN' | 'END';
  readonly id: string;
  readonly ts_ms: number;
}

/** Any event in Debezium's form. */
export type DebeziumEvent = DebeziumChange | DebeziumSchemaChange | DebeziumTransaction;

/** Of which database an event is. */
export interface DebeziumOptions {
  /** The database's name; `dosql` by default. */
  readonly name?: string | undefined;
}

const OPERATIONS = { insert: 'c', update: 'u', delete: 'd' } as const;
/** The version of this form of the source block. */
const SOURCE_VERSION = '1';

/**
 * An event as Debezium's connectors put it into words; the end of a snapshot, which they do not, as null.
 *
 * ```ts
 * for await (const change of cdc.subscribe(from)) await send(toDebezium(change, { name: 'shop' }));
 * ```
 */
export function toDebezium(
  event: ChangeEvent,
  { name = 'dosql' }: DebeziumOptions = {},
): DebeziumEvent | null {
  if (event.op === 'snapshot-end') return null;
  const ms = event.timestamp.getTime();
  const id = String(event.tx);
  if (!('table' in event)) return { status: event.op === 'begin' ? 'BEGIN' : 'END', id, ts_ms: ms };
  const lsn = Number(event.lsn);
  const isSnapshot = event.op === 'insert' && event.isSnapshot === true;
  const source: DebeziumSource = {
    version: SOURCE_VERSION,
    connector: 'dosql',
    name,
    db: name,
    table: event.table,
    ts_ms: ms,
    snapshot: isSnapshot ? 'true' : 'false',
    lsn,
    txId: id,
  };
  if (event.op === 'schema')
    return {
      source,
      ts_ms: ms,
      databaseName: name,
      ddl: event.sql ?? '',
      tableChanges: [{ type: event.sql === null ? 'DROP' : 'ALTER', id: `"${name}"."${event.table}"` }],
    };
  return {
    before: event.before && rowToJson(event.before),
    after: event.after && rowToJson(event.after),
    source,
    op: isSnapshot ? 'r' : OPERATIONS[event.op],
    ts_ms: ms,
    transaction: { id, total_order: lsn, data_collection_order: lsn },
  };
}
