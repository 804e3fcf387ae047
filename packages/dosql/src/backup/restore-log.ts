import type { FileStore } from '@dotdo/fsx';
import { quoteName } from '../sql/token.ts';
import { all } from '../sql/read.ts';
import type { Binding } from '../value/parameter.ts';
import { SEGMENT_KEY, type SegmentAbout } from './archive.ts';
import type { CatalogRows } from './catalog-rows.ts';
import { getFile } from './cold-file.ts';
import { handRows, valueOf } from './insert-rows.ts';
import type { Segment } from './notes.ts';
import { openRows } from './rows-file.ts';
import { segmentAbout } from './target.ts';

/** A stretch of the log: the LSNs after `after`, up to `to`. */
export interface Stretch {
  readonly after: number;
  readonly to: number;
}

/** What has been read. */
export interface LoadedLog {
  readonly catalogs: readonly CatalogRows[];
  readonly files: number;
  readonly bytes: number;
  readonly rows: number;
}

/** A segment whose bytes are those that were written, as it is handed to SQLite. */
export interface ReadSegment {
  readonly about: SegmentAbout;
  readonly bytes: number;
  /** Names of the log's columns that it has, and SQL for the values of those that are not all NULL. */
  readonly columns: readonly string[];
  readonly values: readonly (readonly [name: string, value: string])[];
  readonly queries: readonly (readonly [query: string, bindings: readonly Binding[]])[];
  readonly rows: number;
}

/**
 * Reads a segment.
 *
 * @throws DoSQLError `CORRUPT_FILE`, `NO_SUCH_FILE`, `STORAGE_UNAVAILABLE`
 */
export async function readSegment(cold: FileStore, segment: Segment): Promise<ReadSegment> {
  const bytes = await getFile(cold, segment);
  const file = await openRows(segment.path, bytes);
  const about = segmentAbout(segment, file.about(SEGMENT_KEY));
  const columns = file.columns.map(({ name }) => name);
  const names = columns.filter((name) => !file.empty.has(name));
  const queries: [string, readonly Binding[]][] = [];
  const rows = await handRows(file, names, (query, bindings) => queries.push([query, bindings]));
  const values = names.map((name) => [name, valueOf(file, name)] as const);
  return { about, bytes: bytes.length, columns, values, queries, rows };
}

/** Puts the rows of a segment that satisfy `condition`, over a row `r`, and lie in a stretch, back into the log. */
export function putRows(
  sql: SqlStorage,
  { columns, values, queries }: ReadSegment,
  { after, to }: Stretch,
  condition: string = 'TRUE',
): void {
  widen(sql, columns);
  const into = `INSERT INTO __dosql_log(${values.map(([name]) => quoteName(name)).join(', ')})`;
  const select = values.map(([, value]) => value).join(', ');
  for (const [query, bindings] of queries)
    sql.exec(
      `${into} SELECT ${select} FROM (${query}) AS r WHERE r.lsn > ${after} AND r.lsn <= ${to} AND (${condition})`,
      ...bindings,
    );
}

/** Puts the transactions of a segment back that end in a stretch. */
export function putTransactions(sql: SqlStorage, { about }: ReadSegment, { after, to }: Stretch): void {
  sql.exec(
    'INSERT OR IGNORE INTO __dosql_tx(last, first) SELECT value ->> 1, value ->> 0 FROM json_each(?)',
    JSON.stringify(about.transactions.filter(([, last]) => last > after && last <= to)),
  );
}

/** Puts a stretch of the log back into its table; `keepsTo` is the LSN behind which no transaction is noted. */
export async function loadLog(
  sql: SqlStorage,
  cold: FileStore,
  segments: readonly Segment[],
  stretch: Stretch,
  keepsTo: number,
): Promise<LoadedLog> {
  const catalogs: CatalogRows[] = [];
  const loaded = { files: 0, bytes: 0, rows: 0 };
  for (const segment of segments) {
    // The one that ends just there tells what was defined there.
    if (segment.last < stretch.after || segment.first > stretch.to) continue;
    const read = await readSegment(cold, segment);
    catalogs.push(read.about);
    putRows(sql, read, stretch);
    putTransactions(sql, read, { ...stretch, to: keepsTo });
    loaded.rows += read.rows;
    loaded.files++;
    loaded.bytes += read.bytes;
  }
  return { catalogs, ...loaded };
}

/** A column's name says of which type it is. */
const TYPES: Readonly<Record<string, string>> = { i: 'INTEGER', t: 'TEXT', r: 'REAL', n: 'NUMERIC', b: '' };

function widen(sql: SqlStorage, names: readonly string[]): void {
  const there = new Set(all<[string]>(sql, "SELECT name FROM pragma_table_info('__dosql_log')").flat());
  for (const name of names)
    if (!there.has(name) && /^[itrnb]\d+$/.test(name))
      sql.exec(`ALTER TABLE __dosql_log ADD COLUMN ${name} ${TYPES[name.charAt(0)]}`);
}
