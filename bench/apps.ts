import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SiteClient } from '@dotdo/example-analytics/local.ts';
import { Person } from '@dotdo/example-collab/local.ts';
import { FleetClient } from '@dotdo/example-iot/local.ts';
import { Client as SaasClient } from '@dotdo/example-saas/local.ts';
import { Client as ShopClient, STAFF_KEY, WEBHOOK_SECRET } from '@dotdo/example-shop/local.ts';
import { createTestHarness, experimental_readRawConfig } from 'wrangler';
import type { Order, Outcome } from './apps/driver.worker.ts';
import { edit } from './apps/edits.ts';
import type { MAKERS } from './apps/requests.ts';
import { prepareRuntime } from './harness/wrangler.ts';
import { figure, isQuick, print, report, roundsOr, type Figure } from './harness/report.ts';

const TOKEN_SECRET = crypto.randomUUID();
let workspaces = 0;
const MS = isQuick ? 200 : 1_500;

/** An app, and what it is loaded with. */
interface App {
  /** Of its folder. */
  readonly name: string;
  readonly vars: Readonly<Record<string, string>>;
  /** What requests need: where they go, and a token. */
  prepare(url: URL): Promise<{ readonly base: string; readonly token: string }>;
  readonly loads: readonly {
    readonly name: string;
    readonly make: keyof typeof MAKERS;
    readonly unit: string;
    /** What the app was meant to reach. */
    readonly seed: string;
    readonly together: number;
  }[];
  readonly edits?: readonly {
    readonly name: string;
    readonly seed: string;
    readonly sockets: number;
    readonly perSecond: number;
  }[];
}

interface Measured {
  readonly app: string;
  readonly name: string;
  readonly unit: string;
  readonly seed: string;
  /** Operations a second of an object that does nothing but answer. */
  readonly ceiling: Figure;
  readonly reached: Figure;
  /** ms from a request of the app's to its answer, or from an edit to its arrival in another window. */
  readonly p50: Figure;
  readonly p99: Figure;
}

const APPS: readonly App[] = [
  {
    name: 'collab',
    vars: {},
    prepare: async ({ origin }) => {
      const ada = await Person.found(origin, `loaded-${++workspaces}`, 'Ada');
      const { id } = await ada.create('Load');
      return { base: `/w/loaded-${workspaces}/d/${id}`, token: ada.token };
    },
    loads: [],
    edits: [
      { name: '100 windows, 10 edits/s each', seed: '500–1,000', sockets: 100, perSecond: 10 },
      { name: '100 windows, as fast as it goes', seed: '500–1,000', sockets: 100, perSecond: 50 },
    ],
  },
  {
    name: 'saas',
    vars: { FLEET_LINGER_MS: '1000', OPERATOR_SECRET: TOKEN_SECRET },
    prepare: async (url) => {
      const client = await SaasClient.signUp(url, 'loaded');
      await client.post('/projects', { name: 'Load', owner_id: 1 });
      for (let i = 0; i < 100; i++)
        await client.post('/tasks', {
          project_id: 1,
          title: `Task ${i}`,
          assignee_id: i % 2 === 0 ? null : 1,
        });
      return { base: '/t/loaded', token: client.token };
    },
    loads: [{ name: 'board, mixed', make: 'board', unit: 'requests/s', seed: '2,000–5,000', together: 64 }],
  },
  {
    name: 'shop',
    vars: { SIMULATED_PAYMENTS: 'yes', STAFF_KEY, WEBHOOK_SECRET },
    prepare: async (url) => {
      const staff = await ShopClient.staff(url);
      await staff.stock('lamp', 1_000_000);
      return { base: '/inventory/lamp', token: staff.token };
    },
    loads: [
      { name: 'reserve one SKU', make: 'reserve', unit: 'reserves/s', seed: '5,000–15,000', together: 128 },
    ],
  },
  {
    name: 'analytics',
    vars: { LOCAL_PLACEMENT: 'yes', HASH_KEY: TOKEN_SECRET },
    prepare: async (url) => {
      const site = await SiteClient.signUp(url, 'loaded');
      return { base: '/s/loaded', token: site.tokens.write };
    },
    loads: [
      { name: 'single events', make: 'event', unit: 'events/s', seed: '5,000–10,000', together: 64 },
      {
        name: 'batches of 100',
        make: 'events in hundreds',
        unit: 'events/s',
        seed: '20,000–50,000',
        together: 8,
      },
      {
        name: 'batches of 500',
        make: 'events in five hundreds',
        unit: 'events/s',
        seed: '20,000–50,000',
        together: 8,
      },
    ],
  },
  {
    name: 'iot',
    vars: {},
    prepare: async (url) => {
      const building = await (await FleetClient.at(url, TOKEN_SECRET)).build('loaded');
      return { base: '/buildings/loaded', token: building.device.token };
    },
    loads: [
      { name: 'single readings', make: 'reading', unit: 'readings/s', seed: '2,000–5,000', together: 64 },
      {
        name: 'batches of 100',
        make: 'readings in hundreds',
        unit: 'readings/s',
        seed: '20,000–50,000',
        together: 8,
      },
      {
        name: 'batches of 500',
        make: 'readings in five hundreds',
        unit: 'readings/s',
        seed: '50,000–100,000',
        together: 8,
      },
    ],
  },
];

/** The results of the last run. */
function lastMeasured(): Measured[] {
  const file = join(import.meta.dirname, 'results/apps.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { measured: Measured[] }).measured;
}

/** The example apps under load, those that `APPS` names or all, each beside an object that does nothing but answer the same requests. */
export async function apps(): Promise<void> {
  const rounds = roundsOr(5);
  prepareRuntime();
  const measured: Measured[] = [];
  const wanted = process.env.APPS?.split(',');
  for (const app of APPS)
    if (wanted === undefined || wanted.includes(app.name)) measured.push(...(await measureApp(app, rounds)));
    else measured.push(...lastMeasured().filter((one) => one.app === app.name));
  report('apps', { rounds, measured });
  const whole = ({ median }: Figure): string => Math.round(median).toLocaleString('en');
  print('The example apps under load', [
    ['', 'wanted', 'ceiling', 'reached', 'share', 'p50', 'p99'],
    ...measured.map(({ app, name, unit, seed, ceiling, reached, p50, p99 }) => [
      `${app}: ${name}`,
      `${seed} ${unit}`,
      whole(ceiling),
      whole(reached),
      `${Math.round((100 * reached.median) / ceiling.median)}%`,
      `${p50.median} ms`,
      `${p99.median} ms`,
    ]),
  ]);
}

async function measureApp(app: App, rounds: number): Promise<Measured[]> {
  const own = (file: string): string => join(import.meta.dirname, 'apps', file);
  const root = join(import.meta.dirname, '../examples', app.name);
  // Without its page, whose files Workers of wrangler's own serve: requests would pass through them.
  const { rawConfig } = experimental_readRawConfig({ config: join(root, 'wrangler.jsonc') });
  const vars = { ...rawConfig.vars, ...app.vars, TOKEN_SECRET };
  const harness = createTestHarness({
    root,
    workers: [
      { config: { ...rawConfig, assets: undefined, vars } },
      {
        configPath: own('driver.jsonc'),
        bindingOverrides: { APP: `dosql-${app.name}`, CEILING: 'dosql-ceiling' },
      },
      { configPath: own('ceiling.jsonc') },
    ],
  });
  try {
    const { url } = await harness.listen();
    const { base, token } = await app.prepare(url);
    const measured: Measured[] = [];
    const common = { base: `${url.origin}${base}`, token, ms: MS };
    for (const { name, make, unit, seed, together } of app.loads) {
      const send = async (target: Order['target']): Promise<Outcome> => {
        const order: Order = { ...common, make, together, target };
        const response = await harness
          .getWorker('dosql-driver')
          .fetch('http://driver/', { method: 'POST', body: JSON.stringify(order) });
        const outcome = (await response.json()) as Outcome;
        if (Object.keys(outcome.refused).length > 0)
          throw new Error(`${app.name} refused requests: ${JSON.stringify(outcome.refused)}`);
        return outcome;
      };
      measured.push({ app: app.name, name, unit, seed, ...(await interleaved(rounds, send)) });
    }
    if (app.edits !== undefined) {
      const ceiling = createTestHarness({ workers: [{ configPath: own('ceiling.jsonc') }] });
      const { origin } = (await ceiling.listen()).url;
      for (const { name, seed, ...edits } of app.edits) {
        // Over the network of this machine, as windows are; a document of its own for each round.
        const type = async (target: Order['target']): Promise<Taken> => {
          if (target === 'CEILING') return edit(origin, '', { ...edits, ms: MS }, true);
          const { base, token } = await app.prepare(url);
          return edit(`${url.origin}${base}`, token, { ...edits, ms: MS }, false);
        };
        measured.push({ app: app.name, name, unit: 'edits/s', seed, ...(await interleaved(rounds, type)) });
      }
      await ceiling.close();
    }
    return measured;
  } finally {
    await harness.close();
  }
}

/** What one round came to. */
interface Taken {
  readonly operations: number;
  readonly ms: number;
  readonly p50: number;
  readonly p99: number;
}

/** The app and the object that only answers, in turn. */
async function interleaved(
  rounds: number,
  run: (target: Order['target']) => Promise<Taken>,
): Promise<Pick<Measured, 'ceiling' | 'reached' | 'p50' | 'p99'>> {
  const ceiling: Taken[] = [];
  const reached: Taken[] = [];
  for (let round = 0; round <= rounds; round++) {
    const [bare, ours] = [await run('CEILING'), await run('APP')];
    if (round === 0 && !isQuick) continue;
    ceiling.push(bare);
    reached.push(ours);
  }
  const perSecond = ({ operations, ms }: Taken): number => (operations * 1_000) / ms;
  return {
    ceiling: figure(ceiling.map(perSecond)),
    reached: figure(reached.map(perSecond)),
    p50: figure(reached.map(({ p50 }) => p50)),
    p99: figure(reached.map(({ p99 }) => p99)),
  };
}
