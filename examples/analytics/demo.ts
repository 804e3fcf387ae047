/**
 * Starts the app on this machine, has a shop visited from three continents, and checks every claim that it prints:
 * `npm run demo -w examples/analytics`.
 */
import assert from 'node:assert/strict';
import { until } from '@dotdo/example-shared/local/app';
import { line, say, step } from '@dotdo/example-shared/local/transcript';
import { event, everythingIn, SiteClient, startLocally, type Event } from './local.ts';

interface Period {
  readonly period: string;
  readonly events: number;
  readonly users: number;
  readonly regions: number;
}
interface Total {
  readonly event_type: string;
  readonly events: number;
  readonly users: number;
}

const DAY_MS = 86_400_000;
const ADA = 'ada@lovelace.example';
const PAGES = ['/', '/pricing', '/docs', '/signup'];
const isoDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const today = isoDay(Date.now());

const started = performance.now();
console.log('\nA shop that is visited from everywhere, and what it knows of whom\n');

const app = await startLocally();
say(`The app runs in the Workers runtime at ${app.url.origin}`, started);

try {
  const shop = await step('A shop is added, and gets a key for each use', async () => {
    const shop = await SiteClient.signUp(app.url, 'shop');
    line(Object.keys(shop.tokens).join(', '));
    return shop;
  });
  const live = shop.live();
  const totals = live.query<Total>({ table: 'global_metrics', where: `date = '${today}'` });
  await step('Someone opens the dashboard: it is empty, and live', async () => {
    await until(() => totals.status === 'live');
    assert.equal(totals.rows.size, 0);
  });

  const batches = { eu: visitors('eu', 400), na: visitors('na', 300), as: visitors('as', 300) } as const;
  await step('A thousand visitors come, from three continents', async () => {
    for (const [region, events] of Object.entries(batches) as [keyof typeof batches, Event[]][]) {
      const { region: kept, accepted } = await shop.report(region, events);
      assert.equal(kept, region);
      line(`${accepted} events stay in ${kept}`);
    }
  });
  await step('A sender in Asia has lost the answer, and sends its batch again', async () => {
    const again = await shop.report('as', batches.as);
    assert.deepEqual([again.accepted, again.duplicates], [0, batches.as.length]);
    line(`${again.accepted} of ${again.duplicates} are new`);
  });
  await step('Ada visits from Europe, then travels and visits from Asia', async () => {
    await shop.report('eu', [byAda({ pageUrl: `https://shop.example/orders/${ADA}?email=${ADA}` })]);
    await shop.report('as', [byAda({ eventData: { note: `for ${ADA}` } })]);
  });

  const sent = Object.values(batches).reduce((sum, events) => sum + events.length, 0) + 2;
  await step('The dashboard has it all: every event once', async () => {
    await until(() => totalOf().events === sent);
    for (const { event_type, events, users } of totals.rows.values())
      if (event_type !== '*') line(`${event_type.padEnd(10)} ${events} events by about ${users} users`);
  });
  await step('Users of two regions are one: regions send sketches, and these are merged', async () => {
    const window = `?from=${new Date(Date.now() - DAY_MS / 2).toISOString()}&to=${new Date(Date.now() + 60_000).toISOString()}`;
    const exact = await Promise.all(
      ['eu', 'na', 'as'].map(async (region) => {
        const { users } = await shop.get<{ users: number }>(`/regions/${region}/users${window}`);
        return users;
      }),
    );
    const sum = exact.reduce((sum, users) => sum + users, 0);
    const { users } = totalOf();
    line(
      `exactly ${exact.join(' + ')} = ${sum} in the regions; about ${users} in the world, where there are 1001`,
    );
    assert.equal(sum, 1002);
    assert.ok(Math.abs(users - 1001) / 1001 < 0.05);
  });
  await step('Where Ada is known: every cell of every table, searched', async () => {
    const traces = [ADA, 'for ada'];
    for (const [kind, name] of [
      ['Region', 'shop/eu'],
      ['Region', 'shop/as'],
      ['Site', 'shop'],
    ] as const) {
      const cells = await everythingIn(app, kind, name);
      const found = traces.filter((trace) => cells.includes(trace));
      line(
        `${name.padEnd(8)} ${(cells.length / 1024).toFixed(0).padStart(5)} KiB: ${found.length === 0 ? 'nothing of her' : `"${found.join('", "')}", which the shop itself has told`}`,
      );
      assert.deepEqual(found, name === 'shop/as' ? traces : []);
    }
  });
  await step('The page with her address has the name that it may have', async () => {
    const { pages } = await shop.get<{ pages: { page_path: string; events: number }[] }>(
      `/pages?from=${today}&to=${isoDay(Date.now() + DAY_MS)}`,
    );
    assert.deepEqual(pages.map(({ page_path }) => page_path).toSorted(), PAGES.toSorted());
    for (const { page_path, events } of pages) line(`${page_path.padEnd(10)} ${events} views`);
    line('/orders/:id is not among them: fewer than five have seen it');
  });

  await step('A phone that was offline reports yesterday: yesterday is corrected, everywhere', async () => {
    const yesterday = Date.now() - DAY_MS;
    await shop.report(
      'na',
      visitors('late', 20).map((late) => ({ ...late, timestamp: yesterday })),
    );
    await until(async () => (await days()).length === 2);
    for (const { period, events, users } of await days())
      line(`${period}  ${String(events).padStart(5)} events by about ${users} users`);
  });

  await step('Ada asks to be forgotten', async () => {
    const { regions } = await shop.post<{ regions: Record<string, { events: number }> }>('/erasures', {
      userId: ADA,
    });
    for (const [region, { events }] of Object.entries(regions))
      if (events > 0) line(`${region}: ${events} event erased`);
    assert.deepEqual([regions['eu']?.events, regions['as']?.events], [1, 1]);
    await until(() => totalOf().events === sent - 2);
    const cells = await Promise.all(
      ['eu', 'as'].map((region) => everythingIn(app, 'Region', `shop/${region}`)),
    );
    assert.ok(cells.every((bytes) => !bytes.includes('ada@')));
    line(`the dashboard counts ${totalOf().events} events, and no table of any region has a trace of her`);
  });

  await step('Keys open what they are for', async () => {
    const other = await SiteClient.signUp(app.url, 'other-shop');
    const { token } = await shop.post<{ token: string }>('/tokens', { role: 'read', region: 'eu' });
    const refused = async (who: string, key: string, path: string, method = 'GET'): Promise<void> => {
      const { status, body } = await shop
        .as(key)
        .send<{ error: string }>(method, path, method === 'GET' ? undefined : event());
      assert.equal(status, 403);
      line(`${who}: ${status} ${body.error}`);
    };
    await refused('the write key, to read', shop.tokens.write, '/regions/eu/query');
    await refused('the read token, to report', shop.tokens.read, '/ingest', 'POST');
    await refused("Europe's token, in Asia", token, '/regions/as/query');
    await refused("another shop's token", other.tokens.admin, '/regions/eu/query');
  });
  live.close();

  function totalOf(): Total {
    const total = [...totals.rows.values()].find(({ event_type }) => event_type === '*');
    return total ?? { event_type: '*', events: 0, users: 0 };
  }
  async function days(): Promise<readonly Period[]> {
    const range = `?from=${isoDay(Date.now() - 7 * DAY_MS)}&to=${isoDay(Date.now() + DAY_MS)}`;
    return (await shop.get<{ periods: Period[] }>(`/history${range}`)).periods;
  }
} finally {
  await app.harness.close();
}
say('All of it. Every line above was checked, and nothing is left behind.\n', started);

/** So many visitors, each with one event, on one of a few pages. */
function visitors(name: string, count: number): Event[] {
  return Array.from({ length: count }, (_, i) =>
    event({
      userId: `${name}-${i}@people.example`,
      sessionId: `${name}-${i}`,
      eventType: i % 10 === 0 ? 'sign_up' : 'page_view',
      pageUrl: `https://shop.example${PAGES[i % PAGES.length]}?from=${name}-${i}`,
    }),
  );
}

function byAda(given: Partial<Event>): Event {
  return event({ userId: ADA, sessionId: `ada's`, ...given });
}
