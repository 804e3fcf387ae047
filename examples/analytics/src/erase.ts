import type { Database, Transaction } from '@dotdo/dosql';
import { countMinutes, recountDay } from './count.ts';
import type { Tallies } from './tally.ts';

/** Minutes that are counted in one transaction, for which others have to wait. */
const MINUTES_AT_ONCE = 60;
/** How long raw events are kept, in days, counted from the end of their own. */
export const KEEP_DAYS = 30;

/** What was erased of a person. */
export interface Erased {
  readonly events: number;
  readonly sessions: number;
}

/**
 * Erases a person: every event of theirs, and of the sessions in which they were known, with all of its past; then
 * counts the minutes and days anew in which they were.
 *
 * `later` is asked first to count them again in any case: the object may end between the two.
 */
export async function erasePerson(
  db: Database,
  userHash: string,
  tallies: Tallies,
  later: (minutes: readonly string[]) => Promise<void>,
): Promise<Erased> {
  const sessions = await db.query<{ session_hash: string }>(
    'SELECT DISTINCT session_hash FROM raw_events WHERE user_hash = ?',
    [userHash],
  );
  const params = [JSON.stringify(sessions.map(({ session_hash }) => session_hash))];
  const isTheirs = 'session_hash IN (SELECT value FROM json_each(?))';
  const minutes = (
    await db.query<{ minute: string }>(`SELECT DISTINCT minute FROM raw_events WHERE ${isTheirs}`, params)
  ).map(({ minute }) => minute);
  if (minutes.length > 0) await later(minutes);
  // The keys of these rows are what the person's browser has called its events and sessions.
  const events = await db.purge('raw_events', { where: isTheirs, params, keepKeys: false });
  await db.purge('active_sessions', { where: isTheirs, params, keepKeys: false });
  await recount(db, minutes, tallies);
  return { events: events.rows, sessions: sessions.length };
}

/** Counts minutes anew from the events that are left, and then their days. */
export async function recount(db: Database, minutes: readonly string[], tallies: Tallies): Promise<void> {
  for (let at = 0; at < minutes.length; at += MINUTES_AT_ONCE)
    await db.transaction((tx) => {
      // Within the transaction: no other count is on its way that remembers who has gone.
      tallies.clear();
      return countMinutes(tx, minutes.slice(at, at + MINUTES_AT_ONCE), tallies, Date.now());
    });
  for (const date of new Set(minutes.map((minute) => minute.slice(0, 10))))
    await db.transaction((tx: Transaction) => recountDay(tx, date));
}

/** Erases all that is older than the day after `date`: it has been counted, and the site's object keeps the counts. */
export async function eraseUntil(db: Database, date: string): Promise<void> {
  const before = new Date(Date.parse(date) + 86_400_000).toISOString().slice(0, 10);
  // Nobody is told, so the site's object keeps what it has been told.
  const until = (column: string) => ({ before, column, keepKeys: false });
  await db.purge('raw_events', until('minute'));
  await db.purge('minute_aggregates', until('minute'));
  await db.purge('daily_aggregates', until('date'));
  await db.purge('visits', until('date'));
}
