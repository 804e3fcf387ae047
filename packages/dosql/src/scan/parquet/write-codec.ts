import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { compressSnappy } from './write-snappy.ts';

/** How pages are compressed. */
export type Codec = 'zstd' | 'snappy' | 'gzip' | 'uncompressed';

/** Parquet's numbers of the codecs. */
export const CODEC: Readonly<Record<Codec, number>> = { uncompressed: 0, snappy: 1, gzip: 2, zstd: 6 };

// Level 1 of zstd packs within a few percent of level 3, at twice its speed.
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** The function that compresses with `codec`. */
export function compressor(codec: Codec): (bytes: Uint8Array) => Uint8Array {
  switch (codec) {
    case 'zstd':
      return (bytes) => zstdCompressSync(bytes, ZSTD);
    case 'gzip':
      return (bytes) => gzipSync(bytes);
    case 'snappy':
      return compressSnappy;
    default:
      return (bytes) => bytes;
  }
}
