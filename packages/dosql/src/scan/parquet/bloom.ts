import { crc32 } from 'node:zlib';
import { viewOf } from './bits.ts';
import type { Comparable, Test } from './bounds.ts';
import { malformed } from './malformed.ts';
import { ThriftReader } from './thrift.ts';
import { xxHash64 } from './xxhash64.ts';

/**
 * A split-block bloom filter (https://parquet.apache.org/docs/file-format/bloomfilter/): which values a chunk may
 * have.
 */
export interface BloomFilter {
  readonly bitset: Uint8Array;
}

/** A header is smaller than this; where a file does not say how long the filter is, so much is read first. */
export const BLOOM_HEADER = 64;
/** The most that the format allows. */
const MAX_BITSET = 2 ** 27;

const SALT = Int32Array.of(
  0x47b6137b,
  0x44974d91,
  0x8824ad5b,
  0xa2b7289d,
  0x705495c7,
  0x2df1424b,
  0x9efc4947,
  0x5c6bfb31,
);

/** How many bytes the filter takes with its header; undefined where it is of a kind that came later. */
export function bloomSize(header: Uint8Array): { headerSize: number; size: number } | undefined {
  const reader = new ThriftReader(header);
  let size = -1;
  const kinds: number[] = [];
  reader.struct((id, type) => {
    if (id === 1) size = reader.size(type);
    else if (id >= 2 && id <= 4)
      reader.nested(type, (kind) => {
        kinds[id] = kind;
        return false;
      });
    else return false;
    return true;
  });
  if (kinds[2] !== 1 || kinds[3] !== 1 || kinds[4] !== 1) return undefined;
  if (size < 32 || size > MAX_BITSET || size % 32 !== 0) malformed(`a bloom filter of it has ${size} bytes`);
  return { headerSize: reader.pos, size: reader.pos + size };
}

/** The filter in `bytes`, header and all. `isSealed`: it must have its checksum, as `write-checksum.ts` says. */
export function readBloom(bytes: Uint8Array, isSealed: boolean): BloomFilter | undefined {
  const found = bloomSize(bytes);
  if (found === undefined) return undefined;
  const { headerSize, size } = found;
  if (size > bytes.length) malformed('a bloom filter of it goes past its end');
  const bitset = bytes.subarray(headerSize, size);
  if (isSealed) {
    const at = headerSize - 5;
    if (at < 0 || crc32(bitset, crc32(bytes.subarray(0, at))) !== viewOf(bytes).getUint32(at, true))
      malformed('a bloom filter of it does not have its checksum');
  }
  return { bitset };
}

/** Whether the filter lets any of the constants of a test for equality pass. */
export function mayContain({ bitset }: BloomFilter, test: Test): boolean {
  return test.values.some((value) => {
    const forms = value === undefined ? undefined : storedForms(test, value);
    return forms === undefined || forms.some((form) => hasHash(bitset, form));
  });
}

const hash = new Uint32Array(2);

function hasHash(bitset: Uint8Array, value: Uint8Array): boolean {
  xxHash64(value, 0, value.length, hash);
  const low = hash[0] as number;
  const blocks = bitset.length / 32;
  // The block is the high half scaled to the number of blocks; doubles hold the product of the two.
  const at = Math.floor(((hash[1] as number) * blocks) / 2 ** 32) * 32;
  const view = viewOf(bitset);
  for (let i = 0; i < 8; i++) {
    const bit = Math.imul(low, SALT[i] as number) >>> 27;
    if (((view.getUint32(at + 4 * i, true) >>> bit) & 1) === 0) return false;
  }
  return true;
}

/** How a constant would be stored in the column; undefined where that cannot be told, none where it cannot be there. */
function storedForms({ leaf }: Test, value: Comparable): Uint8Array[] | undefined {
  const bytes = new Uint8Array(8);
  const view = viewOf(bytes);
  switch (leaf.conversion) {
    case 'bytes':
      return value instanceof Uint8Array ? [value] : undefined;
    case 'int32':
    case 'uint32':
      if (leaf.column.type !== 'integer' || typeof value !== 'number' || !Number.isInteger(value))
        return undefined;
      view.setInt32(0, value | 0, true);
      return value >= -(2 ** 31) && value < 2 ** 32 ? [bytes.subarray(0, 4)] : undefined;
    case 'int64':
      if (leaf.column.type !== 'integer' || value instanceof Uint8Array) return undefined;
      if (typeof value === 'number' && !Number.isSafeInteger(value)) return undefined;
      view.setBigInt64(0, BigInt(value), true);
      return [bytes];
    case 'double':
      if (typeof value !== 'number') return undefined;
      if (value === 0) return [new Uint8Array(8), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 128)];
      view.setFloat64(0, value, true);
      return [bytes];
    default:
      return undefined;
  }
}
