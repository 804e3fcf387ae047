/** Numbers that look random and follow from a seed alone. */
export interface Random {
  /** From 0 up to but not including 1. */
  next(): number;
  /** A whole number from 0 up to but not including `end`. */
  below(end: number): number;
  /** One of the items. */
  pick<T>(items: readonly T[]): T;
}

/** Random numbers of a seed, by mulberry32 (https://github.com/cprosche/mulberry32, public domain). */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number): number => Math.floor(next() * end);
  return { next, below, pick: (items) => items[below(items.length)] as (typeof items)[number] };
}

/** A seed of no particular value, small enough to be typed again. */
export function newSeed(): number {
  return Math.floor(Math.random() * 2 ** 31);
}
