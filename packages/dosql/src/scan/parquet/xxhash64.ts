/**
 * XXH64 with seed 0 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), which bloom filters hash by.
 *
 * The 64-bit numbers are pairs of 32 bits: bigint would take a hundred times as long.
 */

// Low and high half of each prime.
const P1L = 0x85ebca87 | 0;
const P1H = 0x9e3779b1 | 0;
const P2L = 0x27d4eb4f | 0;
const P2H = 0xc2b2ae3d | 0;
const P3L = 0x9e3779f9 | 0;
const P3H = 0x165667b1 | 0;
const P4L = 0xc2b2ae63 | 0;
const P4H = 0x85ebca77 | 0;
const P5L = 0x165667c5 | 0;
const P5H = 0x27d4eb2f | 0;

// What a step gives: the two halves of a number. One thread, no step within another.
let low = 0;
let high = 0;

/** Puts the hash of `data` from `from` up to `to` into `out`: the low half, then the high one. */
export function xxHash64(data: Uint8Array, from: number, to: number, out: Uint32Array): void {
  let at = from;
  if (to - from >= 32) at = stripes(data, from, to);
  else {
    low = P5L;
    high = P5H;
  }
  add(to - from, 0);
  for (; at + 8 <= to; at += 8) {
    const l = low;
    const h = high;
    round(0, 0, word(data, at), word(data, at + 4));
    low ^= l;
    high ^= h;
    rotate(27);
    multiply(P1L, P1H);
    add(P4L, P4H);
  }
  if (at + 4 <= to) {
    const l = low;
    const h = high;
    low = word(data, at);
    high = 0;
    multiply(P1L, P1H);
    low ^= l;
    high ^= h;
    rotate(23);
    multiply(P2L, P2H);
    add(P3L, P3H);
    at += 4;
  }
  for (; at < to; at++) {
    const l = low;
    const h = high;
    low = data[at] as number;
    high = 0;
    multiply(P5L, P5H);
    low ^= l;
    high ^= h;
    rotate(11);
    multiply(P1L, P1H);
  }
  shift(33);
  multiply(P2L, P2H);
  shift(29);
  multiply(P3L, P3H);
  shift(32);
  out[0] = low;
  out[1] = high;
}

/** Four lanes over all whole stripes of 32 bytes, joined; gives where they end. */
function stripes(data: Uint8Array, from: number, to: number): number {
  const lanes = new Int32Array(8);
  low = P1L;
  high = P1H;
  add(P2L, P2H);
  lanes.set([low, high, P2L, P2H, 0, 0], 0);
  low = ~P1L;
  high = ~P1H;
  add(1, 0);
  lanes.set([low, high], 6);
  let at = from;
  for (; at + 32 <= to; at += 32)
    for (let lane = 0; lane < 4; lane++) {
      round(
        lanes[2 * lane] as number,
        lanes[2 * lane + 1] as number,
        word(data, at + 8 * lane),
        word(data, at + 8 * lane + 4),
      );
      lanes[2 * lane] = low;
      lanes[2 * lane + 1] = high;
    }
  let sumLow = 0;
  let sumHigh = 0;
  [1, 7, 12, 18].forEach((bits, lane) => {
    low = lanes[2 * lane] as number;
    high = lanes[2 * lane + 1] as number;
    rotate(bits);
    add(sumLow, sumHigh);
    sumLow = low;
    sumHigh = high;
  });
  for (let lane = 0; lane < 4; lane++) {
    const l = low;
    const h = high;
    round(0, 0, lanes[2 * lane] as number, lanes[2 * lane + 1] as number);
    low ^= l;
    high ^= h;
    multiply(P1L, P1H);
    add(P4L, P4H);
  }
  return at;
}

/** rotate(lane + input × P2, 31) × P1. */
function round(laneLow: number, laneHigh: number, inputLow: number, inputHigh: number): void {
  low = inputLow;
  high = inputHigh;
  multiply(P2L, P2H);
  add(laneLow, laneHigh);
  rotate(31);
  multiply(P1L, P1H);
}

function word(data: Uint8Array, at: number): number {
  return (
    (data[at] as number) |
    ((data[at + 1] as number) << 8) |
    ((data[at + 2] as number) << 16) |
    ((data[at + 3] as number) << 24)
  );
}

function add(l: number, h: number): void {
  const sum = (low >>> 0) + (l >>> 0);
  high = (high + h + (sum > 0xffff_ffff ? 1 : 0)) | 0;
  low = sum | 0;
}

function multiply(l: number, h: number): void {
  const a0 = low & 0xffff;
  const a1 = low >>> 16;
  const b0 = l & 0xffff;
  const b1 = l >>> 16;
  const p00 = a0 * b0;
  const middle = a1 * b0 + (p00 >>> 16);
  const other = a0 * b1 + (middle & 0xffff);
  // `middle` may be up to 2^32: halves are taken by division, not by shifting.
  const carry = a1 * b1 + Math.floor(middle / 65_536) + Math.floor(other / 65_536);
  high = (carry + Math.imul(low, h) + Math.imul(high, l)) | 0;
  low = Math.imul(low, l);
}

function rotate(bits: number): void {
  const l = low;
  const h = high;
  low = (l << bits) | (h >>> (32 - bits));
  high = (h << bits) | (l >>> (32 - bits));
}

function shift(bits: number): void {
  const l = low;
  const h = high;
  if (bits < 32) {
    low = l ^ ((l >>> bits) | (h << (32 - bits)));
    high = h ^ (h >>> bits);
  } else low = l ^ (h >>> (bits - 32));
}
