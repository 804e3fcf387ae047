import { bytes } from './scratch.ts';
import { encodeText } from './scalar.ts';
import type { BytesVector } from './vector.ts';

const ANY = -1;
const ONE = -2;

/** Tells whether a text matches a pattern; its time grows with the text's length times the pattern's at most. */
export type Matcher = (text: string) => boolean;

/** A matcher for LIKE: `%` is any text, `_` one character, ASCII letters match in either case. */
export function likeMatcher(pattern: string, escape: string | undefined): Matcher {
  const parts = likeParts(pattern, escape);
  if (parts === undefined) return () => false;
  return (text) => {
    const codes = Array.from(text, (character) => fold(character.codePointAt(0) ?? 0));
    return matches(parts, codes, (part, code) => part === ONE || part === code);
  };
}

function fold(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code;
}

/** The pattern's parts; undefined where it ends in its escape, which matches nothing. */
function likeParts(pattern: string, escape: string | undefined): number[] | undefined {
  const parts: number[] = [];
  let escaped = false;
  for (const character of pattern) {
    const code = character.codePointAt(0) ?? 0;
    if (escaped) {
      parts.push(fold(code));
      escaped = false;
    } else if (character === escape) escaped = true;
    else if (character === '%') {
      if (parts.at(-1) !== ANY) parts.push(ANY);
    } else parts.push(character === '_' ? ONE : fold(code));
  }
  return escaped ? undefined : parts;
}

/** Greedy, and back to the last "any" only: what earlier ones took need never be tried again. */
function matches<P>(
  parts: readonly P[],
  codes: readonly number[],
  isMatch: (part: P, code: number) => boolean,
): boolean {
  let part = 0;
  let at = 0;
  let lastAny = -1;
  let resume = 0;
  while (at < codes.length) {
    const current = parts[part];
    if (current !== undefined && (current as unknown) !== ANY && isMatch(current, codes[at]!)) {
      part++;
      at++;
    } else if ((current as unknown) === ANY) {
      lastAny = part++;
      resume = at;
    } else if (lastAny >= 0) {
      part = lastAny + 1;
      at = ++resume;
    } else return false;
  }
  while ((parts[part] as unknown) === ANY) part++;
  return part === parts.length;
}

/** One character of a GLOB: itself, any, or one of a set. */
type GlobPart = number | { readonly not: boolean; readonly ranges: readonly (readonly [number, number])[] };

/** A matcher for GLOB: `*`, `?`, `[a-z]`, `[^a-z]`, by the exact characters. */
export function globMatcher(pattern: string): Matcher {
  const parts = globParts(Array.from(pattern, (character) => character.codePointAt(0) ?? 0));
  if (parts === undefined) return () => false;
  return (text) =>
    matches(
      parts,
      Array.from(text, (character) => character.codePointAt(0) ?? 0),
      isGlobMatch,
    );
}

function isGlobMatch(part: GlobPart, code: number): boolean {
  if (typeof part === 'number') return part === ONE || part === code;
  return part.ranges.some(([low, high]) => low <= code && code <= high) !== part.not;
}

const STAR = 42;
const QUESTION = 63;
const OPEN = 91;
const CLOSE = 93;
const CARET = 94;
const DASH = 45;

function globParts(codes: readonly number[]): GlobPart[] | undefined {
  const parts: GlobPart[] = [];
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    if (code === STAR) {
      if (parts.at(-1) !== ANY) parts.push(ANY);
    } else if (code === QUESTION) parts.push(ONE);
    else if (code !== OPEN) parts.push(code);
    else {
      const not = codes[i + 1] === CARET;
      if (not) i++;
      const ranges: [number, number][] = [];
      // A closing bracket that comes first stands for itself.
      for (i++; i < codes.length && (codes[i] !== CLOSE || ranges.length === 0); i++) {
        const low = codes[i]!;
        const next = codes[i + 2];
        if (codes[i + 1] === DASH && next !== undefined && next !== CLOSE) {
          ranges.push([low, next]);
          i += 2;
        } else ranges.push([low, low]);
      }
      if (i >= codes.length) return undefined;
      parts.push({ not, ranges });
    }
  }
  return parts;
}

/** A LIKE pattern of literal stretches between `%`, which can be sought in the bytes themselves. */
export interface ByteLike {
  /** The stretches in lower case; the first stands at the start where that is so, the last at the end. */
  readonly stretches: readonly Uint8Array[];
  readonly atStart: boolean;
  readonly atEnd: boolean;
}

/** The pattern for bytes; undefined where it has `_`. Only ASCII letters fold, so bytes above 127 are themselves. */
export function byteLike(pattern: string, escape: string | undefined): ByteLike | undefined {
  const parts = likeParts(pattern, escape);
  if (parts === undefined || parts.includes(ONE)) return undefined;
  const stretches: Uint8Array[] = [];
  let text = '';
  const flush = (): void => {
    if (text !== '') stretches.push(encodeText(text));
    text = '';
  };
  for (const part of parts) {
    if (part === ANY) flush();
    else text += String.fromCodePoint(part);
  }
  flush();
  return { stretches, atStart: parts[0] !== ANY, atEnd: parts.at(-1) !== ANY };
}

/** Whether each value matches, or, with `codes`, the value at each code: 1 or 0. */
export function matchBytes(
  { data, offsets, length }: BytesVector,
  like: ByteLike,
  codes?: Uint8Array | Uint16Array | Uint32Array,
): Uint8Array<ArrayBuffer> {
  const count = codes?.length ?? length;
  const out = bytes(count);
  const skips = like.stretches.map(skipTable);
  for (let i = 0; i < count; i++) {
    const row = codes === undefined ? i : codes[i]!;
    out[i] = matchOne(data, offsets[row]!, offsets[row + 1]!, like, skips) ? 1 : 0;
  }
  return out;
}

function matchOne(
  data: Uint8Array,
  start: number,
  end: number,
  { stretches, atStart, atEnd }: ByteLike,
  skips: readonly Uint8Array[],
): boolean {
  const last = stretches.length - 1;
  if (last < 0) return !atStart || start === end;
  let from = start;
  for (let s = 0; s <= last; s++) {
    const stretch = stretches[s]!;
    const size = stretch.length;
    if (s === 0 && atStart) {
      if (!isAt(data, from, end, stretch)) return false;
      if (s === last && atEnd) return end - from === size;
      from += size;
    } else if (s === last && atEnd) {
      return end - size >= from && isAt(data, end - size, end, stretch);
    } else {
      const found = find(data, from, end, stretch, skips[s]!);
      if (found < 0) return false;
      from = found + size;
    }
  }
  return true;
}

function isAt(data: Uint8Array, from: number, end: number, stretch: Uint8Array): boolean {
  if (end - from < stretch.length) return false;
  for (let i = 0; i < stretch.length; i++) if (FOLD[data[from + i]!]! !== stretch[i]!) return false;
  return true;
}

const FOLD = Uint8Array.from({ length: 256 }, (_, code) => fold(code));

/** Horspool's search: how far to go on by the byte under the stretch's last. */
function skipTable(stretch: Uint8Array): Uint8Array {
  const size = Math.min(stretch.length, 255);
  const skips = new Uint8Array(256).fill(size);
  for (let i = stretch.length - size; i < stretch.length - 1; i++) {
    const skip = stretch.length - 1 - i;
    const byte = stretch[i]!;
    skips[byte] = skip;
    if (byte >= 97 && byte <= 122) skips[byte - 32] = skip;
  }
  return skips;
}

function find(data: Uint8Array, from: number, end: number, stretch: Uint8Array, skips: Uint8Array): number {
  const last = stretch.length - 1;
  const final = stretch[last]!;
  let at = from + last;
  while (at < end) {
    const byte = data[at]!;
    if (FOLD[byte] === final) {
      let i = last - 1;
      while (i >= 0 && FOLD[data[at - last + i]!] === stretch[i]!) i--;
      if (i < 0) return at - last;
    }
    at += skips[byte]!;
  }
  return -1;
}
