import type { ChangeEvent } from '@dotdo/cdc';
import type { Transaction } from '@dotdo/dosql';
import { ALL } from './aggregates.ts';
import { toHex, usersIn } from './sketch.ts';

/** How each table of a region lies in the site's object. */
const TABLES = {
  minute_aggregates: {
    write: `INSERT INTO minutes(region, minute, event_type, events, sessions, users, sketch)
            SELECT ?, value->>'minute', value->>'event_type', value->>'events', value->>'sessions', value->>'users',
                   unhex(value->>'sketch')
              FROM json_each(?) WHERE true
            ON CONFLICT DO UPDATE SET
              events = excluded.events, sessions = excluded.sessions, users = excluded.users, sketch = excluded.sketch`,
    remove: `DELETE FROM minutes WHERE region = ? AND (minute, event_type) IN
               (SELECT value->>'minute', value->>'event_type' FROM json_each(?))`,
  },
  daily_aggregates: {
    write: `INSERT INTO days(region, date, event_type, page_path, events, users, sketch)
            SELECT ?, value->>'date', value->>'event_type', value->>'page_path', value->>'events', value->>'users',
                   unhex(value->>'sketch')
              FROM json_each(?) WHERE true
            ON CONFLICT DO UPDATE SET events = excluded.events, users = excluded.users, sketch = excluded.sketch`,
    remove: `DELETE FROM days WHERE region = ? AND (date, event_type, page_path) IN
               (SELECT value->>'date', value->>'event_type', value->>'page_path' FROM json_each(?))`,
  },
  visits: {
    write: `INSERT INTO visits(region, date, visits, seconds)
            SELECT ?, value->>'date', value->>'visits', value->>'seconds' FROM json_each(?) WHERE true
            ON CONFLICT DO UPDATE SET visits = excluded.visits, seconds = excluded.seconds`,
    remove: `DELETE FROM visits WHERE region = ? AND date IN (SELECT value->>'date' FROM json_each(?))`,
  },
} as const;

/** Values as JSON has them, blobs in hex. */
type Cells = Readonly<Record<string, unknown>>;

/**
 * Brings what a region has counted into the site's tables: each row is what the region has come to, in the place of
 * what it said of it before. So a row of yesterday that comes today corrects yesterday, and one that comes again
 * changes nothing. Minutes before `sinceMinute` are no longer shown, and are left out. Returns the days that minutes
 * were of.
 */
export async function mergeRegion(
  tx: Transaction,
  region: string,
  events: readonly ChangeEvent[],
  sinceMinute: string,
): Promise<Set<string>> {
  // Of changes of one row the last one counts.
  const rows = new Map<
    string,
    { readonly table: keyof typeof TABLES; readonly key: Cells; readonly after: Cells | null }
  >();
  for (const event of events) {
    if (!('key' in event)) continue;
    const { key, after } = event;
    const table = event.table as keyof typeof TABLES;
    if (!Object.hasOwn(TABLES, table) || String(key['minute'] ?? sinceMinute) < sinceMinute) continue;
    rows.set(JSON.stringify([table, Object.values(key)]), { table, key, after: after && inHex(after) });
  }
  for (const [table, of] of Map.groupBy(rows.values(), ({ table }) => table)) {
    const written = of.flatMap(({ after }) => after ?? []);
    const removed = of.filter(({ after }) => after === null).map(({ key }) => key);
    if (written.length > 0) await tx.run(TABLES[table].write, [region, JSON.stringify(written)]);
    if (removed.length > 0) await tx.run(TABLES[table].remove, [region, JSON.stringify(removed)]);
  }
  const totals = [...rows.values()].filter(
    ({ table, key }) => table === 'daily_aggregates' && key['page_path'] === ALL,
  );
  for (const { key } of totals) await addUp(tx, String(key['date']), String(key['event_type']));
  const minutes = [...rows.values()].flatMap(({ key: { minute } }) =>
    typeof minute === 'string' ? minute : [],
  );
  return new Set(minutes.map((minute) => minute.slice(0, 10)));
}

/** Takes out what a region has told of the days since one. Visits stay: they only grow, and come again with the rest. */
export async function forgetRegion(tx: Transaction, region: string, since: string): Promise<void> {
  const totals = await tx.query<{ date: string; event_type: string }>(
    'SELECT date, event_type FROM days WHERE region = ? AND date >= ? AND page_path = ?',
    [region, since, ALL],
  );
  await tx.run('DELETE FROM minutes WHERE region = ? AND minute >= ?', [region, since]);
  await tx.run('DELETE FROM days WHERE region = ? AND date >= ?', [region, since]);
  for (const { date, event_type } of totals) await addUp(tx, date, event_type);
}

/** Adds the regions up, of one day and type. A user of two regions is one, by the sketches. */
async function addUp(tx: Transaction, date: string, eventType: string): Promise<void> {
  const regions = await tx.query<{ events: number; sketch: Uint8Array }>(
    'SELECT events, sketch FROM days WHERE date = ? AND event_type = ? AND page_path = ?',
    [date, eventType, ALL],
  );
  if (regions.length === 0) {
    await tx.run('DELETE FROM global_metrics WHERE date = ? AND event_type = ?', [date, eventType]);
    return;
  }
  const events = regions.reduce((sum, { events }) => sum + events, 0);
  const users = usersIn(regions.map(({ sketch }) => sketch));
  await tx.run(
    `INSERT INTO global_metrics(date, event_type, events, users, regions) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET events = excluded.events, users = excluded.users, regions = excluded.regions`,
    [date, eventType, events, users, regions.length],
  );
}

function inHex(row: Cells): Cells {
  const { sketch } = row;
  return sketch instanceof Uint8Array ? { ...row, sketch: toHex(sketch) } : row;
}
