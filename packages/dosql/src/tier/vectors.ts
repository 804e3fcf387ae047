import { decodeText } from '../scan/scalar.ts';
import { gather as gatherValues, plainType } from '../scan/values.ts';
import type { ColumnType, PlainVector, Vector } from '../scan/vector.ts';
import type { SqlValue } from '../value/row.ts';

/** The values of a vector at `rows`, rising. */
export function gather(vector: Vector, rows: Uint32Array): Vector {
  return gatherValues({ ...plainType('any'), vector }, rows).vector;
}

/** One value at every row. */
export function constantVector(value: SqlValue, length: number): Vector {
  const isNumber = typeof value === 'number';
  const values: PlainVector = isNumber
    ? { kind: 'number', length: 1, nulls: undefined, values: Float64Array.of(value) }
    : { kind: 'mixed', length: 1, nulls: undefined, values: [value] };
  return { kind: 'runs', length, nulls: undefined, ends: Uint32Array.of(length), values };
}

/** The value at `row` of a column of this type: text unless it is `blob`, where the vector has bytes. */
export function valueAt(vector: Vector, row: number, type: ColumnType = 'any'): SqlValue {
  if (vector.nulls?.[row] === 1) return null;
  switch (vector.kind) {
    case 'dictionary':
      return valueAt(vector.dictionary, vector.codes[row] as number, type);
    case 'runs':
      return valueAt(vector.values, runAt(vector.ends, row), type);
    case 'mixed':
      return vector.values[row] ?? null;
    case 'bytes': {
      const bytes = vector.data.subarray(vector.offsets[row], vector.offsets[row + 1]);
      return type === 'blob' ? bytes.slice() : decodeText(bytes);
    }
    case 'bigint': {
      const value = vector.values[row] as bigint;
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value;
    }
    case 'number':
    default:
      return vector.values[row] as number;
  }
}

/** The values one by one, those of bytes by the type that they have in the file. */
export function mixed(vector: Vector, type: ColumnType): Vector {
  if (vector.kind === 'mixed') return vector;
  const values = Array.from({ length: vector.length }, (_, i) => valueAt(vector, i, type));
  return { kind: 'mixed', length: vector.length, nulls: undefined, values };
}

function runAt(ends: Uint32Array, row: number): number {
  let low = 0;
  let high = ends.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ends[middle] as number) > row) high = middle;
    else low = middle + 1;
  }
  return low;
}
