import type { Batch, ScanTable } from '../../src/scan/table.ts';
import type { PlainVector, ScanColumn, Vector } from '../../src/scan/vector.ts';
import { vectorOf } from '../../src/scan/rows-table.ts';
import type { SqlValue } from '../../src/value/row.ts';
import type { Random } from '../support/random.ts';

/** A table with the same rows in each kind of vector. */
export interface TestTable {
  readonly table: ScanTable;
  readonly rows: SqlValue[][];
  /** Requests of columns that the engine did not name beforehand. */
  readonly asked: Set<string>;
}

/** How a column stands in the batches. */
export type Encoding = 'plain' | 'dictionary' | 'runs' | 'mixed';

/** A table of `rows`, in batches of random sizes, each column of each batch in a random encoding. */
export function tableOf(random: Random, columns: readonly ScanColumn[], rows: SqlValue[][]): TestTable {
  const asked = new Set<string>();
  const batches: SqlValue[][][] = [];
  for (let from = 0; from < rows.length;) {
    const size = random.chance(0.1) ? 0 : 1 + random.int(Math.max(1, rows.length / 2));
    batches.push(rows.slice(from, from + size));
    from += size;
  }
  const table: ScanTable = {
    columns,
    async *scan(request) {
      for (const batch of batches) yield batchOf(random, columns, batch, new Set(request.columns), asked);
    },
  };
  return { table, rows, asked };
}

function batchOf(
  random: Random,
  columns: readonly ScanColumn[],
  rows: SqlValue[][],
  known: Set<string>,
  asked: Set<string>,
): Batch {
  const fetched = new Map<string, Set<number>>();
  return {
    rowCount: rows.length,
    column(name) {
      if (!known.has(name)) asked.add(name);
      const at = columns.findIndex((column) => column.name === name);
      const column = columns[at] as ScanColumn;
      const wanted = fetched.get(name);
      if (wanted !== undefined) {
        const some = rows.map((row, i) => row.map((value) => (wanted.has(i) ? value : null)));
        return encoded(random.pick(['plain', 'dictionary', 'runs']), column, some, at);
      }
      return encoded(random.pick(['plain', 'dictionary', 'runs', 'mixed']), column, rows, at);
    },
    // At rows that were not asked for a column has NULL.
    async fetch(names, wanted) {
      for (const name of names) {
        known.add(name);
        if (wanted !== undefined) fetched.set(name, new Set(wanted));
      }
    },
  };
}

/** Column `at` of `rows` as a vector of one encoding. */
export function encoded(
  encoding: Encoding,
  column: ScanColumn,
  rows: readonly (readonly SqlValue[])[],
  at: number,
): Vector {
  const plain = vectorOf(column, rows, at);
  if (plain.kind === 'mixed' || encoding === 'plain') return asInt32(plain);
  if (encoding === 'mixed' && column.type !== 'real' && !/^(?:timestamp|date|time)$/.test(column.type))
    return {
      kind: 'mixed',
      length: rows.length,
      nulls: undefined,
      values: rows.map((row) => row[at] ?? null),
    };
  if (encoding === 'runs') return runsOf(column, rows, at);
  const isNull = (row: readonly SqlValue[]): boolean => row[at] === null || row[at] === undefined;
  const distinct = new Map<string, readonly SqlValue[]>();
  // One entry that no row has, and one that stands twice.
  for (const row of rows) if (!isNull(row)) distinct.set(keyOf(row[at]), row);
  const entries = [...distinct.values()];
  const dictionary = vectorOf(column, [...entries, ...entries.slice(0, 1), ...unused(column, at)], at);
  const codes = new Uint16Array(rows.length);
  const nulls = new Uint8Array(rows.length);
  const keys = [...distinct.keys()];
  rows.forEach((row, i) => {
    if (isNull(row)) nulls[i] = 1;
    else codes[i] = i % 7 === 0 && keyOf(row[at]) === keys[0] ? entries.length : keys.indexOf(keyOf(row[at]));
  });
  return {
    kind: 'dictionary',
    length: rows.length,
    nulls: nulls.includes(1) ? nulls : undefined,
    codes,
    dictionary,
  };
}

function unused({ type }: ScanColumn, at: number): SqlValue[][] {
  const row: SqlValue[] = [];
  row[at] = type === 'text' ? 'nobody' : type === 'blob' ? Uint8Array.of(7, 7) : 987_654;
  return [row];
}

function keyOf(value: SqlValue | undefined): string {
  return `${typeof value}:${value instanceof Uint8Array ? value.join() : String(value)}`;
}

function runsOf(column: ScanColumn, rows: readonly (readonly SqlValue[])[], at: number): Vector {
  const starts: (readonly SqlValue[])[] = [];
  const ends: number[] = [];
  rows.forEach((row, i) => {
    const last = starts.at(-1);
    if (last !== undefined && keyOf(last[at]) === keyOf(row[at])) ends[ends.length - 1] = i + 1;
    else {
      starts.push(row);
      ends.push(i + 1);
    }
  });
  return {
    kind: 'runs',
    length: rows.length,
    nulls: undefined,
    ends: Uint32Array.from(ends),
    values: vectorOf(column, starts, at),
  };
}

function asInt32(vector: PlainVector): PlainVector {
  if (vector.kind !== 'number' || vector.length % 2 === 0) return vector;
  const values = Int32Array.from(vector.values);
  return values.every((value, i) => value === vector.values[i]) ? { ...vector, values } : vector;
}
