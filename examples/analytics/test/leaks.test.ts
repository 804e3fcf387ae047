import { createCrypto } from '@dotdo/dosql/crypto';
import { until } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { event, everythingIn, SiteClient } from '../local.ts';
import { Cleaner } from '../src/privacy.ts';
import { canariesIn, HASH_KEY, startWitnessed, type Witnessed } from './witness/witness.ts';

const DAY_MS = 86_400_000;
const SITE = 'guarded';
const isoDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** What is told of a person, field by field, each so that it could be found anywhere. */
const CANARIES = {
  id: 'canary-event-8f2e61',
  sessionId: 'canary-session-93ab44',
  userId: 'canary.user.17cc@person.example',
  ipAddress: '198.51.100.213',
  userAgent: 'CanaryBrowser/77.1',
  pageUrl: 'https://shop.example/thanks/canary-name@person.example?q=canary-query-51d0#canary-part-2c',
  referrer: 'https://canary-referrer.example/?from=canary-referred-76',
  eventData: { note: 'canary-note-0b5d', nested: { card: 'canary-card-4242' } },
};
/** What must be found nowhere outside of the region; the last two are what the region makes of them. */
const SECRETS = [
  'canary-event-8f2e61',
  'canary-session-93ab44',
  'canary.user.17cc',
  'person.example',
  '198.51.100.213',
  '198.51.100',
  'CanaryBrowser',
  'canary-name',
  'canary-query-51d0',
  'canary-part-2c',
  'canary-referrer',
  'canary-referred-76',
  'canary-note-0b5d',
  'canary-card-4242',
];

let app: Witnessed;

beforeAll(async () => {
  app = await startWitnessed();
});
afterAll(async () => app.harness.close());

/** Hashes that the region knows a person and a session by: they stay there as well. */
async function hashes(): Promise<string[]> {
  const cleaner = new Cleaner(createCrypto({ key: HASH_KEY }));
  const person = { ...event(), ...CANARIES, timestamp: 0 };
  const [[, , , session, user] = []] = await cleaner.clean(SITE, [person], null, 0);
  return [String(session), String(user)];
}

it('nothing that is told of a person leaves its region: not to the site, not to R2, not to a dashboard', async () => {
  const site = await SiteClient.signUp(app.url, SITE);
  const live = site.live();
  const told: unknown[] = [];
  const watched = ['global_metrics', 'minutes', 'visits'].map((table) => {
    const query = live.query({ table });
    query.onChange((changes) => told.push(changes));
    return query;
  });
  await until(() => watched.every(({ status }) => status === 'live'));

  // Often enough to be counted, and to be named as a page; now, yesterday and weeks ago.
  const times = [0, 1, 20].map((days) => Date.now() - days * DAY_MS);
  const visits = times.flatMap((timestamp) =>
    Array.from({ length: 8 }, (_, i) => ({
      ...event({ ...CANARIES, timestamp }),
      id: `${CANARIES.id}-${timestamp}-${i}`,
      userId: i === 0 ? CANARIES.userId : `other-${i}`,
    })),
  );
  const { region } = await site.report('eu', visits);
  expect(region).toBe('eu');
  const write = site.as(site.tokens.write);
  await write.send('POST', '/ingest', event(CANARIES), { 'mf-cf-blob': JSON.stringify({ continent: 'EU' }) });
  const answers: unknown[] = [];
  const range = `?from=${isoDay(Date.now() - 40 * DAY_MS)}&to=${isoDay(Date.now() + DAY_MS)}`;
  await until(async () => {
    const answer = await site.get<{ periods: { events: number }[] }>(`/history${range}`);
    answers.push(answer);
    return answer.periods.reduce((sum, { events }) => sum + events, 0) === visits.length + 1;
  });
  const window = `?from=${new Date(Date.now() - 3_600_000).toISOString()}&to=${new Date(Date.now() + 60_000).toISOString()}`;
  for (const path of [
    `/pages${range}`,
    `/users${window}`,
    '/status',
    '/regions/eu/query',
    '/regions/eu/realtime',
    `/regions/eu/users${window}`,
    '/regions/eu/status',
  ])
    answers.push(await site.get(path));
  expect(answers.at(-7)).toMatchObject({ pages: [{ page_path: '/thanks/:id' }] });
  const [totals, minutes] = watched;
  await until(() => totals?.rows.size === 2 * times.length && (minutes?.rows.size ?? 0) > 0);
  // Whatever there is of the site goes to R2, too.
  await app.ask(`receive?site=${SITE}`, { times: 1, batch: oldDays(`${SITE}/eu`) });
  await app.ask(`tier?site=${SITE}`);
  live.close();

  const secrets = [...SECRETS, ...(await hashes())];
  const [userHash = ''] = secrets.slice(-1);
  // The witness sees what there is: in the region it is all there, but for what is not kept at all.
  const inRegion = await canariesIn(await everythingIn(app, 'Region', `${SITE}/eu`), secrets);
  expect(inRegion).toEqual(
    expect.arrayContaining([
      'canary-event-8f2e61',
      '198.51.100',
      'CanaryBrowser',
      'canary-note-0b5d',
      userHash,
    ]),
  );
  for (const gone of [
    'canary-session-93ab44',
    'canary.user.17cc',
    '198.51.100.213',
    'canary-name',
    'canary-query-51d0',
    'canary-referred-76',
  ])
    expect(inRegion).not.toContain(gone);

  const sent = await app.sent();
  for (const to of ['site', 'r2']) expect(sent.filter((one) => one.to === to).length).toBeGreaterThan(0);
  for (const { to, bytes } of sent) expect([to, await canariesIn(bytes, secrets)]).toEqual([to, []]);
  expect(await canariesIn(await everythingIn(app, 'Site', SITE), secrets)).toEqual([]);
  expect(await canariesIn(Buffer.from(JSON.stringify([told, answers])), secrets)).toEqual([]);
  // It would have been seen: what was sent does hold what it may.
  const all = Buffer.concat(sent.map(({ bytes }) => bytes));
  expect(await canariesIn(all, ['/thanks/:id', 'page_view'])).toEqual(['/thanks/:id', 'page_view']);
  const files = sent.filter(({ to }) => to === 'r2');
  const inFiles = await Promise.all(files.map(({ bytes }) => canariesIn(bytes, ['/seen/in/a/file'])));
  expect(inFiles.flat()).toContain('/seen/in/a/file');
});

/** A batch as the region would have sent it two months ago. */
function oldDays(source: string): object {
  const date = isoDay(Date.now() - 70 * DAY_MS);
  const row = {
    date,
    event_type: 'page_view',
    page_path: '/seen/in/a/file',
    events: 9,
    users: 7,
    sketch: 'AAEC',
  };
  const event = {
    op: 'insert',
    table: 'daily_aggregates',
    lsn: 1,
    key: { date, event_type: row.event_type, page_path: row.page_path },
    before: null,
    after: row,
  };
  return { id: 'old', source, slot: 'old', stream: 'old', sequence: 0, events: [event] };
}
