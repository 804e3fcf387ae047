import { remove } from './catalog.ts';
import type { StreamTransaction } from './database.ts';
import type { StreamRow } from './schema.ts';

/** What was done of the work that expired and deleted streams make. */
export interface Expired {
  /** Streams whose time was over. */
  readonly streams: number;
  /** Rows removed: of messages and producers. */
  readonly rows: number;
  /** There is more to do now. */
  readonly hasMore: boolean;
  /** When the next stream expires as things stand, in ms since the epoch. */
  readonly nextMs: number | undefined;
}

/** Messages of so many bytes are removed at once: the log keeps what they were. */
const MAX_BYTES = 8 * 1024 * 1024;

/** Deletes at most `limit` streams whose time is over, and removes at most `limit` rows of deleted ones. */
export async function expireSome(
  tx: StreamTransaction,
  limit: number,
  nowMs: number,
): Promise<Expired & { changed: number[] }> {
  const due = await tx.query<StreamRow>(
    'SELECT * FROM dosql_stream WHERE expires_at <= ? ORDER BY expires_at LIMIT ?',
    [nowMs, limit],
  );
  const changed: number[] = [];
  for (const { id } of due) {
    // One that was removed with another must not be removed again.
    const row = await tx.get<StreamRow>('SELECT * FROM dosql_stream WHERE id = ? AND expires_at <= ?', [
      id,
      nowMs,
    ]);
    if (row !== null) changed.push(...(await remove(tx, row)));
  }
  const rows = await sweepSome(tx, limit);
  const next = await tx.get<{ at: number | null }>(
    'SELECT min(expires_at) AS at FROM dosql_stream WHERE expires_at IS NOT NULL',
  );
  const nextMs = next?.at ?? undefined;
  const hasMore = (nextMs !== undefined && nextMs <= nowMs) || (await firstDropped(tx)) !== null;
  return { streams: due.length, rows, hasMore, nextMs, changed };
}

function firstDropped(tx: StreamTransaction): Promise<{ id: number } | null> {
  return tx.get<{ id: number }>('SELECT id FROM dosql_stream WHERE name IS NULL ORDER BY id LIMIT 1');
}

/** Removes at most `maxRows` rows of streams that nobody can reach any more; returns how many. */
export async function sweepSome(tx: StreamTransaction, maxRows: number): Promise<number> {
  let rows = 0;
  while (rows < maxRows) {
    const dropped = await firstDropped(tx);
    if (dropped === null) return rows;
    const { id } = dropped;
    const removed = await sweepMessages(tx, id, maxRows - rows);
    rows += removed.rows;
    if (!removed.isDone) return rows;
    const producers = await sweepProducers(tx, id, maxRows - rows);
    rows += producers;
    if (rows >= maxRows) return rows;
    await tx.batch([{ sql: 'DELETE FROM dosql_stream WHERE id = ?', params: [id] }]);
  }
  return rows;
}

/** From the end, so that a reader that is in the middle of the stream sees it end, and no gap. */
async function sweepMessages(
  tx: StreamTransaction,
  id: number,
  maxRows: number,
): Promise<{ rows: number; isDone: boolean }> {
  const found = await tx.query<{ position: number }>(
    'SELECT position FROM dosql_stream_message WHERE stream_id = ? ORDER BY position DESC LIMIT ?',
    [id, maxRows],
  );
  const last = found[0]?.position ?? 0;
  const some = found.filter(({ position }) => last - position <= MAX_BYTES);
  const first = some.at(-1);
  if (first === undefined) return { rows: 0, isDone: true };
  const sql = 'DELETE FROM dosql_stream_message WHERE stream_id = ? AND position >= ?';
  await tx.batch([{ sql, params: [id, first.position] }]);
  return { rows: some.length, isDone: found.length < maxRows && some.length === found.length };
}

async function sweepProducers(tx: StreamTransaction, id: number, maxRows: number): Promise<number> {
  const found = await tx.query<{ producer: string }>(
    'SELECT producer FROM dosql_stream_producer WHERE stream_id = ? ORDER BY producer LIMIT ?',
    [id, maxRows],
  );
  const last = found.at(-1);
  if (last === undefined) return 0;
  const sql = 'DELETE FROM dosql_stream_producer WHERE stream_id = ? AND producer <= ?';
  await tx.batch([{ sql, params: [id, last.producer] }]);
  return found.length;
}
