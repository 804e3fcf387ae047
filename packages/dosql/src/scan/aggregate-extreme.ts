import type { Accumulator, Groups } from './aggregate.ts';
import type { Node } from './expression-node.ts';
import type { Frame } from './frame.ts';
import { allGroups, ready, type Results } from './results.ts';
import { compareScalars, decodeText, type Scalar } from './scalar.ts';
import { grown } from './scratch.ts';
import {
  expand,
  flatNumbers,
  mixedValues,
  fromScalars,
  isTemporal,
  numberValues,
  scalarReader,
  toScalars,
  typeOnly,
  type Values,
  type ValueType,
} from './values.ts';
import type { BytesVector, DictionaryVector } from './vector.ts';

/** The least (-1) or the greatest (1) value of each group, or the first one (0); NULLs do not count. */
export class ExtremeAccumulator implements Accumulator {
  readonly #sign: -1 | 0 | 1;
  readonly #operand: Node;
  /** What is kept of numbers, as long as all values are numbers of one type. */
  #type: ValueType | undefined;
  #numbers: Float64Array = new Float64Array(16);
  #isSet: Uint8Array = new Uint8Array(16);
  /** What is kept of texts. */
  #texts: (Uint8Array | undefined)[] | undefined;
  /** What is kept of everything else. */
  #scalars: Scalar[] | undefined;

  constructor(sign: -1 | 0 | 1, operand: Node) {
    this.#sign = sign;
    this.#operand = operand;
  }

  add(frame: Frame, groups: Groups, size: number): void {
    if (frame.length === 0) return;
    const values = this.#operand.evaluate(frame);
    const { vector } = values;
    // In runs each value need be looked at once.
    if (
      typeof groups === 'number' &&
      vector.kind === 'runs' &&
      vector.values.kind !== 'mixed' &&
      isRising(vector.ends)
    )
      return this.#addValues({ ...values, vector: vector.values }, groups, size);
    this.#addValues(values, groups, size);
  }

  #addValues(values: Values, groups: Groups, size: number): void {
    const numbers = this.#scalars === undefined ? flatNumbers(values) : undefined;
    if (
      numbers !== undefined &&
      this.#texts === undefined &&
      (this.#type === undefined || isSame(this.#type, values))
    ) {
      this.#type = typeOnly(values);
      this.#numbers = grown(this.#numbers, size);
      this.#isSet = grown(this.#isSet, size);
      return this.#addNumbers(numbers.values as Float64Array, numbers.nulls, groups);
    }
    if (values.type === 'text' && this.#type === undefined && this.#scalars === undefined) {
      const { vector } = values;
      if (vector.kind === 'dictionary' && vector.dictionary.kind === 'bytes' && vector.nulls === undefined)
        return this.#addTexts(vector.dictionary, vector.codes, groups);
      const plain = expand(vector);
      if (plain.kind === 'bytes') return this.#addTexts(plain, undefined, groups);
    }
    this.#addScalars(values, groups);
  }

  #addNumbers(values: Float64Array, nulls: Uint8Array | undefined, groups: Groups): void {
    if (typeof groups === 'number') return this.#addWhole(values, nulls, groups);
    const kept = this.#numbers;
    const isSet = this.#isSet;
    const sign = this.#sign;
    for (let i = 0; i < values.length; i++) {
      if (nulls !== undefined && nulls[i] === 1) continue;
      const group = groups[i]!;
      const value = values[i]!;
      if (isSet[group] === 0) {
        isSet[group] = 1;
        kept[group] = value;
      } else if (sign < 0 ? value < kept[group]! : sign > 0 && value > kept[group]!) kept[group] = value;
    }
  }

  #addWhole(values: Float64Array, nulls: Uint8Array | undefined, group: number): void {
    let first = 0;
    if (nulls !== undefined) first = nulls.indexOf(0);
    if (first < 0) return;
    if (first === values.length) return;
    let best = this.#isSet[group] === 1 ? this.#numbers[group]! : values[first]!;
    if (this.#sign < 0) {
      for (let i = first; i < values.length; i++)
        if (values[i]! < best && (nulls === undefined || nulls[i] !== 1)) best = values[i]!;
    } else if (this.#sign > 0) {
      for (let i = first; i < values.length; i++)
        if (values[i]! > best && (nulls === undefined || nulls[i] !== 1)) best = values[i]!;
    }
    this.#numbers[group] = best;
    this.#isSet[group] = 1;
  }

  /** Texts, or those at `codes`, which need not be put side by side. */
  #addTexts(
    { data, offsets, nulls, length }: BytesVector,
    codes: DictionaryVector['codes'] | undefined,
    groups: Groups,
  ): void {
    const kept = (this.#texts ??= []);
    const sign = this.#sign;
    const count = codes?.length ?? length;
    for (let i = 0; i < count; i++) {
      const row = codes === undefined ? i : codes[i]!;
      if (nulls !== undefined && nulls[row] === 1) continue;
      const group = typeof groups === 'number' ? groups : groups[i]!;
      const start = offsets[row]!;
      const end = offsets[row + 1]!;
      const known = kept[group];
      if (known === undefined || (sign !== 0 && order(data, start, end, known) * sign > 0))
        kept[group] = data.slice(start, end);
    }
  }

  #addScalars(values: Values, groups: Groups): void {
    const kept = (this.#scalars ??= this.#known());
    this.#texts = undefined;
    this.#type = undefined;
    const read = scalarReader(values);
    for (let i = 0; i < values.vector.length; i++) {
      const scalar = read(i);
      if (scalar === null) continue;
      const group = typeof groups === 'number' ? groups : groups[i]!;
      const known = kept[group] ?? null;
      if (known === null || compareScalars(scalar, known) * this.#sign > 0) kept[group] = scalar;
    }
  }

  #known(): Scalar[] {
    if (this.#texts !== undefined) return Array.from(this.#texts, textOrNull);
    if (this.#type === undefined) return [];
    return toScalars(this.#numberResult(this.#type, this.#isSet.length));
  }

  result(size: number): Results {
    if (this.#texts !== undefined) {
      const texts = this.#texts;
      return (groups = allGroups(size)) =>
        mixedValues(Array.from(groups, (group) => textOrNull(texts[group])));
    }
    if (this.#type !== undefined) return ready(this.#numberResult(this.#type, size));
    const scalars = this.#scalars ?? [];
    return ready(fromScalars(Array.from({ length: size }, (_, group) => scalars[group] ?? null)));
  }

  #numberResult(type: ValueType, size: number): Values {
    this.#numbers = grown(this.#numbers, size);
    this.#isSet = grown(this.#isSet, size);
    const isSet = this.#isSet;
    const nulls = Uint8Array.from({ length: size }, (_, group) => 1 - isSet[group]!);
    return numberValues(type.type, this.#numbers.slice(0, size), nulls.includes(1) ? nulls : undefined, type);
  }
}

/** Whether no run is empty. */
function isRising(ends: Uint32Array): boolean {
  return ends.every((end, run) => end > (run === 0 ? 0 : ends[run - 1]!));
}

function textOrNull(bytes: Uint8Array | undefined): Scalar {
  return bytes === undefined ? null : decodeText(bytes);
}

function isSame(a: ValueType, b: ValueType): boolean {
  return a.type === b.type && (!isTemporal(a.type) || (a.unit === b.unit && a.isUtc === b.isUtc));
}

function order(data: Uint8Array, start: number, end: number, known: Uint8Array): number {
  const size = Math.min(end - start, known.length);
  for (let i = 0; i < size; i++) {
    const difference = data[start + i]! - known[i]!;
    if (difference !== 0) return difference;
  }
  return end - start - known.length;
}
