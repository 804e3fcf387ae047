import { Buffer } from 'node:buffer';

/**
 * How many different users there were, in at most 4 KiB: a HyperLogLog sketch of 4,096 registers, whose estimate is
 * within 1.6 % in two of three cases, and within 5 % in all but two of a thousand.
 *
 * Adding a user twice changes nothing, nor does merging a sketch twice, in whatever order: so sketches of minutes
 * become those of days, and sketches of regions those of the world. A sketch holds no users. It holds, for each of
 * 4,096 groups, how rare the rarest hash in it looked.
 *
 * Registers as in Flajolet et al., "HyperLogLog" (2007), the estimate by Ertl, "New cardinality estimation
 * algorithms for HyperLogLog sketches" (2017), algorithm 6: it needs no tables, and is unbiased from one user on.
 */
const REGISTER_BITS = 12;
const REGISTERS = 2 ** REGISTER_BITS;
/** The bits of a hash that are looked at for leading zeros: 13 hex digits, which a double holds. */
const RANK_BITS = 52;
/** Sketches of few users are a list of the registers that are set: two bytes of number, one of value. */
const ENTRY_BYTES = 3;

export class Sketch {
  readonly #registers = new Uint8Array(REGISTERS);

  /** The sketch in some bytes; an empty one without any. Bytes that are none are an error. */
  static decode(bytes: Uint8Array = new Uint8Array()): Sketch {
    const sketch = new Sketch();
    sketch.merge(bytes);
    return sketch;
  }

  /** Adds a user by a hash of at least 16 hex digits. */
  add(hash: string): void {
    const register = Number.parseInt(hash.slice(0, 3), 16);
    const rest = Number.parseInt(hash.slice(3, 16), 16);
    const rank = rest === 0 ? RANK_BITS + 1 : RANK_BITS - Math.floor(Math.log2(rest));
    this.#raise(register, rank);
  }

  /** Adds all users of another sketch, as its bytes. */
  merge(bytes: Uint8Array): void {
    if (bytes.length === REGISTERS) {
      for (let register = 0; register < REGISTERS; register++)
        this.#raise(register, bytes[register] as number);
      return;
    }
    if (bytes.length % ENTRY_BYTES !== 0 || bytes.length > REGISTERS)
      throw new TypeError('this is no sketch');
    for (let at = 0; at < bytes.length; at += ENTRY_BYTES) {
      const register = (bytes[at] as number) * 256 + (bytes[at + 1] as number);
      if (register >= REGISTERS) throw new TypeError('this is no sketch');
      this.#raise(register, bytes[at + 2] as number);
    }
  }

  /** The sketch as bytes: the same for the same users, whatever way they came together. */
  encode(): Uint8Array {
    const set = this.#registers.reduce((set, rank) => set + (rank > 0 ? 1 : 0), 0);
    if (set * ENTRY_BYTES >= REGISTERS) return this.#registers.slice();
    const bytes = new Uint8Array(set * ENTRY_BYTES);
    let at = 0;
    this.#registers.forEach((rank, register) => {
      if (rank === 0) return;
      bytes.set([register >> 8, register & 0xff, rank], at);
      at += ENTRY_BYTES;
    });
    return bytes;
  }

  /** About how many users there are. */
  estimate(): number {
    const counts = Array.from({ length: RANK_BITS + 2 }, () => 0);
    for (const rank of this.#registers) counts[rank] = (counts[rank] ?? 0) + 1;
    const share = (rank: number): number => (counts[rank] ?? 0) / REGISTERS;
    let sum = REGISTERS * tau(1 - share(RANK_BITS + 1));
    for (let rank = RANK_BITS; rank > 0; rank--) sum = (sum + (counts[rank] ?? 0)) / 2;
    sum += REGISTERS * sigma(share(0));
    return Math.round(REGISTERS ** 2 / (2 * Math.LN2 * sum));
  }

  #raise(register: number, rank: number): void {
    if (rank > (this.#registers[register] as number))
      this.#registers[register] = Math.min(rank, RANK_BITS + 1);
  }
}

/** About how many users some sketches have together. */
export function usersIn(sketches: Iterable<Uint8Array>): number {
  const all = new Sketch();
  for (const bytes of sketches) all.merge(bytes);
  return all.estimate();
}

/** Bytes as SQL's `unhex` takes them: JSON, in which many rows come at once, has no other word for them. */
export function toHex({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('hex');
}

/** What the registers that are not set add. */
function sigma(share: number): number {
  if (share === 1) return Number.POSITIVE_INFINITY;
  let [x, sum, weight, before] = [share, share, 1, -1];
  while (sum !== before) {
    before = sum;
    x *= x;
    sum += x * weight;
    weight *= 2;
  }
  return sum;
}

/** What the registers that are full add. */
function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let [x, sum, weight, before] = [share, 1 - share, 1, -1];
  while (sum !== before) {
    before = sum;
    x = Math.sqrt(x);
    weight /= 2;
    sum -= (1 - x) ** 2 * weight;
  }
  return sum / 3;
}
