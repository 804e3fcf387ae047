import { DoSQLError } from '../error.ts';

/**
 * A pattern over paths: `*` and `?` within a segment, `**` for any number of segments, `[a-z]`, `[!a-z]`, `{a,b}`.
 * A character of a pattern is meant literally in brackets: `[*]`.
 */
export interface Glob {
  /** Whether it is no pattern but the path of one file. */
  readonly isLiteral: boolean;
  /** What every match begins with. */
  readonly prefix: string;
  matches(path: string): boolean;
}

/** More alternatives than a person writes; each costs a look at every path. */
const MAX_ALTERNATIVES = 256;

/** @throws DoSQLError `BAD_PARAMETER` for a pattern of more than 256 alternatives. */
export function parseGlob(pattern: string): Glob {
  const alternatives = expandBraces(pattern).map((text) => text.split('/').map(parseSegment));
  const [first] = alternatives;
  if (
    alternatives.length === 1 &&
    first !== undefined &&
    first.every((segment) => literalOf(segment) !== undefined)
  ) {
    const path = first.map(literalOf).join('/');
    return { isLiteral: true, prefix: path, matches: (other) => other === path };
  }
  return {
    isLiteral: false,
    prefix: sharedPrefix(alternatives.map(prefixOf)),
    matches: (path) => {
      const segments = path.split('/');
      return alternatives.some((each) => matchesPath(each, segments));
    },
  };
}

/** One character of a segment: itself, any, any number of any, or one of a class. */
type Piece = string | typeof ANY | typeof STAR | CharacterClass;

const ANY = Symbol('?');
const STAR = Symbol('*');
const GLOBSTAR = Symbol('**');

interface CharacterClass {
  readonly isNegated: boolean;
  readonly ranges: readonly (readonly [from: number, to: number])[];
}

type Segment = readonly Piece[] | typeof GLOBSTAR;

function expandBraces(pattern: string): string[] {
  const done: string[] = [];
  const open = [pattern];
  for (let text = open.pop(); text !== undefined; text = open.pop()) {
    const group = firstGroup(text);
    if (group === undefined) done.push(text);
    else {
      const { start, end, parts } = group;
      // Backwards, so that the first alternative is taken off the stack first.
      for (const part of parts.toReversed()) open.push(text.slice(0, start) + part + text.slice(end));
    }
    if (done.length + open.length > MAX_ALTERNATIVES)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `the pattern ${JSON.stringify(pattern)} has more than ${MAX_ALTERNATIVES} alternatives: use * for some of them`,
      );
  }
  return done;
}

/** The first `{a,b}` that is whole and has a comma; others are meant literally. */
function firstGroup(text: string): { start: number; end: number; parts: string[] } | undefined {
  for (let start = skipTo(text, 0, '{'); start < text.length; start = skipTo(text, start + 1, '{')) {
    const parts: string[] = [];
    let depth = 0;
    let from = start + 1;
    for (let i = start; i < text.length; i = classEnd(text, i) ?? i + 1) {
      const character = text[i];
      if (character === '{') depth++;
      else if (character === ',' && depth === 1) {
        parts.push(text.slice(from, i));
        from = i + 1;
      } else if (character === '}' && --depth === 0) {
        if (parts.length === 0) break;
        parts.push(text.slice(from, i));
        return { start, end: i + 1, parts };
      }
    }
  }
  return undefined;
}

function skipTo(text: string, from: number, character: string): number {
  let i = from;
  while (i < text.length && text[i] !== character) i = classEnd(text, i) ?? i + 1;
  return i;
}

/** Where the class that begins at `start` ends; undefined when none does. */
function classEnd(text: string, start: number): number | undefined {
  if (text[start] !== '[') return undefined;
  const first = /^[!^]/.test(text.slice(start + 1, start + 2)) ? start + 2 : start + 1;
  // A bracket that comes first belongs to the class.
  const end = text.indexOf(']', first + 1);
  return end < 0 || text.slice(start, end).includes('/') ? undefined : end + 1;
}

function parseSegment(text: string): Segment {
  if (text === '**') return GLOBSTAR;
  const pieces: Piece[] = [];
  for (let i = 0; i < text.length;) {
    const end = classEnd(text, i);
    if (end !== undefined) {
      pieces.push(parseClass(text.slice(i + 1, end - 1)));
      i = end;
      continue;
    }
    const character = String.fromCodePoint(text.codePointAt(i) as number);
    if (character !== '*') pieces.push(character === '?' ? ANY : character);
    else if (pieces.at(-1) !== STAR) pieces.push(STAR);
    i += character.length;
  }
  return pieces;
}

function parseClass(text: string): Piece {
  const isNegated = /^[!^]./su.test(text);
  const characters = Array.from(isNegated ? text.slice(1) : text);
  if (!isNegated && characters.length === 1) return characters[0] as string;
  const ranges: [number, number][] = [];
  for (let i = 0; i < characters.length; i++) {
    const from = (characters[i] as string).codePointAt(0) as number;
    const to = characters[i + 1] === '-' ? characters[i + 2]?.codePointAt(0) : undefined;
    ranges.push([from, to ?? from]);
    if (to !== undefined) i += 2;
  }
  return { isNegated, ranges };
}

function literalOf(segment: Segment): string | undefined {
  return segment !== GLOBSTAR && segment.every((piece) => typeof piece === 'string')
    ? segment.join('')
    : undefined;
}

/** What all paths that match begin with. */
function prefixOf(segments: readonly Segment[]): string {
  const parts: string[] = [];
  for (const segment of segments) {
    const literal = literalOf(segment);
    if (literal !== undefined) {
      parts.push(literal);
      continue;
    }
    const pieces = segment === GLOBSTAR ? [] : segment;
    let text = '';
    for (const piece of pieces) {
      if (typeof piece !== 'string') break;
      text += piece;
    }
    parts.push(text);
    break;
  }
  return parts.join('/');
}

function sharedPrefix(prefixes: readonly string[]): string {
  let shared = prefixes[0] ?? '';
  for (const prefix of prefixes) {
    let length = 0;
    while (length < shared.length && shared[length] === prefix[length]) length++;
    shared = shared.slice(0, length);
  }
  // Half of a surrogate pair is no text to look for.
  return shared.isWellFormed() ? shared : shared.slice(0, -1);
}

/**
 * Whether segments match. Only the last `**` is ever tried again further on, since it can take whatever an earlier
 * one would have: so the time is the product of the lengths at worst.
 */
function matchesPath(pattern: readonly Segment[], path: readonly string[]): boolean {
  let p = 0;
  let star = -1;
  let taken = 0;
  for (let i = 0; i < path.length;) {
    const segment = pattern[p];
    if (segment === GLOBSTAR) {
      star = p++;
      taken = i;
    } else if (segment !== undefined && matchesSegment(segment, path[i] as string)) {
      p++;
      i++;
    } else if (star >= 0) {
      p = star + 1;
      i = ++taken;
    } else return false;
  }
  // What ends in ** matches what lies below, not the folder's own name.
  if (pattern.at(-1) === GLOBSTAR && p === pattern.length - 1) return false;
  return p === pattern.length;
}

/** The same for the characters of one segment. */
function matchesSegment(pieces: readonly Piece[], text: string): boolean {
  const characters = Array.from(text);
  let p = 0;
  let star = -1;
  let taken = 0;
  for (let i = 0; i < characters.length;) {
    const piece = pieces[p];
    if (piece === STAR) {
      star = p++;
      taken = i;
    } else if (piece !== undefined && matchesCharacter(piece, characters[i] as string)) {
      p++;
      i++;
    } else if (star >= 0) {
      p = star + 1;
      i = ++taken;
    } else return false;
  }
  while (pieces[p] === STAR) p++;
  return p === pieces.length;
}

function matchesCharacter(piece: Piece, character: string): boolean {
  if (typeof piece === 'string') return piece === character;
  if (typeof piece === 'symbol') return piece === ANY;
  const code = character.codePointAt(0) as number;
  return piece.ranges.some(([from, to]) => code >= from && code <= to) !== piece.isNegated;
}
