import type { Database } from '@dotdo/dosql';
import { HttpError, json, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import type { Floor } from './floor.ts';
import { NewFloor } from './input.ts';
import type { Context } from './routes.ts';
import { allRules } from './rules.ts';

/** One query asks all floors. */
const MAX_FLOORS = 100;
const RULES_TIMER = 'send-rules';

/** What the floors have answered, and those that have not. */
export interface FloorAnswers<T> {
  readonly answers: readonly { readonly floor: string; readonly value: T }[];
  readonly unreachable: readonly string[];
}

/**
 * The floors of a building that have objects of their own. Devices send to them directly; the building asks them, and
 * tells them its rules. Their alerts and summaries come back to it by their streams.
 */
export class Floors {
  readonly #db: Database;
  readonly #now: () => number;
  readonly #stub: (floor: string) => DurableObjectStub<Floor>;

  constructor(db: Database, now: () => number, stub: (floor: string) => DurableObjectStub<Floor>) {
    this.#db = db;
    this.#now = now;
    this.#stub = stub;
    db.onTimer(RULES_TIMER, async () => {
      const rules = await allRules(db);
      const { unreachable } = await this.ask((floor) => floor.setRules(rules));
      // What a timer throws has it tried again, later and later: taking the rules twice does no harm.
      if (unreachable.length > 0)
        throw new Error(`these floors have not taken the rules: ${unreachable.join()}`);
    });
  }

  async names(): Promise<string[]> {
    const floors = await this.#db.query<{ floor: string }>('SELECT floor FROM floors ORDER BY floor');
    return floors.map(({ floor }) => floor);
  }

  /** Adds a floor, and tells it the rules; what is there already stays as it is. */
  async add(floor: string): Promise<void> {
    const names = await this.names();
    if (names.length >= MAX_FLOORS && !names.includes(floor))
      throw new HttpError(409, `there are ${MAX_FLOORS} floors already`);
    // Its object first: a floor that is listed can be asked.
    await this.#stub(floor).open(this.#db.name, floor);
    await this.#db.transaction(async (tx) => {
      await tx.run('INSERT INTO floors (floor, since) VALUES (?, ?) ON CONFLICT DO NOTHING', [
        floor,
        this.#now(),
      ]);
      await this.sendRulesSoon();
    });
  }

  /** Has the rules sent to all floors. Inside of a transaction that is a part of it. */
  async sendRulesSoon(): Promise<void> {
    await this.#db.schedule(RULES_TIMER, this.#now());
  }

  /** Asks all floors at once. */
  async ask<T>(question: (floor: DurableObjectStub<Floor>) => Promise<T>): Promise<FloorAnswers<T>> {
    const names = await this.names();
    const results = await Promise.allSettled(names.map(async (floor) => question(this.#stub(floor))));
    const answers: { floor: string; value: T }[] = [];
    const unreachable: string[] = [];
    for (const [i, result] of results.entries()) {
      const floor = names[i] as string;
      if (result.status === 'fulfilled') answers.push({ floor, value: result.value });
      else unreachable.push(floor);
    }
    return { answers, unreachable };
  }
}

/** `GET /floors` */
export async function listFloors({ floors, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  return json({ floors: await floors.names() });
}

/** `POST /floors { floor }`: from now on its devices send to `/floors/:floor/ingest`, an object of its own. */
export async function createFloor({ floors, request }: Context): Promise<Response> {
  const { floor } = parseInput(NewFloor, await readJson(request));
  await floors.add(floor);
  return json({ floor }, { status: 201 });
}
