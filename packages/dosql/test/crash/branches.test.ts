import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { counted } from '../support/counted.ts';
import { check } from './branch-check.ts';
import { CARELESS, SCENARIOS, STEPS, type Scenario } from './branch-scenarios.ts';
import { SPINNING, type Stop } from './breakable.ts';
import { Random } from './load.ts';
import type { Stored } from './branched.ts';
import { difference, Witness } from './witness.ts';
import { until } from './until.ts';
import { Workerd } from './workerd.ts';

/** Kills at a random moment, and statements that each operation is aborted at; 600 are all of any operation's. */
const KILLS = Number(process.env['DOSQL_KILLS'] ?? 3);
const SEED = Number(process.env['DOSQL_SEED'] ?? Date.now() % 1_000_000);
const TIMEOUT = 60_000 + KILLS * 10_000;

/** One operation on a database of its own. */
interface Attempt {
  readonly object: string;
  readonly scenario: Scenario;
  readonly stop?: Stop;
}

/** What is stored, to be changed. */
interface Tampered extends Stored {
  readonly schema: (readonly [string, string, string, string | null])[];
  readonly tables: Record<string, Record<string, string>[]>;
}

let workerd: Workerd;
let witness: Witness;
const random = new Random(SEED);

beforeAll(async () => {
  console.log(`seed ${SEED}: DOSQL_SEED=${SEED} DOSQL_KILLS=${KILLS}`);
  workerd = await Workerd.create();
  await workerd.start();
  witness = new Witness(workerd);
  expect(await witness.learn([...SCENARIOS, CARELESS])).toEqual([]);
}, TIMEOUT);
afterAll(() => workerd.dispose());

describe('what branches are made with is done wholly or not at all', { timeout: TIMEOUT }, () => {
  it('when the process is killed at any await', async () => {
    const attempts = SCENARIOS.flatMap((scenario) =>
      numbers(witness.points.get(scenario)?.await ?? 0).map((at): Attempt => ({
        object: `await ${at}: ${scenario.name}`,
        scenario,
        stop: { kind: 'await', at, how: 'hang' },
      })),
    );
    expect(attempts.length).toBeGreaterThan(40);
    await prepare(attempts);
    const answers = attempts.map(attempt);
    const areHanging = async (): Promise<boolean> => {
      const { body } = await workerd.ask<string[]>('Branched', 'watcher', 'hanging');
      return body.length === attempts.length;
    };
    expect(await until(areHanging)).toBe(true);
    await restart();
    expect(await Promise.all(answers)).toEqual(attempts.map(() => false));
    expect(await judge(attempts)).toEqual([]);
  });

  it('when the object is aborted at a statement', async () => {
    const attempts = SCENARIOS.flatMap((scenario) => {
      const count = witness.points.get(scenario)?.statement ?? 0;
      return some(numbers(count), KILLS).map((at): Attempt => ({
        object: `abort ${at}: ${scenario.name}`,
        scenario,
        stop: { kind: 'statement', at, how: 'abort' },
      }));
    });
    await prepare(attempts);
    for (const one of attempts) expect(await attempt(one), one.object).toBe(false);
    counted('kills in branches', { 'statements aborted at': attempts.length });
    expect(await judge(attempts)).toEqual([]);
  });

  it('when the process is killed at a statement', async () => {
    const wrong: string[] = [];
    const scenarios = KILLS < SCENARIOS.length ? some(SCENARIOS, 2 * KILLS) : numbers(KILLS).map(anyScenario);
    for (const [i, scenario] of scenarios.entries()) {
      const at = random.between(1, witness.points.get(scenario)?.statement ?? 1);
      const one: Attempt = {
        object: `kill ${at} (${i}): ${scenario.name}`,
        scenario,
        stop: { kind: 'statement', at, how: 'spin' },
      };
      await prepare([one]);
      const answer = attempt(one);
      expect(await until(() => workerd.stderr.includes(SPINNING))).toBe(true);
      await restart();
      expect(await answer).toBe(false);
      wrong.push(...(await judge([one])));
    }
    expect(wrong).toEqual([]);
  });

  it('when the process is killed at any moment, and what was answered is there', async () => {
    const wrong: string[] = [];
    let answered = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const attempts = some(SCENARIOS, 12).map((scenario): Attempt => ({
        object: `moment ${kill}: ${scenario.name}`,
        scenario,
      }));
      await prepare(attempts);
      const answers = attempts.map(attempt);
      // Kills come from before the first is answered to after most are.
      await new Promise((resolve) => setTimeout(resolve, random.between(1, 250)));
      await restart();
      for (const [i, one] of attempts.entries()) {
        const isAnswered = (await answers[i]) === true;
        answered += Number(isAnswered);
        wrong.push(...(await witness.judge(one.object, one.scenario, isAnswered)));
      }
    }
    counted('kills in branches', { kills: KILLS, operations: 12 * KILLS, answered, wrong: wrong.length });
    expect(wrong).toEqual([]);
  });
});

describe('a database with branches', { timeout: TIMEOUT }, () => {
  it('goes on as if nothing had been when its object is evicted', async () => {
    const run = async (object: string, isEvicted: (index: number) => boolean): Promise<void> => {
      for (const index of STEPS.keys()) {
        const { body } = await workerd.ask<{ ok: boolean }>('Branched', object, 'step', { index });
        expect(body, `step ${index} of ${object}`).toEqual({ ok: true });
        if (isEvicted(index)) await workerd.ask('Branched', object, 'evict');
      }
    };
    await run('never evicted', () => false);
    await run('always evicted', () => true);
    for (let i = 0; i < KILLS; i++) await run(`evicted at times ${i}`, () => random.between(0, 1) === 0);
    const expected = await witness.state('never evicted');
    expect(check(expected.stored)).toEqual([]);
    for (const object of ['always evicted', ...numbers(KILLS).map((i) => `evicted at times ${i - 1}`)])
      expect(difference(await witness.state(object), expected), object).toBeUndefined();
  });
});

describe('the check', { timeout: TIMEOUT }, () => {
  it('sees what is torn where there is no transaction', async () => {
    const last = witness.points.get(CARELESS)?.statement ?? 0;
    const one: Attempt = {
      object: 'torn',
      scenario: CARELESS,
      stop: { kind: 'statement', at: last, how: 'spin' },
    };
    await prepare([one]);
    const answer = attempt(one);
    expect(await until(() => workerd.stderr.includes(SPINNING))).toBe(true);
    await restart();
    expect(await answer).toBe(false);
    expect((await judge([one])).join('\n')).toContain('neither as before nor as after');
  });

  it('would see half of an operation', async () => {
    const scenario = SCENARIOS.find(({ name }) => name === 'make a branch of a branch') as Scenario;
    await witness.prepare('tampered', scenario);
    await witness.run('tampered', scenario);
    const whole = await witness.stored('tampered');
    expect(check(whole)).toEqual([]);
    const isSeen = (tamper: (stored: Tampered) => void): boolean => {
      const stored = structuredClone(whole) as Tampered;
      tamper(stored);
      return check(stored).length > 0;
    };
    for (const table of ['team', "it's a pair", '__dosql_branch', '__dosql_relation'])
      expect(
        isSeen(({ tables }) => tables[table]?.pop()),
        table,
      ).toBe(true);
    expect(
      isSeen(({ tables }) => tables['__dosql_log']?.shift()),
      'the log',
    ).toBe(true);
    expect(
      isSeen(({ tables }) => tables['__dosql_tx']?.push({ first: '1', last: '999' })),
      'a transaction',
    ).toBe(true);
    expect(
      isSeen(({ tables }) => (tables['__dosql_copying'] = [{ depth: '1' }])),
      'copying',
    ).toBe(true);
    expect(
      isSeen(({ schema }) => schema.push(['table', '__dosql_target0', '__dosql_target0', ''])),
      'scratch',
    ).toBe(true);
    for (const gone of ['__dosql_b2_team', '__dosql_s2_team', '__dosql_f2_copy_team', '__dosql_b1_member'])
      expect(
        isSeen(({ schema }) =>
          schema.splice(
            schema.findIndex(([, name]) => name === gone),
            1,
          ),
        ),
        gone,
      ).toBe(true);
  });
});

/** Does it; returns whether the answer came. One that was stopped has none, or the platform's. */
async function attempt({ object, scenario, stop }: Attempt): Promise<boolean> {
  const reply = await witness.run(object, scenario, stop).catch(() => undefined);
  if (reply?.code !== undefined) throw new Error(`${object}: ${reply.message}`);
  return reply?.ok === true;
}

function anyScenario(): Scenario {
  return SCENARIOS[random.between(0, SCENARIOS.length - 1)] as Scenario;
}

/** As many of them, at random, in their order. */
function some<T>(all: readonly T[], count: number): T[] {
  const left = all.map((_, i) => i);
  while (left.length > count) left.splice(random.between(0, left.length - 1), 1);
  return left.map((i) => all[i] as T);
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

async function prepare(attempts: readonly Attempt[]): Promise<void> {
  for (const { object, scenario } of attempts) await witness.prepare(object, scenario);
}

async function judge(attempts: readonly Attempt[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const { object, scenario } of attempts) wrong.push(...(await witness.judge(object, scenario)));
  return wrong;
}

async function restart(): Promise<void> {
  await workerd.kill();
  await workerd.start();
}
