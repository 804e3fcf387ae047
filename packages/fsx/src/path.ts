import { FileStoreError, show } from './error.ts';

/** Longest path in bytes of UTF-8. R2 allows keys no longer. */
export const maxPathBytes = 1024;

const utf8 = new TextEncoder();

/** A dot, slash or backslash percent-encoded, however many times over: some layer above may decode it. */
const encodedSeparator = /%(?:25)*(?:2e|2f|5c)/i;

/**
 * The path as stores keep it: one leading slash taken off, everything else exactly as given.
 *
 * Segments between slashes are any text but empty, `.` and `..`; a path has no backslash, no NUL, no
 * lone surrogate, no percent-encoded dot, slash or backslash, and at most {@link maxPathBytes} bytes.
 * So a path names the same file to every store, and no way of resolving or decoding it leads
 * outside the place it is appended to.
 *
 * @throws {FileStoreError} `INVALID_PATH`
 */
export function normalisePath(path: string): string {
  const relative = checkText(path, 'path');
  if (relative === '') throw invalid('path', path, 'is empty; name a file, such as "logs/today.json"');
  checkSegments(relative.split('/'), 'path', path);
  return relative;
}

/**
 * The start of a path, as `list` takes it: held to the rules of {@link normalisePath}, but it may be
 * empty and its last segment may be unfinished, as in `logs/` or `logs/2026-`.
 *
 * @throws {FileStoreError} `INVALID_PATH`
 */
export function normalisePrefix(prefix: string): string {
  const relative = checkText(prefix, 'prefix');
  const segments = relative.split('/');
  if (segments.at(-1) === '') segments.pop();
  checkSegments(segments, 'prefix', prefix);
  return relative;
}

function checkText(text: string, noun: string): string {
  if (typeof text !== 'string') throw invalid(noun, text, 'is not a string; pass the path as text');
  const relative = text.startsWith('/') ? text.slice(1) : text;
  if (relative.includes('\\')) throw invalid(noun, text, 'has a backslash; separate segments with "/"');
  if (relative.includes('\0')) throw invalid(noun, text, 'has a NUL character; leave it out');
  if (!relative.isWellFormed())
    throw invalid(noun, text, 'has a lone surrogate, which UTF-8 cannot hold; leave it out');
  const encoded = encodedSeparator.exec(relative);
  if (encoded)
    throw invalid(
      noun,
      text,
      `has the percent-encoded separator "${encoded[0]}"; decode the path first, or name the file otherwise`,
    );
  // A character takes one byte at least, so a text of more characters need not be encoded to be refused.
  if (relative.length > maxPathBytes || utf8.encode(relative).length > maxPathBytes) {
    throw invalid(noun, text, `is longer than ${maxPathBytes} bytes of UTF-8; shorten it`);
  }
  return relative;
}

function checkSegments(segments: readonly string[], noun: string, text: string): void {
  for (const segment of segments) {
    if (segment === '') throw invalid(noun, text, 'has an empty segment; leave out the extra "/"');
    if (segment === '.' || segment === '..')
      throw invalid(noun, text, `has a "${segment}" segment; give the path in full, without "." and ".."`);
  }
}

function invalid(noun: string, value: unknown, problem: string): FileStoreError {
  return new FileStoreError('INVALID_PATH', `The ${noun} ${show(value)} ${problem}.`);
}

/**
 * Orders two paths by their UTF-8 bytes, which is by code point: negative, zero or positive as `sort`
 * wants it.
 *
 * SQLite and R2 order keys so. JavaScript's `<` compares UTF-16 code units and puts characters above
 * U+FFFF before those from U+E000 to U+FFFF, which would break the merging of two listings.
 */
export function comparePaths(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** A code unit moved so that surrogates, which stand for code points above U+FFFF, come last. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/**
 * The least text that is greater, by code point, than every text starting with `prefix`; `undefined`
 * where there is none, as for the empty prefix. With it a prefix is a range of an index, which `LIKE`
 * (at most 50 bytes in a Durable Object) is not.
 */
export function afterPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  while (points.length > 0) {
    const last = points.pop() ?? 0;
    if (last === 0x10ffff) continue;
    // U+D800 to U+DFFF are surrogates and stand in no text.
    points.push(last === 0xd7ff ? 0xe000 : last + 1);
    return String.fromCodePoint(...points);
  }
  return undefined;
}
