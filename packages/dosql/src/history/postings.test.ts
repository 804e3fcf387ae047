import { describe, expect, it } from 'vitest';
import { hashOf, isExactHash, Postings, type KeyPart } from './postings.ts';

/** Numbers from a seed (https://en.wikipedia.org/wiki/Linear_congruential_generator). */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('postings', () => {
  it('give what a map of arrays gives, however they were added', () => {
    const seed = Date.now() >>> 0;
    console.log(`postings: seed ${seed}`);
    const next = numbers(seed);
    const base = 5_000_000_000;
    const postings = new Postings(base);
    const expected = new Map<number, number[]>();
    let lsn = base;
    for (let round = 0; round < 300; round++) {
      for (let i = next(round % 50 === 0 ? 5_000 : 20); i > 0; i--) {
        const hash = next(3) === 0 ? next(5) : next(2 ** 32);
        postings.add(hash, (lsn += 1 + next(3)));
        expected.set(hash, [...(expected.get(hash) ?? []), lsn]);
      }
      postings.settle();
      const hashes = [...expected.keys(), 0, 2 ** 32 - 1];
      const hash = hashes[next(hashes.length)] ?? 0;
      const after = base + next(lsn - base + 1);
      expect(postings.after(hash, after)).toEqual((expected.get(hash) ?? []).filter((lsn) => lsn > after));
    }
    expect(postings.size).toBe([...expected.values()].flat().length);
    for (const [hash, lsns] of expected) expect(postings.after(hash, base)).toEqual(lsns);
  });

  it('hold a million in 8 MB, sorted in pieces', () => {
    const postings = new Postings(0);
    for (let i = 1; i <= 1_000_000; i++) postings.add((i * 7_919) % 100_003, i);
    postings.settle();
    const found = postings.after(17, 0);
    expect(found).toEqual(found.toSorted((a, b) => a - b));
    expect(found.length).toBeGreaterThan(8);
    expect(postings.after(17, found[3] ?? 0)).toEqual(found.slice(4));
  });
});

describe('a hash of a key', () => {
  it('is the key where that is an integer of 32 bits, and of 32 bits in any case', () => {
    const keys: KeyPart[][] = [
      [0],
      [2 ** 32 - 1],
      [-1],
      [2 ** 32],
      [2 ** 53],
      [0.5],
      [null],
      [''],
      ['ä💥'],
      [new Uint8Array([0, 255])],
      [1, 'a'],
      ['a', 1],
    ];
    for (const key of keys) expect(hashOf(key) >>> 0).toBe(hashOf(key));
    expect(keys.map((key) => isExactHash(key))).toEqual([
      true,
      true,
      ...Array.from({ length: 10 }, () => false),
    ]);
    expect(new Set(keys.map((key) => hashOf(key))).size).toBeGreaterThan(8);
    expect(hashOf([5])).toBe(hashOf([5n]));
    expect(hashOf([9_007_199_254_740_993n])).toBe(hashOf([Number(9_007_199_254_740_993n)]));
    expect(hashOf([new Uint8Array([1, 2])])).toBe(hashOf([new Uint8Array([1, 2]).buffer]));
    expect(hashOf([9, 'a', 9], 1, 2)).toBe(hashOf(['a']));
  });
});
