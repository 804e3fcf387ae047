import { check } from './branch-check.ts';
import type { Scenario } from './branch-scenarios.ts';
import type { Observed, Stored } from './branched.ts';
import type { Points, Stop } from './breakable.ts';
import type { Reply } from './base.ts';
import type { Workerd } from './workerd.ts';

/** A database before or after a scenario. */
interface State {
  readonly stored: Stored;
  readonly observed: Observed;
  readonly refusals: readonly unknown[];
}

/** What became of doing something. */
export interface Outcome extends Reply {
  readonly points?: Points;
}

/** Knows the states before and after each scenario, and tells of a database that was stopped in between which one it has. */
export class Witness {
  readonly #workerd: Workerd;
  readonly #before = new Map<Scenario, State>();
  readonly #after = new Map<Scenario, State>();
  /** How many points each scenario comes to. */
  readonly points: Map<Scenario, Points> = new Map();

  constructor(workerd: Workerd) {
    this.#workerd = workerd;
  }

  /** Does every scenario once, undisturbed. Returns what is wrong with that already. */
  async learn(scenarios: readonly Scenario[]): Promise<string[]> {
    const wrong: string[] = [];
    for (const scenario of scenarios) {
      const { name } = scenario;
      const [undone, done] = [`undone: ${name}`, `done: ${name}`];
      await this.prepare(undone, scenario);
      await this.prepare(done, scenario);
      const { ok, message, points } = await this.run(done, scenario);
      if (!ok || points === undefined) wrong.push(`${name}: ${message}`);
      else this.points.set(scenario, points);
      const [before, after] = [await this.#state(undone), await this.#state(done)];
      this.#before.set(scenario, before);
      this.#after.set(scenario, after);
      wrong.push(...[before, after].flatMap(({ stored }) => check(stored)).map((text) => `${name}: ${text}`));
      if (isSame(before.stored, after.stored)) wrong.push(`${name} stores nothing`);
      if (isSame(before.observed, after.observed) !== (scenario.isHidden ?? false))
        wrong.push(`${name}: what is read before and after is told apart wrongly`);
      if (scenario.erased !== undefined && JSON.stringify(after).includes(scenario.erased))
        wrong.push(`${name}: "${scenario.erased}" is still there`);
    }
    return wrong;
  }

  /** Brings a new database to where the scenario begins. */
  async prepare(object: string, { name }: Scenario): Promise<void> {
    const { body } = await this.#ask<Reply>(object, 'prepare', { scenario: name });
    if (!body.ok) throw new Error(`${name}: ${body.message}`);
  }

  /** Does it, up to where it is to stop. */
  async run(object: string, { name }: Scenario, stop?: Stop): Promise<Outcome> {
    return (await this.#ask<Outcome>(object, 'run', { scenario: name, stop, called: object })).body;
  }

  /** Everything stored. */
  async stored(object: string): Promise<Stored> {
    return (await this.#ask<Stored>(object, 'stored')).body;
  }

  /**
   * What is wrong with a database that was stopped: it has to be as before or as after, and as after if the answer
   * came; all that it needs to be worked with has to be there; and the scenario can be done, or has been.
   */
  async judge(object: string, scenario: Scenario, isAnswered = false): Promise<string[]> {
    const wrong: string[] = [];
    const [before, after] = [this.#before.get(scenario), this.#after.get(scenario)] as [State, State];
    const stored = await this.stored(object);
    const isBefore = !isAnswered && isSame(stored, before.stored);
    if (!isBefore && !isSame(stored, after.stored))
      wrong.push(
        `it is neither as before nor as after: ${difference(stored, before.stored)}; ${difference(stored, after.stored)}`,
      );
    wrong.push(...check(stored));
    const { body: observed } = await this.#ask<Observed>(object, 'observed');
    const expected = (isBefore ? before : after).observed;
    if (!isSame(observed, expected)) wrong.push(`it reads otherwise: ${difference(observed, expected)}`);
    wrong.push(...(await this.#repeat(object, scenario, isBefore)));
    return wrong.map((text) => `${object}: ${text}`);
  }

  async #repeat(object: string, scenario: Scenario, isBefore: boolean): Promise<string[]> {
    const wrong: string[] = [];
    const { ok, code, message } = await this.run(object, scenario);
    const isRefused = !isBefore && scenario.again !== undefined;
    if (isRefused ? code !== scenario.again : !ok) wrong.push(`done again it says ${message ?? 'nothing'}`);
    const { stored, observed, refusals } = await this.#state(object);
    wrong.push(...check(stored));
    const after = this.#after.get(scenario) as State;
    if (isBefore && !isSame(observed, after.observed))
      wrong.push(`once done it reads otherwise: ${difference(observed, after.observed)}`);
    if (!isSame(refusals, after.refusals))
      wrong.push(`it refuses ${refusals.join()}, not ${after.refusals.join()}`);
    return wrong;
  }

  /** Everything stored and read. */
  async state(object: string): Promise<Omit<State, 'refusals'>> {
    const stored = await this.stored(object);
    return { stored, observed: (await this.#ask<Observed>(object, 'observed')).body };
  }

  async #state(object: string): Promise<State> {
    const state = await this.state(object);
    const { body: refusals } = await this.#ask<unknown[]>(object, 'refusals');
    return { ...state, refusals };
  }

  #ask<T>(object: string, action: string, body?: unknown): Promise<{ body: T }> {
    return this.#workerd.ask<T>('Branched', object, action, body);
  }
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Where two values first differ; undefined where they are the same. */
export function difference(found: unknown, expected: unknown, path = ''): string | undefined {
  if (isSame(found, expected)) return undefined;
  if (typeof found === 'object' && typeof expected === 'object' && found !== null && expected !== null)
    for (const key of new Set([...Object.keys(found), ...Object.keys(expected)])) {
      const [a, b] = [found, expected].map((object) => (object as Record<string, unknown>)[key]);
      const deeper = difference(a, b, `${path}.${key}`);
      if (deeper !== undefined) return deeper;
    }
  return `${path} is ${JSON.stringify(found)?.slice(0, 300)}, not ${JSON.stringify(expected)?.slice(0, 300)}`;
}
