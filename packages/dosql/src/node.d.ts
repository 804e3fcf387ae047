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
