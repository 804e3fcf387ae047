/**
 * Split-block bloom filters (https://parquet.apache.org/docs/file-format/bloomfilter/): which values a chunk may have.
 */
import type { ChunkData } from './write-buffer.ts';
import { sealBloomHeader } from './write-checksum.ts';
import { PHYSICAL } from './write-schema.ts';
import { StructWriter } from './thrift-write.ts';
import { xxHash64 } from './xxhash64.ts';

const SALT = [0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31];
const MAX_BYTES = 2 ** 20;

/** The filter of a chunk, with its header; 10 to 20 bits for each distinct value: fewer than 1 of 100 found wrongly. */
export function bloomFilter(chunk: ChunkData, physical: number): Uint8Array {
  const hashes = hashesOf(chunk, physical);
  const distinct = hashes.count;
  const bytes = Math.min(MAX_BYTES, Math.max(32, 2 ** Math.ceil(Math.log2((distinct * 10) / 8))));
  const words = new Uint32Array(bytes / 4);
  for (let i = 0; i < distinct; i++) insert(words, hashes.high[i] as number, hashes.low[i] as number);
  const bitset = new Uint8Array(words.buffer);
  const header = new StructWriter()
    .int32(1, bytes)
    .struct(2, (algorithm) => algorithm.struct(1, () => {}))
    .struct(3, (hash) => hash.struct(1, () => {}))
    .struct(4, (compression) => compression.struct(1, () => {}));
  const sealed = sealBloomHeader(header, bitset);
  const filter = new Uint8Array(sealed.length + bytes);
  filter.set(sealed);
  filter.set(bitset, sealed.length);
  return filter;
}

function insert(words: Uint32Array, high: number, low: number): void {
  // The block is the high half scaled to the number of blocks; doubles hold the product of the two.
  const block = Math.floor((high * (words.length / 8)) / 2 ** 32);
  for (let i = 0; i < 8; i++) {
    const bit = Math.imul(low, SALT[i] as number) >>> 27;
    const at = block * 8 + i;
    words[at] = (words[at] as number) | (1 << bit);
  }
}

interface Hashes {
  readonly count: number;
  readonly high: Uint32Array;
  readonly low: Uint32Array;
}

function hashesOf({ values }: ChunkData, physical: number): Hashes {
  const count = values.kind === 'bytes' ? values.bytes.offsets.length - 1 : values.values.length;
  const high = new Uint32Array(count);
  const low = new Uint32Array(count);
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  const width = physical === PHYSICAL.INT32 ? 4 : 8;
  const hash = new Uint32Array(2);
  for (let i = 0; i < count; i++) {
    if (values.kind === 'bytes') {
      const { data, offsets } = values.bytes;
      xxHash64(data, offsets[i] as number, offsets[i + 1] as number, hash);
    } else {
      if (values.kind === 'int32') view.setInt32(0, values.values[i] as number, true);
      else if (values.kind === 'bigint') view.setBigInt64(0, values.values[i] as bigint, true);
      else if (physical === PHYSICAL.DOUBLE) view.setFloat64(0, values.values[i] as number, true);
      else {
        view.setUint32(0, (values.values[i] as number) >>> 0, true);
        view.setInt32(4, Math.floor((values.values[i] as number) / 2 ** 32), true);
      }
      xxHash64(bytes, 0, width, hash);
    }
    high[i] = hash[1] as number;
    low[i] = hash[0] as number;
  }
  return { count, high, low };
}
