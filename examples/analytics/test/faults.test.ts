import { until } from '@dotdo/example-shared/local/app';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { event, SiteClient, type Event } from '../local.ts';
import { startWitnessed, type Witnessed } from './witness/witness.ts';

interface Day {
  readonly period: string;
  readonly events: number;
  readonly users: number;
}
interface Status {
  readonly uncounted_minutes: number;
  readonly delivery: { readonly changes: number; readonly failures: number; readonly dead_letters: number };
}

const DAY_MS = 86_400_000;
const isoDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

let app: Witnessed;

beforeAll(async () => {
  app = await startWitnessed();
});
afterEach(() => app.break(''));
afterAll(async () => app.harness.close());

function evict(className: 'Region' | 'Site', name: string): Promise<void> {
  return app.harness.getWorker().evictDurableObject(className, { name });
}

async function days(site: SiteClient): Promise<readonly Day[]> {
  const range = `?from=${isoDay(Date.now() - 40 * DAY_MS)}&to=${isoDay(Date.now() + DAY_MS)}`;
  return (await site.get<{ periods: Day[] }>(`/history${range}`)).periods;
}

async function eventsOf(site: SiteClient): Promise<number> {
  return (await days(site)).reduce((sum, { events }) => sum + events, 0);
}

/** Rows of an object's table, whatever it is doing. */
async function rowsOf(
  className: 'Region' | 'Site',
  name: string,
  sql: string,
): Promise<Record<string, unknown>[]> {
  const storage = await app.harness.getWorker().getDurableObjectStorage(className, { name });
  return (await storage.exec(sql)) as Record<string, unknown>[];
}

/** What a region has counted, beside what its events say; each is what the other should be. */
async function expectCounted(region: string): Promise<void> {
  const of = (sql: string): Promise<Record<string, unknown>[]> => rowsOf('Region', region, sql);
  const unit = (columns: string, by: string): string =>
    `SELECT ${columns}, count(*) AS events, count(DISTINCT session_hash) AS sessions,
            count(DISTINCT coalesce(user_hash, session_hash)) AS users FROM raw_events GROUP BY ${by}`;
  expect(
    await of(
      "SELECT minute, events, sessions, users FROM minute_aggregates WHERE event_type = '*' ORDER BY 1",
    ),
  ).toEqual(await of(`${unit('minute', 'minute')} ORDER BY 1`));
  expect(
    await of(
      "SELECT minute, event_type, page_path, events, sessions, users FROM minute_aggregates WHERE page_path <> '*' ORDER BY 1, 2, 3",
    ),
  ).toEqual(
    await of(`${unit('minute, event_type, page_path', 'minute, event_type, page_path')} ORDER BY 1, 2, 3`),
  );
  expect(
    await of(
      'SELECT date, event_type, page_path, events FROM daily_aggregates WHERE events > 0 ORDER BY 1, 2, 3',
    ),
  ).toEqual(
    await of(
      'SELECT substr(minute, 1, 10) AS date, event_type, page_path, sum(events) AS events FROM minute_aggregates GROUP BY 1, 2, 3 ORDER BY 1, 2, 3',
    ),
  );
}

function some(count: number, given: (i: number) => Partial<Event> = () => ({})): Event[] {
  return Array.from({ length: count }, (_, i) =>
    event({
      userId: `u${i % 7}`,
      sessionId: `s${i % 9}`,
      pageUrl: `https://shop.example/p${i % 3}`,
      ...given(i),
    }),
  );
}

it('counts each event once though its objects are evicted over and over, and senders send again', async () => {
  const site = await SiteClient.signUp(app.url, 'evicted');
  let sent = 0;
  for (let round = 0; round < 6; round++) {
    const late = round % 2 === 0 ? DAY_MS : 0;
    const events = some(20 + round, () => ({ timestamp: Date.now() - late }));
    await Promise.all([
      site.report('eu', events),
      site.report('eu', events.slice(0, 10)),
      site.report('eu', some(5)),
      ...(round % 3 === 2 ? [evict('Site', 'evicted')] : []),
    ]).catch(async () => site.report('eu', events));
    sent += events.length + 5;
    await evict('Region', 'evicted/eu');
  }
  const kept = await rowsOf('Region', 'evicted/eu', 'SELECT count(*) AS n FROM raw_events');
  expect(Number(kept[0]?.['n'])).toBeGreaterThanOrEqual(sent - 30);
  await until(async () => (await eventsOf(site)) === Number(kept[0]?.['n']));
  await expectCounted('evicted/eu');
  expect((await days(site)).map(({ users }) => users)).toEqual([7, 7]);
});

it('comes to the same when alarms go off twice at once, at any time', async () => {
  const site = await SiteClient.signUp(app.url, 'rung');
  for (let round = 0; round < 5; round++)
    await Promise.all([site.report('eu', some(30)), app.ask('alarm?site=rung')]);
  await until(async () => (await eventsOf(site)) === 150);
  await app.ask('alarm?site=rung');
  await expectCounted('rung/eu');
  expect(await eventsOf(site)).toBe(150);
});

it('waits for a site that is down, and is merged once though its answers are lost', async () => {
  const site = await SiteClient.signUp(app.url, 'cut-off');
  await site.report('eu', some(10));
  await until(async () => (await eventsOf(site)) === 10);
  await app.break('site');
  await site.report('eu', some(10));
  await until(async () => (await site.get<Status>('/regions/eu/status')).delivery.failures > 0);
  // The region takes events as ever.
  expect(await site.report('eu', some(10))).toMatchObject({ accepted: 10 });
  expect(await eventsOf(site)).toBe(10);
  // What is behind an answer that was lost waits: the region does not know that it has been taken.
  await app.break('answer');
  await expect.poll(() => eventsOf(site), { timeout: 40_000 }).toBeGreaterThan(10);
  await app.break('');
  await expect.poll(() => eventsOf(site), { timeout: 40_000 }).toBe(30);
  await until(async () => (await site.get<Status>('/regions/eu/status')).delivery.changes === 0);
  expect(await eventsOf(site)).toBe(30);
  expect((await days(site))[0]?.users).toBe(7);
});

it('tells a site that was away for too long what there is, not what it has missed', async () => {
  const site = await SiteClient.signUp(app.url, 'long-gone');
  const daily = (): Promise<Record<string, unknown>[]> =>
    rowsOf(
      'Site',
      'long-gone',
      "SELECT * FROM days WHERE region = 'eu' ORDER BY date, event_type, page_path",
    );
  await site.report('eu', [
    ...some(20),
    event({ userId: 'gone', sessionId: 'gone', eventType: 'only_theirs' }),
  ]);
  await site.report('na', some(5));
  await until(async () => (await eventsOf(site)) === 26);
  const before = await daily();
  expect(before).toContainEqual(expect.objectContaining({ event_type: 'only_theirs' }));
  await app.break('site');
  await site.post('/erasures', { userId: 'gone' });
  await site.report('eu', some(10));
  await until(async () => (await site.get<Status>('/regions/eu/status')).delivery.failures > 0);
  await app.ask('behind?site=long-gone');
  const failed = async (): Promise<string | undefined> =>
    (await site.get<{ delivery: { error?: string } }>('/regions/eu/status')).delivery.error;
  await expect.poll(failed, { timeout: 40_000 }).toMatch(/^LSN_EXPIRED/);
  expect(await daily()).toEqual(before);
  await app.break('');
  await expect.poll(() => eventsOf(site), { timeout: 40_000 }).toBe(35);
  const known = await daily();
  // What has gone from the region is gone here, too, also from the sums of all regions.
  expect(known.map(({ event_type }) => event_type)).not.toContain('only_theirs');
  expect(
    await rowsOf('Site', 'long-gone', "SELECT * FROM global_metrics WHERE event_type = 'only_theirs'"),
  ).toEqual([]);
  // From here on it is told what changes.
  await site.report('eu', some(1));
  await until(async () => (await eventsOf(site)) === 36);
  expect((await site.get<Status>('/regions/eu/status')).delivery).toMatchObject({ failures: 0 });
});

it('takes a batch that comes again, and changes that came before, as nothing new', async () => {
  const site = await SiteClient.signUp(app.url, 'twice');
  const date = isoDay(Date.now());
  const row = (events: number): object => ({
    date,
    event_type: '*',
    page_path: '*',
    events,
    users: 3,
    sketch: 'AAEC',
  });
  const batch = (sequence: number, events: number): object => ({
    id: `b${sequence}`,
    source: 'twice/eu',
    slot: 'site',
    stream: 'one',
    sequence,
    events: [
      {
        op: 'update',
        table: 'daily_aggregates',
        lsn: 5,
        key: { date, event_type: '*', page_path: '*' },
        before: null,
        after: row(events),
      },
    ],
  });
  await app.ask('receive?site=twice', { times: 3, batch: batch(1, 10) });
  await app.ask('receive?site=twice', { times: 1, batch: batch(2, 20) });
  await app.ask('receive?site=twice', { times: 1, batch: batch(1, 10) });
  expect(await days(site)).toEqual([{ period: date, events: 20, users: 1, regions: 1 }]);
  // Another site's region is not heard.
  await expect(
    app.ask('receive?site=twice', { times: 1, batch: { ...batch(3, 99), source: 'other/eu' } }),
  ).rejects.toThrow('500');
  expect(await eventsOf(site)).toBe(20);
});

it('counts all minutes of a backfill of a month, however many they are', async () => {
  const site = await SiteClient.signUp(app.url, 'backfill');
  const events = some(700, (i) => ({ timestamp: Date.now() - Math.floor(((i % 350) * 28 * DAY_MS) / 350) }));
  await site.report('oc', events);
  await evict('Region', 'backfill/oc');
  await until(async () => (await eventsOf(site)) === 700);
  await expectCounted('backfill/oc');
});

it('bounds what liars with a write key can make it tell apart', async () => {
  const site = await SiteClient.signUp(app.url, 'flooded');
  const at = Date.now() - 120_000;
  const events = Array.from({ length: 600 }, (_, i) =>
    event({ timestamp: at, eventType: `type_${i % 300}`, pageUrl: `https://shop.example/page-${i}` }),
  );
  await site.report('sa', events);
  await until(async () => (await eventsOf(site)) === 600);
  const rows = await rowsOf(
    'Region',
    'flooded/sa',
    "SELECT page_path = '*' AS is_type, count(*) AS n FROM minute_aggregates GROUP BY 1 ORDER BY 1",
  );
  expect(rows).toEqual([
    { is_type: 0, n: 200 },
    { is_type: 1, n: 51 },
  ]);
  const days = await rowsOf('Site', 'flooded', 'SELECT count(*) AS n FROM days');
  expect(days).toEqual([{ n: 51 }]);
});
