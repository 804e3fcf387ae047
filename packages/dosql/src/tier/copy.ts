import type { Engine, Outcome, RunOptions } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { Pass } from '../outcome.ts';
import { createParquetWriter } from '../scan/parquet/write.ts';
import type { Codec } from '../scan/parquet/write-codec.ts';
import { sqliteColumns, type SqliteRows } from '../scan/parquet/write-sqlite.ts';
import type { Affinity } from '../schema/relation.ts';
import { bucketOf, parseUrl, type Buckets } from '../scan/url.ts';
import type { Statement } from '../sql/statement.ts';
import { quoteName } from '../sql/token.ts';
import { describe, type SqlParameters } from '../value/parameter.ts';
import { isExact, marked, unmarked } from '../value/marked.ts';
import { toValue, type RawValue, type SqlValue } from '../value/row.ts';
import { joined } from './hand-over.ts';
import { isOwnPath, type Places } from './places.ts';
import { compareValues } from './prune.ts';

/** How rows are written to files. */
export interface CopyOptions {
  /** `zstd` by default. */
  readonly compression?: Codec | undefined;
  /** Columns whose values become folders, `name=value/`, under the URL, each with a file of its rows. */
  readonly partitionBy?: readonly string[] | undefined;
  /** Columns that the rows of each file are sorted by, which lets readers of it pass over more. */
  readonly sortBy?: readonly string[] | undefined;
  /** Rows of a row group; 131,072 by default. */
  readonly rowGroupRows?: number | undefined;
}

/** What was written. */
export interface CopyResult {
  readonly rows: number;
  readonly files: readonly { readonly url: string; readonly rows: number; readonly sizeBytes: number }[];
}

/** Where files may be put. */
export interface CopyTarget {
  readonly buckets: Buckets | undefined;
  readonly places: Places;
}

/** Thrown to read again with integers as text: a double does not hold one of them. */
class Inexact extends Error {}

/**
 * Writes the rows of a query as Parquet files. Each file is put as a whole: whoever reads it meanwhile sees what was
 * there before, or the new one.
 *
 * @throws DoSQLError `FORBIDDEN_URL`, `BAD_PARAMETER`, `STORAGE_UNAVAILABLE`, and what the query throws.
 */
export async function copy(
  engine: Engine,
  statement: Statement,
  params: SqlParameters | undefined,
  url: string,
  options: CopyOptions,
  scope: RunOptions,
  pass: Pass,
  { buckets, places }: CopyTarget,
): Promise<CopyResult> {
  if (statement.kind !== 'read')
    throw new DoSQLError('READ_ONLY', 'copy() takes a query', { sql: statement.sql });
  const put = putterOf(url, buckets, places);
  const { partitionBy = [], sortBy = [] } = options;
  const parts = await gather(engine, statement, params, scope, pass, partitionBy, sortBy);
  checkTarget(url, partitionBy);
  const files: { url: string; rows: number; sizeBytes: number }[] = [];
  for (const [folder, rows] of parts.folders) {
    const { columns, vectors, keyValue, rowCount } = rows.finish(parts.affinities);
    const writer = createParquetWriter({
      columns,
      keyValue,
      ...(options.compression === undefined ? {} : { codec: options.compression }),
      ...(options.rowGroupRows === undefined ? {} : { rowGroupRows: options.rowGroupRows }),
      sortedBy: sortBy.filter((name) => !partitionBy.includes(name)).map((column) => ({ column })),
    });
    writer.write(vectors);
    const bytes = joined(writer.finish());
    const target = partitionBy.length === 0 ? url : `${url.replace(/\/$/, '')}/${folder}data.parquet`;
    await put(target, bytes);
    files.push({ url: target, rows: rowCount, sizeBytes: bytes.length });
  }
  return { rows: files.reduce((sum, { rows }) => sum + rows, 0), files };
}

function checkTarget(url: string, partitionBy: readonly string[]): void {
  const isFile = /\.parquet$/i.test(url);
  if (partitionBy.length === 0 && !isFile)
    throw new DoSQLError('BAD_PARAMETER', `"${url}" is no Parquet file: give a name that ends in .parquet`);
  if (partitionBy.length > 0 && isFile)
    throw new DoSQLError('BAD_PARAMETER', `"${url}" is one file: with partitionBy give a folder`);
}

function putterOf(
  url: string,
  buckets: Buckets | undefined,
  { local }: Places,
): (url: string, bytes: Uint8Array) => Promise<void> {
  if (typeof url !== 'string') throw new DoSQLError('BAD_PARAMETER', `the URL is ${describe(url)}`);
  const location = parseUrl(url);
  if (/[*?{[]/.test(url))
    throw new DoSQLError('BAD_PARAMETER', `"${url}" is a pattern, which rows cannot be written to`);
  if (location.kind === 'files' && isOwnPath(location.path))
    throw new DoSQLError('FORBIDDEN_URL', `"${url}" names what is DoSQL's own: give another path`);
  if (location.kind === 'files')
    return async (target, bytes) => {
      await local.write(target.slice('fsx://'.length).replace(/^\//, ''), bytes);
    };
  if (location.kind === 'https')
    throw new DoSQLError('FORBIDDEN_URL', `"${url}" cannot be written: r2://bucket/path and fsx://path can`);
  const { bucket, prefix } = bucketOf(location, buckets);
  return async (target, bytes) => {
    const { path } = parseUrl(target) as typeof location;
    try {
      await bucket.put(prefix + path, bytes);
    } catch (cause) {
      throw new DoSQLError(
        'STORAGE_UNAVAILABLE',
        `"${target}" could not be written: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
  };
}

/** The rows by the folder that they go to. */
async function gather(
  engine: Engine,
  statement: Statement,
  params: SqlParameters | undefined,
  scope: RunOptions,
  pass: Pass,
  partitionBy: readonly string[],
  sortBy: readonly string[],
): Promise<Parts> {
  if (engine.waits(statement.sql)) {
    const files = await engine.loadFiles();
    const outcome = await files.run(statement, params, { ...scope, integers: 'bigint' }, pass);
    return sorted(outcome, partitionBy, sortBy);
  }
  const order = sortBy.length === 0 ? '' : ` ORDER BY ${sortBy.map(quoteName).join(', ')}`;
  return pass(() => {
    const run = (sql: string, isMarked: boolean): Parts => {
      const cursor = engine.cursor(engine.statement(sql), params, scope);
      const parts = new Parts(cursor.columnNames, partitionBy, sortBy);
      for (const row of cursor.raw<RawValue[]>()) parts.add(isMarked ? row.map(unmarked) : row.map(exact));
      return parts;
    };
    try {
      return run(order === '' ? statement.sql : `SELECT * FROM (${statement.sql})${order}`, false);
    } catch (error) {
      if (!(error instanceof Inexact)) throw error;
      const names = engine.cursor(engine.statement(statement.sql), params, scope).columnNames;
      const columns = names.map((name) => `${marked(quoteName(name))} AS ${quoteName(name)}`);
      return run(`SELECT ${columns.join(', ')} FROM (SELECT * FROM (${statement.sql})${order})`, true);
    }
  });
}

function sorted({ names, raw }: Outcome, partitionBy: readonly string[], sortBy: readonly string[]): Parts {
  const parts = new Parts(names, partitionBy, sortBy);
  const at = sortBy.map((name) => names.indexOf(name));
  const rows = raw as unknown as SqlValue[][];
  if (at.length > 0)
    rows.sort((a, b) => {
      for (const i of at) {
        const by = compareValues(a[i] as SqlValue, b[i] as SqlValue);
        if (by !== 0) return by;
      }
      return 0;
    });
  for (const row of rows) parts.add(row);
  return parts;
}

/** Sorts rows into folders. */
class Parts {
  readonly folders = new Map<string, SqliteRows>();
  /** Of what class the first value of each column is: a folder in which all are NULL has that type, too. */
  readonly affinities: (Affinity | undefined)[];
  readonly #names: readonly string[];
  readonly #keys: readonly { readonly name: string; readonly at: number }[];
  readonly #kept: readonly number[];

  constructor(names: readonly string[], partitionBy: readonly string[], sortBy: readonly string[]) {
    for (const name of [...partitionBy, ...sortBy])
      if (!names.includes(name)) throw new DoSQLError('NO_SUCH_COLUMN', `the query has no column "${name}"`);
    const double = names.find((name, i) => names.indexOf(name) !== i);
    if (double !== undefined)
      throw new DoSQLError('BAD_PARAMETER', `the query has two columns "${double}": give one another name`);
    this.#keys = partitionBy.map((name) => ({ name, at: names.indexOf(name) }));
    this.#kept = names.flatMap((name, i) => (partitionBy.includes(name) ? [] : [i]));
    this.#names = this.#kept.map((i) => names[i] as string);
    this.affinities = this.#names.map(() => undefined);
    if (this.#names.length === 0)
      throw new DoSQLError('BAD_PARAMETER', 'partitionBy leaves no column for the files');
    if (partitionBy.length === 0) this.#rowsOf('');
  }

  add(row: readonly SqlValue[]): void {
    const folder = this.#keys.map(({ name, at }) => `${name}=${folderName(row[at] ?? null)}/`).join('');
    this.#kept.forEach((i, column) => (this.affinities[column] ??= affinityOf(row[i] ?? null)));
    this.#rowsOf(folder).add([this.#kept.map((i) => row[i] ?? null)]);
  }

  #rowsOf(folder: string): SqliteRows {
    let rows = this.folders.get(folder);
    if (rows === undefined) {
      rows = sqliteColumns(this.#names.map((name) => ({ name })));
      this.folders.set(folder, rows);
    }
    return rows;
  }
}

function affinityOf(value: SqlValue): Affinity | undefined {
  if (value === null) return undefined;
  if (typeof value === 'string') return 'text';
  if (value instanceof Uint8Array) return 'blob';
  return Number.isInteger(Number(value)) ? 'integer' : 'real';
}

/** A value as hive writes it in a path. */
function folderName(value: SqlValue): string {
  if (value === null || value === '') return '__HIVE_DEFAULT_PARTITION__';
  if (value instanceof Uint8Array)
    throw new DoSQLError(
      'BAD_PARAMETER',
      'a blob cannot be the name of a folder: partition by another column',
    );
  const text = String(value);
  if (/[/\\]/.test(text))
    throw new DoSQLError(
      'BAD_PARAMETER',
      `"${text}" cannot be the name of a folder: partition by an expression without slashes`,
    );
  return encodeURIComponent(text);
}

function exact(value: RawValue): SqlValue {
  if (!isExact(value)) throw new Inexact();
  return toValue(value);
}
