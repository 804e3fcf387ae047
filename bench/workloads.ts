import type { Billed } from './harness/billed.ts';
import { betterSqlite3, doltlite, duckdb, mariadb, pglite, turso } from './adapters/engines-in-node.ts';
import { inTurn, startPeers } from './harness/peers.ts';
import {
  figure,
  isQuick,
  memoryFolder,
  print,
  report,
  roundsOr,
  time,
  version,
  type Figure,
} from './harness/report.ts';
import { startWorker } from './harness/wrangler.ts';
import { measure, ROWS, setUp, WORKLOADS, type Progress } from './scenarios/workloads.ts';

/** An engine that sets itself up and measures a workload. */
interface Measured {
  readonly name: string;
  readonly version: string;
  setUp(): Promise<void>;
  /** µs an operation. */
  measure(index: number): Promise<number>;
  bill(index: number): Promise<Billed | undefined>;
  close(): Promise<void>;
}

const IN_WORKERD = [
  ['dosql', 'DoSQL'],
  ['bare', 'bare ctx.storage.sql'],
  ['drizzle-bare', 'drizzle on ctx.storage.sql'],
  ['drizzle-dosql', 'drizzle on DoSQL'],
  ['d1', 'D1 (local)'],
  ['drizzle-d1', 'drizzle on D1 (local)'],
] as const;

/** The same statements on every engine that can be had, in one run. */
export async function workloads(): Promise<void> {
  const rounds = roundsOr(5);
  const { origin, close } = await startWorker('./workloads.jsonc');
  const inObject = (id: string, name: string): Measured => {
    const call = async <T>(method: string, index = 0): Promise<T> => {
      const response = await fetch(`${origin}/${id}/${method}`, { method: 'POST', body: String(index) });
      if (!response.ok) throw new Error(`${name}: ${await response.text()}`);
      return (response.status === 204 ? undefined : await response.json()) as T;
    };
    return {
      name,
      version: id.endsWith('dosql') ? version('@dotdo/dosql') : version('workerd'),
      setUp: async () => {
        await fetch(`${origin}/${id}/setUp`, { method: 'POST', body: '0' }).then(async (response) => {
          if (!response.ok) throw new Error(`${name}: ${await response.text()}`);
        });
      },
      measure: (index) => call('measure', index),
      // Drizzle over D1 does not tell.
      bill: async (index) => (id === 'drizzle-d1' ? undefined : call<Billed>('bill', index)),
      close: async () => {},
    };
  };
  const [ours, ...others] = IN_WORKERD.map(([id, name]) => inObject(id, name));
  if (ours === undefined) throw new Error('no engine');
  const inNode = (start: () => ReturnType<typeof turso> | ReturnType<typeof betterSqlite3>) => async () => {
    const engine = await start();
    const shared: Progress = { next: 1, count: 0 };
    const counts = new Map<number, number>();
    return {
      name: engine.name,
      version: engine.version,
      setUp: () => setUp(engine),
      measure: async (index: number) => {
        const workload = WORKLOADS[index];
        if (workload === undefined) throw new Error(`there is no workload ${index}`);
        shared.count = counts.get(index) ?? 0;
        const micros = await measure(engine, workload, shared);
        counts.set(index, shared.count);
        return micros;
      },
      bill: async () => undefined,
      close: () => engine.close(),
    };
  };
  const { engines, versions } = await startPeers<Measured>(ours, {
    ...Object.fromEntries(others.map((engine) => [engine.name, () => engine])),
    'better-sqlite3': inNode(betterSqlite3),
    Turso: inNode(turso),
    DoltLite: inNode(doltlite),
    PGlite: inNode(pglite),
    DuckDB: inNode(duckdb),
    MariaDB: inNode(mariadb),
  });
  try {
    for (const engine of engines) await engine.setUp();
    const measured: { workload: string; engine: string; micros: Figure }[] = [];
    const billed: ({ workload: string; engine: string } & Billed)[] = [];
    for (const [index, { name }] of WORKLOADS.entries()) {
      const samples = new Map<Measured, number[]>(engines.map((engine) => [engine, []]));
      for (let round = 0; round <= rounds; round++)
        for (const engine of inTurn(engines, round)) {
          const micros = await engine.measure(index);
          if (round > 0 || isQuick) samples.get(engine)?.push(micros);
        }
      for (const engine of engines) {
        measured.push({ workload: name, engine: engine.name, micros: figure(samples.get(engine) ?? []) });
        const bill = await engine.bill(index);
        if (bill !== undefined) billed.push({ workload: name, engine: engine.name, ...bill });
      }
      console.log(`  ${name} measured`);
    }
    report('workloads', { rounds, rows: ROWS, storage: memoryFolder, engines: versions, measured, billed });
    print('an operation, until it is durable', [
      ['', ...engines.map(({ name }) => name)],
      ...WORKLOADS.map(({ name }) => [
        name,
        ...engines.map((engine) =>
          time(
            measured.find(({ workload, engine: of }) => workload === name && of === engine.name)?.micros
              .median ?? Number.NaN,
          ),
        ),
      ]),
    ]);
  } finally {
    for (const engine of engines) await engine.close();
    await close();
  }
}
