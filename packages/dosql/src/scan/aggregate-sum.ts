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
  #sums: Float64Array = new Float64Array(16);
  /** None while all sums are integers within ±2^53, which rounding takes nothing from. */
  #rests: Float64Array | undefined;
  /** No sum is further from 0, while there are no rests. */
  #bound = 0;
  #counts: Uint32Array = new Uint32Array(16);
  /** Groups that have a REAL in their sum, where some have and others may not. */
  #reals: Uint8Array | undefined;
  #allReal = false;

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
    this.#counts[group]! += codes.length;
    return true;
  }

  #grow(size: number): void {
    this.#sums = grown(this.#sums, size);
    if (this.#rests !== undefined) this.#rests = grown(this.#rests, size);
    this.#counts = grown(this.#counts, size);
    if (this.#reals !== undefined) this.#reals = grown(this.#reals, size);
  }

  /** What rounding has taken from each sum: nothing, up to now, where it is asked for first. */
  #needRests(): Float64Array {
    return (this.#rests ??= new Float64Array(this.#sums.length));
  }

  #needReals(): Uint8Array {
    return (this.#reals ??= new Uint8Array(this.#sums.length));
  }

  /** Whether sums stay within ±2^53 with these values, whichever groups they are of. */
  #isBounded(values: Float64Array): boolean {
    if (this.#rests !== undefined) return false;
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
    const sums = this.#sums;
    const counts = this.#counts;
    for (let i = 0; i < values.length; i++) {
      if (nulls !== undefined && nulls[i] === 1) continue;
      const group = groups[i]!;
      sums[group]! += values[i]!;
      counts[group]!++;
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
    const rests = this.#needRests();
    let sum = this.#sums[group]!;
    let rest = rests[group]!;
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
    this.#sums[group] = sum;
    rests[group] = rest;
    this.#counts[group]! += count;
  }

  #addGroups(values: Float64Array, nulls: Uint8Array | undefined, groups: Uint32Array): void {
    const sums = this.#sums;
    const rests = this.#needRests();
    const counts = this.#counts;
    for (let i = 0; i < values.length; i++) {
      if (nulls !== undefined && nulls[i] === 1) continue;
      const group = groups[i]!;
      const value = values[i]!;
      const sum = sums[group]!;
      const next = sum + value;
      const part = next - sum;
      rests[group]! += sum - (next - part) + (value - part);
      sums[group] = next;
      counts[group]!++;
    }
  }

  #addOne(group: number, value: number): void {
    const sum = this.#sums[group]!;
    const next = sum + value;
    const part = next - sum;
    this.#needRests()[group]! += sum - (next - part) + (value - part);
    this.#sums[group] = next;
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
        this.#counts[group]!++;
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
      this.#counts[group]! += count;
    }
  }

  #addScalar(scalar: Scalar, group: number): void {
    const value = toNumber(scalar);
    if (value === null) return;
    this.#counts[group]!++;
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
    if (this.#rests === undefined && this.#reals === undefined) return true;
    for (let group = 0; group < size; group++)
      if (this.#reals?.[group] === 1 || !Number.isSafeInteger(this.#integer(group))) return false;
    return true;
  }

  #integer(group: number): number {
    return this.#sums[group]! + (this.#rests?.[group] ?? 0);
  }

  #integerResult(groups: Uint32Array): Values {
    const out = new Float64Array(groups.length);
    const nulls = new Uint8Array(groups.length);
    for (let i = 0; i < out.length; i++) {
      out[i] = this.#integer(groups[i]!);
      nulls[i] = this.#counts[groups[i]!] === 0 ? 1 : 0;
    }
    return numberValues('integer', out, nulls.includes(1) ? nulls : undefined);
  }

  #realResult(groups: Uint32Array): Values {
    const out = new Float64Array(groups.length);
    const nulls = new Uint8Array(groups.length);
    const isAverage = this.#kind === 'avg';
    for (let i = 0; i < out.length; i++) {
      const group = groups[i]!;
      const count = this.#counts[group]!;
      const sum = this.#real(group);
      out[i] = isAverage ? sum / count : sum;
      nulls[i] = (count === 0 && this.#kind !== 'total') || out[i] !== out[i] ? 1 : 0;
    }
    return numberValues('real', out, nulls.includes(1) ? nulls : undefined);
  }

  /** With infinities the rest is no number; the sum is right without it. */
  #real(group: number): number {
    const sum = this.#sums[group]!;
    const rest = this.#rests?.[group] ?? 0;
    return Number.isFinite(rest) ? sum + rest : sum;
  }

  #sumOf(group: number): Scalar {
    if (this.#counts[group] === 0) return null;
    if (this.#reals?.[group] === 1) {
      const sum = this.#real(group);
      return Number.isNaN(sum) ? null : sum;
    }
    const exact = BigInt(this.#sums[group]!) + BigInt(this.#rests?.[group] ?? 0);
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
