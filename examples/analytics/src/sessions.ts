import type { Database, Transaction } from '@dotdo/dosql';

/** A session ends when nothing has been heard of it for so long. */
export const ACTIVE_MS = 30 * 60_000;

/** When a session was heard of first and last, in ms since the epoch. */
export interface SessionSpan {
  readonly session_hash: string;
  readonly first_seen: number;
  readonly last_seen: number;
}

/**
 * Keeps when sessions were heard of. Telling the same again changes nothing.
 *
 * Invariant: only what is less than 30 minutes old is told, so a session that has ended, and is counted as a visit,
 * is not begun again by counting its minutes again.
 */
export async function noteSessions(tx: Transaction, sessions: Iterable<SessionSpan>): Promise<void> {
  const rows = Array.from(sessions, ({ session_hash, first_seen, last_seen }) => [
    session_hash,
    first_seen,
    last_seen,
  ]);
  if (rows.length === 0) return;
  await tx.run(
    `INSERT INTO active_sessions(session_hash, first_seen, last_seen)
     SELECT value->>0, value->>1, value->>2 FROM json_each(?) WHERE true
     ON CONFLICT DO UPDATE SET
       first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)
     WHERE excluded.first_seen < first_seen OR excluded.last_seen > last_seen`,
    [JSON.stringify(rows)],
  );
}

/** Makes visits of the sessions that have ended, all or none. */
export async function endSessions(db: Database, nowMs: number): Promise<void> {
  const until = nowMs - ACTIVE_MS;
  await db.batch([
    {
      sql: `INSERT INTO visits(date, visits, seconds)
            SELECT strftime('%Y-%m-%d', first_seen / 1000, 'unixepoch'), count(*), sum(last_seen - first_seen) / 1000
              FROM active_sessions WHERE last_seen <= ? GROUP BY 1
            ON CONFLICT DO UPDATE SET visits = visits + excluded.visits, seconds = seconds + excluded.seconds`,
      params: [until],
    },
    { sql: 'DELETE FROM active_sessions WHERE last_seen <= ?', params: [until] },
  ]);
}
