import { env } from 'cloudflare:workers';
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { expect, inject, it, vi } from 'vitest';
import { DB, type Database } from '../src/index.ts';
import { newObject } from './support/database.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';
import { checkTwins, onTwin, outcomeOf, plainly, rowsAsTexts, textsOf } from './support/tier-twin.ts';

/**
 * Two tiered tables, r and q, and two that are not, p and o, are written alike, in every way that there is: by statements
 * that read the one and write the other, in batches, on branches that are merged, by setting back and undoing, over
 * restarts and while the log is trimmed. Nobody can tell which are tiered.
 */
vi.setConfig({ testTimeout: 120_000 });

const HOUR = 3_600_000;
/** In the future, so that alarms that are set by this clock do not go off. */
const START = Date.parse('2046-05-01T00:00:00.000Z');
const RUNS = Number(inject('runs')) || 2;
const VISITS = 4;
const STEPS = 18;
const DDL =
  "CREATE TABLE r(id INTEGER PRIMARY KEY, s TEXT, v REAL, at TEXT, x, \"it's\" ANY DEFAULT 'é'); " +
  'CREATE TABLE q(k TEXT, n INTEGER, v NUMERIC, at INTEGER, __proto__ TEXT, PRIMARY KEY(k, n)) WITHOUT ROWID; ' +
  'CREATE VIEW r_day AS SELECT substr(at, 1, 10) AS day, count(*) AS n, sum(v) AS v FROM r GROUP BY 1; ' +
  'CREATE VIEW q_r AS SELECT r.id, q.n, q.v, r."it\'s" FROM r JOIN q ON q.n = r.id';

type Value = string | number | bigint | null | Uint8Array;
type Statement = readonly [sql: string, params: Value[]];

/** What outlives a restart. */
interface World {
  readonly random: Random;
  readonly clock: { now: number };
  readonly keep: string;
  readonly log: string[];
  points: bigint[];
  /** LSNs of transactions that have written a table and its twin alike. */
  batches: bigint[];
  readonly branches: string[];
  next: number;
}

class Model {
  readonly #db: Database;
  readonly #world: World;
  readonly #random: Random;

  constructor(db: Database, world: World) {
    this.#db = db;
    this.#world = world;
    this.#random = world.random;
  }

  get trace(): string {
    return this.#world.log.slice(-40).join('\n');
  }

  async step(): Promise<void> {
    const kind = this.#random.int(100);
    if (kind < 12) await this.#pass();
    else if (kind < 40) await this.#write();
    else if (kind < 50) await this.#batch();
    else if (kind < 55) this.#world.points.push(this.#db.lsn());
    else if (kind < 76) await this.#branch();
    else if (kind < 80) await this.#back();
    else await this.#read(this.#db);
  }

  async check(): Promise<void> {
    const { lsn } = await this.#db.earliest();
    this.#world.points = this.#world.points.filter((point) => point >= lsn).slice(-6);
    await checkTwins(this.#db, this.#world.points, this.trace, ['r', 'q']);
    for (const name of this.#world.branches) {
      const branch = await this.#db.checkout(name);
      for (const table of ['r', 'q']) await this.#both(`SELECT * FROM ${table}`, [], branch);
      await this.#versions(branch);
    }
    await this.#versions(this.#db);
    const sqlite = await this.#db.query('SELECT r.id FROM r GROUP BY r.id HAVING count(*) > 1');
    expect(sqlite, this.trace).toEqual([]);
  }

  /** The versions of rows since a point; when they held is not the same for the twin, which is written after. */
  async #versions(on: Database): Promise<void> {
    const [point] = this.#world.points;
    if (point === undefined) return;
    const since = `FOR SYSTEM_TIME BETWEEN LSN ${point} AND ${this.#db.lsn()}`;
    await this.#both(`SELECT id, s, v, at, x, "it's", _lsn_to IS NULL AS holds FROM r ${since}`, [], on);
    await this.#both(`SELECT k, n, v, at, __proto__ FROM q ${since} WHERE k = 'a' OR n > 3`, [], on);
  }

  async #pass(): Promise<void> {
    const { clock, log } = this.#world;
    clock.now += this.#random.int(40) * HOUR;
    log.push(`-- ${new Date(clock.now).toISOString()}: pass`);
    await this.#db.alarm();
    expect((await this.#db.tierPass()).more).toBe(false);
    for (const { problem } of await this.#db.tierStatus()) expect(problem, this.trace).toBeUndefined();
  }

  async #write(on: Database = this.#db): Promise<void> {
    let [sql, params] = this.#statement();
    // The rowid that SQLite gives on a branch may be another one than where no row is cold.
    while (on !== this.#db && sql.startsWith('INSERT INTO r(s')) [sql, params] = this.#statement();
    this.#world.clock.now += this.#random.int(3) * HOUR;
    const way = this.#random.int(4);
    await this.#compare(
      `${on.activeBranch}, way ${way}: ${sql} ${JSON.stringify(params, plainly)}`,
      async (name) => {
        if (way === 0) return rowsAsTexts(await on.query(name(sql), params));
        if (way === 1) {
          const { results, meta } = await on
            .prepare(name(sql))
            .bind(...params)
            .all();
          return [rowsAsTexts(results), meta.changes];
        }
        if (way === 2)
          return on.transaction(async (tx) => [
            rowsAsTexts(await tx.query(name(sql), params)),
            await tx.get(name('SELECT count(*) AS n FROM r')),
          ]);
        return (await on.run(name(sql), params)).changes;
      },
    );
  }

  /** A table and its twin in one transaction. */
  async #batch(): Promise<void> {
    const [sql, params] = this.#statement();
    const { log, batches } = this.#world;
    log.push(`batch: ${sql} ${JSON.stringify(params, plainly)}`);
    if (params.length === 0 && this.#random.chance(0.5)) {
      await outcomeOf(() => this.#db.exec(`${sql}; ${onTwin(sql)}`));
      return;
    }
    const done = await outcomeOf(async () => {
      const results = await this.#db.batch([
        { sql, params },
        { sql: onTwin(sql), params },
      ]);
      const [ours, theirs] = results.map(({ changes, rows }) => [changes, rowsAsTexts(rows)]);
      expect(ours, this.trace).toEqual(theirs);
      // One that has changed nothing has no LSN of its own.
      return results.some(({ changes }) => changes > 0) ? results.at(-1)?.lsn : undefined;
    });
    if (typeof done === 'bigint') batches.push(done);
  }

  async #branch(): Promise<void> {
    const { branches, log } = this.#world;
    const random = this.#random;
    if (branches.length === 0 || (branches.length < 2 && random.chance(0.2))) {
      const name = `b${this.#world.next++}`;
      log.push(`branch ${name}`);
      await this.#db.branch(name);
      branches.push(name);
      return;
    }
    const name = random.pick(branches);
    const kind = random.int(12);
    const branch = await this.#db.checkout(name);
    if (kind < 6) await this.#write(branch);
    else if (kind < 8) await this.#read(branch);
    else if (kind < 9) await this.#both(`SELECT * FROM "${name}/r" AS t JOIN r USING (id)`, [], this.#db);
    else if (kind < 10) {
      log.push(`diff ${name}`);
      const diff = await this.#db.diff('main', name);
      const of = (table: string): string[] =>
        diff
          .filter((row) => row.table === table)
          .map((row) => JSON.stringify({ ...row, table: '' }, plainly))
          .sort();
      for (const table of ['r', 'q']) expect(of(table), this.trace).toEqual(of(onTwin(table)));
    } else if (kind < 11) {
      log.push(`merge ${name}`);
      const merged = await outcomeOf(() => this.#db.merge(name, { strategy: 'theirs' } as object));
      log.push(JSON.stringify(merged, plainly).slice(0, 300));
    } else {
      log.push(`drop ${name}`);
      await this.#db.dropBranch(name);
      branches.splice(branches.indexOf(name), 1);
    }
  }

  /** Sets back, or undoes a transaction. */
  async #back(): Promise<void> {
    const { points, batches, log } = this.#world;
    const random = this.#random;
    const { lsn: earliest } = await this.#db.earliest();
    const [lsn, tx] = [random.pick([...points, this.#db.lsn()]), random.pick([...batches, 0n])];
    if (random.chance(0.3)) {
      log.push(`restore ${lsn}`);
      if (lsn >= earliest) await outcomeOf(() => this.#db.restore({ lsn }, { tables: ['r', 'q', 'p', 'o'] }));
    } else if (tx > earliest) {
      log.push(`revert ${tx}`);
      log.push(JSON.stringify(await outcomeOf(() => this.#db.revert(tx)), plainly).slice(0, 200));
    }
  }

  async #read(from: Database): Promise<void> {
    const random = this.#random;
    const [a, b] = [this.#time(), this.#time()].sort();
    const id = random.int(60);
    const [sql, params] = random.pick<[string, (string | number)[]]>([
      ['SELECT * FROM r', []],
      ['SELECT * FROM q WHERE k = ? ORDER BY n', ['a']],
      ['SELECT * FROM r_day', []],
      ['SELECT day, v FROM r_day WHERE day >= ? ORDER BY v LIMIT 3', ['2046-05-02']],
      ['SELECT * FROM q_r', []],
      [
        'SELECT r.*, q.* FROM r LEFT JOIN q ON q.n = r.id WHERE r.at BETWEEN ? AND ?',
        [a as string, b as string],
      ],
      ['SELECT s, (SELECT max(v) FROM q WHERE q.k = r.s) AS m FROM r WHERE id > ?', [id]],
      [
        'SELECT id FROM r WHERE id IN (SELECT n FROM q) UNION SELECT n FROM q EXCEPT SELECT id FROM r WHERE v > 3',
        [],
      ],
      ['SELECT k, count(*), total(v), count(DISTINCT typeof(v)) FROM q GROUP BY k HAVING count(*) > 1', []],
      [
        'WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 9) SELECT i, (SELECT count(*) FROM r WHERE id % 9 = i) FROM c',
        [],
      ],
      ['SELECT "it\'s", count(*) FROM r GROUP BY 1', []],
      ['SELECT EXISTS(SELECT 1 FROM r WHERE id = ?), (SELECT s FROM r ORDER BY id LIMIT 1 OFFSET 2)', [id]],
    ]);
    const way = random.int(4);
    if (way === 0)
      await this.#compare(`iterate ${sql}`, async (on) => {
        const rows = [];
        for await (const row of from.iterate(on(sql), params)) rows.push(row);
        return rowsAsTexts(rows);
      });
    else if (way === 1)
      await this.#compare(`raw ${sql}`, async (on) =>
        rowsAsTexts(
          await from
            .prepare(on(sql))
            .bind(...params)
            .raw(),
        ),
      );
    else if (way === 2 && this.#world.points.length > 0 && from === this.#db) {
      const lsn = random.pick(this.#world.points);
      if (lsn >= (await this.#db.earliest()).lsn) await this.#both(sql, params, this.#db, lsn);
    } else await this.#both(sql, params, from);
  }

  #statement(): Statement {
    const random = this.#random;
    const id = random.int(60);
    const s = random.pick(['a', 'b', 'ü', "it's"]);
    const v = random.pick([random.int(10), 0.1 + random.int(5), null, 1e300]);
    const x = random.pick<Value>([
      null,
      'text\u0000behind',
      '\uFFFD',
      new Uint8Array([0, 255]),
      2n ** 60n + 1n,
      3,
      -0.5,
    ]);
    const at = this.#time();
    const ms = Date.parse(at);
    return random.pick<() => Statement>([
      () => ['INSERT INTO r(id, s, v, at, x) VALUES (?, ?, ?, ?, ?)', [id, s, v, at, x]],
      () => [
        'INSERT INTO r(s, v, at, x, "it\'s") VALUES (?, ?, ?, ?, ?) RETURNING id, "it\'s"',
        [s, v, at, x, x],
      ],
      () => ['INSERT OR REPLACE INTO q(k, n, v, at, __proto__) VALUES (?, ?, ?, ?, ?)', [s, id, v, ms, 'p']],
      () => [
        'INSERT INTO q(k, n, v, at) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET v = ifnull(q.v, 0) + 1, __proto__ = excluded.k RETURNING *',
        [s, id, v, ms],
      ],
      () => ['INSERT OR IGNORE INTO q(k, n, v, at) SELECT s, id, v, ? FROM r WHERE id % 3 = ?', [ms, id % 3]],
      () => ['INSERT INTO r(s, v, at) SELECT k, v, ? FROM q WHERE n < ? ORDER BY k, n', [at, id % 8]],
      () => ['UPDATE r SET v = q.v, x = q.k FROM q WHERE q.n = r.id AND q.k = ?', [s]],
      () => ['UPDATE q SET v = (SELECT count(*) FROM r WHERE r.id = q.n) WHERE k = ? RETURNING k, n, v', [s]],
      () => ['UPDATE r SET x = ? WHERE id = ? RETURNING *', [x, id]],
      () => ['UPDATE OR IGNORE r SET id = id + 1 WHERE id = ?', [id]],
      () => ['UPDATE q SET n = n + 100 WHERE k = ? AND n = ?', [s, id]],
      () => [
        'DELETE FROM r WHERE id IN (SELECT id FROM r WHERE s = ? ORDER BY id LIMIT 2) RETURNING id',
        [s],
      ],
      () => ['DELETE FROM q WHERE n IN (SELECT id FROM r WHERE v = ?)', [v]],
      () => ['DELETE FROM r WHERE id > 60 AND at < ?', [at]],
      () => ['WITH t AS (SELECT max(id) AS m FROM r) DELETE FROM r WHERE id = (SELECT m FROM t)', []],
      () => ['DELETE FROM q WHERE v IS NULL', []],
      () => ['UPDATE r SET "it\'s" = s WHERE "it\'s" = \'é\' AND id % 2', []],
    ])();
  }

  #time(): string {
    const { clock } = this.#world;
    return new Date(clock.now - this.#random.int(6 * 24) * HOUR - this.#random.int(1e6)).toISOString();
  }

  #both(sql: string, params: (string | number)[], from: Database, lsn?: bigint): Promise<void> {
    const reader = lsn === undefined ? from : from.asOf({ lsn });
    return this.#compare(`${from.activeBranch} ${lsn ?? ''}: ${sql} ${JSON.stringify(params)}`, (on) =>
      textsOf(reader, on(sql), params),
    );
  }

  async #compare(what: string, work: (on: (sql: string) => string) => Promise<unknown>): Promise<void> {
    this.#world.log.push(what);
    const plain = await outcomeOf(() => work(onTwin));
    expect(await outcomeOf(() => work((sql) => sql)), this.trace).toEqual(plain);
  }
}

for (const first of seeds(20261121))
  for (let run = 0; run < RUNS; run++) {
    const seed = first + run * 1_000;
    it(`two tiered tables are as two that are not, whatever is done (seed ${seed})`, async () => {
      console.log(`tiered twins: VITE_SEED=${seed}`);
      const random = new Random(seed);
      const keep = random.pick(['9000d', '9000d', '3d']);
      const world: World = {
        random,
        clock: { now: START },
        keep,
        log: [],
        points: [],
        batches: [],
        branches: [],
        next: 0,
      };
      const partition = random.pick(['hour', 'day', 'month'] as const);
      const isCut = random.chance(0.5);
      const stub = newObject();
      for (let visit = 0; visit < VISITS; visit++) {
        await runInDurableObject(env.TEST.get(stub.id), async (_, { storage }) => {
          const db = await DB('test', {
            storage: { hot: storage, cold: env.BUCKET, coldPrefix: `twins-${seed}` },
            clock: () => world.clock.now,
            history: { keep: world.keep },
          });
          if (visit === 0) {
            await db.exec(DDL);
            await db.exec(onTwin(DDL));
            const tier = { column: 'at', hotFor: '1d', partition };
            await db.tier('r', { ...tier, partitionBy: isCut ? ['x', 's'] : [] });
            await db.tier('q', { ...tier, partitionBy: isCut ? ['k'] : [], sortBy: ['k'] });
          }
          const model = new Model(db, world);
          for (let step = 0; step < STEPS; step++) await model.step();
          await model.check();
        });
        world.log.push('-- restart');
        await evictDurableObject(env.TEST.get(stub.id));
      }
    });
  }
