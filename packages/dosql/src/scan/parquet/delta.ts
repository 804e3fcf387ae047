import { bitsAt, unpack, viewOf } from './bits.ts';
import { malformed } from './malformed.ts';
import { ThriftReader } from './thrift.ts';

/**
 * Numbers as differences (https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC): blocks of
 * miniblocks, each block with its least difference in front, each miniblock packed in bits of its own width.
 */
interface DeltaHeader {
  readonly blockSize: number;
  readonly miniblocks: number;
  readonly count: number;
}

function readHeader(reader: ThriftReader, count: number): DeltaHeader {
  const blockSize = reader.varint();
  const miniblocks = reader.varint();
  const total = reader.varint();
  reader.check();
  if (total !== count) malformed(`a page has ${total} numbers, ${count} are due`);
  if (blockSize > 2 ** 20 || miniblocks === 0 || miniblocks > 512 || blockSize % miniblocks !== 0)
    malformed('a page of differences has unsound blocks');
  if ((blockSize / miniblocks) % 8 !== 0) malformed('a page of differences has unsound blocks');
  return { blockSize, miniblocks, count: total };
}

/** What a miniblock is handed on as: its differences are the least one and the packed ones added. */
type Miniblock = (least: Int64, width: number, at: number, from: number, count: number) => boolean;

/** 64 bits as two halves: so no bigint has to be made. */
interface Int64 {
  /** Unsigned. */
  low: number;
  /** Signed. */
  high: number;
}

/** The next zigzag varint of 64 bits. */
function readInt64(reader: ThriftReader, into: Int64): void {
  let low = 0;
  let high = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = reader.bytes[reader.pos++] as number;
    const part = byte & 127;
    if (shift < 32) low |= part << shift;
    if (shift > 25) high |= shift >= 32 ? part << (shift - 32) : part >>> (32 - shift);
    if (byte < 128) break;
  }
  const sign = -(low & 1);
  into.low = (((low >>> 1) | (high << 31)) ^ sign) >>> 0;
  into.high = (high >>> 1) ^ sign;
}

/**
 * Steps through the miniblocks; `each` answers false to stop.
 *
 * @returns where the data ends, or -1 when it was stopped.
 */
function eachMiniblock(reader: ThriftReader, header: DeltaHeader, each: Miniblock): number {
  const { bytes, end } = reader;
  const size = header.blockSize / header.miniblocks;
  const least: Int64 = { low: 0, high: 0 };
  for (let done = 1; done < header.count;) {
    readInt64(reader, least);
    const widths = reader.pos;
    reader.pos += header.miniblocks;
    reader.check();
    for (let i = 0; i < header.miniblocks && done < header.count; i++) {
      const width = bytes[widths + i] as number;
      if (width > 64) malformed(`a page has differences of ${width} bits`);
      const count = Math.min(size, header.count - done);
      if (reader.pos + Math.ceil((count * width) / 8) > end) malformed('differences of a page end early');
      if (!each(least, width, reader.pos, done, count)) return -1;
      reader.pos = Math.min(end, reader.pos + (size / 8) * width);
      done += count;
    }
  }
  return reader.pos;
}

let packed = new Uint32Array(1024);

function packedOf(count: number): Uint32Array {
  if (packed.length < count) packed = new Uint32Array(count);
  return packed;
}

/** Reads `count` numbers of 32 bits; returns where they end. */
export function deltaInt32(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Int32Array,
  from: number,
  count: number,
): number {
  const reader = new ThriftReader(bytes, at, end);
  const header = readHeader(reader, count);
  const first: Int64 = { low: 0, high: 0 };
  readInt64(reader, first);
  reader.check();
  // Kept outside of the loops below, which run on a copy: a variable that closures share is slow to write.
  let last = first.low | 0;
  if (count > 0) out[from] = last;
  const view = viewOf(bytes);
  const differences = packedOf(header.blockSize);
  return eachMiniblock(reader, header, (least, width, at, index, count) => {
    const base = least.low | 0;
    const to = from + index;
    let value = last;
    if (width === 0) for (let i = 0; i < count; i++) out[to + i] = value = (value + base) | 0;
    else {
      // Differences of 33 bits are written as well; the sum has 32 whatever is above.
      if (width <= 32) unpack(view, at, width, differences, 0, count);
      else for (let i = 0; i < count; i++) differences[i] = bitsAt(view, at, i * width, 32);
      for (let i = 0; i < count; i++) out[to + i] = value = (value + base + (differences[i] as number)) | 0;
    }
    last = value;
    return true;
  });
}

const SAFE = 2 ** 53;

/**
 * Reads `count` numbers of 64 bits as doubles; -1 when one may be beyond ±2^53, and so not be exact.
 *
 * Whether all of a miniblock stay within is told by its bounds, so that no number has to be looked at.
 */
export function deltaFloat64(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Float64Array,
  from: number,
  count: number,
): number {
  const reader = new ThriftReader(bytes, at, end);
  const header = readHeader(reader, count);
  const first: Int64 = { low: 0, high: 0 };
  readInt64(reader, first);
  reader.check();
  let last = first.high * 2 ** 32 + first.low;
  if (Math.abs(last) > SAFE) return -1;
  if (count > 0) out[from] = last;
  const view = viewOf(bytes);
  const differences = packedOf(header.blockSize);
  const highs = new Uint32Array(header.blockSize);
  return eachMiniblock(reader, header, (least, width, at, index, count) => {
    const base = least.high * 2 ** 32 + least.low;
    const to = from + index;
    let value = last;
    if (width > 52 || Math.abs(value) + count * (Math.abs(base) + 2 ** width) >= SAFE) return false;
    if (width === 0) for (let i = 0; i < count; i++) out[to + i] = value += base;
    else if (width <= 32) {
      unpack(view, at, width, differences, 0, count);
      for (let i = 0; i < count; i++) out[to + i] = value += base + (differences[i] as number);
    } else {
      unpackWide(view, at, width, differences, highs, count);
      for (let i = 0; i < count; i++)
        out[to + i] = value += base + (highs[i] as number) * 2 ** 32 + (differences[i] as number);
    }
    last = value;
    return true;
  });
}

/** Reads `count` numbers of 64 bits, in halves with a carry, as the format's arithmetic wraps; returns where they end. */
export function deltaInt64(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: BigInt64Array,
  from: number,
  count: number,
): number {
  const words = new Int32Array(out.buffer, out.byteOffset, 2 * out.length);
  const reader = new ThriftReader(bytes, at, end);
  const header = readHeader(reader, count);
  const first: Int64 = { low: 0, high: 0 };
  readInt64(reader, first);
  reader.check();
  if (count > 0) {
    words[2 * from] = first.low;
    words[2 * from + 1] = first.high;
  }
  const view = viewOf(bytes);
  const lows = new Uint32Array(header.blockSize);
  const highs = new Uint32Array(header.blockSize);
  const signedLows = new Int32Array(lows.buffer);
  const signedHighs = new Int32Array(highs.buffer);
  return eachMiniblock(reader, header, (least, width, at, index, count) => {
    unpackWide(view, at, width, lows, highs, count);
    const leastLow = least.low | 0;
    const leastHigh = least.high | 0;
    // The number before stands in the output.
    const to = 2 * (from + index);
    let low = words[to - 2] as number;
    let high = words[to - 1] as number;
    for (let i = 0; i < count; i++) {
      const part = signedLows[i] as number;
      const difference = (leastLow + part) | 0;
      const sum = (low + difference) | 0;
      // What carries from bit 31, without a branch: the numbers are as good as random.
      const first = ((leastLow & part) | ((leastLow | part) & ~difference)) >>> 31;
      const second = ((low & difference) | ((low | difference) & ~sum)) >>> 31;
      high = (high + leastHigh + (signedHighs[i] as number) + first + second) | 0;
      low = sum;
      words[to + 2 * i] = low;
      words[to + 2 * i + 1] = high;
    }
    return true;
  });
}

/** Unpacks numbers of up to 64 bits into their halves. */
function unpackWide(
  view: DataView,
  at: number,
  width: number,
  lows: Uint32Array,
  highs: Uint32Array,
  count: number,
): void {
  if (width <= 32) {
    unpack(view, at, width, lows, 0, count);
    highs.fill(0, 0, count);
    return;
  }
  const mask = width === 64 ? -1 : (1 << (width - 32)) - 1;
  let i = 0;
  // Twelve bytes have all bits of a number, wherever in its first byte it begins.
  for (let bit = 0; i < count && at + (bit >>> 3) + 12 <= view.byteLength; i++, bit += width) {
    const byte = at + (bit >>> 3);
    const shift = bit & 7;
    const first = view.getUint32(byte, true);
    const second = view.getUint32(byte + 4, true);
    // A shift by 32 would be one by 0.
    const third = shift === 0 ? 0 : view.getUint32(byte + 8, true) << (32 - shift);
    lows[i] = shift === 0 ? first : (first >>> shift) | (second << (32 - shift));
    highs[i] = ((second >>> shift) | third) & mask;
  }
  for (; i < count; i++) {
    lows[i] = bitsAt(view, at, i * width, 32);
    highs[i] = bitsAt(view, at, i * width + 32, width - 32);
  }
}
