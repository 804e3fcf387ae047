import { AnyTable, BytesTable, grown, NumberTable, WordTable, type ValueTable } from './group-table.ts';
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
    const out = new Uint32Array(vector.length);
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
    const known = new Int32Array(dictionary.length).fill(-1);
    const inner = { ...values, vector: dictionary };
    const read = table instanceof AnyTable ? scalarReader(inner) : undefined;
    const find = (code: number): number => {
      if (read !== undefined) return (table as AnyTable).find(read(code));
      return dictionary.nulls?.[code] === 1 ? 0 : table.add(dictionary, code);
    };
    for (let i = 0; i < out.length; i++) {
      if (nulls !== undefined && nulls[i] === 1) continue;
      const code = codes[i]!;
      const id = known[code]!;
      out[i] = id >= 0 ? id : (known[code] = find(code));
    }
  }

  #tableFor(values: Values, vector: PlainVector): ValueTable {
    const table = this.#table;
    if (table === undefined) return (this.#table = newTable(values, vector));
    if (table.accepts(values, vector)) return table;
    const known = table.values();
    const moved = isWordy(known) && isWordy({ ...values, vector }) ? new WordTable(values) : undefined;
    if (moved !== undefined && known.type === values.type && known.unit === values.unit) {
      const plain = expand(known.vector);
      for (let id = 1; id < known.vector.length; id++) moved.add(plain, id);
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
    case 'mixed':
      return new AnyTable();
  }
}

/** Numbers the pairs of numbers that occur together, from 0 on. */
export class PairNumbers {
  size = 0;
  /** The first of each pair, by the pair's number. */
  firsts: Uint32Array = new Uint32Array(256);
  seconds: Uint32Array = new Uint32Array(256);
  #stride = 0;
  /** One more than the number of each pair, at first * stride + second, while that is a small table. */
  #grid: Uint32Array = new Uint32Array(0);
  #slots: Uint32Array | undefined;
  #mask = 0;

  /** The number of each row's pair; `firstSize` and `secondSize` are above all numbers so far. */
  add(firsts: Uint32Array, firstSize: number, seconds: Uint32Array, secondSize: number): Uint32Array {
    const out = new Uint32Array(firsts.length);
    this.#fit(firstSize, secondSize);
    if (this.#slots !== undefined) {
      for (let i = 0; i < out.length; i++) out[i] = this.#find(firsts[i]!, seconds[i]!);
      return out;
    }
    const grid = this.#grid;
    const stride = this.#stride;
    for (let i = 0; i < out.length; i++) {
      const at = firsts[i]! * stride + seconds[i]!;
      const id = grid[at]!;
      out[i] = (id === 0 ? (grid[at] = this.#append(firsts[i]!, seconds[i]!) + 1) : id) - 1;
    }
    return out;
  }

  #fit(firstSize: number, secondSize: number): void {
    if (this.#slots !== undefined) return;
    if (secondSize <= this.#stride && firstSize * this.#stride <= this.#grid.length) return;
    const stride = Math.max(this.#stride, 2 ** Math.ceil(Math.log2(secondSize + 1)));
    const cells = stride * 2 ** Math.ceil(Math.log2(firstSize + 1));
    if (cells > 2 ** 21) {
      this.#grid = new Uint32Array(0);
      this.#rehash(Math.max(2 ** 12, 2 ** Math.ceil(Math.log2(this.size * 4 + 1))));
      return;
    }
    this.#stride = stride;
    this.#grid = new Uint32Array(cells);
    for (let id = 0; id < this.size; id++) this.#grid[this.firsts[id]! * stride + this.seconds[id]!] = id + 1;
  }

  #rehash(capacity: number): void {
    const slots = new Uint32Array(capacity);
    this.#mask = capacity - 1;
    for (let id = 0; id < this.size; id++) {
      let at = mixPair(this.firsts[id]!, this.seconds[id]!) & this.#mask;
      while (slots[at] !== 0) at = (at + 1) & this.#mask;
      slots[at] = id + 1;
    }
    this.#slots = slots;
  }

  #find(first: number, second: number): number {
    const slots = this.#slots as Uint32Array;
    const { firsts, seconds } = this;
    let at = mixPair(first, second) & this.#mask;
    for (;;) {
      const id = slots[at]!;
      if (id === 0) break;
      if (firsts[id - 1] === first && seconds[id - 1] === second) return id - 1;
      at = (at + 1) & this.#mask;
    }
    const id = this.#append(first, second);
    slots[at] = id + 1;
    if (this.size * 2 > this.#mask) this.#rehash(slots.length * 4);
    return id;
  }

  #append(first: number, second: number): number {
    const id = this.size++;
    this.firsts = grown(this.firsts, this.size);
    this.seconds = grown(this.seconds, this.size);
    this.firsts[id] = first;
    this.seconds[id] = second;
    return id;
  }
}

function mixPair(first: number, second: number): number {
  let hash = Math.imul(first ^ Math.imul(second, 0x9e3779b1), 0x85ebca6b);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0xc2b2ae35) ^ (hash >>> 13);
}
