/** What of Node's streaming gunzip the Workers runtime has: unlike DecompressionStream it reads files of several members. */
declare module 'node:zlib' {
  interface Gunzip {
    on(event: 'data', listener: (bytes: Uint8Array) => void): this;
    on(event: 'end', listener: () => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    write(bytes: Uint8Array, callback: (error?: Error | null) => void): boolean;
    end(): void;
    destroy(): void;
  }
  export function createGunzip(options?: { readonly chunkSize?: number }): Gunzip;
}
