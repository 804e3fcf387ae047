import { createDOBackend, createTieredBackend } from '@dotdo/fsx';
import { expect, inject, it, vi } from 'vitest';
import type { Database } from '../../src/index.ts';
import { withRestored } from '../support/backup.ts';
import { counted } from '../support/counted.ts';
import { LAKE, lakeRows } from '../support/iceberg.ts';
import { Random } from '../support/random.ts';
import { seeds } from '../support/seeds.ts';
import { readSlot } from './consumer.ts';
import { BEGINNING, SCHEMA, textsOf, type Line, type State, type Table } from './model.ts';
import { linesOf, planOf, tidyingOf, type Plan } from './plans.ts';
import { FAULTS, PEACE, World, type Awake, type Trouble } from './world.ts';

/**
 * One database in one object, with everything that it can do going on at random, beside a model of plain maps; and
 * everything that can go wrong going wrong at random ({@link FAULTS}): the object ends, is evicted or has no room left,
 * calls of the cold store fail, are slow, come late, lose their answers, tear what they write or give half of what they
 * read, alarms come twice, not for long or not at all, and the clock steps back or stands still.
 *
 * After each step main and every branch hold what the model does: all of what was said to be done, nothing of what was
 * refused, and one or the other where the object ended. At the end every LSN that was noted reads as it was then, both
 * consumers have got every change once and in order, all files that are named are there, others read the same cold rows
 * by Iceberg's metadata, and backups restore. `VITE_SEED=n` replays a run; `VITE_RUNS=n` makes n of them.
 */
vi.setConfig({ testTimeout: 120_000 });

const RUNS = Number(inject('runs')) || 3;
const STEPS = 110;
/** Steps that come after those, with nothing going wrong but calls of the cold store, of which there are many. */
const TIDYING = 24;

class Simulation {
  readonly #world: World;
  readonly #trace: string[] = [];
  #state: State = { main: BEGINNING, branches: new Map() };
  #lsn = 0n;

  constructor(seed: number) {
    this.#world = new World(new Random(seed));
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#world.counts;
  }

  async run(): Promise<void> {
    const world = this.#world;
    await world.during(PEACE, async ({ db }) => {
      await db.exec(SCHEMA);
      const hotFor = world.random.pick(['6h', '12h', '2d']);
      await db.tier('item', { column: 'at', hotFor, partition: 'day', iceberg: { location: LAKE } });
      this.#note(db);
    });
    for (let step = 0; step < STEPS; step++) {
      if (world.random.chance(0.06)) await world.evict();
      if (world.random.chance(0.04)) await world.loseAlarm();
      await this.#step(planOf, this.#trouble());
    }
    for (let step = 0; step < TIDYING; step++)
      await this.#step((...given) => tidyingOf(...given, step), { ...PEACE, isStoreFaulty: true });
    await this.#finish();
  }

  #trouble(): Trouble {
    const { random } = this.#world;
    const point = (): number => 1 + random.int(random.pick([8, 60, 400]));
    return {
      isStoreFaulty: random.chance(0.6),
      endsAt: random.chance(0.25) ? point() : undefined,
      fullAt: random.chance(0.15) ? point() : undefined,
    };
  }

  async #step(planned: (world: World, state: State) => Plan, trouble: Trouble): Promise<void> {
    const world = this.#world;
    world.tick();
    const plan = planned(world, this.#state);
    const ending = await world
      .during(trouble, plan.run)
      .catch((cause: unknown) => this.#fail(`${plan.name} ${JSON.stringify(trouble)}`, cause));
    this.#trace.push(`${plan.name} -- ${JSON.stringify(trouble)} ${JSON.stringify(ending)}`);
    world.count('steps');
    await world
      .during(PEACE, async (awake) => {
        const isKnown = ending === 'done' || (typeof ending === 'object' && plan.isResumed !== true);
        const before = this.#state;
        const isDone = isKnown ? ending === 'done' : await isAs(awake.db, plan.after);
        this.#state = isDone ? plan.after : before;
        if (isDone) plan.note?.();
        await this.#check(awake, before);
      })
      .catch((cause: unknown) => this.#fail('check', cause));
  }

  /** All lines are as in the model, and so is one moment of the past. */
  async #check({ db }: Awake, before: State): Promise<void> {
    const world = this.#world;
    expect(await linesOf(db, this.#state.main), 'main').toEqual(textsOf(this.#state.main));
    for (const [name, { line }] of this.#state.branches)
      expect(await linesOf(await db.checkout(name), line), name).toEqual(textsOf(line));
    expect(
      (await db.branches())
        .map(({ name }) => name)
        .filter((name) => name !== 'main')
        .sort(),
    ).toEqual([...this.#state.branches.keys()].sort());
    const lsn = db.lsn();
    expect(lsn >= this.#lsn, `LSN ${lsn} after ${this.#lsn}`).toBe(true);
    if (hasOtherRows(this.#state.main, before.main))
      expect(lsn > this.#lsn, 'a change has an LSN of its own').toBe(true);
    this.#note(db);
    const moment = world.random.pick(world.moments);
    expect(await linesOf(db.asOf({ lsn: moment.lsn }), moment.main), `as of ${moment.lsn}`).toEqual(
      textsOf(moment.main),
    );
    world.count('checks', 3 + this.#state.branches.size);
  }

  /** Remembers main as it is after this LSN; what changes no row has none. */
  #note(db: Database): void {
    const { moments } = this.#world;
    this.#lsn = db.lsn();
    if (moments.at(-1)?.lsn === this.#lsn) moments.pop();
    moments.push({ lsn: this.#lsn, main: this.#state.main });
  }

  async #finish(): Promise<void> {
    const world = this.#world;
    const { moments, reader, taker } = world;
    taker.isKind = true;
    await world
      .during(PEACE, async (awake) => {
        const { db, cdc } = awake;
        for (const { lsn, main } of moments) {
          expect(await linesOf(db.asOf({ lsn }), main), `as of ${lsn}`).toEqual(textsOf(main));
          world.count('checks');
        }
        await readSlot(cdc, world.random, reader, true);
        for (let i = 0; i < 50 && taker.follower.last < reader.last; i++) {
          world.now += 86_400_000;
          await db.alarm();
        }
        for (const follower of [reader, taker.follower]) {
          follower.compareTo(db.lsn());
          world.count('checks', follower.checks);
        }
        expect(taker.follower.last).toBe(reader.last);
        expect(await cdc.deadLetters('taker')).toEqual([]);
        while ((await db.tierPass()).more);
        for (const { problem } of await db.tierStatus()) expect(problem).toBeUndefined();
        await world.store.settle();
        await filesAreThere(awake, world);
        await this.#checkLake(awake);
        await db.backup();
      })
      .catch((cause: unknown) => this.#fail('the end', cause));
    for (const moment of [moments.at(-1), world.random.pick(moments)])
      await this.#restored(moment as { lsn: bigint; main: Line }).catch((cause: unknown) =>
        this.#fail('restoring', cause),
      );
  }

  /** The rows that are cold are those that others read of the table of Iceberg. */
  async #checkLake({ storage }: Awake): Promise<void> {
    const hot = new Set([...storage.sql.exec('SELECT id FROM item').raw()].map(([id]) => Number(id)));
    const rows = [...(this.#state.main.get('item') as Table).rows.values()];
    const shown = ({ id, n, s, at }: Readonly<Record<string, unknown>>): string =>
      [id, n, s, new Date(at as string).toISOString()].join(' ');
    const lake = await lakeRows(this.#world.files, 'tables/item-1');
    expect(lake.map(shown).toSorted(), 'Iceberg').toEqual(
      rows
        .filter(({ id }) => !hot.has(Number(id)))
        .map(shown)
        .toSorted(),
    );
    this.#world.count('checks');
    this.#world.count('rows in Iceberg', lake.length);
  }

  /** From the backups alone, in another object. */
  async #restored({ lsn, main }: { readonly lsn: bigint; readonly main: Line }): Promise<void> {
    const { files } = this.#world;
    await withRestored({ from: files, at: { lsn } }, async (storage, _, open) => {
      const place = createTieredBackend(createDOBackend(storage), files, {});
      const db = await open({ storage: place, clock: () => this.#world.now });
      expect(await linesOf(db, main), `restored as of ${lsn}`).toEqual(textsOf(main));
      this.#world.count('checks');
    });
  }

  #fail(where: string, cause: unknown): never {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${where}: ${why}\n${this.#trace.slice(-25).join('\n')}`, { cause });
  }
}

/** Whether the lines have the same tables, with other rows. */
function hasOtherRows(line: Line, other: Line): boolean {
  const shape = (each: Line): string =>
    [...each].map(([name, { columns }]) => `${name}(${columns.join()})`).join();
  return shape(line) === shape(other) && String(textsOf(line)) !== String(textsOf(other));
}

/** Whether the database holds what the model would. */
async function isAs(db: Database, { main, branches }: State): Promise<boolean> {
  try {
    const names = (await db.branches()).map(({ name }) => name).filter((name) => name !== 'main');
    if (String(names.sort()) !== String([...branches.keys()].sort())) return false;
    const tables = await db.query<{ name: string }>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'note_*' ORDER BY name",
    );
    const notes = [...main.keys()].filter((name) => name.startsWith('note_')).sort();
    if (String(tables.map(({ name }) => name)) !== String(notes)) return false;
    if (String(await linesOf(db, main)) !== String(textsOf(main))) return false;
    for (const [name, { line }] of branches)
      if (String(await linesOf(await db.checkout(name), line)) !== String(textsOf(line))) return false;
    return true;
  } catch {
    // A table or a column that is not there.
    return false;
  }
}

/** Every file that the manifest names lies in the cold store or in the object's own, and has its bytes. */
async function filesAreThere({ storage }: Awake, world: World): Promise<void> {
  const own = createDOBackend(storage);
  for (const { path } of storage.sql.exec<{ path: string }>('SELECT path FROM __dosql_tier_file')) {
    const stat = (await world.files.stat(path)) ?? (await own.stat(path));
    expect(stat, path).not.toBeNull();
    world.count('files');
  }
}

const total = new Map<string, number>();

for (const first of seeds(20_261_121).slice(0, 1))
  for (let seed = first; seed < first + RUNS; seed++)
    it(`a database is what its model is, whatever goes wrong (seed ${seed})`, async () => {
      console.log(`simulator: VITE_SEED=${seed}`);
      const simulation = new Simulation(seed);
      await simulation.run();
      for (const [what, count] of simulation.counts) total.set(what, (total.get(what) ?? 0) + count);
      counted('simulator', Object.fromEntries(simulation.counts));
      expect(simulation.counts.get('checks')).toBeGreaterThan(STEPS * 3);
    });

it('everything has gone wrong that can', () => {
  // A run that is replayed by itself need not have met everything.
  if (RUNS >= 3) expect(FAULTS.filter((fault) => !total.has(fault))).toEqual([]);
});
