import { describe, expect, it } from 'vitest';
import { Random } from '../../test/support/random.ts';
import { PairCounts } from './pair-counts.ts';

const SEED = 20_261_122;

/** How many different numbers above 0 each first number has. */
class Expected {
  readonly #seconds = new Map<number, Set<number>>();

  add(first: number, second: number): void {
    if (second === 0) return;
    const seconds = this.#seconds.get(first) ?? new Set();
    this.#seconds.set(first, seconds.add(second));
  }

  counts(size: number): number[] {
    return Array.from({ length: size }, (_, first) => this.#seconds.get(first)?.size ?? 0);
  }
}

/** Sizes that the two numbers of a pair grow to, batch by batch. */
const CASES: [name: string, firsts: number[], seconds: number[]][] = [
  ['few of both', [3, 3, 5], [10, 10, 12]],
  ['second numbers that get more bits than they had', [4, 40, 400], [100, 5_000, 200_000]],
  ['first numbers that grow beside many second ones', [1, 100, 9_000], [60_000, 60_001, 70_000]],
  ['together 32 bits', [2 ** 12, 2 ** 16, 2 ** 16], [2 ** 11, 2 ** 14, 2 ** 16]],
  ['more than 32 bits, of a sudden', [2 ** 10, 2 ** 15, 2 ** 15], [2 ** 11, 2 ** 18, 2 ** 19]],
  ['more than 32 bits from the beginning', [2 ** 17, 2 ** 18], [2 ** 17, 2 ** 18]],
];

describe('pairs are counted once', () => {
  it.each(CASES)('%s', (_, firstSizes, secondSizes) => {
    const random = new Random(SEED);
    const pairs = new PairCounts();
    const expected = new Expected();
    firstSizes.forEach((firstSize, batch) => {
      const secondSize = secondSizes.at(batch) as number;
      const length = 30_000 + random.int(5_000);
      const firsts = Uint32Array.from({ length }, () => random.int(firstSize));
      // A tenth are NULL, and some come again and again.
      const seconds = Uint32Array.from({ length }, () =>
        random.chance(0.1) ? 0 : random.int(random.chance(0.5) ? secondSize : Math.min(secondSize, 20)),
      );
      firsts.forEach((first, i) => expected.add(first, seconds.at(i) as number));
      pairs.add(firsts, firstSize, seconds, secondSize);
      expect([...pairs.counts(firstSize)]).toEqual(expected.counts(firstSize));
    });
    const last = firstSizes.at(-1) as number;
    expect([...pairs.counts(last + 3)]).toEqual([...expected.counts(last), 0, 0, 0]);
  });

  it('none', () => {
    const pairs = new PairCounts();
    pairs.add(new Uint32Array(0), 1, new Uint32Array(0), 1);
    pairs.add(Uint32Array.of(0, 0), 1, Uint32Array.of(0, 0), 1);
    expect([...pairs.counts(2)]).toEqual([0, 0]);
  });
});
