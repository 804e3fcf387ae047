import { zstdDecompressSync } from 'node:zlib';

/** The codec of the benchmark's files, for hyparquet, whose own would be a package more. */
export const compressors = {
  ZSTD: (input: Uint8Array): Uint8Array => zstdDecompressSync(input),
};
