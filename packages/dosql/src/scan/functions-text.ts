import { valueNode, type Node } from './expression-node.ts';
import { FUNCTIONS } from './functions.ts';
import { doubles, integers } from './scratch.ts';
import { fromScalars, numberValues, scalarReader, expand, type Values } from './values.ts';
import type { BytesVector, RunsVector } from './vector.ts';

/** Functions of text that work on the bytes of a whole vector; undefined for all others. */
export function textFunctionNode(name: string, args: readonly Node[]): Node | undefined {
  const [first, second, third] = args;
  if (first === undefined) return undefined;
  switch (name) {
    case 'length':
      return args.length === 1 ? overBytes(name, first, [], lengths) : undefined;
    case 'lower':
      return args.length === 1 ? overBytes(name, first, [], (vector) => shifted(vector, 65, 32)) : undefined;
    case 'upper':
      return args.length === 1 ? overBytes(name, first, [], (vector) => shifted(vector, 97, -32)) : undefined;
    case 'substr':
    case 'substring': {
      const from = second?.constant;
      const size = third === undefined ? undefined : third.constant;
      if (typeof from !== 'bigint' || from < 1n || from > 1_000_000n) return undefined;
      if (third !== undefined && (typeof size !== 'bigint' || size < 0n || size > 1_000_000n))
        return undefined;
      const take = size === undefined ? Number.POSITIVE_INFINITY : Number(size);
      return overBytes(name, first, args.slice(1), (vector) => cut(vector, Number(from) - 1, take));
    }
    default:
      return undefined;
  }
}

function overBytes(
  name: string,
  operand: Node,
  others: readonly Node[],
  compute: (vector: BytesVector, values: Values) => Values,
): Node {
  const rest = others.map(({ constant }) => constant ?? null);
  return valueNode([operand, ...others], (frame) => {
    const values = operand.evaluate(frame);
    const vector = values.type === 'text' ? expand(values.vector) : undefined;
    if (vector?.kind === 'bytes') return compute(vector, values);
    const read = scalarReader(values);
    const call = FUNCTIONS[name]?.call;
    return fromScalars(Array.from({ length: frame.length }, (_, i) => call?.([read(i), ...rest]) ?? null));
  });
}

/** How many characters each has, up to a NUL. */
function lengths({ data, offsets, nulls, length }: BytesVector): Values {
  const out = doubles(length);
  for (let i = 0; i < length; i++) {
    const end = offsets[i + 1]!;
    let count = 0;
    for (let at = offsets[i]!; at < end; at++) {
      const byte = data[at]!;
      if (byte === 0) break;
      if ((byte & 0xc0) !== 0x80) count++;
    }
    out[i] = count;
  }
  return numberValues('integer', out, nulls);
}

/** With the 26 letters from `first` moved by `by`; ASCII only, as SQLite does. */
function shifted(vector: BytesVector, first: number, by: number): Values {
  const { offsets, length } = vector;
  const start = offsets[0] ?? 0;
  const data = vector.data.slice(start, offsets[length]);
  for (let i = 0; i < data.length; i++) {
    const byte = data[i]!;
    if (byte >= first && byte < first + 26) data[i] = byte + by;
  }
  return textValues({ ...vector, data, offsets: start === 0 ? offsets : offsets.map((at) => at - start) });
}

function textValues(vector: BytesVector): Values {
  return { type: 'text', unit: 'ms', isUtc: true, vector };
}

/** `size` characters of each, past the first `skip`; in runs, where neighbours are mostly the same. */
function cut(vector: BytesVector, skip: number, size: number): Values {
  const { data, offsets, nulls, length } = vector;
  const starts = integers(length);
  const ends = integers(length);
  const runs = integers(length);
  let count = 0;
  for (let i = 0; i < length; i++) {
    const start = offsets[i]!;
    const end = offsets[i + 1]!;
    const last = start + skip + size;
    let seen = 0;
    if (last <= end) for (let at = start; at < last; at++) seen |= data[at]!;
    else seen = 128;
    // Of ASCII a character is a byte.
    const from = seen < 128 ? start + skip : past(data, start, end, skip);
    const to = seen < 128 ? last : size === Number.POSITIVE_INFINITY ? end : past(data, from, end, size);
    starts[i] = from;
    ends[i] = to;
    if (i > 0 && to - from === ends[i - 1]! - starts[i - 1]!) {
      let at = from;
      for (let before = starts[i - 1]!; at < to && data[at] === data[before]; before++) at++;
      if (at === to) {
        runs[count - 1] = i + 1;
        continue;
      }
    }
    runs[count++] = i + 1;
  }
  if (nulls !== undefined || count * 4 > length) return textValues(copied(data, starts, ends, nulls));
  const firsts = integers(count);
  for (let run = 0; run < count; run++) firsts[run] = run === 0 ? 0 : runs[run - 1]!;
  const values = copied(
    data,
    firsts.map((row) => starts[row]!),
    firsts.map((row) => ends[row]!),
    undefined,
  );
  const inRuns: RunsVector = { kind: 'runs', length, nulls: undefined, ends: runs.slice(0, count), values };
  return { type: 'text', unit: 'ms', isUtc: true, vector: inRuns };
}

/** The bytes from each start to each end. */
function copied(
  data: Uint8Array,
  starts: Uint32Array,
  ends: Uint32Array,
  nulls: Uint8Array | undefined,
): BytesVector {
  const { length } = starts;
  const offsets = new Uint32Array(length + 1);
  let total = 0;
  for (let i = 0; i < length; i++) {
    total += ends[i]! - starts[i]!;
    offsets[i + 1] = total;
  }
  const out = new Uint8Array(total);
  for (let i = 0; i < length; i++) {
    const to = offsets[i]!;
    const bytes = offsets[i + 1]! - to;
    const from = starts[i]!;
    if (bytes < 32) for (let j = 0; j < bytes; j++) out[to + j] = data[from + j]!;
    else out.set(data.subarray(from, from + bytes), to);
  }
  return { kind: 'bytes', length, nulls, data: out, offsets };
}

/** Where the character begins that comes `count` after the one at `from`. */
function past(data: Uint8Array, from: number, end: number, count: number): number {
  let at = from;
  for (let i = 0; i < count && at < end; i++) {
    at++;
    while (at < end && (data[at]! & 0xc0) === 0x80) at++;
  }
  return at;
}
