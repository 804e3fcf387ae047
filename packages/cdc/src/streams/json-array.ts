import { StreamError } from './error.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN = new Set([0x5b, 0x7b]);
const CLOSE = new Set([0x5d, 0x7d]);

/** So many messages are taken at once: each is a row. */
export const MAX_MESSAGES = 10_000;

/**
 * The messages in a JSON body: the elements of an array, or the one value that it is. They are the body's own
 * text, so that numbers keep all their digits.
 *
 * @throws StreamError 400 for what is not JSON in UTF-8, 413 for more than {@link MAX_MESSAGES}.
 */
export function jsonMessages(body: Uint8Array): string[] {
  const text = textOf(body);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new StreamError(400, `the body is not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(value)) return [text.trim()];
  if (value.length > MAX_MESSAGES)
    throw new StreamError(
      413,
      `the body holds ${value.length} messages: append at most ${MAX_MESSAGES} at once`,
    );
  return value.length === 0 ? [] : elements(text.trim());
}

function textOf(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new StreamError(400, 'the body is not UTF-8');
  }
}

/** The texts of an array's elements. Invariant: `array` is valid JSON and not empty. */
function elements(array: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 1;
  for (let i = 1; i < array.length - 1; i++) {
    const code = array.charCodeAt(i);
    if (code === QUOTE) i = endOfString(array, i);
    else if (OPEN.has(code)) depth++;
    else if (CLOSE.has(code)) depth--;
    else if (code === COMMA && depth === 0) {
      found.push(array.slice(start, i).trim());
      start = i + 1;
    }
  }
  found.push(array.slice(start, -1).trim());
  return found;
}

function endOfString(text: string, from: number): number {
  let i = from + 1;
  while (text.charCodeAt(i) !== QUOTE) i += text.charCodeAt(i) === BACKSLASH ? 2 : 1;
  return i;
}
