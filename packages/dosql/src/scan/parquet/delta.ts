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
  let value = first.low | 0;
  if (count > 0) out[from] = value;
  const view = viewOf(bytes);
  const differences = packedOf(header.blockSize);
  return eachMiniblock(reader, header, (least, width, at, index, count) => {
    const base = least.low | 0;
    const to = from + index;
    if (width === 0) {
      for (let i = 0; i < count; i++) out[to + i] = value = (value + base) | 0;
      return true;
    }
    if (width > 32) malformed(`a page has differences of ${width} bits between numbers of 32`);
    unpack(view, at, width, differences, 0, count);
    for (let i = 0; i < count; i++) out[to + i] = value = (value + base + (differences[i] as number)) | 0;
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
  let value = first.high * 2 ** 32 + first.low;
  if (Math.abs(value) > SAFE) return -1;
  if (count > 0) out[from] = value;
  const view = viewOf(bytes);
  const differences = packedOf(header.blockSize);
  return eachMiniblock(reader, header, (least, width, at, index, count) => {
    const base = least.high * 2 ** 32 + least.low;
    const to = from + index;
    if (width > 52 || Math.abs(value) + count * (Math.abs(base) + 2 ** width) >= SAFE) return false;
    if (width === 0) for (let i = 0; i < count; i++) out[to + i] = value += base;
    else if (width <= 32) {
      unpack(view, at, width, differences, 0, count);
      for (let i = 0; i < count; i++) out[to + i] = value += base + (differences[i] as number);
    } else for (let i = 0; i < count; i++) out[to + i] = value += base + wideAt(view, at, i * width, width);
    return true;
  });
}

/** Numbers of 33 to 52 bits. */
function wideAt(view: DataView, at: number, bit: number, width: number): number {
  return bitsAt(view, at, bit, 32) + bitsAt(view, at, bit + 32, width - 32) * 2 ** 32;
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
  let { low, high } = first;
  if (count > 0) {
    words[2 * from] = low;
    words[2 * from + 1] = high;
  }
  const view = viewOf(bytes);
  return eachMiniblock(reader, header, (least, width, at, index, count) => {
    const narrow = Math.min(width, 32);
    for (let i = 0; i < count; i++) {
      const sum = low + least.low + (narrow === 0 ? 0 : bitsAt(view, at, i * width, narrow));
      const more = width > 32 ? bitsAt(view, at, i * width + 32, width - 32) : 0;
      low = sum >>> 0;
      high = (high + least.high + more + Math.floor(sum / 2 ** 32)) | 0;
      words[2 * (from + index + i)] = low;
      words[2 * (from + index + i) + 1] = high;
    }
    return true;
  });
}
