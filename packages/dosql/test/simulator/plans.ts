import { expect } from 'vitest';
import type { Database, Reader } from '../../src/index.ts';
import { readSlot, nameOf } from './consumer.ts';
import {
  changeOf,
  definition,
  keyOf,
  MAIN_PART,
  merged,
  PARTS,
  SHARED,
  textsOf,
  withRows,
  type Branch,
  type Change,
  type Line,
  type Parts,
  type State,
  type Table,
} from './model.ts';
import type { Awake, World } from './world.ts';

/** Something to do, and what the database holds when it is done. */
export interface Plan {
  readonly name: string;
  readonly after: State;
  /** Where a refusal may leave what was begun: it is then done or not, as with an end of the object. */
  readonly isResumed?: boolean;
  readonly run: (awake: Awake) => Promise<void>;
  /** What else the test has to know when it is done. */
  readonly note?: () => void;
}

/** The tables of a line as a handle has them; one on the past names columns in rows alone. */
export async function linesOf(from: Reader, line: Line): Promise<string[]> {
  const texts: string[] = [];
  for (const [name, { columns }] of line) {
    const sql = `SELECT * FROM ${name}`;
    const rows = await from.query<Record<string, unknown>>(sql);
    const [own] = 'prepare' in from ? await (from as Database).prepare(sql).raw({ columnNames: true }) : [];
    const names = own ?? (rows[0] === undefined ? columns : Object.keys(rows[0]));
    texts.push(`${name}(${names.join()})`);
    for (const row of rows)
      texts.push(`${name} ${JSON.stringify(columns.map((column) => row[column] ?? null))}`);
  }
  return texts.sort();
}

/** The parts of the keys that main may write: those that no branch has. */
function free({ branches }: State): Parts {
  const taken = new Set([...branches.values()].map(({ part }) => part));
  return Array.from({ length: PARTS }, (_, part) => part).filter((part) => !taken.has(part));
}

const onMain = (state: State, main: Line): State => ({ ...state, main });
const onBranch = (state: State, name: string, branch: Branch): State => ({
  ...state,
  branches: new Map(state.branches).set(name, branch),
});

/** Changes one after the other, and the line after all of them. */
function several(
  world: World,
  line: Line,
  parts: Parts,
): { readonly changes: readonly Change[]; readonly after: Line } {
  const changes: Change[] = [];
  let after = line;
  for (let i = world.random.int(5); i >= 0; i--) {
    const change = changeOf(world.random, after, parts, () => world.at());
    changes.push(change);
    after = change.effect(after);
  }
  return { changes, after };
}

function write(world: World, state: State): Plan {
  const change = changeOf(world.random, state.main, free(state), () => world.at());
  return {
    name: `write: ${change.sql} ${JSON.stringify(change.params)}`,
    after: onMain(state, change.effect(state.main)),
    run: async ({ db }) => void (await db.run(change.sql, [...change.params])),
  };
}

function transaction(world: World, state: State): Plan {
  const { random } = world;
  const { changes, after } = several(world, state.main, free(state));
  const isUndone = random.chance(0.25);
  const isBatch = !isUndone && random.chance(0.4);
  return {
    name: `transaction${isUndone ? ', undone' : isBatch ? ', as a batch' : ''}: ${changes.map(({ sql }) => sql).join('; ')}`,
    after: isUndone ? state : onMain(state, after),
    run: async ({ db }) => {
      if (isBatch) {
        await db.batch(changes.map(({ sql, params }) => ({ sql, params: [...params] })));
        return;
      }
      const done = db.transaction(async (tx) => {
        for (const { sql, params } of changes) await tx.run(sql, [...params]);
        if (isUndone) throw new Error('undone');
      });
      await done.catch((error: unknown) => {
        if (!isUndone || !(error instanceof Error) || error.message !== 'undone') throw error;
      });
    },
  };
}

function define(world: World, state: State): Plan {
  world.count('definitions');
  const { sql, effect } = definition(
    world.random,
    state.main,
    world.counts.get('definitions') ?? 0,
    state.branches.size > 0,
  );
  return {
    name: sql,
    after: onMain(state, effect(state.main)),
    run: ({ db }) => db.exec(sql),
  };
}

function branching(world: World, state: State): Plan {
  const { random } = world;
  const { branches } = state;
  const [name, branch] = random.pick([...branches, ['', undefined] as const]);
  if (branch === undefined || (branches.size < 2 && random.chance(0.2))) {
    const fresh = `work/${(world.counts.get('branches') ?? 0) + 1}`;
    if (branches.size >= 2) return write(world, state);
    const part = random.pick(free(state).filter((each) => each !== MAIN_PART));
    return {
      name: `branch ${fresh}`,
      after: onBranch(state, fresh, { line: state.main, part }),
      run: async ({ db }) => void (await db.branch(fresh)),
      note: () => world.count('branches'),
    };
  }
  const kind = random.int(10);
  if (kind < 5) {
    const { changes, after } = several(world, branch.line, [branch.part]);
    return {
      name: `on ${name}: ${changes.map(({ sql, params }) => `${sql} ${JSON.stringify(params)}`).join('; ')}`,
      after: onBranch(state, name, { ...branch, line: after }),
      run: async ({ db }) => {
        const handle = await db.checkout(name);
        await handle.transaction(async (tx) => {
          for (const { sql, params } of changes) await tx.run(sql, [...params]);
        });
      },
    };
  }
  if (kind < 7)
    return {
      name: `merge ${name}`,
      after: onMain(state, merged(state.main, branch)),
      run: async ({ db }) => {
        const { merged, conflicts, violations } = await db.merge(name);
        expect({ merged, conflicts, violations }).toEqual({ merged: true, conflicts: [], violations: [] });
      },
      note: () => world.count('merges'),
    };
  return {
    name: `drop ${name}`,
    after: { ...state, branches: new Map([...branches].filter(([other]) => other !== name)) },
    run: ({ db }) => db.dropBranch(name),
  };
}

function pass(world: World, state: State): Plan {
  return {
    name: 'pass',
    after: state,
    run: async ({ db }) => void (await db.tierPass()),
    note: () => world.count('passes'),
  };
}

/** Alarms come late, twice at once, or again after a failure; deliveries go with them. */
function alarm(world: World, state: State): Plan {
  const times = 1 + world.random.int(2);
  world.now += world.random.int(3_600_000);
  return {
    name: `${times} alarms at once`,
    after: state,
    run: async ({ db }) => void (await Promise.all(Array.from({ length: times }, () => db.alarm()))),
    note: () => {
      world.count('alarms', times);
      if (times > 1) world.count('alarms twice at once');
    },
  };
}

function read(world: World, state: State): Plan {
  return {
    name: 'read the slot',
    after: state,
    run: ({ cdc }) => readSlot(cdc, world.random, world.reader, false),
  };
}

/** Reads everything, cold rows too, as it is and as it was. */
function look(world: World, state: State): Plan {
  const { lsn, main } = world.random.pick(world.moments);
  return {
    name: `look, as of ${lsn} too`,
    after: state,
    run: async ({ db }) => {
      expect(await linesOf(db, state.main), 'main').toEqual(textsOf(state.main));
      expect(await linesOf(db.asOf({ lsn }), main), `as of ${lsn}`).toEqual(textsOf(main));
      world.count('checks', 2);
    },
  };
}

function backup(world: World, state: State): Plan {
  return {
    name: 'backup',
    after: state,
    run: async ({ db }) => void (await db.backup()),
    note: () => world.count('backups'),
  };
}

/** Sets the tables back that have the columns that they had, while no branch has keys of its own. */
function back(world: World, state: State): Plan {
  const moment = world.random.pick(world.moments);
  if (state.branches.size > 0) return read(world, state);
  const tables = ['item', 'pair'].filter(
    (name) => moment.main.get(name)?.columns.join() === state.main.get(name)?.columns.join(),
  );
  const main = tables.reduce(
    (line, name) => new Map(line).set(name, moment.main.get(name) as Table),
    state.main as Map<string, Table>,
  );
  return {
    name: `set ${tables.join(' and ')} back to ${moment.lsn}`,
    after: onMain(state, main),
    run: async ({ db }) => void (await db.restore({ lsn: moment.lsn }, { tables })),
    note: () => world.count('restores'),
  };
}

/** Erases a row, but not the last one, whose key SQLite gives to the next. */
function purge(world: World, state: State): Plan {
  const { random, moments } = world;
  const item = state.main.get('item') as Table;
  const ids = [...item.rows.values()].map((row) => Number(row['id'])).toSorted((a, b) => a - b);
  ids.pop();
  // Nothing writes this row again.
  const id = random.pick(ids.filter((id) => id >= SHARED));
  if (id === undefined) return pass(world, state);
  const key = keyOf(item, { id });
  const without = (line: Line): Line => withRows(line, 'item', (rows) => void rows.delete(key));
  let lsn = 0n;
  return {
    name: `purge item ${id}`,
    after: {
      main: without(state.main),
      branches: new Map(
        [...state.branches].map(([name, branch]) => [name, { ...branch, line: without(branch.line) }]),
      ),
    },
    isResumed: true,
    run: async ({ db }) => {
      try {
        await db.purge('item', { where: 'id = ?', params: [id] });
      } finally {
        // Erasing says so in the log.
        lsn = db.lsn();
      }
    },
    note: () => {
      world.count('purges');
      for (const moment of moments) moment.main = without(moment.main);
      world.erased.set(nameOf('item', key), lsn);
      for (const follower of [world.reader, world.taker.follower]) follower.erase('item', key);
    },
  };
}

/** What is done next. */
export function planOf(world: World, state: State): Plan {
  const kind = world.random.int(100);
  if (kind < 22) return write(world, state);
  if (kind < 34) return transaction(world, state);
  if (kind < 40) return define(world, state);
  if (kind < 55) return branching(world, state);
  if (kind < 64) return pass(world, state);
  if (kind < 74) return alarm(world, state);
  if (kind < 78) return read(world, state);
  if (kind < 83) return look(world, state);
  if (kind < 88) return backup(world, state);
  if (kind < 94) return back(world, state);
  return purge(world, state);
}

/** What brings much to the cold store. */
export function tidyingOf(world: World, state: State, number: number): Plan {
  const plans = [transaction, pass, backup] as const;
  return (plans[number % plans.length] as typeof pass)(world, state);
}
