import type { ChangeLog } from '@dotdo/cdc';
import type { BranchInfo, BranchOptions } from './branch/index.ts';
import type { Core } from './core.ts';
import type { Engine } from './engine.ts';
import { DoSQLError } from './error.ts';
import { versions, type KeyValue, type Version } from './history/versions.ts';
import { appliedMigrations, type AppliedMigration } from './migration.ts';
import { PreparedStatement } from './prepared.ts';
import { Session } from './session.ts';
import { sqlStorage, storageFacade } from './sql-storage.ts';
import type { AlarmResult, TimerHandler } from './timer/timers.ts';
import type { SqlParameters } from './value/parameter.ts';
import { toRows, type Row } from './value/row.ts';

/** How SQLite runs a statement. */
export interface Plan {
  /** The statement as SQLite gets it: with every mention of the past replaced. */
  readonly sql: string;
  /** SQLite's own plan (https://sqlite.org/eqp.html), a step a line, indented by depth. */
  readonly steps: readonly { readonly id: number; readonly parent: number; readonly detail: string }[];
}

/** An open database. */
export class Database extends Session {
  readonly name: string;
  /** `ctx.storage.sql` as other libraries expect it, with its writes and DDL seen by DoSQL. */
  readonly sql: SqlStorage;
  /** `ctx.storage` with {@link Database.sql} in it: what `drizzle-orm/durable-sqlite` takes. */
  readonly storage: DurableObjectStorage;
  /** The log as change streams read it: what `createCDC` takes. */
  readonly backend: ChangeLog;
  readonly #core: Core;

  constructor(core: Core, branch?: number) {
    const { engine, gate, name } = core;
    super(engine, gate, branch === undefined ? {} : { branch });
    this.name = name;
    this.#core = core;
    this.sql = sqlStorage(engine, gate, this.scope());
    this.storage = storageFacade(engine, gate, this.sql);
    this.backend = {
      end: () => this.lsn(),
      read: (after, limit) => gate.pass(() => this.#readLog(after, limit)),
      onCommit: (listener) => engine.onCommit(listener),
    };
  }

  /** The LSN of the last committed change: this moment, as a point to read at later. */
  lsn(): bigint {
    const { log } = this.engine;
    // What was written around DoSQL must not join the next transaction, or this point would fall inside of it.
    if (!this.engine.isInTransaction) log.skip(log.end());
    return BigInt(log.marked);
  }

  /** Size of the object's database in bytes, log included. */
  get size(): number {
    return this.engine.storage.sql.databaseSize;
  }

  /** A statement in D1's shape. */
  prepare(sql: string): PreparedStatement {
    return new PreparedStatement(this.engine, this.gate, this.scope(), sql);
  }

  /** How SQLite would run a statement; does not run it. */
  explain(sql: string, params?: SqlParameters): Promise<Plan> {
    return this.gate.pass(() => {
      const explain = 'EXPLAIN QUERY PLAN ';
      const statement = this.engine.statement(explain + sql);
      const { names, raw } = this.engine.run(statement, params, this.scope());
      const steps = toRows(names, raw).map(({ id, parent, detail }) => ({
        id: Number(id),
        parent: Number(parent),
        detail: String(detail),
      }));
      return { sql: this.engine.bound(statement, params, this.scope()).sql.slice(explain.length), steps };
    });
  }

  /** The branch that this handle reads and writes; `main` for the database itself. */
  get activeBranch(): string {
    return this.#core.branches?.nameOf(this.scope().branch ?? 0) ?? 'main';
  }

  /**
   * Makes a branch of what this handle sees, or of another branch, or of a point of the past, and opens it. Making
   * one of main writes one row, whatever main holds; it then takes space for what it changes.
   *
   * ```ts
   * const draft = await db.branch('prices/spring');
   * await draft.run('UPDATE products SET price = round(price * 1.05, 2)');
   * await db.merge('prices/spring');
   * ```
   *
   * @throws DoSQLError `BRANCH_EXISTS`, `NO_SUCH_BRANCH`, and what points throw.
   */
  async branch(name: string, options: BranchOptions = {}): Promise<Database> {
    const branching = await this.#core.branching();
    const id = await this.gate.pass(() => branching.create(this.scope().branch, name, options));
    return new Database(this.#core, id);
  }

  /**
   * The database on another branch; `main` is the one without a name.
   *
   * @throws DoSQLError `NO_SUCH_BRANCH`
   */
  async checkout(name: string): Promise<Database> {
    const branching = await this.#core.branching();
    return new Database(this.#core, branching.branches.idOf(name) || undefined);
  }

  /** All branches but main, oldest first, with what each holds. */
  async branches(): Promise<BranchInfo[]> {
    const branching = await this.#core.branching();
    return this.gate.pass(() => branching.list());
  }

  /**
   * Drops a branch with all that it changed, and frees its space.
   *
   * @throws DoSQLError `NO_SUCH_BRANCH`, `BAD_PARAMETER` while it has branches of its own.
   */
  async dropBranch(name: string): Promise<void> {
    const branching = await this.#core.branching();
    return this.gate.pass(() => branching.drop(name));
  }

  /** The earliest point that can be read. */
  earliest(): Promise<{ lsn: bigint; timestamp: Date }> {
    return this.gate.pass(() => {
      const { lsn, ms } = this.engine.log.earliest();
      return { lsn: BigInt(lsn), timestamp: new Date(ms) };
    });
  }

  /**
   * Every version of one row that the log knows, oldest first, whether the row still exists or not.
   *
   * ```ts
   * for (const { row, validFrom, validTo } of await db.history('tasks', 42)) …
   * ```
   */
  history<T = Row>(table: string, key: KeyValue): Promise<Version<T>[]> {
    return this.gate.pass(() => versions(this.engine, table, key) as Version<T>[]);
  }

  /** The migrations that have been applied, in order. */
  migrations(): Promise<AppliedMigration[]> {
    return this.gate.pass(() => appliedMigrations(this.engine));
  }

  /**
   * Sets the timer `name` for `at` (a Date, or ms since the epoch), replacing one of that name. It runs from
   * the object's alarm, so the class's `alarm()` must call {@link Database.alarm}. Inside a transaction of
   * this database it is part of the transaction.
   */
  schedule(name: string, at: Date | number, payload?: unknown): Promise<void> {
    return this.#core.schedule(name, at, payload);
  }

  /** Removes the timer `name`; returns whether there was one. */
  cancel(name: string): Promise<boolean> {
    const cancel = (): Promise<boolean> => this.#core.timers.cancel(name);
    return this.gate.isMine ? cancel() : this.gate.hold(cancel);
  }

  /**
   * Names what to do when the timer `name`, or any called `name:…`, is due. Call it in the constructor: the
   * object may be woken by the very alarm that needs it. Handlers run at least once.
   */
  onTimer<P = unknown>(name: string, handler: TimerHandler<P>): void {
    this.#core.timers.on(name, handler as TimerHandler);
  }

  /**
   * Runs what is due and sets the alarm for what comes next: what the class's `alarm()` has to call.
   *
   * ```ts
   * async alarm() { await (await this.db).alarm() }
   * ```
   *
   * An app that also sets the object's alarm itself passes on what its `alarm(info)` was called with: then
   * `isOwnDue` tells its alarm from ours in every case, also where its own has replaced an earlier one of ours.
   */
  alarm(info?: AlarmInvocationInfo): Promise<AlarmResult> {
    return this.#core.timers.alarm(info);
  }

  #readLog(after: bigint, limit: number): ReturnType<Engine['entries']['after']> {
    const { log, entries } = this.engine;
    const { lsn: earliest } = log.earliest();
    const end = log.end();
    if (after < BigInt(earliest))
      throw new DoSQLError(
        'LSN_EXPIRED',
        `changes after LSN ${after} are gone from the log, which begins after LSN ${earliest}: start again from a snapshot`,
      );
    if (after > BigInt(end))
      throw new DoSQLError('BAD_PARAMETER', `LSN ${after} lies past the last change, which has LSN ${end}`);
    log.skip(end);
    return entries.after(Number(after), limit, this.scope().branch);
  }
}
