import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from '@dolthub/doltlite';
import { loadDoltlite } from '../harness/doltlite.ts';
import { memoryFolder, version as installed } from '../harness/report.ts';
import { MAIN, type BranchEngine } from '../scenarios/branching.ts';
import {
  AGGREGATE,
  insertRows,
  POINT,
  portions,
  RANGE,
  SCHEMA,
  sqliteNumbers,
  updateOf,
} from '../scenarios/item.ts';
import { CHANGE, type PastEngine, type Reading } from '../scenarios/past.ts';

type ItemRow = { readonly stock: number };
type Totals = { readonly n: number; readonly total: number };

/** A database in a file of its own. */
class File {
  readonly #path: string;
  readonly db: DatabaseSync;

  constructor(name: string) {
    this.#path = join(memoryFolder, `doltlite-${process.pid}-${name}.db`);
    const { DatabaseSync } = loadDoltlite();
    this.db = new DatabaseSync(this.#path);
    const { synchronous } = this.db.prepare('PRAGMA synchronous').get() as { synchronous: number };
    if (synchronous !== 2) throw new Error(`DoltLite runs with synchronous = ${synchronous}, not 2 (FULL)`);
  }

  load(rows: number): void {
    for (const sql of SCHEMA) this.db.exec(sql);
    for (const [first, last] of portions(rows)) this.db.exec(insertRows(sqliteNumbers(first, last)));
    this.db.doltCommit('load');
  }

  close(): void {
    this.db.close();
    for (const suffix of ['', '-wal', '-shm', '-journal'])
      rmSync(this.#path + suffix, { recursive: true, force: true });
  }
}

/** µs that `run` takes: every statement and commit of DoltLite is durable when it returns. */
function time(run: () => void): number {
  const started = performance.now();
  run();
  return (performance.now() - started) * 1_000;
}

/** DoltLite as an engine that keeps the past: a commit is a point of it. */
export function doltlitePast(): PastEngine {
  const file = new File('past');
  const { db } = file;
  const marks: string[] = [];
  const from = (mark: number | null): string =>
    mark === null ? 'FROM item' : `FROM dolt_at_item('${marks[mark]}')`;
  return {
    name: 'DoltLite',
    version: installed('@dolthub/doltlite'),
    histories: [
      { how: 'dolt_history_item', count: 3 },
      { how: 'dolt_diff_item', count: 1, rounds: 2 },
    ],
    load: async (rows) => file.load(rows),
    change: async (transactions) => {
      const statement = db.prepare(CHANGE);
      for (const keys of transactions) {
        statement.run(...keys);
        db.doltCommit('change');
      }
    },
    mark: async () => marks.push(db.doltLog({ limit: 1 })[0]?.commit_hash ?? '') - 1,
    aggregate: async (mark, times) => {
      const statement = db.prepare(AGGREGATE.replace('FROM item', from(mark)));
      let sum = 0;
      const taken = time(() => {
        for (let i = 0; i < times; i++) sum = (statement.all() as Totals[])[0]?.total ?? Number.NaN;
      });
      return { micros: taken / times, sum };
    },
    points: async (mark, keys) => {
      const statement = db.prepare(POINT.replace('FROM item', from(mark)));
      let sum = 0;
      const taken = time(() => {
        for (const key of keys) sum += (statement.all(key) as ItemRow[])[0]?.stock ?? Number.NaN;
      });
      return { micros: taken / keys.length, sum };
    },
    history: async (how, keys) => history(db, how, keys),
    close: async () => file.close(),
  };
}

/** `dolt_history_item` has a row for each commit, changed or not; `dolt_diff_item` one for each change. */
function history(db: DatabaseSync, how: string, keys: readonly number[]): Reading {
  const column = how === 'dolt_diff_item' ? 'to_id' : 'id';
  const statement = db.prepare(`SELECT * FROM ${how} WHERE ${column} = ?`);
  const results: object[][] = [];
  const taken = time(() => {
    for (const key of keys) results.push(statement.all(key));
  });
  const stock = how === 'dolt_diff_item' ? 'to_stock' : 'stock';
  const versions = results.map(
    (rows) => new Set(rows.map((row) => (row as Record<string, unknown>)[stock])).size,
  );
  return { micros: taken / keys.length, sum: versions.reduce((sum, count) => sum + count, 0) };
}

/** DoltLite as an engine with branches. */
export function doltliteBranches(): BranchEngine {
  let file = new File('branches');
  let current: string = MAIN;
  const checkout = (branch: string): void => {
    if (branch !== current) file.db.doltCheckout(branch);
    current = branch;
  };
  const drop = (name: string): void => {
    if (current === name) checkout(MAIN);
    file.db.prepare("SELECT dolt_branch('-D', ?)").get(name);
  };
  const total = (): number => (file.db.prepare(AGGREGATE).all() as Totals[])[0]?.total ?? Number.NaN;
  return {
    name: 'DoltLite',
    version: installed('@dolthub/doltlite'),
    load: async (rows) => {
      file.close();
      file = new File('branches');
      current = MAIN;
      file.load(rows);
    },
    firstWrites: async (created, written, key) => {
      checkout(MAIN);
      const names = Array.from({ length: created }, (_, i) => `first/${i}`);
      const creating = time(() => {
        for (const name of names) file.db.doltBranch(name);
      });
      const writing = time(() => {
        for (const name of names.slice(0, written)) {
          checkout(name);
          const { changes } = file.db.prepare('UPDATE item SET stock = stock + 1 WHERE id = ?').run(key);
          if (changes !== 1) throw new Error(`the first write changed ${changes} rows`);
          file.db.doltCommit('first write');
        }
      });
      for (const name of names) drop(name);
      return { createMicros: creating / created, writeMicros: writing / written };
    },
    branch: async (name) => {
      checkout(MAIN);
      file.db.doltBranch(name);
    },
    drop: async (name) => drop(name),
    change: async (branch, which) => {
      checkout(branch);
      const { sql, values } = updateOf(which);
      let rows = 0;
      const micros = time(() => {
        rows = file.db.prepare(sql).run(...values).changes;
        file.db.doltCommit('change');
      });
      return { micros, rows };
    },
    diff: async (branch) => {
      let rows = 0;
      const micros = time(() => {
        rows = file.db.doltDiff(MAIN, branch, 'item').length;
      });
      return { micros, rows };
    },
    merge: async (branch) => {
      checkout(MAIN);
      const before = total();
      const micros = time(() => {
        const { conflicts } = file.db.doltMerge(branch);
        if (conflicts !== 0) throw new Error(`${conflicts} conflicts`);
      });
      return { micros, rows: total() - before };
    },
    firstRead: async (branch) => {
      checkout(branch);
      return time(() => file.db.prepare(POINT).all(1));
    },
    read: async (branch, keys, ranges, aggregates) => {
      checkout(branch);
      return read(file.db, keys, ranges, aggregates);
    },
    sum: async (branch) => {
      checkout(branch);
      return total();
    },
    close: async () => file.close(),
  };
}

function read(
  db: DatabaseSync,
  keys: readonly number[],
  ranges: readonly number[],
  aggregates: number,
): Awaited<ReturnType<BranchEngine['read']>> {
  const [point, range, aggregate] = [db.prepare(POINT), db.prepare(RANGE), db.prepare(AGGREGATE)];
  let sum = 0;
  const points = time(() => {
    for (const key of keys) sum += (point.all(key) as ItemRow[])[0]?.stock ?? Number.NaN;
  });
  const ranged = time(() => {
    for (const first of ranges)
      for (const { stock } of range.all(first, first + 99) as ItemRow[]) sum += stock;
  });
  const aggregated = time(() => {
    for (let i = 0; i < aggregates; i++) sum += (aggregate.all() as Totals[])[0]?.total ?? Number.NaN;
  });
  return {
    pointMicros: points / keys.length,
    rangeMicros: ranged / ranges.length,
    aggregateMicros: aggregated / aggregates,
    sum,
  };
}
