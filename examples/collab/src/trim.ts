import type { Database } from '@dotdo/dosql';

/** A client that has been away for so long may do again what it has not had an answer to. */
const CLIENT_DAYS = 90;
const DAY_MS = 86_400_000;

/** Forgets what is of no use any more: what the log does not reach back to cannot be undone. */
export async function trim(main: Database): Promise<void> {
  const { lsn } = await main.earliest();
  await main.batch([
    { sql: 'DELETE FROM touched WHERE run IN (SELECT id FROM runs WHERE lsn < ?)', params: [lsn] },
    { sql: 'DELETE FROM runs WHERE lsn < ?', params: [lsn] },
    { sql: 'DELETE FROM clients WHERE seen_at < ?', params: [new Date(Date.now() - CLIENT_DAYS * DAY_MS)] },
  ]);
}
