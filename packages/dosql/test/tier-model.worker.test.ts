import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { expect, inject, it, vi } from 'vitest';
import { DB, DoSQLError, type Database, type Reader } from '../src/index.ts';
import { newObject } from './support/database.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';
import { checkStreams, onTwin, outcomeOf, plainly, textsOf } from './support/tier-twin.ts';

/**
 * Two tables, r and p, are written alike. One is tiered: its old rows become cold at random moments, files are copied,
 * and put together. Nobody can tell which one it is: statements give the same rows, counts and errors, now and as of
 * any LSN, and the streams of their changes are the same.
 */
vi.setConfig({ testTimeout: 60_000 });

const HOUR = 3_600_000;
const START = Date.parse('2026-05-01T00:00:00.000Z');
const RUNS = Number(inject('runs')) || 4;
const STEPS = 60;

interface Shape {
  readonly ddl: string;
  readonly key: string;
  /** What a time is in the table. */
  readonly time: (ms: number) => string | number;
}

const iso = (ms: number): string => new Date(ms).toISOString();
const SHAPES: readonly Shape[] = [
  {
    ddl: 'CREATE TABLE r(id INTEGER PRIMARY KEY, s TEXT, v REAL, at TEXT, x)',
    key: 'id',
    time: iso,
  },
  {
    ddl: 'CREATE TABLE r(id INTEGER PRIMARY KEY AUTOINCREMENT, s TEXT, v NUMERIC, at INTEGER, x, UNIQUE(s, at)); CREATE INDEX r_at ON r(at)',
    key: 'id',
    time: (ms) => ms,
  },
  {
    ddl: 'CREATE TABLE r(id INTEGER, s TEXT, v REAL DEFAULT 1.5, at DATETIME, x TEXT, PRIMARY KEY(s, id)) WITHOUT ROWID',
    key: 'id',
    time: (ms) => iso(ms).slice(0, 19).replace('T', ' '),
  },
  {
    ddl: 'CREATE TABLE r(id INT, s TEXT, v, at REAL, x BLOB); CREATE INDEX r_at ON r(at)',
    key: 'rowid',
    time: (ms) => ms / 1000,
  },
  {
    ddl:
      'CREATE TABLE r(id INTEGER PRIMARY KEY, s TEXT NOT NULL, v REAL CHECK (v IS NULL OR v < 1000), at TEXT, x, d TEXT GENERATED ALWAYS AS (substr(at, 1, 10)) VIRTUAL); ' +
      'CREATE TABLE r_audit(what TEXT, id); ' +
      "CREATE TRIGGER r_insert AFTER INSERT ON r BEGIN INSERT INTO r_audit VALUES('i', NEW.id); END; " +
      "CREATE TRIGGER r_update AFTER UPDATE ON r BEGIN INSERT INTO r_audit VALUES('u', NEW.id); END; " +
      "CREATE TRIGGER r_delete BEFORE DELETE ON r BEGIN INSERT INTO r_audit VALUES('d', OLD.id); END",
    key: 'id',
    time: iso,
  },
];

class Model {
  readonly #random: Random;
  readonly #db: Database;
  readonly #clock: { now: number };
  readonly #shape: Shape;
  readonly #points: bigint[] = [];
  #columns = 0;
  #log: string[] = [];

  constructor(random: Random, db: Database, clock: { now: number }, shape: Shape) {
    this.#random = random;
    this.#db = db;
    this.#clock = clock;
    this.#shape = shape;
  }

  get trace(): string {
    return this.#log.slice(-40).join('\n');
  }

  async step(): Promise<void> {
    const random = this.#random;
    const kind = random.int(100);
    if (kind < 12) await this.#pass();
    else if (kind < 60) await this.#write();
    else if (kind < 64) await this.#transaction();
    else if (kind < 68) await this.#alter();
    else if (kind < 72) this.#points.push(this.#db.lsn());
    else await this.#read();
  }

  /** Everything, now and at the points. */
  async check(): Promise<void> {
    await this.#both('SELECT * FROM r');
    for (const lsn of this.#points) {
      await this.#both('SELECT * FROM r', [], this.#db.asOf({ lsn }));
      await this.#both('SELECT r.*, one.v AS one FROM r, (SELECT 1 AS v) AS one', [], this.#db.asOf({ lsn }));
    }
    await this.#both('SELECT id, s, v FROM r FOR SYSTEM_TIME ALL');
    await checkStreams(this.#db, this.trace);
  }

  async #pass(): Promise<void> {
    this.#clock.now += this.#random.int(40) * HOUR;
    this.#log.push(`-- ${iso(this.#clock.now)}: pass`);
    const { more } = await this.#db.tierPass();
    expect(more).toBe(false);
    const [status] = await this.#db.tierStatus();
    expect(status?.problem, this.trace).toBeUndefined();
  }

  async #write(): Promise<void> {
    const random = this.#random;
    this.#clock.now += random.int(3) * HOUR;
    const [sql, params] = this.#statement();
    await this.#compare(
      sql + JSON.stringify(params, plainly),
      async (on) => (await this.#db.run(on(sql), params)).changes,
    );
  }

  async #transaction(): Promise<void> {
    const statements = this.#random.times(1 + this.#random.int(4), () => this.#statement());
    const fails = this.#random.chance(0.3);
    await this.#compare(`transaction ${JSON.stringify(statements, plainly)} ${fails}`, (on) =>
      this.#db.transaction(async (tx) => {
        const results = [];
        for (const [sql, params] of statements) {
          const { changes } = await tx.run(on(sql), params);
          results.push(changes, await tx.get(on('SELECT count(*) AS n, sum(v) AS v FROM r')));
        }
        if (fails) throw new DoSQLError('BAD_PARAMETER', 'on purpose');
        return results;
      }),
    );
  }

  async #alter(): Promise<void> {
    const sql = this.#random.pick([
      `ALTER TABLE r ADD COLUMN c${this.#columns} ${this.#random.pick(['', "TEXT DEFAULT 'é'", 'INTEGER DEFAULT 7', 'REAL NOT NULL DEFAULT 2.5'])}`,
      this.#columns > 0
        ? `ALTER TABLE r DROP COLUMN c${this.#columns - 1}`
        : 'CREATE INDEX IF NOT EXISTS r_s ON r(s)',
      this.#columns > 0
        ? `ALTER TABLE r RENAME COLUMN c${this.#columns - 1} TO c${this.#columns}`
        : 'CREATE VIEW IF NOT EXISTS r_w AS SELECT s, count(*) AS n FROM r GROUP BY s',
    ]);
    this.#columns++;
    await this.#compare(sql, (on) => this.#db.exec(on(sql)));
  }

  async #read(): Promise<void> {
    const random = this.#random;
    const at = this.#time();
    const [a, b] = [this.#time(), this.#time()].sort((x, y) => (x < y ? -1 : 1)) as [string, string];
    const { key } = this.#shape;
    const [sql, params] = random.pick<[string, (string | number)[]]>([
      ['SELECT * FROM r', []],
      [`SELECT * FROM r WHERE ${key} = ?`, [random.int(80)]],
      ['SELECT s, count(*), sum(v), min(at), max(id) FROM r GROUP BY s', []],
      ['SELECT * FROM r WHERE at >= ? AND at < ?', [a, b]],
      ['SELECT s, at, v FROM r WHERE s IN (?, ?) AND at <= ?', ['a', 'ü', at]],
      ['SELECT r.id, q.n FROM r JOIN (SELECT s, count(*) AS n FROM r GROUP BY s) AS q ON q.s = r.s', []],
      ['SELECT id FROM r WHERE v = (SELECT max(v) FROM r WHERE at < ?)', [at]],
      ["SELECT count(*) FROM r WHERE x IS NULL OR typeof(x) = 'blob'", []],
      ['SELECT id, s FROM r WHERE x IS NULL AND s > ?', ['a']],
      ['SELECT count(*), min(s), max(at) FROM r WHERE x = ? AND s <= ?', [random.pick(['text', 3]), 'b']],
      ['SELECT r.id FROM r JOIN (SELECT 1) WHERE x IS NOT NULL AND s = ?', ['ü']],
      ['SELECT DISTINCT typeof(v), typeof(x), typeof(at) FROM r', []],
      ['WITH t AS (SELECT s, v FROM r WHERE at BETWEEN ? AND ?) SELECT s, avg(v) FROM t GROUP BY s', [a, b]],
    ]);
    await this.#both(sql, params);
  }

  #statement(): [string, (string | number | bigint | null | Uint8Array)[]] {
    const random = this.#random;
    const id = random.int(60);
    const s = random.pick(['a', 'b', 'ü', 'c']);
    const v = random.pick([random.int(10), 0.1 + random.int(5), null, 10 ** random.int(3)]);
    const x = random.pick([null, 'text', new Uint8Array([0, 255]), 2n ** 60n + 1n, 3, -0.5]);
    const at = this.#time();
    const { key } = this.#shape;
    const byKey = random.chance(0.5);
    const range = byKey ? `${key} = ?` : 'at >= ? AND at < ?';
    const [a, b] = [this.#time(), this.#time()].sort((x, y) => (x < y ? -1 : 1)) as [string, string];
    const values = byKey ? [id] : [a, b];
    const explicit = key === 'rowid' ? 'rowid, id' : 'id';
    const keys = key === 'rowid' ? [id, id] : [id];
    const marks = keys.map(() => '?').join(', ');
    return random.pick<() => [string, (string | number | bigint | null | Uint8Array)[]]>([
      () => ['INSERT INTO r(id, s, v, at, x) VALUES (?, ?, ?, ?, ?)', [1000 + random.int(1e6), s, v, at, x]],
      () => [`INSERT INTO r(${explicit}, s, v, at, x) VALUES (${marks}, ?, ?, ?, ?)`, [...keys, s, v, at, x]],
      () => [
        `INSERT OR IGNORE INTO r(${explicit}, s, v, at, x) VALUES (${marks}, ?, ?, ?, ?)`,
        [...keys, s, v, at, x],
      ],
      () => [
        `INSERT OR REPLACE INTO r(${explicit}, s, v, at, x) VALUES (${marks}, ?, ?, ?, ?)`,
        [...keys, s, v, at, x],
      ],
      () =>
        key === 'id' && !this.#shape.ddl.includes('WITHOUT')
          ? [
              'INSERT INTO r(id, s, v, at) VALUES (?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET v = ifnull(v, 0) + 1',
              [id, s, v, at],
            ]
          : ['UPDATE r SET v = v + 1 WHERE s = ?', [s]],
      () =>
        key === 'id' && !this.#shape.ddl.includes('WITHOUT')
          ? [
              'INSERT INTO r(s, v, at, x) VALUES (?, ?, ?, ?), (?, ?, ?, ?)',
              [s, v, at, x, 'b', 1, this.#time(), x],
            ]
          : ['INSERT INTO r(id, s, v, at, x) VALUES (?, ?, ?, ?, ?)', [random.int(1e6), s, v, at, x]],
      () => [`UPDATE r SET v = ?, x = ? WHERE ${range}`, [v, x, ...values]],
      () => [`UPDATE r SET at = ? WHERE ${range}`, [at, ...values]],
      () => [`UPDATE r SET ${key} = ? WHERE ${key} = ?`, [random.int(60), id]],
      () => ['UPDATE r SET v = (SELECT max(v) FROM r) WHERE v = (SELECT min(v) FROM r) AND s = ?', [s]],
      () => [`DELETE FROM r WHERE ${range}`, values],
      () => [`DELETE FROM r WHERE ${key} = (SELECT max(${key}) FROM r)`, []],
      () => [
        'INSERT INTO r(id, s, v, at) SELECT id + 100000, s, v, at FROM r WHERE s = ? AND at < ? ORDER BY id, v, at',
        [s, at],
      ],
    ])();
  }

  /** A time in the last days, seldom none. */
  #time(): string | number {
    const random = this.#random;
    if (random.chance(0.03)) return random.pick(['', 'never', '2026', '2026-05-02']);
    return this.#shape.time(
      this.#clock.now - random.int(6 * 24) * HOUR - (random.chance(0.3) ? random.int(1e6) : 0),
    );
  }

  #both(sql: string, params: (string | number)[] = [], from: Reader = this.#db): Promise<void> {
    return this.#compare(sql + JSON.stringify(params), (on) => textsOf(from, on(sql), params));
  }

  async #compare(what: string, work: (on: (sql: string) => string) => Promise<unknown>): Promise<void> {
    this.#log.push(what);
    const plain = await outcomeOf(() => work(onTwin));
    expect(await outcomeOf(() => work((sql) => sql)), this.trace).toEqual(plain);
  }
}

for (const first of seeds(20261121))
  for (let run = 0; run < RUNS; run++) {
    const seed = first + run * 1_000;
    it(`a tiered table is as one that is not (seed ${seed})`, async () => {
      console.log(`tiering: VITE_SEED=${seed}`);
      const random = new Random(seed);
      const shape = SHAPES[(first + run) % SHAPES.length] as Shape;
      const clock = { now: START };
      await runInDurableObject(newObject(), async (_, { storage }) => {
        const db = await DB('test', {
          storage: { hot: storage, cold: env.BUCKET, coldPrefix: `model-${seed}` },
          clock: () => clock.now,
          history: { keep: '1000d' },
        });
        await db.exec(shape.ddl);
        await db.exec(onTwin(shape.ddl));
        await db.tier('r', {
          column: 'at',
          hotFor: '1d',
          partition: random.pick(['hour', 'day', 'month']),
          partitionBy: random.pick([undefined, ['s'], ['x', 's']]),
          sortBy: random.chance(0.5) ? ['s'] : [],
        });
        const model = new Model(random, db, clock, shape);
        for (let step = 0; step < STEPS; step++) await model.step();
        await model.check();
      });
    });
  }
