import { HttpClient, until, type LocalApp } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { event, SiteClient, startLocally, type Event, type Ingested } from '../local.ts';

interface Refused {
  readonly error: string;
  readonly issues?: readonly { readonly field: string; readonly message: string }[];
}
interface Metrics {
  readonly metrics: readonly { readonly event_type: string; readonly events: number }[];
}

const DAY_MS = 86_400_000;
const isoDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const tomorrow = isoDay(Date.now() + DAY_MS);

let app: LocalApp;
let strict: SiteClient;

beforeAll(async () => {
  app = await startLocally();
  strict = await SiteClient.signUp(app.url, 'strict');
});
afterAll(async () => app.harness.close());

/** How many events a region has counted. */
async function countedIn(site: SiteClient, region: string): Promise<number> {
  const { metrics } = await site.get<Metrics>(`/regions/${region}/query?range=week`);
  return metrics.reduce((sum, { events }) => sum + events, 0);
}

/** Days or months of the whole site. */
async function periods(site: SiteClient, query = ''): Promise<readonly unknown[]> {
  const from = isoDay(Date.now() - 40 * DAY_MS);
  return (await site.get<{ periods: unknown[] }>(`/history?from=${from}&to=${tomorrow}${query}`)).periods;
}

describe('ingest', () => {
  it('keeps an event once, however often it is sent, alone or in a batch', async () => {
    const site = await SiteClient.signUp(app.url, 'once');
    const write = site.as(site.tokens.write);
    const one = event();
    expect(await write.post('/ingest', one)).toMatchObject({ accepted: 1, duplicates: 0 });
    expect(await write.post('/ingest', one)).toMatchObject({ accepted: 0, duplicates: 1 });
    const batch = { events: [one, event(), event({ id: one.id })] };
    expect(await write.post('/ingest/batch', batch)).toMatchObject({ accepted: 1, duplicates: 2 });
    // A sender that has lost the answers asks many times at once.
    const more = { events: Array.from({ length: 50 }, () => event()) };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => write.post<Ingested>('/ingest/batch', more)),
    );
    expect(answers.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(50);
    const { region } = answers[0] as Ingested;
    await until(async () => (await countedIn(site, region)) === 52);
  });

  it('goes to the region that the sender is in, or that the key is for, and to no other', async () => {
    const site = await SiteClient.signUp(app.url, 'placed');
    expect((await site.report('eu', [event(), event()])).region).toBe('eu');
    expect((await site.report('as', [event()])).region).toBe('as');
    const { token } = await site.post<{ token: string }>('/tokens', { role: 'write', region: 'af' });
    const headers = { 'mf-cf-blob': JSON.stringify({ continent: 'EU' }) };
    const { body } = await site.as(token).send<Ingested>('POST', '/ingest', event(), headers);
    expect(body.region).toBe('af');
    await until(async () => (await countedIn(site, 'eu')) === 2 && (await countedIn(site, 'af')) === 1);
    expect(await Promise.all(['as', 'na', 'sa', 'oc'].map((region) => countedIn(site, region)))).toEqual([
      1, 0, 0, 0,
    ]);
  });

  it.each<[string, object, string]>([
    ['an unknown field', { ip: '1.2.3.4' }, 'ip'],
    ['no id', { id: undefined }, 'id'],
    ['an id with spaces', { id: 'not an id at all' }, 'id'],
    ['a type that is a sentence', { eventType: 'Page View' }, 'eventType'],
    ['a page that is no address', { pageUrl: 'javascript:alert(1)' }, 'pageUrl'],
    ['an address that is none', { ipAddress: '300.1.1.1' }, 'ipAddress'],
    ['a user that is a number', { userId: 42 }, 'userId'],
    ['data that is a list', { eventData: 'x' }, 'eventData'],
    ['much data', { eventData: { x: 'x'.repeat(5_000) } }, 'eventData'],
    ['a time as text', { timestamp: '2026-11-21' }, 'timestamp'],
    ['a time to come', { timestamp: Date.now() + DAY_MS }, 'timestamp'],
    ['a time that is no longer counted', { timestamp: Date.now() - 40 * DAY_MS }, 'timestamp'],
    ['a lone surrogate', { sessionId: '\ud800' }, 'sessionId'],
  ])('refuses %s, and names the field, in a batch its place, too', async (_, wrong, field) => {
    const write = strict.as(strict.tokens.write);
    const one = await write.send<Refused>('POST', '/ingest', event(wrong));
    expect([one.status, one.body.issues?.[0]?.field]).toEqual([400, field]);
    const body = { events: [event({ id: 'a-good-one' }), event(wrong)] };
    const batch = await write.send<Refused>('POST', '/ingest/batch', body);
    expect([batch.status, batch.body.issues?.[0]?.field]).toEqual([400, `events.1.${field}`]);
    // All or none: the good one has not been kept.
    expect(await countedIn(strict, 'na')).toBe(0);
  });
});

describe('what is counted', () => {
  it('comes to the site from all regions: events add up, users of two regions are one', async () => {
    const site = await SiteClient.signUp(app.url, 'world');
    const by = (user: string, given: Partial<Event> = {}): Event =>
      event({ sessionId: `${user}/${given.eventType}`, userId: user, ...given });
    await site.report('eu', [by('ann'), by('ann'), by('bob'), by('bob', { eventType: 'sign_up' })]);
    await site.report('as', [by('ann'), by('eve')]);
    await until(async () => (await periods(site)).some((day) => (day as { events: number }).events === 6));
    const date = isoDay(Date.now());
    expect(await periods(site)).toEqual([{ period: date, events: 6, regions: 2, users: 3 }]);
    expect(await periods(site, '&event_type=sign_up')).toEqual([
      { period: date, events: 1, regions: 1, users: 1 },
    ]);
    expect(await periods(site, '&by=month')).toEqual([
      { period: date.slice(0, 7), events: 6, regions: 2, users: 3 },
    ]);
    const window = `?from=${new Date(Date.now() - 600_000).toISOString()}&to=${new Date(Date.now() + 60_000).toISOString()}`;
    expect(await site.get(`/users${window}`)).toEqual({ users: 3 });
    expect(await site.get(`/regions/eu/users${window}`)).toEqual({ region: 'eu', users: 2 });
    expect(await site.get('/regions/eu/realtime')).toMatchObject({
      active_sessions: 3,
      minutes: expect.arrayContaining([
        expect.objectContaining({ event_type: 'sign_up', events: 1, users: 1 }),
      ]),
    });
  });

  it('tells users of a region exactly, within a window to the millisecond', async () => {
    const site = await SiteClient.signUp(app.url, 'exact');
    const start = Math.floor(Date.now() / 60_000) * 60_000 - 3 * 60_000;
    const at = (offset: number, user: string): Event =>
      event({ timestamp: start + offset, sessionId: user, userId: user });
    // The last is known by nothing but its session.
    const visits = [
      at(0, 'a'),
      at(59_999, 'b'),
      at(60_000, 'a'),
      at(60_001, 'c'),
      event({ timestamp: start + 60_002, sessionId: 'd' }),
    ];
    await site.report('eu', visits);
    const users = async (from: number, to: number): Promise<number> => {
      const query = `?from=${new Date(start + from).toISOString()}&to=${new Date(start + to).toISOString()}`;
      return (await site.get<{ users: number }>(`/regions/eu/users${query}`)).users;
    };
    expect(await users(0, 60_000)).toBe(2);
    expect(await users(0, 59_999)).toBe(1);
    expect(await users(60_000, 60_001)).toBe(1);
    expect(await users(60_000, 120_000)).toBe(3);
    expect(await users(0, 120_000)).toBe(4);
  });

  it('takes in late events: yesterday is corrected here, and for the whole site', async () => {
    const site = await SiteClient.signUp(app.url, 'late');
    const [yesterday, longAgo] = [Date.now() - DAY_MS, Date.now() - 28 * DAY_MS];
    const of = (timestamp: number, userId: string): Event => event({ timestamp, userId, sessionId: userId });
    await site.report('eu', [of(yesterday, 'a'), of(Date.now(), 'a')]);
    await until(async () => (await periods(site)).length === 2);
    await site.report('eu', [of(yesterday, 'b'), of(yesterday - 1, 'b'), of(longAgo, 'c')]);
    await until(async () => (await periods(site)).length === 3);
    expect(await periods(site)).toEqual([
      { period: isoDay(longAgo), events: 1, regions: 1, users: 1 },
      { period: isoDay(yesterday), events: 3, regions: 1, users: 2 },
      { period: isoDay(Date.now()), events: 1, regions: 1, users: 1 },
    ]);
    // Who was there long ago is not there now.
    expect(await site.get('/regions/eu/realtime')).toMatchObject({ active_sessions: 1 });
  });

  it('names a page outside of its region when some users have seen it, not before', async () => {
    const site = await SiteClient.signUp(app.url, 'pages');
    const see = (path: string, user: string): Event =>
      event({ pageUrl: `https://shop.example${path}`, userId: user, sessionId: user });
    const users = ['a', 'b', 'c', 'd', 'e'];
    await site.report('eu', [
      ...users.map((user) => see('/pricing', user)),
      ...users.slice(1).map((user) => see('/jane', user)),
    ]);
    const pages = async (): Promise<readonly unknown[]> =>
      (await site.get<{ pages: unknown[] }>(`/pages?from=${isoDay(Date.now())}&to=${tomorrow}`)).pages;
    await until(async () => (await pages()).length > 0);
    expect(await pages()).toEqual([{ page_path: '/pricing', events: 5, regions: 1 }]);
    expect(await periods(site)).toMatchObject([{ events: 9 }]);
    await site.report('eu', [see('/jane', 'a')]);
    await until(async () => (await pages()).length === 2);
  });
});

describe('tokens', () => {
  it('open their own site, use and region, and nothing else', async () => {
    const [site, other] = [
      await SiteClient.signUp(app.url, 'locked'),
      await SiteClient.signUp(app.url, 'next-door'),
    ];
    await site.report('eu', [event()]);
    const status = async (token: string, method: string, path: string, body?: unknown): Promise<number> =>
      (await site.as(token).send(method, path, body)).status;
    const { write, read, admin } = site.tokens;
    const { token: ofEurope } = await site.post<{ token: string }>('/tokens', { role: 'read', region: 'eu' });
    const history = `/history?from=2026-01-01&to=2026-02-01`;
    expect(await status('', 'GET', '/status')).toBe(401);
    expect(await status('guess', 'POST', '/ingest', event())).toBe(401);
    for (const token of Object.values(other.tokens))
      for (const [method, path] of [
        ['GET', history],
        ['GET', '/regions/eu/query'],
        ['POST', '/ingest'],
        ['GET', '/live'],
        ['POST', '/erasures'],
      ] as const)
        expect([path, await status(token, method, path, method === 'POST' ? event() : undefined)]).toEqual([
          path,
          403,
        ]);
    expect(await status(write, 'GET', history)).toBe(403);
    expect(await status(write, 'GET', '/regions/eu/realtime')).toBe(403);
    expect(await status(read, 'POST', '/ingest', event())).toBe(403);
    expect(await status(read, 'POST', '/erasures', { userId: 'a' })).toBe(403);
    expect(await status(read, 'POST', '/tokens', { role: 'admin' })).toBe(403);
    expect(await status(read, 'GET', history)).toBe(200);
    expect(await status(admin, 'GET', '/regions/eu/query')).toBe(200);
    expect(await status(ofEurope, 'GET', '/regions/eu/query')).toBe(200);
    expect(await status(ofEurope, 'GET', '/regions/as/query')).toBe(403);
    expect(await status(ofEurope, 'GET', history)).toBe(403);
    expect(await status(ofEurope, 'GET', '/live')).toBe(403);
  });

  it('are given out once for a name, also when two ask at once', async () => {
    const signUp = (site: unknown): Promise<number> =>
      new HttpClient(app.url.origin).send('POST', '/signup', { site }).then(({ status }) => status);
    expect((await Promise.all([signUp('race'), signUp('race')])).toSorted((a, b) => a - b)).toEqual([
      201, 409,
    ]);
    expect(await signUp('A/eu')).toBe(400);
    expect(await signUp(undefined)).toBe(400);
  });
});

describe('requests that are none', () => {
  it.each<[number, string, string, unknown?]>([
    [404, 'GET', '/nothing'],
    [404, 'GET', '/regions/moon/query'],
    [405, 'GET', '/ingest'],
    [405, 'DELETE', '/history'],
    [400, 'POST', '/erasures', '{'],
    [400, 'POST', '/erasures', { userId: 'a', all: true }],
    [400, 'GET', '/history'],
    [400, 'GET', '/history?from=2026-02-30&to=2026-03-02'],
    [400, 'GET', '/history?from=2026-02-02&to=2026-02-01'],
    [400, 'GET', '/history?from=1026-02-02&to=2026-02-01'],
    [400, 'GET', '/history?from=2026-01-01&to=2026-02-01&by=hour'],
    [400, 'GET', '/pages?from=2026-01-01&to=2026-02-01&limit=1000'],
    [400, 'GET', '/users?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z'],
    [400, 'GET', '/regions/eu/query?range=year'],
    [400, 'GET', '/regions/eu/users?from=now&to=then'],
    [400, 'GET', '/regions/eu/users?from=2026-02-30T00:00:00Z&to=2026-99-01T00:00:00Z'],
    [413, 'POST', '/erasures', { userId: 'x'.repeat(100_000) }],
  ])('are answered with %i: %s %s', async (status, method, path, body) => {
    const answer = await strict.send<Refused>(method, path, body);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toEqual(expect.any(String));
  });

  it('may be reported from pages of any site, as these ask first', async () => {
    const response = await fetch(new URL('/s/strict/ingest', app.url), {
      method: 'OPTIONS',
      headers: { origin: 'https://shop.example', 'access-control-request-method': 'POST' },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('access-control-allow-headers')).toContain('authorization');
  });
});
