import type { DeliveryStore } from './state.ts';

/** A value of SQLite's in a Durable Object holds 2 MB; a character takes up to 3 bytes. */
const PIECE_LENGTH = 500_000;
/** Begins a text of several pieces, before their number. JSON begins otherwise. */
const MARK = '+';

/** Keeps a JSON text of any length under `key`; to be called in a transaction. */
export function putText(source: DeliveryStore, key: string, text: string): void {
  removeText(source, key);
  if (text.length <= PIECE_LENGTH) {
    source.setState(key, text);
    return;
  }
  const pieces = piecesOf(text);
  source.setState(key, `${MARK}${pieces.length}`);
  pieces.forEach((piece, i) => source.setState(pieceKey(key, i), piece));
}

/** The text that `value`, which is kept under `key`, stands for. */
export function wholeText(source: DeliveryStore, key: string, value: string): string {
  if (!value.startsWith(MARK)) return value;
  const count = Number(value.slice(MARK.length));
  return Array.from({ length: count }, (_, i) => source.getState(pieceKey(key, i)) ?? '').join('');
}

/** The text kept under `key`. */
export function getText(source: DeliveryStore, key: string): string | undefined {
  const value = source.getState(key);
  return value === undefined ? undefined : wholeText(source, key, value);
}

/** Removes a text with its pieces. */
export function removeText(source: DeliveryStore, key: string): void {
  const value = source.getState(key);
  if (value === undefined) return;
  const count = value.startsWith(MARK) ? Number(value.slice(MARK.length)) : 0;
  for (let i = 0; i < count; i++) source.setState(pieceKey(key, i), undefined);
  source.setState(key, undefined);
}

function pieceKey(key: string, index: number): string {
  return `piece:${key}:${index}`;
}

function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  for (let start = 0; start < text.length;) {
    let end = start + PIECE_LENGTH;
    // Half of a surrogate pair is no text that SQLite could keep.
    if (/^[\uDC00-\uDFFF]/.test(text.slice(end, end + 1))) end--;
    pieces.push(text.slice(start, end));
    start = end;
  }
  return pieces;
}
