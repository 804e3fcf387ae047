import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCENARIOS, type Scenario } from './branch-scenarios.ts';
import { SPINNING } from './breakable.ts';
import { Random } from './load.ts';
import { Witness } from './witness.ts';
import { Workerd } from './workerd.ts';

/** Kills at a random moment; of each operation, as many statements are stopped at. */
const KILLS = Number(process.env['DOSQL_KILLS'] ?? 5);
const SEED = Number(process.env['DOSQL_SEED'] ?? Date.now() % 1_000_000);
const TIMEOUT = 60_000 + KILLS * 10_000;

/** One operation on a database of its own. */
interface Attempt {
  readonly object: string;
  readonly scenario: Scenario;
  readonly at: number;
}

let workerd: Workerd;
let witness: Witness;
const random = new Random(SEED);
beforeAll(async () => {
  console.log(`seed ${SEED}: DOSQL_SEED=${SEED} DOSQL_KILLS=${KILLS}`);
  workerd = await Workerd.create();
  await workerd.start();
  witness = new Witness(workerd);
  expect(await witness.learn()).toEqual([]);
}, TIMEOUT);
afterAll(() => workerd.dispose());

describe('branches, merges, restoring and erasing are done wholly or not at all', { timeout: TIMEOUT }, () => {
  it('when the process is killed at any await', async () => {
    const attempts = SCENARIOS.flatMap((scenario) =>
      numbers(witness.points.get(scenario)?.await ?? 0).map(
        (at): Attempt => ({ object: `hangs at ${at}: ${scenario.name}`, scenario, at }),
      ),
    );
    expect(attempts.length).toBeGreaterThan(40);
    await prepare(attempts);
    const answers = attempts.map(({ object, scenario, at }) =>
      witness.run(object, scenario, { kind: 'await', at, how: 'hang' }).catch(() => undefined),
    );
    await until(async () => {
      const { body } = await workerd.ask<string[]>('Branched', 'watcher', 'hanging');
      return body.length === attempts.length;
    });
    await restart();
    expect(await Promise.all(answers)).toEqual(attempts.map(() => undefined));
    expect(await judge(attempts)).toEqual([]);
  });
});

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

/** Waits for `condition`, however slow the machine. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 2_000; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('what was waited for has not come');
}
void SPINNING;
void random;
