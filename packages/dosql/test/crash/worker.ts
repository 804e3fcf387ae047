import { DB, DoSQLError, type BatchStatement, type Database } from '../../src/index.ts';
import { Base, type Reply } from './base.ts';
import type { Branched } from './branched.ts';
import { migrationsUpTo } from './migrations.ts';
import type { Bucket } from './bucket.ts';
import type { Copied } from './copied.ts';
import type { Stopped } from './stopped.ts';
import type { Streamed } from './streamed.ts';
import type { Tiered } from './tiered.ts';

export type { Dump, Reply } from './base.ts';
export { Branched } from './branched.ts';
export { Bucket } from './bucket.ts';
export { Copied } from './copied.ts';
export { Stopped } from './stopped.ts';
export { Streamed } from './streamed.ts';
export { Tiered } from './tiered.ts';

/** A request that changes a ledger. `level` is the number of migrations that the deployed version knows. */
export type Op =
  | { readonly kind: 'batch'; readonly statements: readonly BatchStatement[] }
  | {
      readonly kind: 'transaction';
      readonly statements: readonly BatchStatement[];
      readonly waitMs: number;
      readonly fails: boolean;
    }
  | { readonly kind: 'schedule'; readonly name: string; readonly inMs: number; readonly payload: string }
  | { readonly kind: 'run'; readonly statements: readonly BatchStatement[] };

/** Outlives the objects: it belongs to the process. */
const caught: string[] = [];

/** An object that keeps accounts and items with DoSQL. */
export class Ledger extends Base {
  #db: Database | undefined;

  async open(level: number): Promise<Database> {
    if (this.#db !== undefined) return this.#db;
    const db = await DB('ledger', { storage: this.ctx.storage, migrations: migrationsUpTo(level) });
    db.onTimer<string>('t', ({ name, payload }) =>
      db.run('INSERT OR IGNORE INTO fired VALUES(?, ?)', [name, payload]).then(() => {}),
    );
    return (this.#db = db);
  }

  override async alarm(): Promise<void> {
    const applied = this.ctx.storage.sql.exec('SELECT count(*) AS n FROM __dosql_migration').one();
    await (await this.open(Number(applied['n']))).alarm();
  }

  async op({ op, level }: { op: Op; level: number }): Promise<Reply> {
    const db = await this.open(level);
    if (op.kind === 'schedule') {
      await db.schedule(op.name, Date.now() + op.inMs, op.payload);
    } else if (op.kind === 'run') {
      for (const { sql, params } of op.statements) await db.run(sql, params);
    } else if (op.kind === 'batch') {
      await db.batch(op.statements);
    } else {
      await db.transaction(async (tx) => {
        for (const [i, { sql, params }] of op.statements.entries()) {
          if (i > 0) await scheduler.wait(op.waitMs);
          await tx.run(sql, params);
        }
        if (op.fails) throw new DoSQLError('CONSTRAINT_TRIGGER', 'meant to fail');
      });
    }
    return { ok: true, lsn: Number(db.lsn()) };
  }

  /** Opens the database and says whether an alarm is set that is early enough for every timer. */
  async wake({ level }: { level: number }): Promise<{ isArmed: boolean }> {
    await this.open(level);
    // While an alarm is being handled none is set; the handler sets the next one when it is done.
    for (let i = 0; i < 100; i++) {
      const { at } = this.ctx.storage.sql
        .exec<{ at: number | null }>('SELECT min(at) AS at FROM __dosql_timer')
        .one();
      const alarm = await this.ctx.storage.getAlarm();
      if (at === null || (alarm !== null && alarm <= at)) return { isArmed: true };
      await scheduler.wait(10);
    }
    return { isArmed: false };
  }

  /** Makes the table that is filled. */
  async prepare(): Promise<Reply> {
    await (await this.open(0)).exec('CREATE TABLE filler(id INTEGER PRIMARY KEY, data BLOB)');
    return { ok: true };
  }

  /** Writes a row of random bytes; an error on the way is told to the object after this one, too. */
  async fill({ bytes, way }: { bytes: number; way: string }): Promise<Reply> {
    const db = await this.open(0);
    const statement = { sql: 'INSERT INTO filler(data) VALUES(randomblob(?))', params: [bytes] };
    try {
      if (way === 'run') await db.run(statement.sql, statement.params);
      else if (way === 'batch') await db.batch([statement]);
      else await db.transaction((tx) => tx.run(statement.sql, statement.params));
    } catch (error) {
      caught.push(`${error instanceof DoSQLError} ${DoSQLError.from(error)?.code}`);
      throw error;
    }
    return { ok: true };
  }

  /** Erases rows, from the log too. */
  async erase({ from, to }: { from: number; to: number }): Promise<Reply> {
    await (await this.open(0)).purge('filler', { where: 'id BETWEEN ? AND ?', params: [from, to] });
    return { ok: true };
  }

  /** What failed inside of objects before they were reset. */
  async caught(): Promise<string[]> {
    return caught.splice(0);
  }

  /** A statement with a text of so many characters. */
  async big({ length, sql }: { length: number; sql: string }): Promise<Reply> {
    const db = await this.open(0);
    const lsn = db.lsn();
    try {
      await db.run(sql, ['x'.repeat(length)]);
      return { ok: true };
    } catch (error) {
      const message = db.lsn() === lsn ? String(error).slice(0, 200) : 'something was logged';
      return { ok: false, code: DoSQLError.from(error)?.code, message };
    }
  }

  async query({ sql }: { sql: string }): Promise<unknown> {
    return (await this.open(0)).query(sql);
  }
}

/** The control: writes a row and its log row around an await, without a transaction. */
export class Careless extends Base {
  async write({ id }: { id: number }): Promise<Reply> {
    const { sql } = this.ctx.storage;
    sql.exec(
      'CREATE TABLE IF NOT EXISTS row(id INTEGER PRIMARY KEY); CREATE TABLE IF NOT EXISTS log(id INTEGER PRIMARY KEY)',
    );
    sql.exec('INSERT INTO row VALUES(?)', id);
    await scheduler.wait(20);
    sql.exec('INSERT INTO log VALUES(?)', id);
    return { ok: true };
  }
}

/** An object whose class has no alarm(). */
export class Silent extends Base {
  async schedule({ times }: { times: number }): Promise<unknown> {
    const db = await DB('silent', { storage: this.ctx.storage, history: { keep: 0 } });
    const refusal = await db.schedule('t', Date.now()).catch((error: unknown) => String(error));
    await db.exec('CREATE TABLE t(x)');
    for (let i = 0; i < times; i++) await db.run('INSERT INTO t VALUES(?)', [i]);
    const { sql } = this.ctx.storage;
    return {
      refusal,
      timers: sql.exec('SELECT * FROM __dosql_timer').toArray(),
      rows: sql.exec('SELECT count(*) AS n FROM t').one()['n'],
      logged: sql.exec('SELECT count(*) AS n FROM __dosql_log').one()['n'],
    };
  }
}

interface Env {
  readonly Bucket: DurableObjectNamespace<Bucket>;
  readonly Tiered: DurableObjectNamespace<Tiered>;
  readonly Copied: DurableObjectNamespace<Copied>;
  readonly Stopped: DurableObjectNamespace<Stopped>;
  readonly Streamed: DurableObjectNamespace<Streamed>;
  readonly Silent: DurableObjectNamespace<Silent>;
  readonly Branched: DurableObjectNamespace<Branched>;
  readonly Ledger: DurableObjectNamespace<Ledger>;
  readonly Careless: DurableObjectNamespace<Careless>;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const [, className, name] = new URL(request.url).pathname.split('/') as [string, keyof Env, string];
    const namespace = env[className];
    try {
      return await namespace.get(namespace.idFromName(name)).fetch(request);
    } catch (error) {
      // The object was reset, and what it would have answered is lost.
      const reply: Reply = { ok: false, code: DoSQLError.from(error)?.code, message: String(error) };
      return Response.json(reply, { status: 503 });
    }
  },
};
