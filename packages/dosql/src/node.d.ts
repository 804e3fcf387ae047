/** The little of Node's API that the Workers runtime is asked for; the whole of its types would bring globals that are not there. */
declare module 'node:async_hooks' {
  export class AsyncLocalStorage<T> {
    getStore(): T | undefined;
    run<R>(store: T, callback: () => R): R;
  }
}

declare module 'node:fs' {
  export function readdirSync(path: string, options: { recursive: true }): string[];
  export function readFileSync(path: string, encoding: 'utf8'): string;
}

declare module 'node:zlib' {
  interface Packing {
    readonly level?: number;
    readonly params?: Readonly<Record<number, number>>;
  }
  export const constants: { readonly ZSTD_c_compressionLevel: number };
  export function inflateRawSync(data: Uint8Array): Uint8Array;
  export function gzipSync(data: Uint8Array, options?: Packing): Uint8Array;
  export function zstdCompressSync(data: Uint8Array, options?: Packing): Uint8Array;
}
