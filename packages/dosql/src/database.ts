import type { ChangeLog } from '@dotdo/cdc';
import type { Engine } from './engine.ts';
import { DoSQLError } from './error.ts';
import { Gate } from './gate.ts';
import { versions, type KeyValue, type Version } from './history/versions.ts';
import { trimDue, trimStep, type Window } from './log/trim.ts';
import { appliedMigrations, type AppliedMigration } from './migration.ts';
import { PreparedStatement } from './prepared.ts';
import { Session } from './session.ts';
import { sqlStorage, storageFacade } from './sql-storage.ts';
import { Timers, type AlarmResult, type TimerHandler } from './timer/timers.ts';
import type { SqlParameters } from './value/parameter.ts';
import { toRows, type Row } from './value/row.ts';

/** How SQLite runs a statement. */
export interface Plan {
  /** The statement as SQLite gets it: with every mention of the past replaced. */
  readonly sql: string;
  /** SQLite's own plan (https://sqlite.org/eqp.html), a step a line, indented by depth. */
  readonly steps: readonly { readonly id: number; readonly parent: number; readonly detail: string }[];
}

const TRIM_TIMER = 'dosql:trim';
const TRIM_EVERY_MS = 600_000;
/** Changes between two looks at the log's size. */
const CHANGES_PER_LOOK = 500;

/** An open database. */
export class Database extends Session {
  readonly name: string;
  /** `ctx.storage.sql` as other libraries expect it, with its writes and DDL seen by DoSQL. */
  readonly sql: SqlStorage;
  /** `ctx.storage` with {@link Database.sql} in it: what `drizzle-orm/durable-sqlite` takes. */
  readonly storage: DurableObjectStorage;
  /** The log as change streams read it: what `createCDC` takes. */
  readonly backend: ChangeLog;
  readonly #timers: Timers;
  readonly #window: Window;
  /** The timer that trims the log is set. */
  #isArmed = false;
  /** The LSN at which it was last looked whether the log has become too large. */
  #looked = 0;

  constructor(name: string, engine: Engine, window: Window) {
    super(engine, new Gate());
    this.name = name;
    this.sql = sqlStorage(engine, this.gate);
    this.storage = storageFacade(engine, this.gate, this.sql);
    this.#timers = new Timers(engine, this.gate);
    this.#window = window;
    this.backend = {
      end: () => this.lsn(),
      read: (after, limit) => this.gate.pass(() => this.#readLog(after, limit)),
      onCommit: (listener) => engine.onCommit(listener),
    };
    this.#timers.on(TRIM_TIMER, () => this.#trim());
    engine.onCommit(() => this.#committed());
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
    return new PreparedStatement(this.engine, this.gate, sql);
  }

  /** How SQLite would run a statement; does not run it. */
  explain(sql: string, params?: SqlParameters): Promise<Plan> {
    return this.gate.pass(() => {
      const explain = 'EXPLAIN QUERY PLAN ';
      const statement = this.engine.statement(explain + sql);
      const { names, raw } = this.engine.run(statement, params);
      const steps = toRows(names, raw).map(({ id, parent, detail }) => ({
        id: Number(id),
        parent: Number(parent),
        detail: String(detail),
      }));
      return { sql: this.engine.bound(statement, params).sql.slice(explain.length), steps };
    });
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
    const schedule = (): Promise<void> => this.#timers.schedule(name, at, payload);
    return this.gate.isMine ? schedule() : this.gate.hold(schedule);
  }

  /** Removes the timer `name`; returns whether there was one. */
  cancel(name: string): Promise<boolean> {
    const cancel = (): Promise<boolean> => this.#timers.cancel(name);
    return this.gate.isMine ? cancel() : this.gate.hold(cancel);
  }

  /**
   * Names what to do when the timer `name`, or any called `name:…`, is due. Call it in the constructor: the
   * object may be woken by the very alarm that needs it. Handlers run at least once.
   */
  onTimer<P = unknown>(name: string, handler: TimerHandler<P>): void {
    this.#timers.on(name, handler as TimerHandler);
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
    return this.#timers.alarm(info);
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
    return entries.after(Number(after), limit);
  }

  /** A log that no timer trims, or that has become too large before it does, is trimmed as it is written. */
  #committed(): void {
    const { marked } = this.engine.log;
    if (marked - this.#looked < CHANGES_PER_LOOK) return;
    this.#looked = marked;
    if (!this.#isArmed || this.size > this.#window.maxBytes) trimStep(this.engine, this.#window);
  }

  /**
   * Arms the timer that trims the log, for when its oldest change will be too old. A new database is armed at
   * once, so that opening one later, on a full disk perhaps, writes nothing. A class without alarm() has no timer.
   */
  async startTrimming(): Promise<void> {
    try {
      await this.gate.hold(() => this.#timers.rearm());
      if (!this.#timers.has(TRIM_TIMER)) await this.#armTrimming();
      this.#isArmed = true;
    } catch (error) {
      if (error instanceof DoSQLError) throw error;
    }
  }

  async #trim(): Promise<void> {
    const more = await this.gate.pass(() => trimStep(this.engine, this.#window));
    if (more) await this.schedule(TRIM_TIMER, this.engine.nowMs());
    else await this.#armTrimming();
  }

  async #armTrimming(): Promise<void> {
    const due = await this.gate.pass(() => trimDue(this.engine, this.#window));
    await this.schedule(TRIM_TIMER, Math.max(due, this.engine.nowMs() + TRIM_EVERY_MS));
  }
}
