import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { DuckDBInstance } from '@duckdb/node-api';
import { connect } from '@tursodatabase/database';
import Sqlite from 'better-sqlite3';
import { createConnection } from 'mariadb';
import { loadDoltlite } from '../harness/doltlite.ts';
import { startMariadb } from '../harness/mariadb.ts';
import { memoryFolder, version } from '../harness/report.ts';
import type { SqlEngine, Statement } from '../scenarios/workloads.ts';

/** An engine inside Node.js, or beside it. */
export interface NodeEngine extends SqlEngine {
  readonly name: string;
  readonly version: string;
  close(): Promise<void>;
}

/** Where an engine's files are. */
function folderOf(name: string): { path: string; remove: () => void } {
  const folder = mkdtempSync(join(memoryFolder, `dosql-${name}-`));
  return { path: join(folder, 'bench.db'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Every write of these engines is durable when it returns. */
const settle = async (): Promise<void> => {};

/** SQLite in Node.js. */
export function betterSqlite3(): NodeEngine {
  const { path, remove } = folderOf('better-sqlite3');
  const db = new Sqlite(path);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  const statements = new Map<string, Sqlite.Statement>();
  const prepare = (sql: string): Sqlite.Statement => {
    const statement = statements.get(sql) ?? db.prepare(sql);
    statements.set(sql, statement);
    return statement;
  };
  const run = ({ sql, values }: Statement): unknown => prepare(sql).run(...values);
  return {
    name: 'better-sqlite3',
    version: version('better-sqlite3'),
    exec: async (sql) => {
      db.exec(sql);
    },
    read: async ({ sql, values }) => prepare(sql).all(...values).length,
    write: async (statement) => {
      run(statement);
    },
    writeTogether: async (all) => {
      db.transaction(() => all.forEach(run))();
    },
    settle,
    close: async () => {
      db.close();
      remove();
    },
  };
}

/** Turso's rewrite of SQLite. */
export async function turso(): Promise<NodeEngine> {
  const { path, remove } = folderOf('turso');
  const db = await connect(path);
  const statements = new Map<string, ReturnType<typeof db.prepare>>();
  const prepare = (sql: string): ReturnType<typeof db.prepare> => {
    const statement = statements.get(sql) ?? db.prepare(sql);
    statements.set(sql, statement);
    return statement;
  };
  const run = async ({ sql, values }: Statement): Promise<void> => {
    await (await prepare(sql)).run(...values);
  };
  return {
    name: 'Turso',
    version: version('@tursodatabase/database'),
    exec: async (sql) => {
      await db.exec(sql);
    },
    read: async ({ sql, values }) => ((await (await prepare(sql)).all(...values)) as unknown[]).length,
    write: run,
    writeTogether: async (all) => {
      await db.exec('BEGIN');
      for (const statement of all) await run(statement);
      await db.exec('COMMIT');
    },
    settle,
    close: async () => {
      await db.close();
      remove();
    },
  };
}

/** SQLite over trees that share their pages. */
export function doltlite(): NodeEngine {
  const { path, remove } = folderOf('doltlite');
  const { DatabaseSync } = loadDoltlite();
  const db = new DatabaseSync(path);
  const statements = new Map<string, ReturnType<typeof db.prepare>>();
  const prepare = (sql: string): ReturnType<typeof db.prepare> => {
    const statement = statements.get(sql) ?? db.prepare(sql);
    statements.set(sql, statement);
    return statement;
  };
  const run = ({ sql, values }: Statement): void => void prepare(sql).run(...values);
  return {
    name: 'DoltLite',
    version: version('@dolthub/doltlite'),
    exec: async (sql) => db.exec(sql),
    read: async ({ sql, values }) => prepare(sql).all(...values).length,
    write: async (statement) => run(statement),
    writeTogether: async (all) => {
      db.exec('BEGIN');
      all.forEach(run);
      db.exec('COMMIT');
    },
    settle,
    close: async () => {
      db.close();
      remove();
    },
  };
}

/** PostgreSQL in WebAssembly, its files in memory. */
export async function pglite(): Promise<NodeEngine> {
  const db = await PGlite.create();
  return {
    name: 'PGlite',
    version: version('@electric-sql/pglite'),
    exec: async (sql) => {
      await db.exec(sql);
    },
    read: async ({ sql, values }) => (await db.query(numbered(sql), [...values])).rows.length,
    write: async ({ sql, values }) => {
      await db.query(numbered(sql), [...values]);
    },
    writeTogether: async (all) => {
      await db.transaction(async (tx) => {
        for (const { sql, values } of all) await tx.query(numbered(sql), [...values]);
      });
    },
    settle,
    close: () => db.close(),
  };
}

/** A column store, on one thread. */
export async function duckdb(): Promise<NodeEngine> {
  const { path, remove } = folderOf('duckdb');
  const instance = await DuckDBInstance.create(path, { threads: '1' });
  const db = await instance.connect();
  const write = async ({ sql, values }: Statement): Promise<void> => {
    await db.run(sql, [...values]);
  };
  return {
    name: 'DuckDB',
    version: version('@duckdb/node-api'),
    exec: async (sql) => {
      await db.run(sql);
    },
    read: async ({ sql, values }) => (await db.runAndReadAll(sql, [...values])).getRows().length,
    write,
    writeTogether: async (all) => {
      await db.run('BEGIN');
      for (const statement of all) await write(statement);
      await db.run('COMMIT');
    },
    settle,
    close: async () => {
      db.closeSync();
      instance.closeSync();
      remove();
    },
  };
}

/** A server on this machine, behind a socket. */
export async function mariadb(): Promise<NodeEngine> {
  const server = await startMariadb();
  const db = await createConnection({ socketPath: server.socketPath, user: 'root' });
  await db.query('CREATE DATABASE bench');
  await db.query('USE bench');
  const rows = await db.query<{ version: string }[]>('SELECT version() AS version');
  const write = async ({ sql, values }: Statement): Promise<void> => {
    await db.execute(sql, [...values]);
  };
  return {
    name: 'MariaDB',
    version: rows[0]?.version ?? '',
    exec: async (sql) => {
      await db.query(sql);
    },
    read: async ({ sql, values }) => (await db.execute<unknown[]>(sql, [...values])).length,
    write,
    writeTogether: async (all) => {
      await db.beginTransaction();
      for (const statement of all) await write(statement);
      await db.commit();
    },
    settle,
    close: async () => {
      await db.end();
      await server.stop();
    },
  };
}

/** `$1`, `$2` … for each `?`: no text of the workloads has another question mark. */
function numbered(sql: string): string {
  let count = 0;
  return sql.replaceAll('?', () => `$${++count}`);
}
