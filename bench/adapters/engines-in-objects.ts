import type { Database } from '@dotdo/dosql';
import { sql, type SQL } from 'drizzle-orm';
import { drizzle as drizzleD1 } from 'drizzle-orm/d1';
import { drizzle } from 'drizzle-orm/durable-sqlite';
import type { SqlEngine, Statement } from '../scenarios/workloads.ts';

/** D1 as an engine, with the rows that it has been billed for. */
export type D1Engine = SqlEngine & { readonly billed: { rowsRead: number; rowsWritten: number } };

/** `ctx.storage.sql` as it is. */
export function bareEngine(storage: DurableObjectStorage): SqlEngine {
  const run = ({ sql, values }: Statement): number => storage.sql.exec(sql, ...values).toArray().length;
  return {
    exec: async (text) => {
      storage.sql.exec(text);
    },
    read: async (statement) => run(statement),
    write: async (statement) => {
      run(statement);
    },
    writeTogether: async (statements) => {
      storage.transactionSync(() => {
        for (const statement of statements) run(statement);
      });
    },
    settle: () => storage.sync(),
  };
}

/** A DoSQL database: every change is logged. */
export function dosqlEngine(db: Database, storage: DurableObjectStorage): SqlEngine {
  return {
    exec: (text) => db.exec(text),
    read: async ({ sql, values }) => (await db.query(sql, [...values])).length,
    write: async ({ sql, values }) => {
      await db.run(sql, [...values]);
    },
    writeTogether: async (statements) => {
      await db.batch(statements.map(({ sql, values }) => ({ sql, params: [...values] })));
    },
    settle: () => storage.sync(),
  };
}

/** Drizzle over `ctx.storage.sql`, or over what has its shape. */
export function drizzleEngine(
  storage: DurableObjectStorage,
  over: Parameters<typeof drizzle>[0] = storage,
): SqlEngine {
  const db = drizzle(over);
  return {
    exec: async (text) => {
      db.run(sql.raw(text));
    },
    read: async (statement) => db.all(template(statement)).length,
    write: async (statement) => {
      db.run(template(statement));
    },
    writeTogether: async (statements) => {
      db.transaction((tx) => {
        for (const statement of statements) tx.run(template(statement));
      });
    },
    settle: () => storage.sync(),
  };
}

/** D1. */
export function d1Engine(database: D1Database): D1Engine {
  const billed = { rowsRead: 0, rowsWritten: 0 };
  const bill = ({ rows_read, rows_written }: D1Meta): void => {
    billed.rowsRead += rows_read;
    billed.rowsWritten += rows_written;
  };
  const prepare = ({ sql, values }: Statement): D1PreparedStatement => database.prepare(sql).bind(...values);
  return {
    billed,
    exec: async (text) => {
      await database.prepare(text).run();
    },
    read: async (statement) => {
      const { results, meta } = await prepare(statement).all();
      bill(meta);
      return results.length;
    },
    write: async (statement) => bill((await prepare(statement).run()).meta),
    writeTogether: async (statements) => {
      for (const { meta } of await database.batch(statements.map(prepare))) bill(meta);
    },
    // A call answers when what it wrote is durable.
    settle: async () => {},
  };
}

/** Drizzle over D1. */
export function drizzleD1Engine(database: D1Database): SqlEngine {
  const db = drizzleD1(database);
  return {
    exec: async (text) => {
      await db.run(sql.raw(text));
    },
    read: async (statement) => (await db.all(template(statement))).length,
    write: async (statement) => {
      await db.run(template(statement));
    },
    // Drizzle's own batch takes no parameters of raw statements (0.45).
    writeTogether: (statements) => d1Engine(database).writeTogether(statements),
    settle: async () => {},
  };
}

/** A statement as drizzle writes it: text and values in turn. */
function template({ sql: text, values }: Statement): SQL {
  const parts = text.split('?');
  return sql.join(
    parts.flatMap((part, i) => (i === 0 ? [sql.raw(part)] : [sql`${values[i - 1]}`, sql.raw(part)])),
  );
}
