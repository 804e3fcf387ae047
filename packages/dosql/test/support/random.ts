/** Numbers from a seed (mulberry32): the same seed gives the same run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 to 1, without 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from 0 to `below`, without it. */
  int(below: number): number {
    return Math.floor(this.next() * below);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.int(values.length)] as T;
  }

  /** `count` values made by `make`. */
  times<T>(count: number, make: (i: number) => T): T[] {
    return Array.from({ length: count }, (_, i) => make(i));
  }

  /** Some of `values`, at least one, in random order. */
  some<T>(values: readonly T[]): T[] {
    const shuffled = values.map((value) => ({ value, at: this.next() })).toSorted((a, b) => a.at - b.at);
    return shuffled.slice(0, 1 + this.int(values.length)).map(({ value }) => value);
  }
}

/** `name` quoted in one of SQLite's ways. */
export function quoted(random: Random, name: string): string {
  if (/^[a-z]\w*$/i.test(name) && random.chance(0.6)) return random.chance(0.8) ? name : name.toUpperCase();
  const ways = [`"${name.replaceAll('"', '""')}"`, `\`${name.replaceAll('`', '``')}\``];
  if (!name.includes(']')) ways.push(`[${name}]`);
  return random.pick(ways);
}
