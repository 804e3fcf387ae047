import type { Database } from '@dotdo/dosql';
import { ALL } from './aggregates.ts';
import { Sketch, usersIn } from './sketch.ts';

/** Some days, from one up to, and without, another, and what of them. */
export interface Period {
  readonly from: string;
  readonly to: string;
  readonly event_type?: string | undefined;
}

/** A page and how often it was seen. */
interface Page {
  readonly page_path: string;
  readonly events: number;
  readonly regions: number;
}

/**
 * Events and users by day or month, whether they lie in the object or in Parquet files in R2: it is one table.
 *
 * @throws DoSQLError `STORAGE_UNAVAILABLE` when it needs files and R2 does not answer.
 */
export async function historyOf(
  db: Database,
  { from, to, event_type = ALL, by }: Period & { readonly by: 'day' | 'month' },
): Promise<object[]> {
  const length = by === 'month' ? 7 : 10;
  const params = [length, from, to, event_type, ALL];
  const sums = await db.query<{ period: string; events: number; regions: number }>(
    `SELECT substr(date, 1, ?1) AS period, sum(events) AS events, count(DISTINCT region) AS regions FROM days
      WHERE date >= ?2 AND date < ?3 AND event_type = ?4 AND page_path = ?5
      GROUP BY period ORDER BY period`,
    params,
  );
  const sketches = await db.query<{ period: string; sketch: Uint8Array }>(
    `SELECT substr(date, 1, ?1) AS period, sketch FROM days
      WHERE date >= ?2 AND date < ?3 AND event_type = ?4 AND page_path = ?5`,
    params,
  );
  const users = new Map<string, Sketch>();
  for (const { period, sketch } of sketches) {
    const known = users.get(period) ?? new Sketch();
    users.set(period, known);
    known.merge(sketch);
  }
  return sums.map((sum) => ({ ...sum, users: users.get(sum.period)?.estimate() ?? 0 }));
}

/** The pages with the most events. Those that few have seen are not known here. */
export async function topPages(
  db: Database,
  { from, to, event_type, limit }: Required<Period> & { readonly limit: number },
): Promise<object[]> {
  return db.query<Page>(
    `SELECT page_path, sum(events) AS events, count(DISTINCT region) AS regions FROM days
      WHERE date >= ? AND date < ? AND event_type = ? AND page_path <> ?
      GROUP BY page_path ORDER BY events DESC, page_path LIMIT ?`,
    [from, to, event_type, ALL, limit],
  );
}

/** About how many users there were in some minutes, in all regions: whoever came twice counts once. */
export async function usersWithin(db: Database, from: string, to: string): Promise<number> {
  const rows = await db.query<{ sketch: Uint8Array }>(
    'SELECT sketch FROM minutes WHERE minute >= ? AND minute < ? AND event_type = ?',
    [from, to, ALL],
  );
  return usersIn(rows.map(({ sketch }) => sketch));
}
