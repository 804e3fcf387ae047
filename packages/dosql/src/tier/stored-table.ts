import { DoSQLError } from '../error.ts';
import type { ParquetFile } from '../scan/parquet/index.ts';
import { formatIso, parseIso, writeIso } from '../scan/parquet/write-iso.ts';
import { mergeOther } from '../scan/parquet/write-other.ts';
import { COLUMNS_KEY, type StoredAs, type StoredColumn } from '../scan/parquet/write-sqlite.ts';
import { compareText } from '../scan/scalar.ts';
import type { Batch, Condition, ScanRequest, ScanTable } from '../scan/table.ts';
import { expand } from '../scan/values.ts';
import type { ColumnType, NumberVector, ScanColumn, Vector } from '../scan/vector.ts';
import { mixed } from './vectors.ts';

const TYPES: Readonly<Record<StoredAs, ColumnType>> = {
  integer: 'integer',
  real: 'real',
  number: 'any',
  text: 'text',
  iso: 'text',
  blob: 'blob',
};
const ISO_LENGTH = 24;
/** The instants that ISO text of four-digit years can name. */
const FIRST_INSTANT = Date.parse('0000-01-01T00:00:00.000Z');
const LAST_INSTANT = Date.parse('9999-12-31T23:59:59.999Z');

/** A file that was written of rows of SQLite, with its columns as SQLite had them. */
export class StoredTable implements ScanTable {
  readonly columns: readonly ScanColumn[];
  readonly #file: ParquetFile;
  readonly #stored: ReadonlyMap<string, StoredColumn>;

  /** @throws DoSQLError `CORRUPT_FILE` for a file that does not say how its columns are stored. */
  constructor(file: ParquetFile, name: string) {
    const text = file.keyValue.get(COLUMNS_KEY);
    if (text === undefined)
      throw new DoSQLError('CORRUPT_FILE', `"${name}" was not written by a table: it has no ${COLUMNS_KEY}`);
    this.#file = file;
    this.#stored = new Map((JSON.parse(text) as StoredColumn[]).map((column) => [column.name, column]));
    this.columns = [...this.#stored.values()].map(({ name, stored, other }) => ({
      name,
      type: other === undefined ? TYPES[stored] : 'any',
    }));
  }

  async *scan(request: ScanRequest): AsyncGenerator<Batch> {
    const columns = this.#physical(request.columns);
    const conditions = request.conditions.flatMap((condition) => this.#condition(condition) ?? []);
    for await (const batch of this.#file.scan({ ...request, columns, conditions })) yield this.#batch(batch);
  }

  #physical(names: readonly string[]): string[] {
    return names.flatMap((name) => {
      const other = this.#stored.get(name)?.other;
      return other === undefined ? [name] : [name, other];
    });
  }

  #batch(batch: Batch): Batch {
    const known = new Map<string, Vector>();
    return {
      rowCount: batch.rowCount,
      column: (name) => {
        let vector = known.get(name);
        if (vector === undefined) known.set(name, (vector = this.#column(batch, name)));
        return vector;
      },
      fetch: async (names, rows) => {
        await batch.fetch(this.#physical(names), rows);
        for (const name of names) known.delete(name);
      },
    };
  }

  #column(batch: Batch, name: string): Vector {
    const { stored, other } = this.#stored.get(name) as StoredColumn;
    const main = batch.column(name);
    const spelled = stored === 'iso' ? isoText(main) : main;
    if (other !== undefined) return mergeOther(spelled, batch.column(other), TYPES[stored]);
    return stored === 'number' ? mixed(spelled, 'any') : spelled;
  }

  /** A condition by which the file may be pruned; undefined where it says nothing of what the file holds. */
  #condition(condition: Condition): Condition | undefined {
    const column = this.#stored.get(condition.column);
    // What is NULL in a column may be another value in its companion.
    if (column === undefined || column.other !== undefined) return undefined;
    if (column.stored === 'iso') return instantCondition(condition);
    const isOfClass = (value: unknown): boolean =>
      column.stored === 'text'
        ? typeof value === 'string'
        : column.stored === 'blob'
          ? value instanceof Uint8Array
          : typeof value === 'number' || typeof value === 'bigint';
    return condition.values.every(isOfClass) ? condition : undefined;
  }
}

/** ISO text of instants in ms. */
function isoText(vector: Vector): Vector {
  if (vector.kind === 'dictionary')
    return { ...vector, dictionary: isoText(vector.dictionary) as typeof vector.dictionary };
  if (vector.kind === 'runs') return { ...vector, values: isoText(vector.values) as typeof vector.values };
  const { values, nulls, length } = expand(vector) as NumberVector;
  const data = new Uint8Array(length * ISO_LENGTH);
  const offsets = new Uint32Array(length + 1);
  let given = values;
  let end = 0;
  if (nulls === undefined) for (let i = 0; i < length; i++) offsets[i + 1] = (i + 1) * ISO_LENGTH;
  else {
    given = new Float64Array(length - nulls.reduce((sum, flag) => sum + flag, 0));
    for (let i = 0; i < length; i++) {
      if (nulls[i] !== 1) given[end++] = values[i] as number;
      offsets[i + 1] = end * ISO_LENGTH;
    }
  }
  writeIso(given.length === length ? given.subarray(0, length) : given, data, 0);
  return { kind: 'bytes', length, nulls, data, offsets };
}

/** A condition on ISO text as one on the instants: the order of such text is that of time. */
function instantCondition({ column, operator, values }: Condition): Condition | undefined {
  const texts = values.filter((value) => typeof value === 'string');
  if (texts.length < values.length) return undefined;
  const [text = ''] = texts;
  switch (operator) {
    case 'is null':
    case 'is not null':
      return { column, operator, values };
    case '=':
    case 'in': {
      const instants = texts.map(parseIso).filter((instant) => !Number.isNaN(instant));
      return { column, operator: 'in', values: instants };
    }
    case '<':
    case '>=':
      return { column, operator, values: [firstFrom(text, (order) => order >= 0)] };
    case '<=':
      return { column, operator: '<', values: [firstFrom(text, (order) => order > 0)] };
    case '>':
    default:
      return { column, operator: '>=', values: [firstFrom(text, (order) => order > 0)] };
  }
}

/** The first instant whose text stands so to `text`; behind the last one where none does. */
function firstFrom(text: string, holds: (order: number) => boolean): number {
  let low = FIRST_INSTANT;
  let high = LAST_INSTANT + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(compareText(formatIso(middle), text))) high = middle;
    else low = middle + 1;
  }
  return low;
}
