import { until } from '@dotdo/example-shared/local/app';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { event, SiteClient } from '../local.ts';
import { Sketch } from '../src/sketch.ts';
import { startWitnessed, type Witnessed } from './witness/witness.ts';

interface Period {
  readonly period: string;
  readonly events: number;
  readonly regions: number;
  readonly users: number;
}
interface Status {
  readonly cold?: {
    readonly rows: number;
    readonly files: number;
    readonly waiting: number;
    readonly problem?: string;
  };
}

const DAY_MS = 86_400_000;
const DAYS = 200;
const isoDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

let app: Witnessed;

beforeAll(async () => {
  app = await startWitnessed();
});
afterEach(() => app.break(''));
afterAll(async () => app.harness.close());

/** Days long ago, as a region would have sent them then: on each the same 100 users and 1 more. */
async function sendOldDays(site: string, region: string, perDay: number): Promise<void> {
  const events = Array.from({ length: DAYS }, (_, i) => {
    const date = isoDay(Date.now() - (DAYS - i) * DAY_MS);
    const sketch = new Sketch();
    for (let user = 0; user < 100; user++) sketch.add(hash(user));
    sketch.add(hash(1_000 + i));
    const key = { date, event_type: '*', page_path: '*' };
    const after = {
      ...key,
      events: perDay,
      users: 101,
      sketch: Buffer.from(sketch.encode()).toString('base64'),
    };
    return { op: 'insert', table: 'daily_aggregates', lsn: i + 1, key, before: null, after };
  });
  const batch = { id: 'old', source: `${site}/${region}`, slot: 'site', stream: region, sequence: 1, events };
  await app.ask(`receive?site=${site}`, { times: 1, batch });
}

/** Hashes spread as those of an HMAC are. */
function hash(user: number): string {
  const mixed = BigInt.asUintN(64, BigInt(user + 1) * 0x9e3779b97f4a7c15n);
  const again = BigInt.asUintN(64, (mixed ^ (mixed >> 31n)) * 0xbf58476d1ce4e5b9n);
  return (again ^ (again >> 29n)).toString(16).padStart(16, '0').padEnd(32, '0');
}

async function months(site: SiteClient): Promise<readonly Period[]> {
  const range = `?from=${isoDay(Date.now() - 250 * DAY_MS)}&to=${isoDay(Date.now() + DAY_MS)}`;
  return (await site.get<{ periods: Period[] }>(`/history${range}&by=month`)).periods;
}

it('has past months as Parquet in R2, and answers about all of them in one query as before', async () => {
  const site = await SiteClient.signUp(app.url, 'archived');
  await sendOldDays('archived', 'eu', 10);
  await sendOldDays('archived', 'na', 5);
  const before = await months(site);
  expect(before.reduce((sum, { events }) => sum + events, 0)).toBe(DAYS * 15);
  const { rows } = await app.ask<{ rows: number }>('tier?site=archived');
  expect(rows).toBeGreaterThan(200);
  const { cold } = await site.get<Status>('/status');
  expect(cold).toMatchObject({ rows, waiting: 0 });
  const { objects } = await app.harness
    .getWorker<{ ARCHIVE: R2Bucket }>()
    .getEnv()
    .then(({ ARCHIVE }) => ARCHIVE.list());
  expect(objects.some(({ key }) => key.startsWith('sites/archived/') && key.endsWith('.parquet'))).toBe(true);
  expect(await months(site)).toEqual(before);
  // Users of a month are those of its days, each once: 100 come every day.
  for (const { users, regions } of before) {
    expect(regions).toBe(2);
    expect(users).toBeGreaterThanOrEqual(98);
    expect(users).toBeLessThan(140);
  }
});

it('goes on without R2: events come in, are counted and shown; what is old waits in the object', async () => {
  const site = await SiteClient.signUp(app.url, 'alone');
  await app.break('r2');
  await sendOldDays('alone', 'eu', 10);
  const before = await months(site);
  await app.ask('tier?site=alone');
  // What R2 did not take lies in the object, and is read there.
  expect((await site.get<Status>('/status')).cold?.waiting).toBeGreaterThan(0);
  expect(await months(site)).toEqual(before);
  await site.report('eu', [event({ userId: 'a' }), event({ userId: 'b' })]);
  const today = `?from=${isoDay(Date.now())}&to=${isoDay(Date.now() + DAY_MS)}`;
  await until(async () => (await site.get<{ periods: Period[] }>(`/history${today}`)).periods.length > 0);

  await app.break('');
  await app.ask('tier?site=alone');
  expect((await site.get<Status>('/status')).cold?.waiting).toBe(0);
  await app.break('r2');
  await app.harness.getWorker().evictDurableObject('Site', { name: 'alone' });
  await site.report('eu', [event({ userId: 'c' })]);
  await until(
    async () => (await site.get<{ periods: Period[] }>(`/history${today}`)).periods[0]?.events === 3,
  );
  await app.break('');
  expect((await months(site)).reduce((sum, { events }) => sum + events, 0)).toBe(DAYS * 10 + 3);
});
