import type { StreamStatement } from './database.ts';
import { jsonMessages } from './json-array.ts';

/** A message, or a piece of a stream of bytes: JSON text, or bytes. */
export type Message = string | Uint8Array;

/** A row for a message, or a part of one. */
export interface Piece {
  readonly data: Message;
  readonly sizeBytes: number;
  readonly part: number;
  readonly parts: number;
}

/** Rows hold at most so many bytes: SQLite takes 2 MB, and the log keeps a copy beside it. */
export const MAX_ROW_BYTES: number = 512 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/** The media type of a content type, without its parameters, in lower case. */
export function mediaType(contentType: string): string {
  return (contentType.split(';')[0] as string).trim().toLowerCase();
}

/** Whether a stream of this content type holds JSON messages. */
export function isJson(contentType: string): boolean {
  return mediaType(contentType) === 'application/json';
}

/** Whether a stream of this content type holds text. */
export function isText(contentType: string): boolean {
  return mediaType(contentType).startsWith('text/') || isJson(contentType);
}

/**
 * The rows that a body makes in a stream of this content type; none for an empty JSON array.
 *
 * @throws StreamError 400 for a body that is not of the content type.
 */
export function pieces(body: Uint8Array, contentType: string): Piece[] {
  if (!isJson(contentType)) return split(body);
  return jsonMessages(body).flatMap((text) => {
    const bytes = encoder.encode(text);
    const parts = split(bytes);
    if (parts.length === 1) return [{ data: text, sizeBytes: bytes.length, part: 1, parts: 1 }];
    return parts.map((part) => ({ ...part, data: decoder.decode(part.data as Uint8Array) }));
  });
}

/** Parts that a row can hold; a character of UTF-8 is never cut. */
function split(bytes: Uint8Array): Piece[] {
  const found: Uint8Array[] = [];
  for (let start = 0; start < bytes.length;) {
    let end = Math.min(start + MAX_ROW_BYTES, bytes.length);
    for (let back = 0; back < 3 && end < bytes.length && isContinuation(bytes[end]); back++) end--;
    found.push(bytes.subarray(start, end));
    start = end;
  }
  return found.map((data, i) => ({ data, sizeBytes: data.length, part: i + 1, parts: found.length }));
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** The statements that append the pieces to a stream which holds `bytes`. */
export function insertions(
  id: number,
  bytes: number,
  pieces: readonly Piece[],
  nowMs: number,
): StreamStatement[] {
  let position = bytes;
  return pieces.map(({ data, sizeBytes, part, parts }) => {
    position += sizeBytes;
    return {
      sql: 'INSERT INTO dosql_stream_message(stream_id, position, part, parts, data, appended_at) VALUES (?, ?, ?, ?, ?, ?)',
      params: [id, position, part, parts, data, nowMs],
    };
  });
}

/** The bytes that pieces take. */
export function sizeOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** What a reader is sent for messages: a JSON array, or the bytes one after another. */
export function bodyOf(messages: readonly Message[], contentType: string): string | Uint8Array {
  if (isJson(contentType)) return `[${messages.join(',')}]`;
  const parts = messages.map((message) => (typeof message === 'string' ? encoder.encode(message) : message));
  if (parts.length === 1) return parts[0] as Uint8Array;
  const body = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}
