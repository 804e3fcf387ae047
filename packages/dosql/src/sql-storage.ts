import { DoSQLError } from './error.ts';
import type { Engine, Outcome, RunOptions } from './engine.ts';
import type { Gate } from './gate.ts';
import { parse } from './sql/statement.ts';
import type { SqlParameter } from './value/parameter.ts';

/**
 * `ctx.storage.sql` as other libraries expect it, over a DoSQL database: the same calls and results, but
 * statements go through the engine, so DDL is recorded, transactions are marked in the log, and cursors of
 * statements that write are drained.
 */
export function sqlStorage(engine: Engine, gate: Gate, scope: RunOptions): SqlStorage {
  const native = engine.storage.sql;
  return {
    exec: (query: string, ...bindings: SqlParameter[]) => {
      assertFree(gate);
      const statements = parse(query);
      const [only] = statements;
      if (statements.length === 1 && only?.kind === 'read')
        return engine.cursor(engine.statement(query), bindings, scope);
      const run = (): Outcome | undefined => {
        let outcome: Outcome | undefined;
        // As with the platform's exec, parameters belong to the last statement, and so do the results.
        statements.forEach((statement, i) => {
          outcome = engine.run(statement, i === statements.length - 1 ? bindings : [], scope);
        });
        return outcome;
      };
      return new BufferedCursor(statements.length > 1 ? engine.atomically(run) : run());
    },
    get databaseSize() {
      return native.databaseSize;
    },
    get Cursor() {
      return native.Cursor;
    },
    get Statement() {
      return native.Statement;
    },
  } as unknown as SqlStorage;
}

/**
 * `ctx.storage` with `sql` and `transactionSync` going through the engine; everything else is the
 * platform's own. For libraries that take a whole storage, such as drizzle-orm/durable-sqlite.
 */
export function storageFacade(engine: Engine, gate: Gate, sql: SqlStorage): DurableObjectStorage {
  const { storage } = engine;
  return new Proxy(storage, {
    get(target, property) {
      if (property === 'sql') return sql;
      if (property === 'transactionSync')
        return <T>(callback: () => T): T => {
          assertFree(gate);
          return engine.atomically(callback);
        };
      const value = Reflect.get(target, property, target) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** A synchronous call cannot wait for another caller's transaction; inside one's own it is part of it. */
function assertFree(gate: Gate): void {
  if (!gate.isHeld || gate.isMine) return;
  throw new DoSQLError(
    'TRANSACTION_OPEN',
    'another transaction is open, and a synchronous statement cannot wait: use db.query() or db.run()',
  );
}

/** The results of a statement that has run to its end, in the shape of the platform's cursor. */
class BufferedCursor implements Iterable<Record<string, SqlStorageValue>> {
  readonly columnNames: string[];
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly #raw: SqlStorageValue[][];
  #next = 0;

  constructor(outcome: Outcome | undefined) {
    this.columnNames = [...(outcome?.names ?? [])];
    this.rowsRead = outcome?.rowsRead ?? 0;
    this.rowsWritten = outcome?.rowsWritten ?? 0;
    this.#raw = outcome?.raw ?? [];
  }

  next(): { done?: boolean; value?: Record<string, SqlStorageValue> } {
    const values = this.#raw[this.#next];
    if (values === undefined) return { done: true };
    this.#next++;
    return {
      done: false,
      value: Object.fromEntries(this.columnNames.map((name, i) => [name, values[i] ?? null])),
    };
  }

  toArray(): Record<string, SqlStorageValue>[] {
    return [...this];
  }

  one(): Record<string, SqlStorageValue> {
    const rows = this.toArray();
    if (rows.length === 1) return rows[0] as Record<string, SqlStorageValue>;
    throw new Error(
      `Expected exactly one result from SQL query, but got ${rows.length === 0 ? 'no' : 'multiple'} results.`,
    );
  }

  raw(): IterableIterator<SqlStorageValue[]> & { toArray(): SqlStorageValue[][] } {
    const rest = this.#raw.slice(this.#next);
    this.#next = this.#raw.length;
    return Object.assign(rest.values(), { toArray: () => rest });
  }

  *[Symbol.iterator](): IterableIterator<Record<string, SqlStorageValue>> {
    for (let row = this.next(); row.done !== true; row = this.next())
      yield row.value as Record<string, SqlStorageValue>;
  }
}
