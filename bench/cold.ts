import { join } from 'node:path';
import {
  figure,
  isQuick,
  memoryFolder,
  print,
  report,
  roundsOr,
  spread,
  type Figure,
} from './harness/report.ts';
import { inWorkerd } from './harness/workerd.ts';

const ROWS = isQuick ? [0, 1_000] : [0, 10_000, 1_000_000];
const BRANCHES = isQuick ? [0, 2] : [0, 1, 10, 100];
const CHANGES = isQuick ? [2_000, 4_000] : [10_000, 100_000, 1_000_000];
const FOLLOWERS = isQuick ? [0, 2] : [0, 1, 10, 100];
const OPERATIONS = isQuick ? 50 : 1_000;
const worker = {
  entry: join(import.meta.dirname, 'cold.worker.ts'),
  classes: ['Cold'],
  folder: memoryFolder,
};

/** µs from a request to the first answer of an object that was asleep. */
interface Start {
  readonly rows: number;
  readonly bare: Figure;
  readonly dosql: Figure;
  /** With three migrations to apply, one of which indexes every row. */
  readonly deployed: Figure;
}

/** µs of an insert and of a read by key as something grows. */
interface Growth {
  readonly by: 'rows' | 'changes in the history' | 'branches' | 'subscribers';
  readonly engine: 'bare' | 'dosql';
  readonly size: number;
  readonly insert: Figure;
  readonly read: Figure;
}

type Call = <T>(object: string, method: string, ...args: unknown[]) => Promise<T>;

/** How long an object takes to wake, and what grows slower as it grows. */
export async function cold(): Promise<void> {
  const rounds = roundsOr(5);
  await inWorkerd(worker, async (origin) => {
    const call: Call = async <T>(object: string, method: string, ...args: unknown[]) => {
      const response = await fetch(`${origin}/${object}/${method}`, {
        method: 'POST',
        body: JSON.stringify(args),
      });
      if (!response.ok) throw new Error(`${method}: ${await response.text()}`);
      return response.json<T>();
    };
    const starts: Start[] = [];
    for (const rows of ROWS) starts.push(await start(call, rows, rounds));
    const growth = [
      ...(await growing(call, 'rows', ROWS.slice(1), rounds)),
      ...(await growing(call, 'changes in the history', CHANGES, rounds)),
      ...(await growing(call, 'branches', BRANCHES, rounds)),
      ...(await growing(call, 'subscribers', FOLLOWERS, rounds)),
    ];
    report('cold', { rounds, storage: memoryFolder, starts, growth });
    print('from a request to the answer of an object that was asleep', [
      ['rows', 'bare', 'DoSQL', 'DoSQL, three migrations'],
      ...starts.map(({ rows, bare, dosql, deployed }) => [
        rows.toLocaleString('en'),
        spread(bare),
        spread(dosql),
        spread(deployed),
      ]),
    ]);
    print('as something grows', [
      ['', 'engine', 'insert', 'read by key'],
      ...growth.map(({ by, engine, size, insert, read }) => [
        `${size.toLocaleString('en')} ${by}`,
        engine,
        spread(insert),
        spread(read),
      ]),
    ]);
  });
}

async function start(call: Call, rows: number, rounds: number): Promise<Start> {
  const samples = { bare: [] as number[], dosql: [] as number[], deployed: [] as number[] };
  const waking = async (object: string, isBare: boolean, isDeployed: boolean): Promise<number> => {
    // The object ends in the middle of the call, which therefore fails.
    await call(object, 'sleep').catch(() => undefined);
    const began = performance.now();
    const found = await call<number>(object, 'first', isBare, isDeployed);
    if (found !== (rows === 0 ? 0 : 1)) throw new Error(`${found} rows where there are ${rows}`);
    return (performance.now() - began) * 1_000;
  };
  await call(`bare-${rows}`, 'load', true, rows);
  await call(`dosql-${rows}`, 'load', false, rows);
  for (let round = 0; round <= rounds; round++) {
    const bare = await waking(`bare-${rows}`, true, false);
    const dosql = await waking(`dosql-${rows}`, false, false);
    if (round === 0 && !isQuick) continue;
    samples.bare.push(bare);
    samples.dosql.push(dosql);
  }
  // A deployment comes but once to an object.
  for (let i = 0; i < (isQuick ? 1 : 3); i++) {
    await call(`deployed-${rows}-${i}`, 'load', false, rows);
    samples.deployed.push(await waking(`deployed-${rows}-${i}`, false, true));
  }
  return {
    rows,
    bare: figure(samples.bare),
    dosql: figure(samples.dosql),
    deployed: figure(samples.deployed),
  };
}

async function growing(
  call: Call,
  by: Growth['by'],
  sizes: readonly number[],
  rounds: number,
): Promise<Growth[]> {
  const growth: Growth[] = [];
  const base = Math.min(10_000, ROWS.at(-1) ?? 0);
  const object = `growing-${by.split(' ')[0]}`;
  if (by !== 'rows') await call(object, 'load', false, base);
  for (const size of sizes) {
    if (by === 'branches') await call(object, 'branch', size);
    if (by === 'changes in the history') await call(object, 'age', size);
    const own = by === 'rows' || by === 'subscribers' ? `${object}-${size}` : object;
    if (own !== object) await call(own, 'load', false, by === 'rows' ? size : base);
    if (by === 'subscribers') await call(own, 'follow', size);
    const engines = by === 'rows' ? (['bare', 'dosql'] as const) : (['dosql'] as const);
    if (by === 'rows') await call(`bare-${own}`, 'load', true, size);
    for (const engine of engines) {
      const insert: number[] = [];
      const read: number[] = [];
      for (let round = 0; round <= rounds; round++) {
        const name = engine === 'bare' ? `bare-${own}` : own;
        const taken = await call<{ insert: number; read: number }>(
          name,
          'measure',
          engine === 'bare',
          OPERATIONS,
        );
        if (round === 0 && !isQuick) continue;
        insert.push(taken.insert);
        read.push(taken.read);
      }
      growth.push({ by, engine, size, insert: figure(insert), read: figure(read) });
    }
  }
  return growth;
}
