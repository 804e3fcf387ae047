import {
  expiryAfterUse,
  findRow,
  isExpired,
  lineOf,
  MAX_FORK_DEPTH,
  normalized,
  placeOf,
  remove,
  tailOf,
  usable,
  type Line,
} from './catalog.ts';
import type { StreamTransaction } from './database.ts';
import { StreamError } from './error.ts';
import type { Expiry } from './header.ts';
import { insertions, isJson, mediaType, pieces, sizeOf, type Piece } from './message.ts';
import { formatOffset, type Place } from './offset.ts';
import { rowsAfter } from './read.ts';
import type { StreamRow } from './schema.ts';

/** The stream to make. */
export interface Creation {
  readonly name: string;
  /** What it begins with; may be empty. */
  readonly body: Uint8Array;
  /** By default the source's, or bytes. */
  readonly contentType: string | undefined;
  readonly expiry: Expiry;
  readonly closes: boolean;
  readonly fork: Fork | undefined;
  readonly nowMs: number;
}

/** From which stream it is forked, and where: by default at its end. */
export interface Fork {
  readonly source: string;
  readonly offset: string | undefined;
  /** So many bytes of the append, or JSON messages, after the offset. */
  readonly subOffset: number;
}

/** What became of a creation. */
export interface Created {
  /** Streams whose readers have to know: those that had expired, and made way. */
  readonly changed: readonly number[];
  readonly offset: string;
  readonly contentType: string;
  readonly isClosed: boolean;
  /** The stream was there already, and is as it was to be made. */
  readonly isThere: boolean;
}

/** What a fork has from its source. */
interface Inherited {
  readonly source: Line;
  readonly at: Place;
  /** The part of a message that a place in the middle of it leaves: the fork's own first message. */
  readonly prefix: readonly Piece[];
}

/**
 * Makes a stream, or finds the one that is as it should be.
 *
 * @throws StreamError 400, 404, 409; nothing has been written then.
 */
export async function create(tx: StreamTransaction, request: Creation): Promise<Created> {
  const { name, body, nowMs, fork } = request;
  const there = await findRow(tx, name);
  if (there !== null && !isExpired(there, nowMs)) return await existing(tx, there, request);
  const changed = there === null ? [] : await remove(tx, there);
  if (there !== null && (await findRow(tx, name)) !== null) throw kept(name);
  const inherited = fork && (await inheritedFrom(tx, fork, nowMs));
  const contentType = typeFor(request, inherited);
  const added = [...(inherited?.prefix ?? []), ...(body.length === 0 ? [] : pieces(body, contentType))];
  const id = await insert(tx, request, contentType, inherited, sizeOf(added));
  await tx.batch(insertions(id, 0, added, nowMs));
  return {
    changed,
    offset: formatOffset({ id, position: sizeOf(added) }),
    contentType,
    isClosed: request.closes,
    isThere: false,
  };
}

function kept(name: string): StreamError {
  return new StreamError(
    409,
    `the stream ${JSON.stringify(name)} was deleted, and its name is free when its forks are deleted too`,
  );
}

async function existing(tx: StreamTransaction, row: StreamRow, request: Creation): Promise<Created> {
  const { name, contentType, expiry, closes, fork } = request;
  if (row.is_deleted === 1) throw kept(name);
  const source = fork && (await findRow(tx, fork.source));
  const isSameType =
    contentType === undefined ? fork !== undefined || isDefault(row) : isSame(contentType, row.content_type);
  const isSameExpiry =
    (fork !== undefined && expiry.ttlSeconds === undefined && expiry.expiresAtMs === undefined) ||
    (row.ttl_s === (expiry.ttlSeconds ?? null) &&
      (row.ttl_s !== null || row.expires_at === (expiry.expiresAtMs ?? null)));
  const isSameFork =
    row.source_id === (source?.id ?? null) &&
    row.fork_offset === (fork?.offset ?? null) &&
    (row.fork_sub_offset ?? 0) === (fork?.subOffset ?? 0);
  if (!isSameType || !isSameExpiry || !isSameFork || closes !== (row.is_closed === 1))
    throw new StreamError(409, `there is a stream ${JSON.stringify(name)} already, of another configuration`);
  return {
    changed: [],
    offset: formatOffset(tailOf(row)),
    contentType: row.content_type,
    isClosed: closes,
    isThere: true,
  };
}

const DEFAULT_TYPE = 'application/octet-stream';

function isDefault(row: StreamRow): boolean {
  return isSame(row.content_type, DEFAULT_TYPE);
}

function isSame(one: string, other: string): boolean {
  return mediaType(one) === mediaType(other);
}

function typeFor({ contentType }: Creation, inherited: Inherited | undefined): string {
  const source = inherited?.source.row.content_type;
  if (contentType !== undefined && source !== undefined && !isSame(contentType, source))
    throw new StreamError(409, `the source holds ${source}, not ${contentType}`);
  return contentType ?? source ?? DEFAULT_TYPE;
}

async function inheritedFrom(tx: StreamTransaction, fork: Fork, nowMs: number): Promise<Inherited> {
  const { source: name, offset, subOffset } = fork;
  const row = await findRow(tx, name);
  if (row?.is_deleted === 1) throw new StreamError(409, `the stream ${JSON.stringify(name)} was deleted`);
  const source = await lineOf(tx, usable(row, name, nowMs));
  if (source.depth >= MAX_FORK_DEPTH)
    throw new StreamError(
      409,
      `the stream is a fork of a fork, ${MAX_FORK_DEPTH} times: fork one further up`,
    );
  const at = offset === undefined ? tailOf(source.row) : forkPlace(source, offset);
  if (subOffset === 0) return { source, at, prefix: [] };
  if (isJson(source.row.content_type))
    return { source, at: await placeAfter(tx, source, at, subOffset), prefix: [] };
  return { source, at, prefix: await prefixOf(tx, source, at, subOffset) };
}

function forkPlace(source: Line, offset: string): Place {
  try {
    return placeOf(source, offset);
  } catch (error) {
    if (error instanceof StreamError) throw new StreamError(400, `Stream-Fork-Offset: ${error.message}`);
    throw error;
  }
}

/** The place after so many JSON messages. */
async function placeAfter(tx: StreamTransaction, line: Line, from: Place, count: number): Promise<Place> {
  const first = line.segments.findIndex(({ id }) => id === from.id);
  let left = count;
  for (const [i, { id, to }] of line.segments.slice(first).entries()) {
    const params = [id, i === 0 ? from.position : 0, to];
    const where = 'stream_id = ? AND position > ? AND position <= ? AND part = parts';
    const end = await tx.get<{ position: number }>(
      `SELECT position FROM dosql_stream_message WHERE ${where} ORDER BY position LIMIT 1 OFFSET ?`,
      [...params, left - 1],
    );
    if (end !== null) return normalized(line, { id, position: end.position });
    const sql = `SELECT count(*) AS n FROM dosql_stream_message WHERE ${where}`;
    left -= (await tx.get<{ n: number }>(sql, params))?.n ?? 0;
  }
  throw overshot(count);
}

/** The first bytes of the append that begins at a place. */
async function prefixOf(tx: StreamTransaction, line: Line, from: Place, size: number): Promise<Piece[]> {
  const found: Uint8Array[] = [];
  let left = size;
  for (let at = from; left > 0;) {
    const [row] = await rowsAfter(tx, line, at, 1);
    const isOther = row === undefined || (found.length > 0 && row.part === 1);
    if (isOther) throw overshot(size);
    const data = (row.data as Uint8Array).subarray(0, left);
    found.push(data);
    left -= data.length;
    at = normalized(line, { id: row.stream_id, position: row.position });
    if (row.part === row.parts && left > 0) throw overshot(size);
  }
  return found.map((data, i) => ({ data, sizeBytes: data.length, part: i + 1, parts: found.length }));
}

function overshot(subOffset: number): StreamError {
  return new StreamError(400, `Stream-Fork-Sub-Offset is ${subOffset}, more than follows the offset`);
}

async function insert(
  tx: StreamTransaction,
  { name, expiry, closes, fork, nowMs }: Creation,
  contentType: string,
  inherited: Inherited | undefined,
  bytes: number,
): Promise<number> {
  const { row } = inherited?.source ?? {};
  const isOwn = expiry.ttlSeconds !== undefined || expiry.expiresAtMs !== undefined;
  const ttl = isOwn ? expiry.ttlSeconds : row?.ttl_s;
  const fixed = isOwn ? expiry.expiresAtMs : row?.expires_at;
  const expiresAt = typeof ttl === 'number' ? expiryAfterUse(ttl, nowMs) : fixed;
  const columns = {
    name,
    content_type: contentType,
    bytes,
    is_closed: closes ? 1 : 0,
    ttl_s: ttl ?? null,
    expires_at: expiresAt ?? null,
    source_id: row?.id ?? null,
    fork_id: inherited?.at.id ?? null,
    fork_position: inherited?.at.position ?? null,
    fork_offset: fork?.offset ?? null,
    fork_sub_offset: fork?.subOffset ?? null,
    created_at: nowMs,
  };
  const names = Object.keys(columns);
  await tx.batch([
    {
      sql: `INSERT INTO dosql_stream(${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
      params: Object.values(columns),
    },
  ]);
  return ((await findRow(tx, name)) as StreamRow).id;
}
