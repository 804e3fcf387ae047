import { createDOBackend, createMemoryBackend, createTieredBackend } from '@dotdo/fsx';
import { createFaultyBackend } from '@dotdo/fsx/testing';
import { expect, inject, it, vi } from 'vitest';
import { createCDC, DB, DoSQLError, type Database } from '../src/index.ts';
import { newObject } from './support/database.ts';
import { runInDurableObject } from 'cloudflare:test';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

/**
 * Accounts of which some are cold. Clients pay from one to another, old or new, in one statement or in a transaction,
 * while passes, alarms and moves run beside them, slow and failing. Every query sees the whole sum, and every account
 * once.
 */
vi.setConfig({ testTimeout: 120_000 });

const DAY = 86_400_000;
/** In the future, so that alarms that are set by this clock do not go off. */
const START = Date.parse('2046-01-01T00:00:00.000Z');
const RUNS = Number(inject('runs')) || 1;
const ACCOUNTS = 40;
const SUM = ACCOUNTS * 100;
const QUERIES = [
  'SELECT count(*) AS n, sum(v) AS v FROM a',
  'SELECT count(DISTINCT id) AS n, sum(v) AS v FROM a',
  'SELECT count(*) AS n, sum(v) AS v FROM (SELECT DISTINCT a.id, a.v FROM a JOIN a AS b ON b.id = a.id)',
  'WITH w AS (SELECT id, v, row_number() OVER (ORDER BY v, id) AS i FROM a) SELECT max(i) AS n, sum(v) AS v FROM w',
];

interface World {
  readonly db: Database;
  readonly random: Random;
  readonly clock: { now: number };
  readonly points: bigint[];
  readonly counts: { paid: number; read: number; unavailable: number };
  isOver: boolean;
}

/** What the cold store, failing on purpose, makes of a call; anything else fails the test. */
async function tolerating(world: World, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (DoSQLError.from(error)?.code !== 'STORAGE_UNAVAILABLE') throw error;
    world.counts.unavailable++;
  }
}

async function pay({ db, random, counts, points }: World): Promise<void> {
  const [from, to] = [1 + random.int(ACCOUNTS), 1 + random.int(ACCOUNTS)];
  const amount = 1 + random.int(20);
  if (from === to) return;
  const move = 'UPDATE a SET v = v + CASE id WHEN ? THEN -? ELSE ? END WHERE id IN (?, ?)';
  if (random.chance(0.5)) await db.run(move, [from, amount, amount, from, to]);
  else
    await db.transaction(async (tx) => {
      await tx.run('UPDATE a SET v = v - ? WHERE id = ?', [amount, from]);
      if (random.chance(0.3)) await tx.query('SELECT * FROM a WHERE id = ?', [to]);
      await scheduler.wait(random.int(2));
      await tx.run('UPDATE a SET v = v + ? WHERE id = ?', [amount, to]);
    });
  counts.paid++;
  if (random.chance(0.1)) points.push(db.lsn());
}

/** An account is closed and opened anew, with another key, in one transaction: the sum stays, and the number. */
async function replace({ db, random }: World): Promise<void> {
  const id = 1 + random.int(ACCOUNTS);
  await db.transaction(async (tx) => {
    const row = await tx.get<{ v: number; at: string }>('DELETE FROM a WHERE id = ? RETURNING v, at', [id]);
    if (row !== null) await tx.run('INSERT INTO a(id, v, at) VALUES (?, ?, ?)', [id, row.v, row.at]);
  });
}

async function read({ db, random, counts, points }: World): Promise<void> {
  const sql = random.pick(QUERIES);
  const lsn = random.chance(0.3) && points.length > 0 ? random.pick(points) : undefined;
  const from = lsn === undefined ? db : db.asOf({ lsn });
  const found = await from.get(sql);
  expect(found, `${sql} as of ${lsn}`).toEqual({ n: ACCOUNTS, v: SUM });
  counts.read++;
}

async function snapshot({ db }: World): Promise<void> {
  const ids = new Set<unknown>();
  for await (const event of createCDC(db).subscribe(0n, { snapshot: 'only', tables: ['a'], batch: 6 }))
    if (event.op === 'insert' && 'after' in event) ids.add(event.after?.['id']);
  expect(ids.size).toBe(ACCOUNTS);
}

async function again(world: World, times: number, work: (world: World) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < times; i++) {
    await tolerating(world, () => work(world));
    await scheduler.wait(world.random.int(3));
  }
}

/** Until the others are done. */
async function meanwhile(world: World, work: (world: World) => Promise<unknown>): Promise<void> {
  while (!world.isOver) {
    await tolerating(world, () => work(world));
    await scheduler.wait(world.random.int(4));
  }
}

for (const first of seeds(20261121))
  for (let run = 0; run < RUNS; run++) {
    const seed = first + run * 1_000;
    it(`no query sees half of anything while rows become cold and hot (seed ${seed})`, async () => {
      console.log(`tiering beside others: VITE_SEED=${seed}`);
      const random = new Random(seed);
      const clock = { now: START };
      const rates = random.pick([{ delay: 0.3 }, { delay: 0.2, before: 0.1, after: 0.1 }]);
      const cold = createFaultyBackend(createMemoryBackend(), { seed, rates, delayMs: 3 });
      await runInDurableObject(newObject(), async (_, { storage }) => {
        const db = await DB('test', {
          storage: createTieredBackend(createDOBackend(storage), cold, {}),
          clock: () => clock.now,
          history: { keep: '9000d' },
        });
        await db.exec('CREATE TABLE a(id INTEGER PRIMARY KEY, v INTEGER NOT NULL, at TEXT NOT NULL)');
        for (let id = 1; id <= ACCOUNTS; id++)
          await db.run('INSERT INTO a VALUES (?, 100, ?)', [
            id,
            new Date(START - (id % 8) * DAY).toISOString(),
          ]);
        await db.tier('a', { column: 'at', hotFor: '1d' });
        const counts = { paid: 0, read: 0, unavailable: 0 };
        const world: World = { db, random, clock, points: [db.lsn()], counts, isOver: false };
        const work = [
          ...random.times(3, () => again(world, 15, pay)),
          ...random.times(3, () => again(world, 15, read)),
          again(world, 5, replace),
          again(world, 4, snapshot),
        ];
        const beside = [
          meanwhile(world, () => db.tierPass()),
          meanwhile(world, () => {
            clock.now += random.int(3) * 3_600_000;
            return db.alarm();
          }),
          meanwhile(world, () => db.alarm()),
        ];
        await Promise.all(work).finally(() => (world.isOver = true));
        await Promise.all(beside);
        expect(
          (await db.get(QUERIES[0] as string).catch(() => undefined)) ?? { n: ACCOUNTS, v: SUM },
        ).toEqual({ n: ACCOUNTS, v: SUM });
        console.log(JSON.stringify(counts));
        expect(counts.paid).toBeGreaterThan(10);
        expect(counts.read).toBeGreaterThan(10);
      });
    });
  }
