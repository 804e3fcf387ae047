import { brotliDecompressSync, unzipSync, zstdDecompressSync } from 'node:zlib';
import { DoSQLError } from '../../error.ts';
import { plainBytes } from './bits.ts';
import { lz4Hadoop, lz4Raw } from './lz4.ts';
import { malformed } from './malformed.ts';
import { SLACK, snappyDecompress } from './snappy.ts';

/** Codecs by their numbers in the format. */
const UNCOMPRESSED = 0;
const SNAPPY = 1;
const GZIP = 2;
const BROTLI = 4;
const LZ4 = 5;
const ZSTD = 6;
const LZ4_RAW = 7;

/** A page that is larger is not decompressed: it would have to be held whole. */
const MAX_PAGE = 2 ** 28;

/** What is decompressed at a time is kept for the next up to this size. */
const MAX_SCRATCH = 2 ** 23;

let scratch = new Uint8Array(2 ** 16);

/**
 * The `size` bytes that `input` is the compressed form of.
 *
 * They stand in a place that the next call overwrites, or in `input` itself: who keeps them copies them.
 *
 * @throws Malformed, or zlib's own error, when it is the form of anything but `size` bytes.
 */
export function decompress(codec: number, input: Uint8Array, size: number): Uint8Array {
  if (size > MAX_PAGE)
    throw new DoSQLError(
      'TOO_BIG',
      `a page has ${size} bytes, more than the ${MAX_PAGE} that are decompressed at once`,
    );
  switch (codec) {
    case UNCOMPRESSED:
      if (input.length !== size) malformed(`a page has ${input.length} bytes, ${size} are due`);
      return input;
    case SNAPPY: {
      const output = scratchOf(input, size);
      snappyDecompress(input, output, size);
      return output.subarray(0, size);
    }
    case LZ4_RAW: {
      const output = scratchOf(input, size);
      lz4Raw(input, output, size);
      return output.subarray(0, size);
    }
    case LZ4: {
      const output = scratchOf(input, size);
      lz4Hadoop(input, output, size);
      return output.subarray(0, size);
    }
    case GZIP:
      return inflated(unzipSync, input, size);
    case BROTLI:
      return inflated(brotliDecompressSync, input, size);
    case ZSTD:
      return inflated(zstdDecompressSync, input, size);
    default:
      return malformed(`its codec ${codec} is not one that can be read`);
  }
}

/** Below so many bytes zlib's output may share its memory with others. */
const OWN_BYTES = 2 ** 16;

/**
 * Frees what {@link decompress} made of `input`, where that has memory of its own and is done with: the collector would
 * let it stand for many pages more.
 */
export function discard(codec: number, input: Uint8Array, output: Uint8Array): void {
  const isOwn = codec === GZIP || codec === BROTLI || codec === ZSTD;
  const { buffer } = output;
  if (isOwn && output.length >= OWN_BYTES && buffer !== input.buffer && buffer instanceof ArrayBuffer)
    buffer.transfer(0);
}

/** Whether pages of this codec need no decompression. */
export function isUncompressed(codec: number): boolean {
  return codec === UNCOMPRESSED;
}

/**
 * What zlib makes of the input.
 *
 * One piece takes all output: by default it would be put together from pieces of 16 KB. Where little input claims to
 * become very much, the pieces stay small until it does. The Workers runtime grows its output by doubling, and counts
 * the room that it makes, so the limit has to leave that much.
 */
function inflated(inflate: Inflate, input: Uint8Array, size: number): Uint8Array {
  const chunkSize = Math.min(size, 2 ** 20 + 64 * input.length) + 64;
  let output: Uint8Array;
  try {
    output = inflate(input, { chunkSize, maxOutputLength: 2 * size + 2 ** 17 });
  } catch (error) {
    malformed(`a page cannot be decompressed: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (output.length !== size) malformed(`a page has ${output.length} bytes, ${size} are due`);
  return plainBytes(output);
}

type Inflate = (data: Uint8Array, options: { chunkSize: number; maxOutputLength: number }) => Uint8Array;

/** How many times smaller than its output the input of Snappy and LZ4 can be at most: 21 and 255. */
const MAX_RATIO = 256;

function scratchOf(input: Uint8Array, size: number): Uint8Array {
  if (size > MAX_RATIO * input.length) malformed(`a page of ${input.length} bytes cannot become ${size}`);
  if (scratch.length >= size + SLACK) return scratch;
  const grown = new Uint8Array(Math.ceil(1.25 * size) + SLACK);
  if (grown.length <= MAX_SCRATCH) scratch = grown;
  return grown;
}
