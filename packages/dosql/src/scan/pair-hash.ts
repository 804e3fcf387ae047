/**
 * A hash table from pairs of 32-bit numbers to numbers from 1 on: open addressing, with the pair in the slot itself, so that
 * a look-up touches one place in memory.
 */
export class PairHash {
  /** How many pairs it has. */
  size = 0;
  #slots: Uint32Array = new Uint32Array(3 * 1024);
  #mask = 1023;

  /** The number of a pair; a pair that is new gets `next`, which is not 0. */
  intern(first: number, second: number, next: number): number {
    const slots = this.#slots;
    let at = mix(first, second) & this.#mask;
    for (;;) {
      const known = slots[3 * at + 2]!;
      if (known === 0) break;
      if (slots[3 * at] === first && slots[3 * at + 1] === second) return known;
      at = (at + 1) & this.#mask;
    }
    slots[3 * at] = first;
    slots[3 * at + 1] = second;
    slots[3 * at + 2] = next;
    if (++this.size * 10 > this.#mask * 6) this.#grow();
    return next;
  }

  #grow(): void {
    const old = this.#slots;
    const mask = this.#mask * 2 + 1;
    const slots = new Uint32Array(3 * (mask + 1));
    for (let i = 0; i < old.length; i += 3) {
      const known = old[i + 2]!;
      if (known === 0) continue;
      let at = mix(old[i]!, old[i + 1]!) & mask;
      while (slots[3 * at + 2] !== 0) at = (at + 1) & mask;
      slots[3 * at] = old[i]!;
      slots[3 * at + 1] = old[i + 1]!;
      slots[3 * at + 2] = known;
    }
    this.#slots = slots;
    this.#mask = mask;
  }
}

function mix(first: number, second: number): number {
  let hash = Math.imul(first ^ Math.imul(second, 0x9e3779b1), 0x85ebca6b);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0xc2b2ae35) ^ (hash >>> 13);
}
