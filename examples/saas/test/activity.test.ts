import { afterAll, beforeAll, expect, it } from 'vitest';
import { type LocalApp } from '@dotdo/example-shared/local/app';
import { startLocally } from '../local.ts';
import { withTasks } from './tenants.ts';

interface Change {
  readonly lsn: number;
  readonly table: string;
  readonly op: string;
  readonly after: object | null;
}
interface Page {
  readonly changes: readonly Change[];
  readonly lsn: number;
}

let app: LocalApp;

beforeAll(async () => {
  app = await startLocally();
});
afterAll(async () => app.harness.close());

it('is read page by page, each change once', async () => {
  const client = await withTasks(app.url, 'pages', ['a', 'b', 'c', 'd']);
  const all = await client.get<Page>('/activity');
  expect(all.changes.map(({ table, op }) => `${op} ${table}`)).toEqual([
    'insert users',
    'insert projects',
    ...Array.from({ length: 4 }, () => 'insert tasks'),
  ]);
  const read: Change[] = [];
  let { lsn } = await client.get<{ earliest: Page }>('/status').then(({ earliest }) => earliest);
  for (;;) {
    const page = await client.get<Page>(`/activity?after=${lsn}&limit=2`);
    if (page.lsn === lsn) break;
    read.push(...page.changes);
    lsn = page.lsn;
  }
  expect(read).toEqual(all.changes);
});

it('tells what is published, and nothing else', async () => {
  const client = await withTasks(app.url, 'discreet', ['a']);
  await client.patch('/tasks/1', { title: 'a' });
  const { changes } = await client.get<Page>('/activity');
  expect(changes.map(({ after }) => after)).toMatchObject([
    { id: 1, name: 'Olive Owner', role: 'owner' },
    { id: 1, name: 'First', status: 'active' },
    { id: 1, title: 'a', status: 'todo' },
  ]);
  expect(JSON.stringify(changes)).not.toMatch(/@|email|_at/);
});

it('tells when it is asked for what it does not hold', async () => {
  const client = await withTasks(app.url, 'outside', []);
  expect((await client.send('GET', '/activity?after=9999')).status).toBe(400);
  expect((await client.send('GET', '/activity?after=-1')).status).toBe(400);
});
