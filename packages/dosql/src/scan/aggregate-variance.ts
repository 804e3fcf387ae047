import type { Accumulator, Groups } from './aggregate.ts';
import type { Node } from './expression-node.ts';
import type { Frame } from './frame.ts';
import { ready, type Results } from './results.ts';
import { toReal } from './scalar.ts';
import { grown } from './scratch.ts';
import { flatNumbers, numberValues, scalarReader } from './values.ts';
import type { NumberVector } from './vector.ts';

/** Variances and standard deviations, by Welford's running mean. */
export class VarianceAccumulator implements Accumulator {
  readonly #operand: Node;
  readonly #isPopulation: boolean;
  readonly #isDeviation: boolean;
  #counts: Float64Array = new Float64Array(16);
  #means: Float64Array = new Float64Array(16);
  #squares: Float64Array = new Float64Array(16);

  /** `name` is that of the aggregate: `stddev…` or `var…`, `…_pop` over all values rather than a sample. */
  constructor(name: string, operand: Node) {
    this.#operand = operand;
    this.#isPopulation = name.endsWith('_pop');
    this.#isDeviation = name.startsWith('stddev');
  }

  add(frame: Frame, groups: Groups, size: number): void {
    this.#counts = grown(this.#counts, size);
    this.#means = grown(this.#means, size);
    this.#squares = grown(this.#squares, size);
    const values = this.#operand.evaluate(frame);
    const numbers = values.type === 'integer' || values.type === 'real' ? flatNumbers(values) : undefined;
    if (numbers !== undefined) return this.#addNumbers(numbers, groups);
    const read = scalarReader(values);
    for (let i = 0; i < frame.length; i++) {
      const value = toReal(read(i));
      if (value !== null) this.#addOne(typeof groups === 'number' ? groups : groups[i]!, value);
    }
  }

  #addNumbers({ values, nulls, length }: NumberVector, groups: Groups): void {
    const counts = this.#counts;
    const means = this.#means;
    const squares = this.#squares;
    const doubles = values as Float64Array;
    for (let i = 0; i < length; i++) {
      if (nulls !== undefined && nulls[i] === 1) continue;
      const group = typeof groups === 'number' ? groups : groups[i]!;
      const value = doubles[i]!;
      const count = counts[group]! + 1;
      const before = means[group]!;
      const mean = before + (value - before) / count;
      counts[group] = count;
      means[group] = mean;
      squares[group]! += (value - before) * (value - mean);
    }
  }

  #addOne(group: number, value: number): void {
    const count = ++this.#counts[group]!;
    const difference = value - this.#means[group]!;
    const mean = this.#means[group]! + difference / count;
    this.#means[group] = mean;
    this.#squares[group]! += difference * (value - mean);
  }

  result(size: number): Results {
    const out = new Float64Array(size);
    const nulls = new Uint8Array(size);
    for (let group = 0; group < size; group++) {
      const count = (this.#counts[group] ?? 0) - (this.#isPopulation ? 0 : 1);
      const variance = count > 0 ? this.#squares[group]! / count : Number.NaN;
      out[group] = this.#isDeviation ? Math.sqrt(variance) : variance;
      nulls[group] = Number.isNaN(out[group]) ? 1 : 0;
    }
    return ready(numberValues('real', out, nulls));
  }
}
