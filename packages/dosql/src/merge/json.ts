/**
 * Three-way merge of JSON objects on their text. Values are moved as slices of the text that they stand in, so
 * that a number keeps every digit and what was not changed keeps its looks.
 */

/** A value: its text, the text in one spelling for comparing, and where it is one, the object. */
interface Json {
  readonly text: string;
  readonly canonical: string;
  readonly object: JsonObject | undefined;
}

/** An object with the texts in front of, between and behind its members. */
interface JsonObject {
  readonly members: ReadonlyMap<string, Member>;
  readonly open: string;
  readonly separator: string;
  readonly close: string;
}

/** A member: its value, and the text from the key up to the value. */
interface Member {
  readonly head: string;
  readonly value: Json;
}

/** Deeper than this a value is compared as it is spelled and taken as a whole. */
const MAX_DEPTH = 64;

/**
 * The object that the changes of `ours` and of `theirs` to `base` make together, as JSON text in the order and
 * looks of ours, new keys of theirs last; undefined where both changed one key differently, or where one of the
 * texts is no JSON object, or names a key twice.
 */
export function mergeJson(base: string, ours: string, theirs: string): string | undefined {
  if (![base, ours, theirs].every(isObject)) return undefined;
  return mergeValues(read(base), read(ours), read(theirs));
}

function isObject(text: string): boolean {
  if (!/^[ \t\n\r]*\{/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The text of the merged object; undefined where it cannot be merged. */
function mergeValues(base: Json, ours: Json, theirs: Json): string | undefined {
  const [old, our, their] = [base.object, ours.object, theirs.object];
  if (old === undefined || our === undefined || their === undefined) return undefined;
  const added = [...their.members].filter(([key]) => !our.members.has(key));
  const members: string[] = [];
  let isOurs = true;
  for (const [key, { head }] of [...our.members, ...added]) {
    const own = our.members.get(key)?.value;
    const value = mergeMember(old.members.get(key)?.value, own, their.members.get(key)?.value);
    if (value === undefined) return undefined;
    if (value !== (own?.text ?? ABSENT)) isOurs = false;
    if (value !== ABSENT) members.push(head + value);
  }
  if (isOurs) return ours.text;
  const { open, separator, close } = our.members.size > 0 ? our : their;
  return members.length === 0 ? '{}' : open + members.join(separator) + close;
}

/** The text of no value. */
const ABSENT = '';

/** The text of a member's value merged; `ABSENT` where it goes, undefined where the sides disagree. */
function mergeMember(
  base: Json | undefined,
  ours: Json | undefined,
  theirs: Json | undefined,
): string | undefined {
  if (ours?.canonical === theirs?.canonical || base?.canonical === theirs?.canonical)
    return ours?.text ?? ABSENT;
  if (base?.canonical === ours?.canonical) return theirs?.text ?? ABSENT;
  if (base === undefined || ours === undefined || theirs === undefined) return undefined;
  return mergeValues(base, ours, theirs);
}

/** Reads a valid JSON text. */
function read(text: string): Json {
  const start = pastSpace(text, 0);
  const { value } = valueAt(text, start, 0);
  // What stands around the object is kept with it.
  const { object } = value;
  const end = start + value.text.length;
  return object === undefined
    ? value
    : {
        ...value,
        text,
        object: {
          ...object,
          open: text.slice(0, start) + object.open,
          close: object.close + text.slice(end),
        },
      };
}

function pastSpace(text: string, from: number): number {
  let at = from;
  while (' \t\n\r'.includes(text.charAt(at)) && at < text.length) at++;
  return at;
}

/** The value that begins at `start`, and where it ends. */
function valueAt(text: string, start: number, depth: number): { value: Json; end: number } {
  const first = text.charAt(start);
  const atom = (end: number, canonical: (slice: string) => string): { value: Json; end: number } => {
    const slice = text.slice(start, end);
    return { value: { text: slice, canonical: canonical(slice), object: undefined }, end };
  };
  if (first === '"')
    return atom(stringEnd(text, start), (slice) => JSON.stringify(JSON.parse(slice) as string));
  if (first === '{' || first === '[') {
    if (depth >= MAX_DEPTH) return atom(bracketEnd(text, start), (slice) => slice);
    return first === '{' ? objectAt(text, start, depth) : arrayAt(text, start, depth);
  }
  ATOM.lastIndex = start;
  ATOM.exec(text);
  return atom(ATOM.lastIndex, (slice) => (/^[-\d]/.test(slice) ? canonicalNumber(slice) : slice));
}

const ATOM = /[-+.\w]+/y;

function objectAt(text: string, start: number, depth: number): { value: Json; end: number } {
  const members = new Map<string, Member>();
  let isUnique = true;
  let at = pastSpace(text, start + 1);
  const open = text.slice(start, at);
  let separator: string | undefined;
  let last = at;
  while (text.charAt(at) === '"') {
    const keyEnd = stringEnd(text, at);
    const key = JSON.parse(text.slice(at, keyEnd)) as string;
    const valueStart = pastSpace(text, pastSpace(text, keyEnd) + 1);
    const { value, end } = valueAt(text, valueStart, depth + 1);
    if (members.has(key)) isUnique = false;
    members.set(key, { head: text.slice(at, valueStart), value });
    last = end;
    at = pastSpace(text, end);
    if (text.charAt(at) !== ',') break;
    at = pastSpace(text, at + 1);
    separator ??= text.slice(end, at);
  }
  const slice = text.slice(start, at + 1);
  if (!isUnique) return { value: { text: slice, canonical: slice, object: undefined }, end: at + 1 };
  const parts = [...members].map(([key, { value }]) => `${JSON.stringify(key)}:${value.canonical}`);
  // A lone member tells nothing of what stands between two: a line of its own like the first, or nothing.
  const object = {
    members,
    open,
    separator: separator ?? `,${open.slice(1)}`,
    close: text.slice(last, at + 1),
  };
  return { value: { text: slice, canonical: `{${parts.toSorted().join()}}`, object }, end: at + 1 };
}

function arrayAt(text: string, start: number, depth: number): { value: Json; end: number } {
  const parts: string[] = [];
  let at = pastSpace(text, start + 1);
  while (text.charAt(at) !== ']') {
    const { value, end } = valueAt(text, at, depth + 1);
    parts.push(value.canonical);
    at = pastSpace(text, end);
    if (text.charAt(at) === ',') at = pastSpace(text, at + 1);
  }
  const slice = text.slice(start, at + 1);
  return { value: { text: slice, canonical: `[${parts.join()}]`, object: undefined }, end: at + 1 };
}

/** Where the string that begins at `start` ends. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const end = text.indexOf('"', at);
    let escapes = 0;
    while (text.charAt(end - 1 - escapes) === '\\') escapes++;
    if (escapes % 2 === 0) return end + 1;
    at = end + 1;
  }
}

/** Where the object or array that begins at `start` ends, without looking into it. */
function bracketEnd(text: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const char = text.charAt(at);
    if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    at = char === '"' ? stringEnd(text, at) : at + 1;
  } while (depth > 0);
  return at;
}

/** A number as digits and exponent, exactly: 1, 1.0 and 10e-1 are one, 9007199254740993 is not …992. */
function canonicalNumber(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}
