import type { Database } from '@dotdo/dosql';

/** Reservations that one run of the timer lets go of, and forgets of each kind, at most. */
const AT_ONCE = 1_000;

/**
 * What is settled, and how long it is kept from then: what is over for as long as the history of the stock, what is
 * sold for as long as that of orders, since an order that waits to be shipped may still be cancelled.
 */
const KEPT = [
  { kind: "status IN ('EXPIRED', 'RELEASED')", days: 30 },
  { kind: "status = 'CONFIRMED'", days: 400 },
];

const EXPIRED = `
  SELECT id FROM reservations WHERE status = 'PENDING' AND expires_at <= ? ORDER BY expires_at LIMIT ${AT_ONCE}`;

/** When something is first due, in the form that times are stored in. Each part reads one row of an index. */
const NEXT_DUE = `
  SELECT min(due) AS due FROM (
    SELECT min(expires_at) AS due FROM reservations WHERE status = 'PENDING'
    ${KEPT.map(
      ({ kind, days }) => `
    UNION ALL
    SELECT strftime('%Y-%m-%dT%H:%M:%fZ', min(settled_at), '+${days} days') FROM reservations WHERE ${kind}`,
    ).join('')})`;

/** The reservations whose time is over. */
export async function expiredIds(db: Database, now: Date): Promise<string[]> {
  return (await db.query<{ id: string }>(EXPIRED, [now])).map(({ id }) => id);
}

/** Forgets reservations that were settled long ago. The stock does not change by it: it counts on without them. */
export async function prune(db: Database, now: Date): Promise<void> {
  for (const { kind, days } of KEPT)
    await db.run(
      `DELETE FROM reservations WHERE id IN (
         SELECT id FROM reservations WHERE ${kind} AND settled_at <= ? ORDER BY settled_at LIMIT ${AT_ONCE})`,
      [new Date(now.getTime() - days * 86_400_000)],
    );
}

/** When a reservation first expires or is to be forgotten; undefined where there is none. */
export async function nextDue(db: Database): Promise<string | undefined> {
  return (await db.get<{ due: string | null }>(NEXT_DUE))?.due ?? undefined;
}
