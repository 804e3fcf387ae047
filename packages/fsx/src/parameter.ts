import { FileStoreError, show } from './error.ts';
import type { FileData, FileStat, ListOptions, ReadOptions, WriteOptions } from './file-store.ts';
import { maxPathBytes } from './path.ts';

/** Most files on one page, as R2 allows. */
const maxPageFiles = 1000;

const utf8 = new TextEncoder();

/**
 * The range with its defaults: `length` is `Infinity` where it runs to the end.
 *
 * @throws {FileStoreError} `BAD_PARAMETER`
 */
export function checkRange(options: ReadOptions | undefined): { offset: number; length: number } {
  const { offset = 0, length } = options ?? {};
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw bad('offset', offset, 'a whole number of bytes, 0 or more');
  if (length === undefined) return { offset, length: Infinity };
  if (!Number.isSafeInteger(length) || length < 0)
    throw bad('length', length, 'a whole number of bytes, 0 or more');
  return { offset, length };
}

/** Cuts a checked range to a file of `size` bytes: the first byte, and the one after the last. */
export function clampRange(
  range: { offset: number; length: number },
  size: number,
): { start: number; end: number } {
  const start = Math.min(range.offset, size);
  return { start, end: Math.min(start + range.length, size) };
}

/**
 * The listing's options with their defaults.
 *
 * @throws {FileStoreError} `BAD_PARAMETER`
 */
export function checkList(options: ListOptions | undefined): { cursor: string | undefined; limit: number } {
  const { cursor, limit = maxPageFiles } = options ?? {};
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > maxPageFiles) {
    throw bad(
      'limit',
      limit,
      `a whole number from 1 to ${maxPageFiles}; page through with the cursor for more`,
    );
  }
  if (cursor === undefined) return { cursor, limit };
  if (typeof cursor !== 'string' || !cursor.isWellFormed() || utf8.encode(cursor).length > maxPathBytes) {
    throw bad('cursor', cursor, 'one that list() returned');
  }
  return { cursor, limit };
}

/**
 * The data as bytes; shares memory with what it was given, except for text.
 *
 * @throws {FileStoreError} `BAD_PARAMETER`
 */
export function toBytes(data: FileData): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (typeof data !== 'string')
    throw bad(
      'data',
      data,
      'a Uint8Array, an ArrayBuffer, a string or, for write(), a ReadableStream of bytes',
    );
  if (!data.isWellFormed())
    throw bad('data', data, 'text without lone surrogates, which UTF-8 cannot hold; pass bytes');
  return utf8.encode(data);
}

/**
 * Checks the write options by themselves, before anything is touched.
 *
 * @throws {FileStoreError} `BAD_PARAMETER`
 */
export function checkWrite(options: WriteOptions | undefined): WriteOptions {
  const { ifAbsent, ifMatch, size, nonce } = options ?? {};
  if (size !== undefined && (!Number.isSafeInteger(size) || size < 0))
    throw bad('size', size, 'a whole number of bytes, 0 or more');
  if (nonce !== undefined && (typeof nonce !== 'string' || !/^[\w-]{1,64}$/.test(nonce)))
    throw bad('nonce', nonce, '1 to 64 letters, digits, "_" and "-"');
  if (ifAbsent !== undefined && typeof ifAbsent !== 'boolean')
    throw bad('ifAbsent', ifAbsent, 'true or false');
  if (ifMatch === undefined) return { ifAbsent, size, nonce };
  // Quotes, "*" and lists mean something else in HTTP and R2; as an etag they match in no store.
  if (typeof ifMatch !== 'string' || !/^[\w-]+$/.test(ifMatch)) {
    throw bad('ifMatch', ifMatch, 'an etag as stat(), list() or write() returned it');
  }
  if (ifAbsent)
    throw bad('ifMatch', ifMatch, 'left out where ifAbsent is true: no file is both absent and of a version');
  return { ifMatch, size, nonce };
}

/**
 * Data given at once, as bytes, held against the `size` that was announced.
 *
 * @throws {FileStoreError} `BAD_PARAMETER`
 */
export function toSizedBytes(data: FileData, { size }: WriteOptions): Uint8Array {
  const bytes = toBytes(data);
  if (size !== undefined && bytes.length !== size) throw wrongSize(size, `${bytes.length}`);
  return bytes;
}

/** The error for data of another length than announced. */
export function wrongSize(size: number, actual: string): FileStoreError {
  return bad('size', size, `the length of the data, which is ${actual}; leave it out where it is not known`);
}

/**
 * Holds the condition of a write against the file now at `path`.
 *
 * @throws {FileStoreError} `PRECONDITION_FAILED`
 */
export function requireCondition(
  path: string,
  current: FileStat | null,
  { ifAbsent, ifMatch }: WriteOptions,
): void {
  if (ifAbsent && current !== null) throw preconditionFailed(path, { ifAbsent });
  if (ifMatch !== undefined && current?.etag !== ifMatch) throw preconditionFailed(path, { ifMatch });
}

/** The error for a condition that did not hold. */
export function preconditionFailed(path: string, { ifMatch }: WriteOptions): FileStoreError {
  return new FileStoreError(
    'PRECONDITION_FAILED',
    ifMatch === undefined
      ? `There already is a file at ${show(path)}; write without ifAbsent to replace it.`
      : `The file at ${show(path)} is not of version ${show(ifMatch)}; read it again and repeat the change on what is there.`,
  );
}

/** A `BAD_PARAMETER` error that names the parameter, what it was and what it has to be. */
export function bad(parameter: string, value: unknown, wanted: string): FileStoreError {
  return new FileStoreError('BAD_PARAMETER', `${parameter} is ${show(value)}; it has to be ${wanted}.`);
}
