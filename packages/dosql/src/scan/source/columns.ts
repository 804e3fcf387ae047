import { DoSQLError } from '../../error.ts';
import { lowerName } from '../../sql/token.ts';
import { toText } from '../scalar.ts';
import { normalise, toScalars } from '../values.ts';
import type { DictionaryVector, PlainVector, RunsVector, ScanColumn, TimeUnit, Vector } from '../vector.ts';
import { givenType, typed, type Types } from './text-columns.ts';

/** A column of a file, as far as is known. */
export interface FileColumn {
  readonly column: ScanColumn;
  /** Whether the file says nothing about its type, since all values that were looked at are NULL. */
  readonly isUnknown: boolean;
}

/** The columns of a table that several files make up, each by the first file that has it. */
export class ColumnUnion {
  readonly #types: Types;
  readonly #columns = new Map<string, { column: ScanColumn; isUnknown: boolean; readonly file: string }>();

  constructor(types: Types) {
    this.#types = types;
  }

  get columns(): ScanColumn[] {
    return [...this.#columns.values()].map(({ column }) => column);
  }

  /**
   * Takes the columns of one more file in.
   *
   * @throws DoSQLError `BAD_PARAMETER` when a column is of types that do not go together, naming both files.
   */
  add(file: string, columns: readonly FileColumn[]): void {
    for (const { column, isUnknown } of columns) {
      const key = lowerName(column.name);
      const known = this.#columns.get(key);
      const given = givenType(this.#types, column.name);
      if (known === undefined)
        this.#columns.set(key, {
          column: given === undefined ? column : typed(column, given),
          isUnknown,
          file,
        });
      else if (given !== undefined) known.column = finer(known.column, column);
      else if (!isUnknown) {
        known.column = known.isUnknown
          ? { ...column, name: known.column.name }
          : (common(known.column, column) ?? raise(clash(known.column, known.file, column, file)));
        known.isUnknown = false;
      }
    }
  }

  /**
   * Checks a file that came after the columns had been settled: it may lack columns, and have others, but what it
   * shares with them has to fit.
   *
   * @throws DoSQLError `BAD_PARAMETER`
   */
  check(file: string, columns: readonly FileColumn[]): void {
    for (const { column, isUnknown } of columns) {
      const known = this.#columns.get(lowerName(column.name));
      if (known === undefined || isUnknown || givenType(this.#types, column.name) !== undefined) continue;
      const both = common(known.column, column);
      if (both === undefined || !isSame(both, known.column))
        throw clash(known.column, known.file, column, file);
    }
  }

  /** @throws DoSQLError `BAD_PARAMETER` for a type that is given for a column that is not there. */
  checkTypes(url: string): void {
    const name = Object.keys(this.#types).find((each) => !this.#columns.has(lowerName(each)));
    if (name !== undefined)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `types names ${JSON.stringify(name)}, which is no column of ${url}: it has ${this.columns
          .slice(0, 20)
          .map((column) => column.name)
          .join(', ')}`,
      );
  }
}

/** Whether two columns have the same values. */
export function isSame(a: ScanColumn, b: ScanColumn): boolean {
  if (a.type !== b.type) return false;
  if (a.type !== 'timestamp' && a.type !== 'time') return true;
  return (a.unit ?? 'ms') === (b.unit ?? 'ms') && (a.isUtc ?? true) === (b.isUtc ?? true);
}

/** A column that holds the values of both; undefined where there is none but by changing what they are. */
function common(a: ScanColumn, b: ScanColumn): ScanColumn | undefined {
  if (a.type === b.type) return finer(a, b);
  const types = new Set([a.type, b.type]);
  if (types.has('integer') && types.has('real')) return { name: a.name, type: 'real' };
  if (types.has('any')) return { name: a.name, type: 'any' };
  if (types.has('date') && types.has('timestamp')) {
    const { unit = 'ms', isUtc = true } = a.type === 'timestamp' ? a : b;
    return { name: a.name, type: 'timestamp', unit, isUtc };
  }
  return undefined;
}

const UNITS: readonly TimeUnit[] = ['ms', 'us', 'ns'];

/** The column with the finer unit of two. */
function finer(a: ScanColumn, b: ScanColumn): ScanColumn {
  if (a.type !== b.type || (a.type !== 'timestamp' && a.type !== 'time')) return a;
  const unit = UNITS[Math.max(UNITS.indexOf(a.unit ?? 'ms'), UNITS.indexOf(b.unit ?? 'ms'))] ?? 'ms';
  return { name: a.name, type: a.type, unit, isUtc: (a.isUtc ?? true) || (b.isUtc ?? true) };
}

function clash(a: ScanColumn, fileA: string, b: ScanColumn, fileB: string): DoSQLError {
  const name = JSON.stringify(a.name);
  return new DoSQLError(
    'BAD_PARAMETER',
    `the column ${name} is ${a.type} in ${fileA} and ${b.type} in ${fileB}: read it with { types: { ${name}: '${
      a.type === 'blob' || b.type === 'blob' ? 'any' : 'text'
    }' } }`,
  );
}

function raise(error: Error): never {
  throw error;
}

/** The values of a column of a file, as those of the table's column. */
export function converted(vector: Vector, from: ScanColumn, to: ScanColumn): Vector {
  if (isSame(from, to)) return vector;
  if (vector.kind === 'dictionary')
    return { ...vector, dictionary: converted(vector.dictionary, from, to) } as DictionaryVector;
  if (vector.kind === 'runs') return { ...vector, values: converted(vector.values, from, to) } as RunsVector;
  if (from.type === 'integer' && to.type === 'real') return asReals(vector);
  if (to.type === 'timestamp' || to.type === 'time')
    return from.type === 'date' || from.type === to.type ? rescaled(vector, from, to) : asText(vector, from);
  const isNumeric = to.type === 'integer' || to.type === 'real' || to.type === 'date';
  return to.type === 'any' || isNumeric ? asAny(vector, from) : asText(vector, from);
}

function asReals(vector: PlainVector): PlainVector {
  if (vector.kind !== 'bigint') return vector;
  return { ...vector, kind: 'number', values: Float64Array.from(vector.values, Number) };
}

const PER_DAY: Readonly<Record<TimeUnit, number>> = {
  ms: 86_400_000,
  us: 86_400_000_000,
  ns: 86_400_000_000_000,
};

/** Times in another unit, or days as times. */
function rescaled(vector: PlainVector, from: ScanColumn, to: ScanColumn): PlainVector {
  if (vector.kind !== 'number' && vector.kind !== 'bigint') return vector;
  const unit = to.unit ?? 'ms';
  const factor = from.type === 'date' ? PER_DAY[unit] : PER_DAY[unit] / PER_DAY[from.unit ?? 'ms'];
  if (factor === 1) return vector;
  const { values, length, nulls } = vector;
  const exact = new BigInt64Array(length);
  let isSafe = true;
  for (let i = 0; i < length; i++) {
    if (nulls?.[i] === 1) continue;
    exact[i] = BigInt(values[i] as number | bigint) * BigInt(factor);
    isSafe &&= Number.isSafeInteger(Number(exact[i]));
  }
  if (!isSafe) return { kind: 'bigint', length, nulls, values: exact };
  return { kind: 'number', length, nulls, values: Float64Array.from(exact, Number) };
}

function asAny(vector: PlainVector, from: ScanColumn): PlainVector {
  const values = toScalars(normalise(from, vector));
  return { kind: 'mixed', length: values.length, nulls: undefined, values };
}

const utf8 = new TextEncoder();

function asText(vector: PlainVector, from: ScanColumn): PlainVector {
  const texts = toScalars(normalise(from, vector)).map(toText);
  const parts = texts.map((text) => utf8.encode(text ?? ''));
  const offsets = new Uint32Array(parts.length + 1);
  parts.forEach((part, i) => (offsets[i + 1] = (offsets[i] as number) + part.length));
  const data = new Uint8Array(offsets[parts.length] as number);
  parts.forEach((part, i) => data.set(part, offsets[i]));
  const nulls = texts.includes(null) ? Uint8Array.from(texts, (text) => (text === null ? 1 : 0)) : undefined;
  return { kind: 'bytes', length: parts.length, nulls, data, offsets };
}

/** A column of nothing but NULL. */
export function nullVector(length: number): Vector {
  return {
    kind: 'runs',
    length,
    nulls: undefined,
    ends: new Uint32Array([length]),
    values: { kind: 'mixed', length: 1, nulls: undefined, values: [null] },
  };
}
