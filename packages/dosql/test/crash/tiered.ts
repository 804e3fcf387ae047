import { createDOBackend, createTieredBackend, type FileStore } from '@dotdo/fsx';
import { DB, DoSQLError, type Database } from '../../src/index.ts';
import type { Bucket } from './bucket.ts';
import { Base, type Reply } from './base.ts';

interface Env {
  readonly Bucket: DurableObjectNamespace<Bucket>;
}

const DAY = 86_400_000;
const HOUR = 3_600_000;

/** A client's requests, in the order in which it makes them; `n` tells them apart. */
export interface TieredOp {
  readonly kind: 'insert' | 'update' | 'delete' | 'transfer' | 'transaction';
  readonly id: number;
  readonly other: number;
  readonly n: number;
}

/** A table and its twin, which is not tiered, with cold rows in another object. */
export class Tiered extends Base {
  #opened: Promise<Database> | undefined;

  override async alarm(): Promise<void> {
    await (await this.open()).alarm();
  }

  open(): Promise<Database> {
    return (this.#opened ??= this.#make());
  }

  /** Writes alike to the table and to its twin, in one transaction. */
  async op({ kind, id, other, n }: TieredOp): Promise<Reply> {
    const db = await this.open();
    const at = Date.now() - (n % 6) * DAY;
    const sql: Record<TieredOp['kind'], readonly [string, (number | string)[]][]> = {
      insert: [['INSERT INTO r(id, n, s, at) VALUES (?, ?, ?, ?)', [id, n, `it's ${n}`, at]]],
      update: [['UPDATE r SET n = ?, s = s || ? WHERE id = ?', [n, '+', id]]],
      delete: [['DELETE FROM r WHERE id = ?', [id]]],
      transfer: [
        ['UPDATE r SET n = n + CASE id WHEN ? THEN 1 ELSE -1 END WHERE id IN (?, ?)', [id, id, other]],
      ],
      transaction: [
        ['INSERT OR REPLACE INTO r(id, n, at) VALUES (?, ?, ?)', [id, n, at]],
        ['UPDATE r SET n = n + 1 WHERE id = ?', [other]],
      ],
    };
    const statements = sql[kind].flatMap(([text, params]) => [
      { sql: text, params },
      { sql: text.replaceAll(/\br\b/g, 'p'), params },
    ]);
    await db.batch([...statements, { sql: 'INSERT INTO done VALUES (?)', params: [n] }]);
    return { ok: true, lsn: Number(db.lsn()) };
  }

  /** A pass; the cold store fails now and then. */
  async pass(): Promise<Reply> {
    await (await this.open()).tierPass();
    return { ok: true };
  }

  /** What differs between the table and its twin, now and as of some LSNs, and what nothing names. */
  async check({
    points,
    isLast,
  }: {
    points: readonly number[];
    isLast: boolean;
  }): Promise<{ wrong: string[]; done: number[]; cold: number }> {
    const db = await this.open();
    const wrong: string[] = [];
    const read = async (from: Pick<Database, 'query'>, what: string): Promise<void> => {
      const [r, p] = [
        await from.query('SELECT * FROM r ORDER BY id'),
        await from.query('SELECT * FROM p ORDER BY id'),
      ];
      if (JSON.stringify(r) !== JSON.stringify(p))
        wrong.push(`${what}: ${JSON.stringify(r)} is not ${JSON.stringify(p)}`);
    };
    await again(() => read(db, 'now'));
    for (const lsn of points) await again(() => read(db.asOf({ lsn }), `as of ${lsn}`));
    const done = await db.query<{ n: number }>('SELECT n FROM done ORDER BY n');
    const [status] = await db.tierStatus();
    if (isLast) wrong.push(...(await this.#orphans(db)));
    return { wrong, done: done.map(({ n }) => n), cold: status?.coldRows ?? 0 };
  }

  /** Files that nothing names, when a pass has had its time. */
  async #orphans(db: Database): Promise<string[]> {
    const { sql } = this.ctx.storage;
    const count = (of: string): number => Number(sql.exec(`SELECT count(*) AS n FROM ${of}`).one()['n']);
    for (let i = 0; i < 100; i++) {
      await db.tierPass();
      // The time for which queries may still be reading is over.
      sql.exec('UPDATE __dosql_tier_garbage SET until = 0');
      const waiting = "__dosql_tier_file WHERE place = 'local'";
      if (count('__dosql_tier_garbage') + count(waiting) === 0) break;
    }
    const named = sql
      .exec<{ path: string }>('SELECT path FROM __dosql_tier_file')
      .toArray()
      .map(({ path }) => path);
    const { files } = await this.#store(true).list();
    const there = files.map(({ path }) => path);
    const local = await createDOBackend(this.ctx.storage).list();
    return [
      ...there.filter((path) => !named.includes(path)).map((path) => `${path} is named by nothing`),
      ...named.filter((path) => !there.includes(path)).map((path) => `${path} is gone`),
      ...local.files.map(({ path }) => `${path} is in the object still`),
    ];
  }

  async #make(): Promise<Database> {
    const { storage } = this.ctx;
    const db = await DB('tiered', {
      storage: createTieredBackend(createDOBackend(storage), this.#store(), {}),
    });
    await db.exec(
      'CREATE TABLE IF NOT EXISTS r(id INTEGER PRIMARY KEY, n INTEGER, s TEXT, at INTEGER, third INTEGER AS (id % 3)); CREATE TABLE IF NOT EXISTS p(id INTEGER PRIMARY KEY, n INTEGER, s TEXT, at INTEGER, third INTEGER AS (id % 3)); CREATE TABLE IF NOT EXISTS done(n INTEGER PRIMARY KEY)',
    );
    await db.tier('r', { column: 'at', hotFor: HOUR, partition: 'day', partitionBy: ['third'] });
    return db;
  }

  /** The cold store, which fails now and then, before and after it has done what it was asked for. */
  #store(isKind = false): FileStore {
    const { Bucket: namespace } = this.env as Env;
    const stub = namespace.getByName('cold');
    const call = async <T>(work: () => Promise<T>): Promise<T> => {
      const fate = isKind ? 1 : Math.random();
      if (fate < 0.05) throw new Error('the cold store is down');
      const result = await work();
      if (fate < 0.1) throw new Error('the answer was lost');
      return result;
    };
    return {
      read: (path, options) => call(() => stub.read(path, options)),
      write: (path, data) => call(() => stub.write(path, data as Uint8Array)),
      delete: (path) => call(() => stub.remove(path)),
      stat: (path) => call(() => stub.stat(path)),
      exists: async (path) => (await call(() => stub.stat(path))) !== null,
      list: (prefix) => call(() => stub.list(prefix)),
      readStream: () => Promise.reject(new Error('not read as a stream')),
    };
  }
}

/** Until the cold store answers. */
async function again(work: () => Promise<void>): Promise<void> {
  for (let i = 0; ; i++)
    try {
      await work();
      return;
    } catch (error) {
      if (i === 50 || DoSQLError.from(error)?.code !== 'STORAGE_UNAVAILABLE') throw error;
    }
}
