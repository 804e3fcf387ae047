import { createCrypto } from '@dotdo/dosql/crypto';
import { until } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { event, everythingIn, SiteClient, type Event } from '../local.ts';
import { Cleaner } from '../src/privacy.ts';
import { Sketch } from '../src/sketch.ts';
import { canariesIn, HASH_KEY, startWitnessed, type Witnessed } from './witness/witness.ts';

interface Erasure {
  readonly regions: Readonly<Record<string, { readonly events: number; readonly sessions: number } | null>>;
}
interface Period {
  readonly period: string;
  readonly events: number;
  readonly users: number;
}

const DAY_MS = 86_400_000;
const JANE = 'jane@person.example';
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

function erase(site: SiteClient, userId: string): Promise<Erasure> {
  return site.post<Erasure>('/erasures', { userId });
}

/** What three people do today and days ago; Jane's events, and what her session did before she said who she is. */
function visits(): { readonly jane: Event[]; readonly others: Event[] } {
  const times = [0, 1, 9].map((days) => Date.now() - days * DAY_MS);
  const of = (userId: string, timestamp: number, given: Partial<Event> = {}): Event =>
    event({
      userId,
      sessionId: `${userId}/${timestamp}`,
      timestamp,
      eventData: { note: `by ${userId}` },
      ...given,
    });
  return {
    jane: times.flatMap((at) => {
      const { userId: _, ...anonymous } = of(JANE, at, {
        timestamp: at - 1_000,
        eventData: { note: 'before she signed in' },
      });
      return [anonymous, of(JANE, at), of(JANE, at, { eventType: 'sign_in' })];
    }),
    others: times.flatMap((at) => [of('bob', at), of('eve', at)]),
  };
}

it('erases a person from every region, and from all that was counted: nothing finds them', async () => {
  const site = await SiteClient.signUp(app.url, 'erased');
  const { jane, others } = visits();
  await site.report('eu', [...jane, ...others]);
  await site.report('na', [jane[1] as Event, others[0] as Event]);
  await until(async () => (await days(site)).reduce((sum, { events }) => sum + events, 0) === 17);
  const cleaner = new Cleaner(createCrypto({ key: HASH_KEY }));
  const hers = { ...(jane[1] as Event), sessionId: String(jane[1]?.sessionId) };
  const [[, , , session, user] = []] = await cleaner.clean('erased', [hers], null, 0);
  const traces = [String(session), String(user), 'before she signed in', `by ${JANE}`, String(jane[0]?.id)];
  expect(await canariesIn(await everythingIn(app, 'Region', 'erased/eu'), traces)).toEqual(traces);

  const { regions } = await erase(site, JANE);
  expect(regions).toMatchObject({
    eu: { events: 9, sessions: 3 },
    na: { events: 1, sessions: 1 },
    as: { events: 0, sessions: 0 },
  });

  // Live rows, the log of changes, what is on its way: no cell of any table, in the regions and at the site.
  for (const region of ['eu', 'na'])
    expect(await canariesIn(await everythingIn(app, 'Region', `erased/${region}`), traces)).toEqual([]);
  await until(async () => (await days(site)).reduce((sum, { events }) => sum + events, 0) === 7);
  expect((await days(site)).map(({ users }) => users)).toEqual([2, 2, 2]);
  // Sketches are those of a world without her, register by register.
  const hashes = await Promise.all(['bob', 'eve'].map((user) => cleaner.userHash('erased', user)));
  const without = new Sketch();
  for (const hash of hashes) without.add(hash);
  const storage = await app.harness.getWorker().getDurableObjectStorage('Site', { name: 'erased' });
  const sketches = await storage.exec(
    "SELECT DISTINCT hex(sketch) AS sketch FROM days WHERE region = 'eu' AND event_type = '*'",
  );
  expect(sketches).toEqual([{ sketch: Buffer.from(without.encode()).toString('hex').toUpperCase() }]);
  // A type of events that only she had is gone, too.
  expect(await storage.exec("SELECT * FROM days WHERE event_type = 'sign_in'")).toEqual([]);
  const from = new Date(Date.now() - 20 * DAY_MS).toISOString();
  expect(
    await site.get(`/regions/eu/users?from=${from}&to=${new Date(Date.now() + 60_000).toISOString()}`),
  ).toMatchObject({ users: 2 });

  // Asking again finds nobody; the same person may come back as someone new.
  expect((await erase(site, JANE)).regions['eu']).toEqual({ events: 0, sessions: 0 });
  await site.report('eu', [event({ userId: JANE })]);
  await until(async () => (await days(site)).at(-1)?.users === 3);
});

it('counts right when events come in all the while that people are erased', async () => {
  const site = await SiteClient.signUp(app.url, 'busy');
  const at = (userId: string): Event => event({ userId, sessionId: userId, timestamp: Date.now() - 60_000 });
  await site.report('eu', [at('a'), at('b'), at('c')]);
  await Promise.all([
    erase(site, 'a'),
    site.report(
      'eu',
      Array.from({ length: 40 }, (_, i) => at(`new-${i}`)),
    ),
    erase(site, 'b'),
    site.report('eu', [at('c'), at('c')]),
    app.ask('alarm?site=busy'),
  ]);
  await until(async () => (await days(site)).at(-1)?.events === 43);
  expect((await days(site)).reduce((sum, { events }) => sum + events, 0)).toBe(43);
  const [from, to] = [Date.now() - 600_000, Date.now() + 60_000].map((ms) => new Date(ms).toISOString());
  expect(await site.get(`/regions/eu/users?from=${from}&to=${to}`)).toMatchObject({ users: 41 });
  await app.harness.getWorker().evictDurableObject('Region', { name: 'busy/eu' });
  await site.report('eu', [at('c')]);
  await until(async () => (await days(site)).at(-1)?.events === 44);
});

it('is made good when the object ends between erasing and counting', async () => {
  const site = await SiteClient.signUp(app.url, 'halfway');
  const { jane, others } = visits();
  await site.report('eu', [...jane, ...others]);
  await until(async () => (await days(site)).reduce((sum, { events }) => sum + events, 0) === 15);
  await app.ask('erase-half?site=halfway', { userId: JANE });
  await app.harness.getWorker().evictDurableObject('Region', { name: 'halfway/eu' });
  // Her events are gone, and still counted, until the timer that was set before goes off.
  expect((await days(site)).reduce((sum, { events }) => sum + events, 0)).toBe(15);
  await app.ask('later?site=halfway&timer=recount');
  await until(async () => (await days(site)).reduce((sum, { events }) => sum + events, 0) === 6);
  expect((await days(site)).map(({ users }) => users)).toEqual([2, 2, 2]);
});
