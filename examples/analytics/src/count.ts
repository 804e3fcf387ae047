import type { Transaction } from '@dotdo/dosql';
import { ALL } from './aggregates.ts';
import { ACTIVE_MS, noteSessions, type SessionSpan } from './sessions.ts';
import { Sketch, toHex } from './sketch.ts';
import { keyOf, MinuteTally, type Counted, type Group, type Tallies } from './tally.ts';

/** What has come to be known of a day. */
interface DayChange {
  events: number;
  readonly sketch: Sketch;
}

/** What counting has found. */
export interface Count {
  /** Events that were read. */
  readonly events: number;
  /** Days that there was no row of. */
  readonly newDates: readonly string[];
}

/**
 * Counts the events of some minutes, and has the days agree with them.
 *
 * A minute's rows are made of its events alone, so it does not matter how often it is counted, or why: because
 * events have come, came late, came twice, or were erased. A day's row is the sum of its minutes' rows: it changes by
 * what they have changed. Its sketch takes in theirs, and forgets nobody; after an erasure it is made anew.
 */
export async function countMinutes(
  tx: Transaction,
  minutes: readonly string[],
  tallies: Tallies,
  nowMs: number,
): Promise<Count> {
  const days = new Map<string, Map<string, DayChange>>();
  const sessions = new Map<string, SessionSpan>();
  const rows: (string | number)[][] = [];
  const gone: string[][] = [];
  let events = 0;
  for (const minute of minutes) {
    const tally = tallies.get(minute) ?? new MinuteTally();
    const groups = await tx.query<Group>(
      `SELECT event_type, page_path, session_hash, user_hash, max(seq) AS seq,
              count(*) AS events, min(at) AS first_seen, max(at) AS last_seen
         FROM raw_events WHERE minute = ? AND seq > ?
        GROUP BY event_type, page_path, session_hash, user_hash`,
      [minute, tally.seq],
    );
    for (const group of groups) {
      tally.add(group);
      events += group.events;
      if (group.last_seen > nowMs - ACTIVE_MS) addSpan(sessions, group);
    }
    tallies.keep(minute, tally);
    const known = await tx.query<Counted>(
      'SELECT event_type, page_path, events, sessions, users, sketch FROM minute_aggregates WHERE minute = ?',
      [minute],
    );
    const before = new Map(known.map((row) => [keyOf(row), row]));
    const after = tally.counted();
    const date = minute.slice(0, 10);
    const day = days.get(date) ?? new Map<string, DayChange>();
    days.set(date, day);
    for (const [key, row] of after) {
      const { event_type, page_path, sessions, users, sketch } = row;
      const old = before.get(key);
      if (old !== undefined && isSame(old, row)) continue;
      rows.push([minute, event_type, page_path, row.events, sessions, users, toHex(sketch)]);
      const change = dayChange(day, key);
      change.events += row.events - (old?.events ?? 0);
      change.sketch.merge(sketch);
    }
    for (const [key, old] of before) {
      if (after.has(key)) continue;
      gone.push([minute, old.event_type, old.page_path]);
      dayChange(day, key).events -= old.events;
    }
  }
  if (rows.length > 0)
    await tx.run(
      `INSERT INTO minute_aggregates(minute, event_type, page_path, events, sessions, users, sketch)
       SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, unhex(value->>6)
         FROM json_each(?) WHERE true
       ON CONFLICT DO UPDATE SET
         events = excluded.events, sessions = excluded.sessions, users = excluded.users, sketch = excluded.sketch`,
      [JSON.stringify(rows)],
    );
  if (gone.length > 0)
    await tx.run(
      `DELETE FROM minute_aggregates WHERE (minute, event_type, page_path) IN
         (SELECT value->>0, value->>1, value->>2 FROM json_each(?))`,
      [JSON.stringify(gone)],
    );
  const newDates: string[] = [];
  for (const [date, changes] of days) if (await changeDay(tx, date, changes)) newDates.push(date);
  await noteSessions(tx, sessions.values());
  return { events, newDates };
}

/** Makes a day's rows anew from those of its minutes: what has gone from them is then gone from its sketches, too. */
export async function recountDay(tx: Transaction, date: string): Promise<void> {
  const day = new Map<string, DayChange>();
  const minutes = await tx.query<Counted>(
    `SELECT event_type, page_path, events, sketch FROM minute_aggregates WHERE minute >= ? AND minute < ?`,
    [date, `${date}U`],
  );
  for (const row of minutes) {
    const change = dayChange(day, keyOf(row));
    change.events += row.events;
    change.sketch.merge(row.sketch);
  }
  const keys = [...day.keys()].map((key) => JSON.parse(key) as string[]);
  await tx.run(
    `DELETE FROM daily_aggregates WHERE date = ? AND (event_type, page_path) NOT IN
       (SELECT value->>0, value->>1 FROM json_each(?))`,
    [date, JSON.stringify(keys)],
  );
  await writeDay(tx, date, day);
}

/** Adds to a day what its minutes have changed; returns whether there was nothing of it. */
async function changeDay(
  tx: Transaction,
  date: string,
  changes: ReadonlyMap<string, DayChange>,
): Promise<boolean> {
  if (changes.size === 0) return false;
  const keys = [...changes.keys()].map((key) => JSON.parse(key) as string[]);
  const known = await tx.query<Counted>(
    `SELECT event_type, page_path, events, sketch FROM daily_aggregates WHERE date = ? AND (event_type, page_path) IN
       (SELECT value->>0, value->>1 FROM json_each(?))`,
    [date, JSON.stringify(keys)],
  );
  for (const row of known) {
    const change = changes.get(keyOf(row)) as DayChange;
    change.events += row.events;
    change.sketch.merge(row.sketch);
  }
  await writeDay(tx, date, changes);
  return !known.some(({ event_type }) => event_type === ALL);
}

async function writeDay(tx: Transaction, date: string, day: ReadonlyMap<string, DayChange>): Promise<void> {
  if (day.size === 0) return;
  const rows = Array.from(day, ([key, { events, sketch }]) => [
    ...(JSON.parse(key) as string[]),
    events,
    sketch.estimate(),
    toHex(sketch.encode()),
  ]);
  await tx.run(
    `INSERT INTO daily_aggregates(date, event_type, page_path, events, users, sketch)
     SELECT ?, value->>0, value->>1, value->>2, value->>3, unhex(value->>4) FROM json_each(?) WHERE true
     ON CONFLICT DO UPDATE SET events = excluded.events, users = excluded.users, sketch = excluded.sketch`,
    [date, JSON.stringify(rows)],
  );
}

function dayChange(day: Map<string, DayChange>, key: string): DayChange {
  let change = day.get(key);
  if (change === undefined) day.set(key, (change = { events: 0, sketch: new Sketch() }));
  return change;
}

function addSpan(sessions: Map<string, SessionSpan>, { session_hash, first_seen, last_seen }: Group): void {
  const known = sessions.get(session_hash);
  sessions.set(session_hash, {
    session_hash,
    first_seen: Math.min(first_seen, known?.first_seen ?? first_seen),
    last_seen: Math.max(last_seen, known?.last_seen ?? last_seen),
  });
}

function isSame(a: Counted, b: Counted): boolean {
  const isOfSameNumbers = a.events === b.events && a.sessions === b.sessions && a.users === b.users;
  return isOfSameNumbers && toHex(a.sketch) === toHex(b.sketch);
}
