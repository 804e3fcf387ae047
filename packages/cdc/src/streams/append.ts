import { expiryAfterUse, findRow, tailOf, usable } from './catalog.ts';
import type { StreamStatement, StreamTransaction } from './database.ts';
import { StreamError } from './error.ts';
import type { Producer } from './header.ts';
import { insertions, mediaType, pieces, sizeOf } from './message.ts';
import { formatOffset } from './offset.ts';
import type { StreamRow } from './schema.ts';

/** What to append, and under which conditions. */
export interface Append {
  readonly name: string;
  /** Nothing to append when it is empty: then the stream is only closed. */
  readonly body: Uint8Array;
  /** Undefined for what the app appends itself, which is of the stream's. */
  readonly contentType: string | undefined;
  readonly closes: boolean;
  readonly producer: Producer | undefined;
  /** The writer's sequence: greater, byte by byte, than the one of the append before, whoever made it. */
  readonly seq: string | undefined;
  readonly nowMs: number;
}

/** What became of an append. */
export interface Appended {
  /** The stream, when something of it changed. */
  readonly changed: number | undefined;
  /** The offset after the last message. */
  readonly offset: string;
  readonly isClosed: boolean;
  /** The same append was made before; nothing was written. */
  readonly isDuplicate: boolean;
  /** Of the producer, the last append that was taken. */
  readonly producer: Producer | undefined;
}

/**
 * Appends a body, or closes a stream, or both. The producer's state and the messages are one transaction, so an
 * append that is retried is in the stream once, whenever the object was reset.
 *
 * @throws StreamError 400, 403, 404, 409, 410; nothing has been written then.
 */
export async function append(tx: StreamTransaction, request: Append): Promise<Appended> {
  const { name, body, producer, seq, closes, nowMs } = request;
  const row = usable(await findRow(tx, name), name, nowMs);
  if (body.length > 0 && request.contentType !== undefined) checkType(row, request.contentType);
  const offset = formatOffset(tailOf(row));
  const known = producer && (await stateOf(tx, row, producer));
  if (producer !== undefined && known !== undefined && isRepeated(producer, known)) {
    const last = { ...producer, seq: known.seq };
    return { changed: undefined, offset, isClosed: row.is_closed === 1, isDuplicate: true, producer: last };
  }
  if (row.is_closed === 1) return onlyClosed(request, offset);
  if (producer !== undefined) checkNext(producer, known);
  checkSeq(row, seq);
  const added = body.length === 0 ? [] : pieces(body, row.content_type);
  if (body.length > 0 && added.length === 0)
    throw new StreamError(400, 'the body is an empty array, which holds no message');
  const bytes = row.bytes + sizeOf(added);
  await tx.batch([
    ...insertions(row.id, row.bytes, added, nowMs),
    updated(row, bytes, request),
    ...(producer === undefined ? [] : [stored(row, producer)]),
  ]);
  return {
    changed: row.id,
    offset: formatOffset({ id: row.id, position: bytes }),
    isClosed: closes,
    isDuplicate: false,
    producer,
  };
}

function checkType(row: StreamRow, contentType: string): void {
  if (mediaType(contentType) !== mediaType(row.content_type))
    throw new StreamError(409, `the stream holds ${row.content_type}, not ${contentType}`);
}

interface ProducerState {
  readonly epoch: number;
  readonly seq: number;
}

async function stateOf(
  tx: StreamTransaction,
  row: StreamRow,
  producer: Producer,
): Promise<ProducerState | undefined> {
  const sql = 'SELECT epoch, seq FROM dosql_stream_producer WHERE stream_id = ? AND producer = ?';
  return (await tx.get<ProducerState>(sql, [row.id, producer.id])) ?? undefined;
}

/** @throws StreamError 403 for a producer that another has taken over from. */
function isRepeated(producer: Producer, known: ProducerState): boolean {
  if (producer.epoch < known.epoch)
    throw new StreamError(403, `the producer's epoch is ${known.epoch} by now, not ${producer.epoch}`, {
      'producer-epoch': String(known.epoch),
    });
  return producer.epoch === known.epoch && producer.seq <= known.seq;
}

function checkNext({ epoch, seq }: Producer, known: ProducerState | undefined): void {
  const isNewEpoch = known !== undefined && epoch > known.epoch;
  if (isNewEpoch && seq !== 0)
    throw new StreamError(400, `the producer's epoch ${epoch} begins with seq 0, not ${seq}`);
  const expected = known === undefined || isNewEpoch ? 0 : known.seq + 1;
  if (seq !== expected)
    throw new StreamError(409, `the producer's next seq is ${expected}, not ${seq}`, {
      'producer-expected-seq': String(expected),
      'producer-received-seq': String(seq),
    });
}

function checkSeq(row: StreamRow, seq: string | undefined): void {
  if (seq !== undefined && row.last_seq !== null && seq <= row.last_seq)
    throw new StreamError(
      409,
      `Stream-Seq is ${JSON.stringify(seq)}, not after ${JSON.stringify(row.last_seq)}`,
    );
}

/** Closing a closed stream again does nothing; appending to one is refused. */
function onlyClosed({ body, closes, producer }: Append, offset: string): Appended {
  if (body.length === 0 && closes && producer === undefined)
    return { changed: undefined, offset, isClosed: true, isDuplicate: true, producer };
  throw new StreamError(409, 'the stream is closed', {
    'stream-closed': 'true',
    'stream-next-offset': offset,
  });
}

function updated(row: StreamRow, bytes: number, { seq, closes, nowMs }: Append): StreamStatement {
  const expiresAt = row.ttl_s === null ? row.expires_at : expiryAfterUse(row.ttl_s, nowMs);
  return {
    sql: 'UPDATE dosql_stream SET bytes = ?, is_closed = ?, last_seq = ?, expires_at = ? WHERE id = ?',
    params: [bytes, closes ? 1 : 0, seq ?? row.last_seq, expiresAt, row.id],
  };
}

function stored(row: StreamRow, { id, epoch, seq }: Producer): StreamStatement {
  return {
    sql: `INSERT INTO dosql_stream_producer(stream_id, producer, epoch, seq) VALUES (?, ?, ?, ?)
      ON CONFLICT(stream_id, producer) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq`,
    params: [row.id, id, epoch, seq],
  };
}
