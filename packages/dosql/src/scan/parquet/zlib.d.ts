/** What of Node's zlib the Workers runtime has and the reader asks for. */
declare module 'node:zlib' {
  interface Bound {
    /** The size of the pieces that the output is made of. */
    chunkSize?: number;
    /** More output than this is an error. */
    maxOutputLength?: number;
  }
  export function crc32(data: Uint8Array, value?: number): number;
  export function unzipSync(data: Uint8Array, options?: Bound): Uint8Array;
  export function brotliDecompressSync(data: Uint8Array, options?: Bound): Uint8Array;
  export function zstdDecompressSync(data: Uint8Array, options?: Bound): Uint8Array;
}
