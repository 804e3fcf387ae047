import type { LiveQuery } from '@dotdo/cdc/client';
import { until, type LocalApp } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { event, SiteClient, startLocally } from '../local.ts';

interface Total {
  readonly date: string;
  readonly event_type: string;
  readonly events: number;
  readonly users: number;
  readonly regions: number;
}

let app: LocalApp;

beforeAll(async () => {
  app = await startLocally();
});
afterAll(async () => app.harness.close());

function totalOf(query: LiveQuery<Total>): number {
  return [...query.rows.values()].reduce(
    (sum, { event_type, events }) => sum + (event_type === '*' ? events : 0),
    0,
  );
}

it('keeps dashboards in step while their site sleeps and wakes, each with its own site', async () => {
  const [site, other] = [
    await SiteClient.signUp(app.url, 'watched'),
    await SiteClient.signUp(app.url, 'other'),
  ];
  const [live, elsewhere] = [site.live(), other.live()];
  const totals = live.query<Total>({ table: 'global_metrics' });
  const theirs = elsewhere.query<Total>({ table: 'global_metrics' });
  const statuses = new Set<string>();
  await until(() => totals.status === 'live' && theirs.status === 'live');
  totals.subscribe(() => statuses.add(totals.status));
  for (let round = 1; round <= 3; round++) {
    await app.harness.getWorker().evictDurableObject('Site', { name: 'watched', webSockets: 'hibernate' });
    await site.report(round === 2 ? 'as' : 'eu', [event({ userId: 'ann' }), event({ userId: `${round}` })]);
    await until(() => totalOf(totals) === 2 * round);
  }
  const [row] = totals.rows.values();
  expect(row).toMatchObject({ events: 6, users: 4, regions: 2 });
  expect(theirs.rows.size).toBe(0);
  expect(statuses).toEqual(new Set(['live']));
  // A connection that breaks comes back with what it has missed.
  await app.harness.getWorker().evictDurableObject('Site', { name: 'watched', webSockets: 'close' });
  await site.report('eu', [event()]);
  await until(() => totalOf(totals) === 7 && totals.status === 'live');
  live.close();
  elsewhere.close();
});

it('shows what is published, and nothing else that it is asked for', async () => {
  const site = await SiteClient.signUp(app.url, 'asked');
  await site.report('eu', [event()]);
  const live = site.live();
  const minutes = live.query<Record<string, unknown>>({ table: 'minutes' });
  await until(() => minutes.rows.size > 0);
  expect(Object.keys([...minutes.rows.values()][0] ?? {}).toSorted()).toEqual([
    'event_type',
    'events',
    'minute',
    'region',
    'sessions',
    'users',
  ]);
  for (const refused of [
    live.query({ table: 'days' }),
    live.query({ table: 'minutes', where: "sketch > ''" }),
  ])
    await until(() => refused.status === 'failed');
  live.close();
});
