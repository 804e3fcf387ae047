import { FileStoreError, type FileStoreErrorCode } from '../error.ts';
import type { FileEntry, FileStore, ListOptions } from '../file-store.ts';

/** Fails unless `actual` is what was wanted: by value for lists, records, bytes and dates. */
export function same(actual: unknown, wanted: unknown, what = 'the result'): void {
  if (!isSame(actual, wanted)) throw new Error(`${what} is ${print(actual)}, not ${print(wanted)}`);
}

/** Fails unless it holds. */
export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`it does not hold that ${what}`);
}

/** Fails unless `work` rejects with a FileStoreError of this code whose message has all of `words`. */
export async function fails(
  work: Promise<unknown>,
  code: FileStoreErrorCode,
  ...words: readonly string[]
): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error === undefined) throw new Error(`it went through instead of failing with ${code}`);
  if (!(error instanceof FileStoreError))
    throw new Error(`it failed with no FileStoreError`, { cause: error });
  if (error.code !== code) throw new Error(`it failed with ${error.code}, not ${code}`, { cause: error });
  for (const word of words)
    holds(error.message.includes(word), `the message ${print(error.message)} says ${print(word)}`);
}

/** Bytes as text, `null` where there are none. */
export function text(bytes: Uint8Array | null): string | null {
  return bytes && new TextDecoder().decode(bytes);
}

/** All bytes of a stream. */
export async function bytesOf(stream: ReadableStream<Uint8Array> | null): Promise<Uint8Array | null> {
  if (stream === null) return null;
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Bytes that differ from place to place, so that a piece in the wrong place shows. */
export function pattern(size: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = i * 31 + ((i / 251) | 0) + seed;
  return bytes;
}

/** A stream of the bytes in pieces of `pieceBytes`; before it ends, `end` is run. */
export function streamed(
  bytes: Uint8Array,
  pieceBytes = 1000,
  end: () => Promise<void> | void = () => undefined,
): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (at < bytes.length) return controller.enqueue(bytes.slice(at, (at += pieceBytes)));
      await end();
      controller.close();
    },
  });
}

/** Every file of a listing, page by page. */
export async function listAll(
  store: FileStore,
  prefix?: string,
  options: ListOptions = {},
): Promise<FileEntry[]> {
  const files: FileEntry[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list(prefix, { ...options, cursor });
    files.push(...page.files);
    // One that stays where it is would be listed for ever.
    holds(page.cursor === undefined || page.cursor !== cursor, 'a page ends after the one before it');
    cursor = page.cursor;
  } while (cursor !== undefined);
  return files;
}

/** The paths of a whole listing. */
export async function pathsOf(store: FileStore, prefix?: string, options?: ListOptions): Promise<string[]> {
  return (await listAll(store, prefix, options)).map((file) => file.path);
}

function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Date || b instanceof Date)
    return a instanceof Date && b instanceof Date && a.getTime() === b.getTime();
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    if (!(a instanceof Uint8Array && b instanceof Uint8Array)) return false;
    return isEqual(a, b);
  }
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [Object.entries(a), new Map(Object.entries(b))];
  return (
    left.length === right.size &&
    left.every(([key, value]) => right.has(key) && isSame(value, right.get(key)))
  );
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function print(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes [${value.subarray(0, 20).join(' ')}]`;
  const json = JSON.stringify(value) as string | undefined;
  return (json ?? String(value)).slice(0, 400);
}
