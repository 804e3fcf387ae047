import { AnyTable, BytesTable, NumberTable, WordTable, type ValueTable } from './group-table.ts';
import { RowHash } from './row-hash.ts';
import { integers } from './scratch.ts';
import { expand, runOfRow, scalarReader, toScalars, type Values } from './values.ts';
import type { PlainVector } from './vector.ts';

/** Numbers the distinct values of one expression, from 1 on over all batches; 0 is NULL. */
export class KeyNumbers {
  #table: ValueTable | undefined;

  /** One more than the highest number. */
  get size(): number {
    return this.#table?.size ?? 1;
  }

  /** The number of each row's value. */
  add(values: Values): Uint32Array {
    const { vector } = values;
    const out = integers(vector.length);
    if (vector.kind === 'dictionary') {
      this.#addCodes(values, vector.dictionary, vector.codes, vector.nulls, out);
    } else if (vector.kind === 'runs') {
      this.#addCodes(values, vector.values, runOfRow(vector.ends, vector.length), undefined, out);
    } else {
      const table = this.#tableFor(values, vector);
      if (table instanceof AnyTable) {
        const read = scalarReader(values);
        for (let i = 0; i < out.length; i++) out[i] = table.find(read(i));
      } else table.addAll(vector, out);
    }
    return out;
  }

  /** Each code is looked up when a row first has it: a dictionary may hold what no row has. */
  #addCodes(
    values: Values,
    dictionary: PlainVector,
    codes: Uint8Array | Uint16Array | Uint32Array,
    nulls: Uint8Array | undefined,
    out: Uint32Array,
  ): void {
    const table = this.#tableFor(values, dictionary);
    const known = new Uint32Array(dictionary.length);
    const inner = { ...values, vector: dictionary };
    const read = table instanceof AnyTable ? scalarReader(inner) : undefined;
    // Without a branch for each row: first which codes occur, then their numbers.
    const { length } = out;
    if (nulls === undefined) for (let i = 0; i < length; i++) known[codes[i]!] = 1;
    else for (let i = 0; i < length; i++) if (nulls[i] !== 1) known[codes[i]!] = 1;
    const some = integers(known.length);
    let count = 0;
    for (let code = 0; code < known.length; code++) {
      if (known[code] === 0) continue;
      if (dictionary.nulls?.[code] === 1) known[code] = 0;
      else if (read === undefined) some[count++] = code;
      else known[code] = (table as AnyTable).find(read(code));
    }
    table.addAt(dictionary, some.subarray(0, count), known);
    if (nulls === undefined) for (let i = 0; i < length; i++) out[i] = known[codes[i]!]!;
    else for (let i = 0; i < length; i++) out[i] = nulls[i] === 1 ? 0 : known[codes[i]!]!;
  }

  #tableFor(values: Values, vector: PlainVector): ValueTable {
    const table = this.#table;
    if (table === undefined) return (this.#table = newTable(values, vector));
    if (table.accepts(values, vector)) return table;
    const known = table.values();
    const moved = isWordy(known) && isWordy({ ...values, vector }) ? new WordTable(values) : undefined;
    if (moved !== undefined && known.type === values.type && known.unit === values.unit) {
      const plain = expand(known.vector);
      const ids = Uint32Array.from({ length: known.vector.length - 1 }, (_, i) => i + 1);
      moved.addAt(plain, ids, new Uint32Array(known.vector.length));
      return (this.#table = moved);
    }
    return (this.#table = new AnyTable(toScalars(known)));
  }

  /** The values by number. */
  values(): Values {
    return this.#table?.values() ?? new AnyTable().values();
  }
}

/** Integers inside, whether or not some are beyond what a double counts. */
function isWordy({ type, vector }: Values): boolean {
  return type !== 'real' && (vector.kind === 'number' || vector.kind === 'bigint');
}

function newTable(values: Values, vector: PlainVector): ValueTable {
  switch (vector.kind) {
    case 'number':
      return new NumberTable(values);
    case 'bigint':
      return new WordTable(values);
    case 'bytes':
      return new BytesTable(values);
    default:
      return new AnyTable();
  }
}

/** Numbers the pairs of numbers that occur together, from 0 on in the order of appearance. */
export class PairNumbers {
  readonly #hash = new RowHash(2);
  #stride = 0;
  /** One more than the number of each pair, at first * stride + second, while that is a small table. */
  #grid: Uint32Array | undefined = new Uint32Array(0);

  get size(): number {
    return this.#hash.size;
  }

  /** The first of each pair, by the pair's number. */
  firsts(): Uint32Array {
    return this.#words(0);
  }

  /** The second of each pair, by the pair's number. */
  seconds(): Uint32Array {
    return this.#words(1);
  }

  #words(at: number): Uint32Array {
    const { keys } = this.#hash;
    const out = new Uint32Array(this.size);
    for (let i = 0, k = 2 + at; i < out.length; i++, k += 2) out[i] = keys[k]!;
    return out;
  }

  /** The number of each row's pair; `firstSize` and `secondSize` are above all numbers so far. */
  add(firsts: Uint32Array, firstSize: number, seconds: Uint32Array, secondSize: number): Uint32Array {
    const { length } = firsts;
    const out = integers(length);
    const grid = this.#fit(firstSize, secondSize);
    const hash = this.#hash;
    if (grid === undefined) {
      const pairs = integers(2 * length);
      for (let i = 0; i < length; i++) {
        pairs[2 * i] = firsts[i]!;
        pairs[2 * i + 1] = seconds[i]!;
      }
      hash.addAll(pairs, length, out, 1);
      return out;
    }
    const stride = this.#stride;
    for (let i = 0; i < length; i++) {
      const at = firsts[i]! * stride + seconds[i]!;
      const id = grid[at]!;
      out[i] = (id === 0 ? (grid[at] = hash.appendPair(firsts[i]!, seconds[i]!)) : id) - 1;
    }
    return out;
  }

  #fit(firstSize: number, secondSize: number): Uint32Array | undefined {
    const grid = this.#grid;
    if (grid === undefined) return undefined;
    if (secondSize <= this.#stride && firstSize * this.#stride <= grid.length) return grid;
    const stride = Math.max(this.#stride, 2 ** Math.ceil(Math.log2(secondSize + 1)));
    const cells = stride * 2 ** Math.ceil(Math.log2(firstSize + 1));
    if (cells > 2 ** 21) {
      this.#hash.index();
      return (this.#grid = undefined);
    }
    this.#stride = stride;
    const wider = new Uint32Array(cells);
    const { keys } = this.#hash;
    for (let id = 1; id <= this.size; id++) wider[keys[2 * id]! * stride + keys[2 * id + 1]!] = id;
    return (this.#grid = wider);
  }
}
