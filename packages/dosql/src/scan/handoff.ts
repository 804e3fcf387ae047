import { DoSQLError } from '../error.ts';
import { MAX_COLUMNS } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import type { Budget } from './budget.ts';
import { writeCell, writeValue, type Cells, type Source } from './handoff-cells.ts';
import { JsonbRows, MAX_CHUNK_BYTES } from './handoff-jsonb.ts';
import type { Batch } from './table.ts';
import type { ScanColumn } from './vector.ts';
import type { SqlValue } from '../value/row.ts';

/** A column that is handed to SQLite. */
export interface HandedColumn extends ScanColumn {
  /** The affinity of the column that the values come from; by default the one that the type has. */
  readonly affinity?: 'integer' | 'real' | 'numeric' | 'text' | 'blob' | undefined;
  /** Its collation where it is not BINARY. */
  readonly collation?: string | undefined;
}

/** Rows for SQLite. */
export interface HandOff {
  /** A query without parentheres around it that gives the rows, with the columns by their names. */
  readonly sql: string;
  /** What it binds, from its first parameter on. */
  readonly bindings: readonly Uint8Array[];
  readonly rowCount: number;
  readonly sizeBytes: number;
  /**
   * Columns that could not be given the affinity asked for, since it would have changed values: they compare by
   * their values' own classes.
   */
  readonly unaffined: readonly string[];
}

/** Within which limits rows are handed over. */
export interface HandOffOptions {
  /** Most bytes that all rows together may take; 32 MiB by default, which also keeps to 20 parameters. */
  readonly limitBytes?: number | undefined;
  /** Counts the rows. */
  readonly budget?: Budget | undefined;
}

const DEFAULT_LIMIT_BYTES = 32 * 2 ** 20;

/**
 * Takes rows for SQLite to work on, from a scan or from anywhere, without writing them to the object's storage: they
 * travel as bound JSONB, which `jsonb_each` unpacks at 2 to 3 million rows a second.
 *
 * Every value arrives exactly: 64-bit integers, reals bit by bit (NaN as NULL), text with NUL, blobs. Timestamps,
 * dates and times of vectors arrive as ISO 8601 text.
 *
 * ```ts
 * const rows = new HandOffBuilder(table.columns);
 * for await (const batch of table.scan(request)) rows.addBatch(batch);
 * const { sql, bindings } = rows.finish();
 * storage.sql.exec(`SELECT c.name, sum(r.total) FROM customer c JOIN (${sql}) r USING (id) GROUP BY 1`, ...bindings);
 * ```
 */
export class HandOffBuilder {
  readonly #cells: readonly Cells[];
  readonly #columns: readonly HandedColumn[];
  readonly #rows: JsonbRows = new JsonbRows();
  readonly #limitBytes: number;
  readonly #budget: Budget | undefined;
  #rowCount = 0;

  /** @throws DoSQLError `TOO_BIG` for more than 100 columns, `BAD_PARAMETER` for a name that SQL cannot hold. */
  constructor(columns: readonly HandedColumn[], options: HandOffOptions = {}) {
    if (columns.length > MAX_COLUMNS)
      throw new DoSQLError(
        'TOO_BIG',
        `${columns.length} columns are more than the ${MAX_COLUMNS} that SQLite takes here: select the ones that are needed`,
      );
    for (const { name } of columns)
      if (name.includes('\0'))
        throw new DoSQLError(
          'BAD_PARAMETER',
          `the column name ${JSON.stringify(name)} has a NUL character, which SQL has no text for: rename the column`,
        );
    this.#columns = columns;
    this.#cells = columns.map((column) => ({
      column,
      isReal: (column.affinity ?? column.type) === 'real',
      seen: { hasInteger: false, hasReal: false, hasText: false, hasBlob: false },
    }));
    this.#limitBytes = options.limitBytes ?? DEFAULT_LIMIT_BYTES;
    this.#budget = options.budget;
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  /**
   * Adds rows with values in the order of the columns.
   *
   * @throws DoSQLError `TOO_BIG` when the rows are more than the limit, or one is more than SQLite takes.
   */
  addRows(rows: readonly (readonly SqlValue[])[]): void {
    this.#budget?.emit(rows.length);
    const cells = this.#cells;
    for (const row of rows) {
      this.#rows.beginRow();
      for (let i = 0; i < cells.length; i++) writeValue(this.#rows, cells[i] as Cells, row[i] as SqlValue);
      this.#endRow();
    }
  }

  /**
   * Adds the rows of a batch, which must have the columns by their names; only those at `rows`, rising, where given.
   *
   * @throws DoSQLError `TOO_BIG` as {@link addRows}.
   */
  addBatch(batch: Batch, rows?: Uint32Array): void {
    const count = rows?.length ?? batch.rowCount;
    this.#budget?.emit(count);
    const sources = this.#cells.map((cells): Source => ({
      ...cells,
      vector: batch.column(cells.column.name),
      run: 0,
    }));
    const width = sources.length;
    for (let i = 0; i < count; i++) {
      const row = rows === undefined ? i : (rows[i] as number);
      this.#rows.beginRow();
      for (let c = 0; c < width; c++) writeCell(this.#rows, sources[c] as Source, row);
      this.#endRow();
    }
  }

  /** The query over all rows so far; its parameters are numbered from `firstParameter` on. */
  finish(firstParameter: number = 1): HandOff {
    const sizeBytes = this.#rows.sizeBytes;
    const bindings = this.#rows.finish();
    const unaffined: string[] = [];
    const results = this.#cells.map(({ column, seen }, i) => {
      const affinity = affinityFor(this.#columns[i] as HandedColumn, seen);
      if (affinity === undefined) unaffined.push(column.name);
      return `${expression(this.#columns[i] as HandedColumn, seen, i, affinity)} AS ${quoteName(column.name)}`;
    });
    const sql = `SELECT ${results.length === 0 ? 'NULL' : results.join(', ')} FROM ${from(bindings.length, firstParameter)} LIMIT -1`;
    return { sql, bindings, rowCount: this.#rowCount, sizeBytes, unaffined };
  }

  #endRow(): void {
    const size = this.#rows.endRow();
    this.#rowCount++;
    if (size > MAX_CHUNK_BYTES)
      throw new DoSQLError(
        'TOO_BIG',
        `row ${this.#rowCount} takes ${size.toLocaleString('en')} bytes, more than the ${MAX_CHUNK_BYTES.toLocaleString('en')} that SQLite takes: select fewer columns`,
      );
    if (this.#rows.sizeBytes > this.#limitBytes)
      throw new DoSQLError(
        'TOO_BIG',
        `after ${this.#rowCount.toLocaleString('en')} rows, what this query hands to SQLite is over its limit of ${this.#limitBytes.toLocaleString('en')} bytes: ` +
          'filter or aggregate over the file in a query of its own first, or select fewer columns',
      );
  }
}

/** Hands rows over that are there already: see {@link HandOffBuilder}. */
export function handOff(
  columns: readonly HandedColumn[],
  rows: readonly (readonly SqlValue[])[],
  options: HandOffOptions = {},
): HandOff {
  const builder = new HandOffBuilder(columns, options);
  builder.addRows(rows);
  return builder.finish();
}

/**
 * Where the rows come from. All chunks pass through one `jsonb_each`, so that the text does not grow with them: a
 * compound may have 5 terms here, but VALUES any number.
 *
 * The LIMIT that ends the query keeps SQLite from merging it into a query that joins or filters: there the rows
 * would be unpacked again for each row of the other side, instead of once, into a table that gets an index.
 */
function from(chunkCount: number, firstParameter: number): string {
  if (chunkCount === 0) return `jsonb_each('[]') AS r`;
  if (chunkCount === 1) return `jsonb_each(?${firstParameter}) AS r`;
  const chunks = Array.from({ length: chunkCount }, (_, i) => `(?${firstParameter + i})`);
  return `(VALUES ${chunks.join(', ')}) AS c CROSS JOIN jsonb_each(c.column1) AS r`;
}

type Seen = Cells['seen'];

/** The affinity to give; undefined where it would change values. */
function affinityFor(column: HandedColumn, seen: Seen): HandedColumn['affinity'] {
  const wanted = column.affinity ?? AFFINITY[column.type];
  const isNumeric = seen.hasInteger || seen.hasReal;
  if (wanted === 'blob') return wanted;
  if (wanted === 'text') return isNumeric || seen.hasBlob ? undefined : wanted;
  if (seen.hasText || seen.hasBlob) return undefined;
  // A REAL column has reals alone; should an integer stand in it, it stays what it is.
  return wanted === 'real' && seen.hasInteger ? undefined : wanted;
}

const AFFINITY: Readonly<Record<ScanColumn['type'], NonNullable<HandedColumn['affinity']>>> = {
  integer: 'integer',
  real: 'real',
  text: 'text',
  timestamp: 'text',
  date: 'text',
  time: 'text',
  blob: 'blob',
  any: 'blob',
};

function expression(column: HandedColumn, seen: Seen, i: number, affinity: HandedColumn['affinity']): string {
  // To NUMERIC rather than INTEGER, which would cut the fraction off a real: the two compare alike.
  const type = { text: 'TEXT', real: 'REAL', integer: 'NUMERIC', numeric: 'NUMERIC', blob: undefined }[
    affinity ?? 'blob'
  ];
  const exact = exactValue(seen, i);
  const typed = type === undefined ? exact : `CAST(${exact} AS ${type})`;
  return column.collation === undefined ? typed : `${typed} COLLATE ${quoteName(column.collation)}`;
}

function exactValue({ hasInteger, hasReal, hasText, hasBlob }: Seen, i: number): string {
  const value = `json_extract(r.value, '$[${i}]')`;
  if (!hasBlob) return value;
  const blob = `CAST(json_extract(r.value, '$[${i}][0]') AS BLOB)`;
  if (!hasInteger && !hasReal && !hasText) return blob;
  return `CASE json_type(r.value, '$[${i}]') WHEN 'array' THEN ${blob} ELSE ${value} END`;
}
