import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { compressSnappy } from './write-snappy.ts';

/** How pages are compressed. */
export type Codec = 'zstd' | 'snappy' | 'gzip' | 'uncompressed';

/** Parquet's numbers of the codecs. */
export const CODEC: Readonly<Record<Codec, number>> = { uncompressed: 0, snappy: 1, gzip: 2, zstd: 6 };

// The quick levels: a transaction waits for them, and what higher ones save is a few percent.
const GZIP = { level: 4 };
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Compresses; undefined where the runtime cannot. */
export type Compress = (bytes: Uint8Array) => Uint8Array | undefined;

/**
 * More bytes than this make more than the 40 KiB that workerd's zstd has room for where they do not get smaller at all
 * (https://github.com/cloudflare/workerd/issues/6769).
 */
export const MAX_PAGE_BYTES = 40_000;

/** What takes the place of a codec for a chunk that it cannot take. */
export const FALLBACK: Codec = 'gzip';

/** The function that compresses with `codec`. */
export function compressor(codec: Codec): Compress {
  switch (codec) {
    case 'zstd':
      return compressZstd;
    case 'gzip':
      return (bytes) => gzipSync(bytes, GZIP);
    case 'snappy':
      return compressSnappy;
    default:
      return (bytes) => bytes;
  }
}

function compressZstd(bytes: Uint8Array): Uint8Array | undefined {
  try {
    return zstdCompressSync(bytes, ZSTD);
  } catch {
    // Too large for workerd, see MAX_PAGE_BYTES. Anything else fails with the other codec as well, and is told then.
    return undefined;
  }
}
