import { StreamError } from './error.ts';

/** Who appends, for appends that are retried: https://github.com/durable-streams/durable-streams/blob/main/PROTOCOL.md, 5.2.1. */
export interface Producer {
  readonly id: string;
  readonly epoch: number;
  readonly seq: number;
}

/** When a stream expires: after a time without reads and writes, or at a time. */
export interface Expiry {
  readonly ttlSeconds?: number | undefined;
  readonly expiresAtMs?: number | undefined;
}

/** From where a stream is forked. */
export interface ForkPoint {
  /** The value of `Stream-Forked-From`: the source's path. */
  readonly path: string;
  readonly offset: string | undefined;
  readonly subOffset: number;
}

const MAX_PRODUCER_LENGTH = 256;
const MAX_SEQ_LENGTH = 256;
const MAX_TTL_SECONDS = 100 * 366 * 24 * 60 * 60;
const INTEGER = /^(?:0|[1-9]\d{0,15})$/;
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** Whether the request closes the stream. */
export function isClosing(headers: Headers): boolean {
  return headers.get('stream-closed')?.trim().toLowerCase() === 'true';
}

/** @throws StreamError 400 for headers that say no such thing. */
export function expiryOf(headers: Headers): Expiry {
  const ttl = headers.get('stream-ttl');
  const at = headers.get('stream-expires-at');
  if (ttl !== null && at !== null)
    throw new StreamError(400, 'give Stream-TTL or Stream-Expires-At, not both');
  if (ttl !== null) return { ttlSeconds: integer('Stream-TTL', ttl, MAX_TTL_SECONDS) };
  if (at === null) return {};
  const expiresAtMs = RFC_3339.test(at) ? Date.parse(at.replace(' ', 'T')) : Number.NaN;
  if (Number.isNaN(expiresAtMs))
    throw new StreamError(400, `Stream-Expires-At is ${shown(at)}, not a time as RFC 3339 writes it`);
  return { expiresAtMs };
}

/** @throws StreamError 400 for some of the three headers, or what is no value for them. */
export function producerOf(headers: Headers): Producer | undefined {
  const id = headers.get('producer-id');
  const epoch = headers.get('producer-epoch');
  const seq = headers.get('producer-seq');
  if (id === null && epoch === null && seq === null) return undefined;
  if (id === null || epoch === null || seq === null)
    throw new StreamError(400, 'Producer-Id, Producer-Epoch and Producer-Seq come together, or not at all');
  return checkedProducer({
    id,
    epoch: integer('Producer-Epoch', epoch),
    seq: integer('Producer-Seq', seq),
  });
}

/** @throws StreamError 400 for a producer that no headers could name. */
export function checkedProducer(producer: Producer): Producer {
  const { id, epoch, seq } = producer;
  if (id === '' || id.length > MAX_PRODUCER_LENGTH)
    throw new StreamError(400, `Producer-Id must have 1 to ${MAX_PRODUCER_LENGTH} characters`);
  for (const value of [epoch, seq])
    if (!Number.isSafeInteger(value) || value < 0)
      throw new StreamError(400, `a producer's epoch or seq is ${value}, not an integer from 0 to 2^53-1`);
  return producer;
}

/** The writer's sequence, compared byte by byte. */
export function seqOf(headers: Headers): string | undefined {
  const seq = headers.get('stream-seq') ?? undefined;
  if (seq !== undefined && seq.length > MAX_SEQ_LENGTH)
    throw new StreamError(400, `Stream-Seq is longer than ${MAX_SEQ_LENGTH} characters`);
  return seq;
}

/** @throws StreamError 400 for a place without a source, or what is no place. */
export function forkOf(headers: Headers): ForkPoint | undefined {
  const path = headers.get('stream-forked-from');
  const offset = headers.get('stream-fork-offset') ?? undefined;
  const sub = headers.get('stream-fork-sub-offset');
  if (path === null) {
    if (offset === undefined && sub === null) return undefined;
    throw new StreamError(400, 'Stream-Fork-Offset and Stream-Fork-Sub-Offset need Stream-Forked-From');
  }
  return { path, offset, subOffset: sub === null ? 0 : integer('Stream-Fork-Sub-Offset', sub) };
}

function integer(name: string, text: string, max: number = Number.MAX_SAFE_INTEGER): number {
  const value = INTEGER.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  throw new StreamError(400, `${name} is ${shown(text)}, not an integer from 0 to ${max}`);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
