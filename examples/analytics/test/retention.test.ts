import { until } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { event, SiteClient } from '../local.ts';
import { startWitnessed, type Witnessed } from './witness/witness.ts';

interface Period {
  readonly period: string;
  readonly events: number;
}
type Rows = readonly Readonly<Record<string, unknown>>[];

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const isoDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

let app: Witnessed;

beforeAll(async () => {
  app = await startWitnessed();
});
afterAll(async () => app.harness.close());

async function days(site: SiteClient): Promise<readonly Period[]> {
  const range = `?from=${isoDay(Date.now() - 40 * DAY_MS)}&to=${isoDay(Date.now() + DAY_MS)}`;
  return (await site.get<{ periods: Period[] }>(`/history${range}`)).periods;
}

async function rowsOf(className: 'Region' | 'Site', name: string, sql: string): Promise<Rows> {
  const storage = await app.harness.getWorker().getDurableObjectStorage(className, { name });
  return (await storage.exec(sql)) as Rows;
}

it('erases a day of a region when its time is over, past and all, and the site keeps its counts', async () => {
  const site = await SiteClient.signUp(app.url, 'aging');
  const [old, recent] = [Date.now() - 28 * DAY_MS, Date.now() - DAY_MS];
  await site.report('eu', [
    event({ timestamp: old }),
    event({ timestamp: old, userId: 'a' }),
    event({ timestamp: recent }),
  ]);
  await until(async () => (await days(site)).length === 2);
  const before = await days(site);
  // Each day has a timer, 30 days after it is over.
  const timers = await rowsOf(
    'Region',
    'aging/eu',
    "SELECT name, at FROM __dosql_timer WHERE name LIKE 'erase:%' ORDER BY name",
  );
  expect(timers).toEqual(
    [old, recent].map((ms) => ({ name: `erase:${isoDay(ms)}`, at: Date.parse(isoDay(ms)) + 31 * DAY_MS })),
  );
  await app.ask(`later?site=aging&timer=erase&only=${isoDay(old)}`);
  await app.ask(`later?site=aging&timer=erase&only=${isoDay(old)}`);
  for (const table of ['raw_events', 'minute_aggregates'])
    expect(
      await rowsOf('Region', 'aging/eu', `SELECT DISTINCT substr(minute, 1, 10) AS date FROM ${table}`),
    ).toEqual([{ date: isoDay(recent) }]);
  expect(await rowsOf('Region', 'aging/eu', 'SELECT DISTINCT date FROM daily_aggregates')).toEqual([
    { date: isoDay(recent) },
  ]);
  await site.report('eu', [event({ timestamp: recent })]);
  await until(async () => (await days(site)).at(-1)?.events === 2);
  expect((await days(site))[0]).toEqual(before[0]);
});

it('makes one visit of a session that has been silent for half an hour, and only one', async () => {
  const site = await SiteClient.signUp(app.url, 'visited');
  const minute = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  const at = (offset: number, sessionId: string) =>
    event({ timestamp: minute + offset, sessionId, userId: sessionId });
  const storage = await app.harness.getWorker().getDurableObjectStorage('Region', { name: 'visited/eu' });
  await site.report('eu', [at(-95_000, 'a'), at(-5_000, 'a'), at(-1_000, 'b')]);
  await until(async () => (await days(site)).reduce((sum, { events }) => sum + events, 0) === 3);
  // Half an hour passes for one of them.
  await storage.exec(
    'UPDATE active_sessions SET first_seen = first_seen - 1800000, last_seen = last_seen - 1800000 WHERE last_seen > first_seen',
  );
  await app.ask('later?site=visited&timer=sessions');
  await app.ask('later?site=visited&timer=sessions');
  const visits = (): Promise<Rows> => rowsOf('Site', 'visited', 'SELECT region, visits, seconds FROM visits');
  await until(async () => (await visits()).length > 0);
  expect(await visits()).toEqual([{ region: 'eu', visits: 1, seconds: 90 }]);
  expect(await site.get('/regions/eu/realtime')).toMatchObject({ active_sessions: 1 });
});
