import type { StoredAs } from '../scan/parquet/write-sqlite.ts';
import { all, first } from '../sql/read.ts';
import type { SqlValue } from '../value/row.ts';
import { ICEBERG_TABLES } from './iceberg-notes.ts';
import type { TierPolicy } from './options.ts';

/** A column of a file: which of the table's it is, and what the file calls it. */
export interface FileColumn {
  /** As {@link Column.id}; -1 for a rowid that is no column. */
  readonly id: number;
  readonly name: string;
  /** How it is stored, in a file that was written for an Iceberg table. */
  readonly stored?: StoredAs | undefined;
  /** The value that all rows of the file have in it, where it was cut by this column. */
  readonly value?: SqlValue | undefined;
}

/** The least and the greatest value of a column in a file, by SQLite's order, of those that are not NULL; NULL when all are. */
export interface ColumnRange {
  readonly min: SqlValue;
  readonly max: SqlValue;
}

/** Cold rows of one table: a Parquet file. */
export interface ColdFile {
  readonly id: number;
  readonly tableId: number;
  /** In the object's own file store, and in the cold one. */
  readonly path: string;
  readonly place: 'local' | 'cold';
  /** The stretch of time that its rows are of. */
  readonly partition: string;
  readonly rows: number;
  readonly sizeBytes: number;
  readonly etag: string;
  /** Every change of its rows was made by this LSN. */
  readonly lsn: number;
  readonly columns: readonly FileColumn[];
  /** By column id. None is kept of a column with values that are too large for it. */
  readonly ranges: ReadonlyMap<number, ColumnRange>;
  /** Positions of rows that are not there any more, a bit each; undefined when all are. */
  readonly gone: Uint8Array | undefined;
  readonly goneCount: number;
}

/** A table of which rows can be cold. */
export interface TieredTable {
  readonly tableId: number;
  readonly policy: TierPolicy;
  readonly files: readonly ColdFile[];
  /** Why the last pass could not go on; undefined when it could. */
  readonly problem: string | undefined;
}

/** A file as it is put down, before it has a number. */
export type NewFile = Omit<ColdFile, 'id' | 'gone' | 'goneCount'>;

type FileRow = [
  id: number,
  tableId: number,
  path: string,
  place: 'local' | 'cold',
  partition: string,
  rows: number,
  sizeBytes: number,
  etag: string,
  lsn: number,
  columns: string,
  ranges: string,
  gone: ArrayBuffer | null,
  goneCount: number,
];

/**
 * Which tables are tiered, and where their cold rows are: the truth about cold storage, which is never listed. It is
 * in the object's SQLite, so it changes in one transaction with the hot rows.
 *
 * What has been read is kept in memory until it changes here, or a transaction is rolled back.
 */
export class Manifest {
  readonly #sql: SqlStorage;
  #version = 0;
  #loaded = -1;
  #tables: ReadonlyMap<number, TieredTable> = new Map();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Creates what is missing. */
  open(): void {
    this.#sql.exec(
      'CREATE TABLE IF NOT EXISTS __dosql_tier(table_id INTEGER PRIMARY KEY, policy TEXT NOT NULL, problem TEXT) STRICT; ' +
        'CREATE TABLE IF NOT EXISTS __dosql_tier_file(id INTEGER PRIMARY KEY, table_id INTEGER NOT NULL, path TEXT NOT NULL, place TEXT NOT NULL, ' +
        'partition TEXT NOT NULL, rows INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, lsn INTEGER NOT NULL, columns TEXT NOT NULL, ' +
        'ranges TEXT NOT NULL, gone BLOB, gone_count INTEGER NOT NULL) STRICT; ' +
        // Files that nothing names any more; a query that began before may still be reading them until then.
        'CREATE TABLE IF NOT EXISTS __dosql_tier_garbage(path TEXT PRIMARY KEY, place TEXT NOT NULL, until INTEGER NOT NULL) STRICT, WITHOUT ROWID; ' +
        ICEBERG_TABLES,
    );
    this.#version++;
  }

  /** Another number whenever the manifest has become, or may have become, another one. */
  get version(): number {
    return this.#version;
  }

  /** A transaction has been undone, and with it what it did here, if anything. */
  rolledBack(): void {
    this.#version++;
  }

  /** The tiered tables, by table id. */
  get tables(): ReadonlyMap<number, TieredTable> {
    if (this.#loaded !== this.#version) this.#load();
    return this.#tables;
  }

  /** Sets how a table is tiered. */
  setPolicy(tableId: number, policy: TierPolicy): void {
    const text = JSON.stringify(policy);
    const known = first<[string]>(this.#sql, 'SELECT policy FROM __dosql_tier WHERE table_id = ?', tableId);
    if (known?.[0] === text) return;
    this.#sql.exec(
      'INSERT INTO __dosql_tier(table_id, policy) VALUES(?, ?) ON CONFLICT(table_id) DO UPDATE SET policy = excluded.policy, problem = NULL',
      tableId,
      text,
    );
    this.#changed();
  }

  /** Forgets that a table is tiered; it has no files any more. */
  remove(tableId: number): void {
    this.#sql.exec('DELETE FROM __dosql_tier WHERE table_id = ?', tableId);
    this.#changed();
  }

  /** Notes what keeps a table's pass from going on, or that nothing does. */
  setProblem(tableId: number, problem: string | undefined): void {
    if (this.tables.get(tableId)?.problem === problem) return;
    this.#sql.exec(
      'UPDATE __dosql_tier SET problem = ? WHERE table_id = ?',
      problem?.slice(0, 1_000) ?? null,
      tableId,
    );
    this.#changed();
  }

  /** Takes down a file; `gone` are positions of rows in it that have changed since it was made. */
  add(file: NewFile, gone?: readonly number[]): void {
    const { tableId, path, place, partition, rows, sizeBytes, etag, lsn, columns, ranges } = file;
    const bits = gone === undefined || gone.length === 0 ? undefined : withBits(undefined, rows, gone);
    this.#sql.exec(
      'INSERT INTO __dosql_tier_file(table_id, path, place, partition, rows, size, etag, lsn, columns, ranges, gone, gone_count) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      tableId,
      path,
      place,
      partition,
      rows,
      sizeBytes,
      etag,
      lsn,
      JSON.stringify(
        columns.map(({ value, ...column }) =>
          value === undefined ? column : { ...column, value: encode(value) },
        ),
      ),
      JSON.stringify([...ranges].map(([id, { min, max }]) => [id, encode(min), encode(max)])),
      bits ?? null,
      bits === undefined ? 0 : countBits(bits),
    );
    this.#changed();
  }

  /** Takes note that the rows at these positions of a file are in it no more; a file without rows goes. */
  takeOut(file: ColdFile, positions: readonly number[], until: number): void {
    const gone = withBits(file.gone, file.rows, positions);
    const count = countBits(gone);
    if (count === file.rows) {
      this.drop(file, until);
      return;
    }
    this.#sql.exec(
      'UPDATE __dosql_tier_file SET gone = ?, gone_count = ? WHERE id = ?',
      gone,
      count,
      file.id,
    );
    this.#changed();
  }

  /** Forgets a file, whose bytes are to be deleted after `until`. */
  drop({ id, path, place }: ColdFile, until: number): void {
    this.#sql.exec('DELETE FROM __dosql_tier_file WHERE id = ?', id);
    this.discard(path, place, until);
    this.#changed();
  }

  /** Takes note that the bytes at `path` are to be deleted after `until`. */
  discard(path: string, place: ColdFile['place'], until: number): void {
    this.#sql.exec(
      'INSERT OR REPLACE INTO __dosql_tier_garbage(path, place, until) VALUES(?, ?, ?)',
      path,
      place,
      until,
    );
  }

  /** Takes note that a file is in cold storage now. */
  moved({ id }: ColdFile, etag: string): void {
    this.#sql.exec("UPDATE __dosql_tier_file SET place = 'cold', etag = ? WHERE id = ?", etag, id);
    this.#changed();
  }

  /** Paths whose bytes may be deleted by now. */
  garbage(nowMs: number): { readonly path: string; readonly place: ColdFile['place'] }[] {
    return all<[string, ColdFile['place']]>(
      this.#sql,
      `SELECT path, place FROM __dosql_tier_garbage WHERE until <= ?${this.#isNotHeld} ORDER BY until LIMIT 1000`,
      Math.min(nowMs, Number.MAX_SAFE_INTEGER),
    ).map(([path, place]) => ({ path, place }));
  }

  /** When bytes may be deleted next, in ms; undefined when there are none to delete. */
  get garbageDue(): number | undefined {
    const due = `SELECT min(until) FROM __dosql_tier_garbage WHERE TRUE${this.#isNotHeld}`;
    return first<[number | null]>(this.#sql, due)?.[0] ?? undefined;
  }

  /** A backup, or an Iceberg table, may still refer to a file that its table does not need any more. */
  get #isNotHeld(): string {
    const isHolding = first(this.#sql, "SELECT 1 FROM sqlite_schema WHERE name = '__dosql_backup_file'");
    const held = isHolding === undefined ? '' : ' AND path NOT IN (SELECT path FROM __dosql_backup_file)';
    return `${held} AND path NOT IN (SELECT path FROM __dosql_tier_iceberg_file)`;
  }

  /** The bytes at `path` have been deleted. */
  collected(path: string): void {
    this.#sql.exec('DELETE FROM __dosql_tier_garbage WHERE path = ?', path);
  }

  #changed(): void {
    this.#version++;
  }

  #load(): void {
    const files = new Map<number, ColdFile[]>();
    for (const row of all<FileRow>(
      this.#sql,
      'SELECT id, table_id, path, place, partition, rows, size, etag, lsn, columns, ranges, gone, gone_count FROM __dosql_tier_file ORDER BY partition, id',
    )) {
      const file = fileOf(row);
      const others = files.get(file.tableId);
      if (others === undefined) files.set(file.tableId, [file]);
      else others.push(file);
    }
    this.#tables = new Map(
      all<[number, string, string | null]>(
        this.#sql,
        'SELECT table_id, policy, problem FROM __dosql_tier ORDER BY table_id',
      ).map(([tableId, policy, problem]) => [
        tableId,
        {
          tableId,
          policy: JSON.parse(policy) as TierPolicy,
          files: files.get(tableId) ?? [],
          problem: problem ?? undefined,
        },
      ]),
    );
    this.#loaded = this.#version;
  }
}

/** Whether the row at `position` has been taken out of a file. */
export function isGone(gone: Uint8Array | undefined, position: number): boolean {
  return gone !== undefined && ((gone[position >> 3] as number) & (1 << (position & 7))) !== 0;
}

function withBits(bits: Uint8Array | undefined, rows: number, positions: readonly number[]): Uint8Array {
  const result = new Uint8Array(Math.ceil(rows / 8));
  if (bits !== undefined) result.set(bits);
  for (const position of positions)
    result[position >> 3] = (result[position >> 3] as number) | (1 << (position & 7));
  return result;
}

function countBits(bits: Uint8Array): number {
  let count = 0;
  for (let byte of bits) for (; byte !== 0; byte &= byte - 1) count++;
  return count;
}

function fileOf(row: FileRow): ColdFile {
  const [id, tableId, path, place, partition, rows, sizeBytes, etag, lsn, columns, ranges, gone, goneCount] =
    row;
  return {
    id,
    tableId,
    path,
    place,
    partition,
    rows,
    sizeBytes,
    etag,
    lsn,
    columns: (JSON.parse(columns) as (FileColumn & { value?: Encoded })[]).map((column) =>
      column.value === undefined ? column : { ...column, value: decode(column.value) },
    ),
    ranges: new Map(
      (JSON.parse(ranges) as [number, Encoded, Encoded][]).map(([id, min, max]) => [
        id,
        { min: decode(min), max: decode(max) },
      ]),
    ),
    gone: gone === null ? undefined : new Uint8Array(gone),
    goneCount,
  };
}

/** A value as JSON has it: text and finite numbers as they are, all else with its kind. */
type Encoded = string | number | null | readonly [kind: 'integer' | 'real' | 'blob', text: string];

function encode(value: SqlValue): Encoded {
  if (typeof value === 'bigint') return ['integer', String(value)];
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)))
    return ['real', Object.is(value, -0) ? '-0' : String(value)];
  if (value instanceof Uint8Array)
    return ['blob', [...value].map((byte) => byte.toString(16).padStart(2, '0')).join('')];
  return value;
}

function decode(value: Encoded): SqlValue {
  if (!Array.isArray(value)) return value as string | number | null;
  const [kind, text] = value as readonly [string, string];
  if (kind === 'integer') return BigInt(text);
  if (kind === 'real') return Number(text);
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}
