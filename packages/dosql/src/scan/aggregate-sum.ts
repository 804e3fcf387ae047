import { DoSQLError } from '../error.ts';
import type { Accumulator, Groups } from './aggregate.ts';
import type { Frame } from './frame.ts';
import type { Node } from './expression-node.ts';
import { allGroups, ready, type Results } from './results.ts';
import { toNumber, type Scalar } from './scalar.ts';
import { grown } from './scratch.ts';
import {
  expand,
  flatNumbers,
  fromScalars,
  isSafe,
  numberValues,
  scalarReader,
  words,
  type Values,
} from './values.ts';
import type { BigintVector } from './vector.ts';

/** What is made of the sum. */
export type SumKind = 'sum' | 'total' | 'avg';

/**
 * Sums of each group. A sum is a double and what rounding took from it (Knuth's TwoSum), which together are exact: of
 * integers beyond 64 bits, and of reals but for the last digit, in whatever order.
 */
export class SumAccumulator implements Accumulator {
  readonly #kind: SumKind;
  readonly #operand: Node;
  /**
   * For each group the sum, how many values are in it, and what rounding took: side by side, as a group's next value
   * may come when nothing of it is near the processor any more.
   */
  #cells: Float64Array = new Float64Array(32);
  /** Cells of a group: two while all sums are integers within ±2^53, which rounding takes nothing from. */
  #width: 2 | 3 = 2;
  /** No sum is further from 0, while the width is two. */
  #bound = 0;
  /** Groups that have a REAL in their sum, where some have and others may not. */
  #reals: Uint8Array | undefined;
  #allReal = false;
  #size = 0;

  constructor(kind: SumKind, operand: Node) {
    this.#kind = kind;
    this.#operand = operand;
  }

  add(frame: Frame, groups: Groups, size: number): void {
    this.#grow(size);
    const values = this.#operand.evaluate(frame);
    if (typeof groups === 'number' && this.#addCodes(values, groups)) return;
    const numbers = values.type === 'integer' || values.type === 'real' ? flatNumbers(values) : undefined;
    if (numbers === undefined) return this.#addOthers(values, groups);
    const doubles = numbers.values as Float64Array;
    if (typeof groups === 'number') this.#addAll(doubles, numbers.nulls, groups);
    else if (values.type === 'integer' && this.#isBounded(doubles))
      this.#addIntegers(doubles, numbers.nulls, groups);
    else this.#addGroups(doubles, numbers.nulls, groups);
    if (values.type === 'real') this.#markReal(numbers.nulls, groups);
  }

  /** Integers of a dictionary, as many times as each occurs: the product is exact. */
  #addCodes({ type, vector }: Values, group: number): boolean {
    if (type !== 'integer' || vector.kind !== 'dictionary' || vector.nulls !== undefined) return false;
    const { dictionary, codes } = vector;
    if (dictionary.kind !== 'number' || dictionary.length * 4 > codes.length) return false;
    const counts = occurrences(codes, dictionary.length);
    for (let code = 0; code < dictionary.length; code++) {
      const sum = dictionary.values[code]! * counts[code]!;
      if (Math.abs(sum) > Number.MAX_SAFE_INTEGER) return false;
    }
    for (let code = 0; code < dictionary.length; code++)
      this.#addOne(group, dictionary.values[code]! * counts[code]!);
    this.#count(group, codes.length);
    return true;
  }

  #grow(size: number): void {
    this.#size = Math.max(this.#size, size);
    this.#cells = grown(this.#cells, size * this.#width);
    if (this.#reals !== undefined) this.#reals = grown(this.#reals, size);
  }

  /** The cells with what rounding has taken from each sum: nothing, up to now, where it is asked for first. */
  #needRests(): Float64Array {
    if (this.#width === 3) return this.#cells;
    const pairs = this.#cells;
    const cells = new Float64Array((3 * pairs.length) / 2);
    for (let i = 0, k = 0; i < pairs.length; i += 2, k += 3) {
      cells[k] = pairs[i]!;
      cells[k + 1] = pairs[i + 1]!;
    }
    this.#width = 3;
    return (this.#cells = cells);
  }

  #needReals(): Uint8Array {
    return (this.#reals ??= new Uint8Array(this.#size));
  }

  /** Whether sums stay within ±2^53 with these values, whichever groups they are of. */
  #isBounded(values: Float64Array): boolean {
    if (this.#width === 3) return false;
    let least = 0;
    let most = 0;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    this.#bound += Math.max(-least, most) * values.length;
    return this.#bound <= Number.MAX_SAFE_INTEGER;
  }

  #addIntegers(values: Float64Array, nulls: Uint8Array | undefined, groups: Uint32Array): void {
    const cells = this.#cells;
    for (let i = 0; i < values.length; i++) {
      if (nulls !== undefined && nulls[i] === 1) continue;
      const at = 2 * groups[i]!;
      cells[at]! += values[i]!;
      cells[at + 1]! += 1;
    }
  }

  #markReal(nulls: Uint8Array | undefined, groups: Groups): void {
    // Where all that is summed is REAL, no group need be marked by itself: a sum of nothing is NULL anyway.
    if (this.#kind !== 'sum' || (this.#operand.type?.type === 'real' && (this.#allReal = true))) return;
    const reals = this.#needReals();
    if (typeof groups === 'number') reals[groups] = 1;
    else for (let i = 0; i < groups.length; i++) if (nulls?.[i] !== 1) reals[groups[i]!] = 1;
  }

  #addAll(values: Float64Array, nulls: Uint8Array | undefined, group: number): void {
    const cells = this.#needRests();
    let sum = cells[3 * group]!;
    let rest = cells[3 * group + 2]!;
    let count = values.length;
    for (let i = 0; i < values.length; i++) {
      if (nulls !== undefined && nulls[i] === 1) {
        count--;
        continue;
      }
      const value = values[i]!;
      const next = sum + value;
      const part = next - sum;
      rest += sum - (next - part) + (value - part);
      sum = next;
    }
    cells[3 * group] = sum;
    cells[3 * group + 2] = rest;
    this.#count(group, count);
  }

  #addGroups(values: Float64Array, nulls: Uint8Array | undefined, groups: Uint32Array): void {
    const cells = this.#needRests();
    for (let i = 0; i < values.length; i++) {
      if (nulls !== undefined && nulls[i] === 1) continue;
      const at = 3 * groups[i]!;
      const value = values[i]!;
      const sum = cells[at]!;
      const next = sum + value;
      const part = next - sum;
      cells[at] = next;
      cells[at + 1]! += 1;
      cells[at + 2]! += sum - (next - part) + (value - part);
    }
  }

  #addOne(group: number, value: number): void {
    const cells = this.#needRests();
    const sum = cells[3 * group]!;
    const next = sum + value;
    const part = next - sum;
    cells[3 * group] = next;
    cells[3 * group + 2]! += sum - (next - part) + (value - part);
  }

  /** Notes `count` more values. */
  #count(group: number, count: number): void {
    this.#cells[this.#width * group + 1]! += count;
  }

  #addOthers(values: Values, groups: Groups): void {
    const plain = values.type === 'integer' ? expand(values.vector) : undefined;
    if (plain?.kind === 'bigint') {
      if (typeof groups === 'number') return this.#addHalves(plain, groups);
      const halves = words(plain.values);
      for (let i = 0; i < plain.length; i++) {
        if (plain.nulls?.[i] === 1) continue;
        const group = groups[i]!;
        this.#addOne(group, (halves[2 * i + 1]! | 0) * 4_294_967_296);
        this.#addOne(group, halves[2 * i]!);
        this.#count(group, 1);
      }
      return;
    }
    const read = scalarReader(values);
    for (let i = 0; i < values.vector.length; i++)
      this.#addScalar(read(i), typeof groups === 'number' ? groups : groups[i]!);
  }

  /** Integers of 64 bits into one group. The sums of a million halves are exact. */
  #addHalves({ values, nulls, length }: BigintVector, group: number): void {
    const halves = words(values);
    for (let from = 0; from < length; from += 2 ** 20) {
      const to = Math.min(length, from + 2 ** 20);
      let low = 0;
      let high = 0;
      let count = 0;
      for (let i = from; i < to; i++) {
        if (nulls !== undefined && nulls[i] === 1) continue;
        low += halves[2 * i]!;
        high += halves[2 * i + 1]! | 0;
        count++;
      }
      this.#addOne(group, high * 4_294_967_296);
      this.#addOne(group, low);
      this.#count(group, count);
    }
  }

  #addScalar(scalar: Scalar, group: number): void {
    const value = toNumber(scalar);
    if (value === null) return;
    this.#count(group, 1);
    // Text counts as an INTEGER where all of it is one.
    const isInteger =
      typeof scalar === 'string' ? /^\s*[+-]?\d+\s*$/.test(scalar) : typeof scalar === 'bigint';
    if (typeof value === 'number' || !isInteger) this.#needReals()[group] = 1;
    if (typeof value === 'number' || isSafe(value)) return this.#addOne(group, Number(value));
    this.#addOne(group, Number(value >> 32n) * 4_294_967_296);
    this.#addOne(group, Number(value & 0xffffffffn));
  }

  result(size: number): Results {
    this.#grow(size);
    if (this.#kind !== 'sum' || this.#allReal) return (groups = allGroups(size)) => this.#realResult(groups);
    if (this.#areIntegers(size)) return (groups = allGroups(size)) => this.#integerResult(groups);
    // Of all groups, also where few are asked for: one that overflows is an error whatever is asked.
    const out: Scalar[] = [];
    for (let group = 0; group < size; group++) out.push(this.#sumOf(group));
    return ready(fromScalars(out));
  }

  /** Whether all sums are integers that a double holds. */
  #areIntegers(size: number): boolean {
    if (this.#width === 2 && this.#reals === undefined) return true;
    for (let group = 0; group < size; group++)
      if (this.#reals?.[group] === 1 || !Number.isSafeInteger(this.#integer(group))) return false;
    return true;
  }

  #sumAt(group: number): number {
    return this.#cells[this.#width * group]!;
  }

  #countAt(group: number): number {
    return this.#cells[this.#width * group + 1]!;
  }

  #restAt(group: number): number {
    return this.#width === 2 ? 0 : this.#cells[3 * group + 2]!;
  }

  #integer(group: number): number {
    return this.#sumAt(group) + this.#restAt(group);
  }

  #integerResult(groups: Uint32Array): Values {
    const out = new Float64Array(groups.length);
    const nulls = new Uint8Array(groups.length);
    for (let i = 0; i < out.length; i++) {
      out[i] = this.#integer(groups[i]!);
      nulls[i] = this.#countAt(groups[i]!) === 0 ? 1 : 0;
    }
    return numberValues('integer', out, nulls.includes(1) ? nulls : undefined);
  }

  #realResult(groups: Uint32Array): Values {
    const out = new Float64Array(groups.length);
    const nulls = new Uint8Array(groups.length);
    const isAverage = this.#kind === 'avg';
    for (let i = 0; i < out.length; i++) {
      const group = groups[i]!;
      const count = this.#countAt(group);
      const sum = this.#real(group);
      out[i] = isAverage ? sum / count : sum;
      nulls[i] = (count === 0 && this.#kind !== 'total') || out[i] !== out[i] ? 1 : 0;
    }
    return numberValues('real', out, nulls.includes(1) ? nulls : undefined);
  }

  /** With infinities the rest is no number; the sum is right without it. */
  #real(group: number): number {
    const sum = this.#sumAt(group);
    const rest = this.#restAt(group);
    return Number.isFinite(rest) ? sum + rest : sum;
  }

  #sumOf(group: number): Scalar {
    if (this.#countAt(group) === 0) return null;
    if (this.#reals?.[group] === 1) {
      const sum = this.#real(group);
      return Number.isNaN(sum) ? null : sum;
    }
    const exact = BigInt(this.#sumAt(group)) + BigInt(this.#restAt(group));
    if (BigInt.asIntN(64, exact) !== exact)
      throw new DoSQLError(
        'SQLITE',
        'integer overflow: the sum is beyond 64 bits; use total(), or sum the values as REAL',
      );
    return exact;
  }
}

/** How often each code occurs; known for codes that several sums look at. */
function occurrences(codes: Uint8Array | Uint16Array | Uint32Array, size: number): Uint32Array {
  let counts = known.get(codes);
  if (counts === undefined) {
    counts = new Uint32Array(size);
    for (let i = 0; i < codes.length; i++) counts[codes[i]!]!++;
    known.set(codes, counts);
  }
  return counts;
}

const known = new WeakMap<object, Uint32Array>();
