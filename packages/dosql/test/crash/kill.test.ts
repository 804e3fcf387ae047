import { afterAll, beforeAll, expect, it } from 'vitest';
import { counted } from '../support/counted.ts';
import { checkBalances, Client, Random } from './load.ts';
import { check, records } from './replay.ts';
import { until } from './until.ts';
import type { Dump } from './worker.ts';
import { Workerd } from './workerd.ts';

const KILLS = Number(process.env['DOSQL_KILLS'] ?? 50);
const SEED = Number(process.env['DOSQL_SEED'] ?? Date.now() % 1_000_000);
/** Ledgers are left behind after so many kills, so that their logs stay short enough to be read every time. */
const KILLS_A_LEDGER = 10;

let workerd: Workerd;
beforeAll(async () => {
  workerd = await Workerd.create();
});
afterAll(() => workerd.dispose());

/** What is known of one ledger over the whole run. */
class Witness {
  readonly name: string;
  readonly clients: Client[];
  /** Every row of the log that was ever seen, at its LSN. */
  readonly #log = new Map<number, string>();

  constructor(name: string, clients: Client[]) {
    this.name = name;
    this.clients = clients;
  }

  async check(): Promise<string[]> {
    const { body: dump } = await workerd.ask<Dump>('Ledger', this.name, 'dump');
    const wrong = [
      ...check(dump),
      ...checkBalances(dump),
      ...this.clients.flatMap((client) => client.check(dump)),
    ];
    const log = new Map(records(dump, '__dosql_log').map((row) => [Number(row['lsn']), contentOf(row)]));
    for (const [lsn, content] of this.#log)
      if (log.get(lsn) !== content) wrong.push(`LSN ${lsn} was ${content}, is ${log.get(lsn)}`);
    for (const [lsn, content] of log) this.#log.set(lsn, content);
    return wrong.map((text) => `${this.name}: ${text}`);
  }
}

it(
  `keeps what it acknowledged through ${KILLS} kills, and never half of anything`,
  { timeout: 300_000 },
  async () => {
    console.log(`seed ${SEED}: DOSQL_SEED=${SEED} DOSQL_KILLS=${KILLS}`);
    const random = new Random(SEED);
    const witnesses: Witness[] = [];
    const wrong: string[] = [];
    const careless = { acks: 0, torn: 0, next: 0 };
    let owner = 0;
    const begin = (name: string, clients: number): Witness => {
      const make = (): Client => new Client(name, ++owner, new Random(random.between(0, 2 ** 30)));
      const witness = new Witness(name, Array.from({ length: clients }, make));
      witnesses.push(witness);
      return witness;
    };
    let ledgers: Witness[] = [];
    for (let kill = 0; kill < KILLS && wrong.length === 0; kill++) {
      await workerd.start();
      if (kill % KILLS_A_LEDGER === 0) ledgers = [begin(`a${kill}`, 3), begin(`b${kill}`, 2)];
      const level = levelOf(kill);
      const round = [...ledgers, begin(`new${kill}`, 2)];
      // Every other kill finds the ledgers open already, so that it falls among writes, not migrations.
      const isWarm = kill % 2 === 0;
      if (isWarm) for (const { name } of ledgers) await workerd.ask('Ledger', name, 'wake', { level });
      const acksBefore = [acksOf(ledgers), careless.acks];
      const load = round.flatMap(({ clients }) => clients.map((client) => client.write(workerd, level)));
      const control = writeCarelessly(careless);
      if (isWarm)
        await until(() => acksOf(ledgers) > Number(acksBefore[0]) && careless.acks > Number(acksBefore[1]));
      await new Promise((resolve) => setTimeout(resolve, random.between(5, 250)));
      await workerd.kill();
      wrong.push(...(await Promise.all(load)).flat());
      await control;

      await workerd.start();
      for (const witness of round) wrong.push(...(await witness.check()));
      for (const { name } of round) {
        const { body } = await workerd.ask<{ isArmed: boolean }>('Ledger', name, 'wake', { level });
        if (!body.isArmed)
          wrong.push(`${name}: its timers wait for an alarm that is not set: ${JSON.stringify(body)}`);
      }
      const { tables } = (await workerd.ask<Dump>('Careless', 'c', 'dump')).body;
      careless.torn = (tables['row']?.rows.length ?? 0) - (tables['log']?.rows.length ?? 0);
      await workerd.kill();
    }
    await workerd.start();
    for (const witness of witnesses) wrong.push(...(await witness.check()));
    const acks = acksOf(witnesses);
    counted('kills', {
      kills: KILLS,
      acknowledged: acks,
      wrong: wrong.length,
      'acknowledged without a transaction': careless.acks,
      'torn without a transaction': careless.torn,
    });
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(acks).toBeGreaterThanOrEqual(KILLS / 2);
    // The same kills tear a row from its log row where there is no transaction: the harness sees what it looks for.
    expect(careless.torn).toBeGreaterThan(0);
  },
);

function acksOf(witnesses: readonly Witness[]): number {
  return witnesses.flatMap(({ clients }) => clients).reduce((sum, { acks }) => sum + acks, 0);
}

/**
 * How many migrations the version knows that is deployed at a kill. Each brings one more, and a new ledger
 * applies them all with its first request; every fifth pair of ledgers has rows wider than the log.
 */
function levelOf(kill: number): number {
  const isWide = kill % 50 >= 40;
  return 3 + (kill % KILLS_A_LEDGER) + (isWide ? 40 : 0);
}

it('would see a loss or a tear', async () => {
  await workerd.kill();
  await workerd.start();
  const client = new Client('tampered', 99, new Random(1));
  const load = client.write(workerd, 5);
  await until(() => client.acks >= 30);
  await workerd.kill();
  await load;
  await workerd.start();
  const { body: dump } = await workerd.ask<Dump>('Ledger', 'tampered', 'dump');
  const wrongAfter = (change: (tables: Dump['tables']) => void): string[] => {
    const changed = structuredClone(dump);
    change(changed.tables);
    return [...check(changed), ...checkBalances(changed), ...client.check(changed)];
  };
  const drop = (table: string, at: number) => (tables: Dump['tables']) =>
    void tables[table]?.rows.splice(at, 1);
  expect(wrongAfter(() => {})).toEqual([]);
  for (const table of [
    'account',
    'item',
    'part',
    'transfer',
    'extra4',
    '__dosql_log',
    '__dosql_migration',
    '__dosql_timer',
  ])
    expect(wrongAfter(drop(table, table === '__dosql_timer' ? 1 : -1)), table).not.toEqual([]);
  expect(
    wrongAfter(({ __dosql_tx: transactions }) => transactions?.rows.splice(0)),
    'transactions',
  ).not.toEqual([]);
  expect(
    wrongAfter(({ item }) => item?.rows.forEach((row) => (row[2] = '-1'))),
    'a value',
  ).not.toEqual([]);
  expect(
    wrongAfter(({ item }) => item?.columns.pop()),
    'a column',
  ).not.toEqual([]);
});

async function writeCarelessly(careless: { acks: number; next: number }): Promise<void> {
  for (;;) {
    try {
      await workerd.ask('Careless', 'c', 'write', { id: careless.next++ });
    } catch {
      return;
    }
    careless.acks++;
  }
}

function contentOf(row: Readonly<Record<string, unknown>>): string {
  // A log that has been widened reads NULL in the columns that are new.
  return JSON.stringify(Object.entries(row).filter(([, value]) => value !== 'NULL'));
}
