import type { BytesVector, PlainVector, Vector } from '../vector.ts';

/** Rows from `start` up to, without, `end`. */
export interface RowRange {
  readonly start: number;
  readonly end: number;
}

/** The rows of `vector` within `ranges`, which rise and do not meet; a single range takes no copy. */
export function takeRanges(vector: Vector, ranges: readonly RowRange[]): Vector {
  const [only] = ranges;
  if (ranges.length === 1 && only !== undefined) {
    if (only.start === 0 && only.end === vector.length) return vector;
    return slice(vector, only);
  }
  const parts = ranges.map((range) => slice(vector, range));
  return concat(parts, vector);
}

function slice(vector: Vector, { start, end }: RowRange): Vector {
  const length = end - start;
  const nulls = vector.nulls?.subarray(start, end);
  switch (vector.kind) {
    case 'number':
      return { ...vector, length, nulls, values: vector.values.subarray(start, end) };
    case 'bigint':
      return { ...vector, length, nulls, values: vector.values.subarray(start, end) };
    case 'bytes':
      return { ...vector, length, nulls, offsets: vector.offsets.subarray(start, end + 1) };
    case 'dictionary':
      return { ...vector, length, nulls, codes: vector.codes.subarray(start, end) };
    case 'mixed':
      return { ...vector, length, values: vector.values.slice(start, end) };
    default:
      return sliceRuns(vector, { start, end });
  }
}

type Runs = Extract<Vector, { kind: 'runs' }>;

function sliceRuns({ ends, values }: Runs, { start, end }: RowRange): Runs {
  let first = 0;
  while (first < ends.length && (ends[first] as number) <= start) first++;
  let last = first;
  while (last < ends.length - 1 && (ends[last] as number) < end) last++;
  const own = ends.slice(first, last + 1);
  for (let i = 0; i < own.length; i++) own[i] = Math.min(own[i] as number, end) - start;
  if (end === start)
    return {
      kind: 'runs',
      length: 0,
      nulls: undefined,
      ends: new Uint32Array(0),
      values: slice(values, { start: 0, end: 0 }) as PlainVector,
    };
  return {
    kind: 'runs',
    length: end - start,
    nulls: undefined,
    ends: own,
    values: slice(values, { start: first, end: last + 1 }) as PlainVector,
  };
}

/** Slices of one vector, `like`, as one again. */
function concat(parts: readonly Vector[], like: Vector): Vector {
  let length = 0;
  for (const part of parts) length += part.length;
  const nulls = like.nulls === undefined ? undefined : new Uint8Array(length);
  let at = 0;
  if (nulls !== undefined)
    for (const part of parts) {
      nulls.set(part.nulls as Uint8Array, at);
      at += part.length;
    }
  switch (like.kind) {
    case 'number':
      return {
        ...like,
        length,
        nulls,
        values: joined(
          like.values,
          parts.map((part) => (part as typeof like).values),
          length,
        ),
      };
    case 'bigint': {
      const values = new BigInt64Array(length);
      at = 0;
      for (const part of parts) {
        values.set((part as typeof like).values, at);
        at += part.length;
      }
      return { ...like, length, nulls, values };
    }
    case 'dictionary':
      return {
        ...like,
        length,
        nulls,
        codes: joined(
          like.codes,
          parts.map((part) => (part as typeof like).codes),
          length,
        ),
      };
    case 'mixed':
      return { ...like, length, values: parts.flatMap((part) => (part as typeof like).values) };
    case 'bytes':
      return joinBytes(parts as readonly BytesVector[], length, nulls);
    default:
      return joinRuns(parts as readonly Runs[], length);
  }
}

type Numbers = Int32Array | Float64Array | Uint8Array | Uint16Array | Uint32Array;

function joined<T extends Numbers>(like: T, parts: readonly T[], length: number): T {
  const out = new (like.constructor as new (length: number) => T)(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function joinBytes(
  parts: readonly BytesVector[],
  length: number,
  nulls: Uint8Array | undefined,
): BytesVector {
  let size = 0;
  for (const { offsets } of parts) size += (offsets[offsets.length - 1] as number) - (offsets[0] as number);
  const data = new Uint8Array(size);
  const offsets = new Uint32Array(length + 1);
  let row = 0;
  let at = 0;
  for (const part of parts) {
    const first = part.offsets[0] as number;
    data.set(part.data.subarray(first, part.offsets[part.length]), at);
    for (let i = 1; i <= part.length; i++) offsets[row + i] = at + (part.offsets[i] as number) - first;
    row += part.length;
    at = offsets[row] as number;
  }
  return { kind: 'bytes', length, nulls, data, offsets };
}

function joinRuns(parts: readonly Runs[], length: number): Runs {
  const [first] = parts;
  const ends: number[] = [];
  let row = 0;
  for (const part of parts) {
    for (const end of part.ends) ends.push(row + end);
    row += part.length;
  }
  const values = concat(
    parts.map(({ values }) => values),
    like(parts.map(({ values }) => values)) ?? (first as Runs).values,
  );
  return {
    kind: 'runs',
    length,
    nulls: undefined,
    ends: Uint32Array.from(ends),
    values: values as PlainVector,
  };
}

/** The part that has NULLs, if any has: slices of one vector have them all or none. */
function like(parts: readonly PlainVector[]): PlainVector | undefined {
  return parts.find(({ nulls }) => nulls !== undefined);
}
