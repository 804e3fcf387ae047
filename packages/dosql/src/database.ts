import type { ChangeSource } from '@dotdo/cdc';
import type { BranchInfo, BranchOptions } from './branch/index.ts';
import type {
  ErasureReport,
  PickOptions,
  PickResult,
  PurgeTarget,
  RestoreOptions,
  RestoreResult,
} from './change/index.ts';
import type * as ChangeModule from './change/index.ts';
import type { LineState } from './branch/states.ts';
import type { Core } from './core.ts';
import type { Blame } from './history/blame.ts';
import type { Point } from './history/point.ts';
import type {
  ConflictKey,
  DiffOptions,
  KeptConflict,
  MergeOptions,
  MergeResult,
  Resolution,
  RowDiff,
} from './merge/index.ts';
import type { KeyValue, Version } from './history/versions.ts';
import { fromJulian } from './log/log.ts';
import type { AppliedMigration, Migrations } from './migration.ts';
import { PreparedStatement } from './prepared.ts';
import { FileSession } from './file-session.ts';
import { LogSource } from './stream/source.ts';
import { sqlStorage, storageFacade } from './sql-storage.ts';
import type { AlarmResult, TimerHandler } from './timer/timers.ts';
import { recalling } from './turn.ts';
import type { Row } from './value/row.ts';

/** The earliest point that can be read. */
export interface Earliest {
  readonly lsn: bigint;
  readonly timestamp: Date;
  /** The earliest point that the archive reaches back to, where that is before `lsn`. */
  readonly archived?: { readonly lsn: bigint; readonly timestamp: Date };
}

/** An open database. */
export class Database extends FileSession {
  readonly name: string;
  /** `ctx.storage.sql` as other libraries expect it, with its writes and DDL seen by DoSQL. */
  readonly sql: SqlStorage;
  /** `ctx.storage` with {@link Database.sql} in it: what `drizzle-orm/durable-sqlite` takes. */
  readonly storage: DurableObjectStorage;
  /** The log as change streams read it: what `createCDC` takes. */
  readonly backend: ChangeSource;

  constructor(core: Core, branch?: number) {
    super(core, branch === undefined ? {} : { branch });
    const { engine, gate, name } = core;
    this.name = name;
    this.sql = sqlStorage(engine, gate, this.scope());
    this.storage = storageFacade(engine, gate, this.sql);
    this.backend = new LogSource(core, branch);
  }

  /** The LSN of the last committed change: this moment, as a point to read at later. */
  lsn(): bigint {
    return this.backend.end();
  }

  /** Size of the object's database in bytes, log included. */
  get size(): number {
    return this.engine.storage.sql.databaseSize;
  }

  /** A statement in D1's shape. */
  prepare(sql: string): PreparedStatement {
    return new PreparedStatement(this.engine, this.gate, this.scope(), sql);
  }

  /** The branch that this handle reads and writes; `main` for the database itself. */
  get activeBranch(): string {
    return this.core.branches?.nameOf(this.scope().branch ?? 0) ?? 'main';
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
    this.gate.refuseHolder();
    const branching = await this.core.branching();
    const create = (): number => branching.create(this.scope().branch, name, options);
    const id = await recalling(this.engine, () => this.gate.pass(create));
    return new Database(this.core, id);
  }

  /**
   * The database on another branch; `main` is the one without a name.
   *
   * @throws DoSQLError `NO_SUCH_BRANCH`
   */
  async checkout(name: string): Promise<Database> {
    this.gate.refuseHolder();
    const branching = await this.core.branching();
    return new Database(this.core, branching.branches.idOf(name) || undefined);
  }

  /** All branches but main, oldest first, with what each holds. */
  async branches(): Promise<BranchInfo[]> {
    this.gate.refuseHolder();
    const branching = await this.core.branching();
    return this.gate.pass(() => branching.list());
  }

  /**
   * Drops a branch with all that it changed, and frees its space.
   *
   * @throws DoSQLError `NO_SUCH_BRANCH`, `BAD_PARAMETER` while it has branches of its own.
   */
  async dropBranch(name: string): Promise<void> {
    this.gate.refuseHolder();
    const branching = await this.core.branching();
    const { forgetConflicts } = await import('./merge/index.ts');
    return this.gate.pass(() =>
      this.engine.atomically(() => {
        const { branches } = branching;
        forgetConflicts(this.engine, branches, branches.idOf(name));
        branching.drop(name);
      }),
    );
  }

  /**
   * What turns the branch `a` into the branch `b`, row by row. Costs as much as what has changed since they parted.
   *
   * ```ts
   * const changes = await db.diff('main', 'prices/spring', { table: 'products' });
   * ```
   *
   * @throws DoSQLError `NO_SUCH_BRANCH`, `NO_SUCH_TABLE`
   */
  async diff(a: string, b: string, options?: DiffOptions): Promise<RowDiff[]> {
    this.gate.refuseHolder();
    const branching = await this.core.branching();
    const { diff } = await import('./merge/index.ts');
    return this.gate.hold(async () => {
      await this.#bringChanged(branching.heldFrom);
      const [from, to] = [a, b].map((name) => ({ line: branching.branches.idOf(name), lsn: undefined }));
      return diff(this.engine, branching.branches, from as LineState, to as LineState, options);
    });
  }

  /**
   * Merges a branch into this handle's, or into another: three-way from the state that they have in common, rows
   * matched by primary key, cell by cell, JSON objects key by key; definitions too. One transaction, logged and
   * streamed like any other, in which no trigger fires.
   *
   * Where both changed one cell, nothing is merged: `conflicts` tells, and tables `dosql_conflicts_<table>` keep them
   * until they are settled, by {@link Database.resolve} or in SQL, and the branch is merged again. Nothing is merged
   * either where a constraint would not hold: `violations` tells.
   *
   * @throws DoSQLError `NO_SUCH_BRANCH`, `BAD_PARAMETER`
   */
  async merge(source: string, options: MergeOptions = {}): Promise<MergeResult> {
    this.gate.refuseHolder();
    const branching = await this.core.branching();
    const { merge } = await import('./merge/index.ts');
    return this.gate.hold(async () => {
      await this.#bringChanged(branching.heldFrom);
      const { branches } = branching;
      const into = options.into === undefined ? (this.scope().branch ?? 0) : branches.idOf(options.into);
      return merge(this.engine, branches, branches.idOf(source), into, options);
    });
  }

  /** The conflicts that merges into a branch have left and that are not settled; by default into this handle's. */
  async conflicts(branch?: string): Promise<KeptConflict[]> {
    this.gate.refuseHolder();
    const { keptConflicts } = await import('./merge/index.ts');
    return this.gate.pass(() => keptConflicts(this.engine, branch ?? this.activeBranch));
  }

  /**
   * Settles conflicts of a table, that of one row or `'all'`: by our row, theirs, or a row that is given, null for
   * none. Returns how many. Merging the branch again then completes the merge.
   */
  async resolve(
    table: string,
    key: ConflictKey,
    take: Resolution,
    { source }: { readonly source?: string } = {},
  ): Promise<number> {
    this.gate.refuseHolder();
    const { resolveConflicts } = await import('./merge/index.ts');
    return this.gate.pass(() => resolveConflicts(this.engine, this.activeBranch, table, key, take, source));
  }

  /**
   * The earliest point that can be read of what is in the object; `archived` is that of the archive, where this goes
   * further back.
   */
  earliest(): Promise<Earliest> {
    return this.gate.pass(() => {
      const { archived, log } = this.engine;
      const { lsn, ms } = log.earliest();
      const [from = lsn, at = 0] = archived?.begin() ?? [];
      const earliest = { lsn: BigInt(lsn), timestamp: new Date(ms) };
      if (from >= lsn) return earliest;
      return { ...earliest, archived: { lsn: BigInt(from), timestamp: new Date(fromJulian(at)) } };
    });
  }

  /**
   * Brings the log back from the archive as far as `point`, for at least ten minutes: for what cannot wait, which is
   * a transaction and `db.sql`. A query recalls what it needs by itself.
   *
   * ```ts
   * await db.recall({ ago: '90d' });
   * ```
   *
   * @throws DoSQLError `HISTORY_EXPIRED`, `TOO_BIG` for more than `history.recallBytes`, `STORAGE_UNAVAILABLE`,
   * `CORRUPT_FILE`, `NO_SUCH_FILE`, `BAD_PARAMETER`.
   */
  async recall(point: Point): Promise<{ readonly lsn: bigint }> {
    this.gate.refuseHolder();
    const resolve = (): { lsn: bigint } => ({ lsn: BigInt(this.engine.history.points.resolve(point)) });
    return recalling(this.engine, () => this.gate.pass(resolve));
  }

  /**
   * Every version of one row that the log and the archive know, oldest first, whether the row still exists or not.
   * With `since` those that ended before that point are not looked for, which keeps what lies before it in the archive.
   *
   * ```ts
   * for (const { row, validFrom, validTo } of await db.history('tasks', 42)) …
   * ```
   */
  async history<T = Row>(
    table: string,
    key: KeyValue,
    { since }: { readonly since?: Point } = {},
  ): Promise<Version<T>[]> {
    this.gate.refuseHolder();
    const { versions } = await import('./history/versions.ts');
    return this.#withRow(
      table,
      key,
      () => versions(this.engine, table, key, this.scope().branch, since) as Version<T>[],
    );
  }

  /**
   * For each column of one row, the change that gave it the value that it has; empty when there is no such row. Of the
   * archive only so much is read as it takes to know that, and with `since` nothing before that point.
   *
   * ```ts
   * const { tx, timestamp } = (await db.blame('tasks', 42)).find(({ column }) => column === 'status')!;
   * ```
   */
  async blame(table: string, key: KeyValue, { since }: { readonly since?: Point } = {}): Promise<Blame[]> {
    this.gate.refuseHolder();
    const { blame } = await import('./history/blame.ts');
    return this.#withRow(table, key, () => blame(this.engine, table, key, this.scope().branch, since));
  }

  /**
   * Sets what this handle sees, or some of its tables, back to how it was at `point`, on a branch also to before it
   * was made: as new changes, which are logged and streamed and can be undone the same way. Rows go back,
   * definitions stay: a column added since keeps its values, a table dropped since is created again, one created
   * since is emptied. No trigger fires, no foreign key acts.
   *
   * ```ts
   * const { changes } = await db.restore({ ago: '10m' }, { tables: ['products'] });
   * ```
   *
   * @throws DoSQLError `CONSTRAINT_*` with the rows that do not fit together; then nothing has changed.
   */
  restore(point: Point, options?: RestoreOptions): Promise<RestoreResult> {
    return this.#change(async ({ restore }) => {
      if (this.engine.files !== undefined)
        await this.#bringChanged(this.engine.history.points.resolve(point));
      return restore(this.engine, this.core.branches, point, options, this.scope().branch);
    });
  }

  /**
   * Undoes one transaction, given by any LSN of it, as new changes: on a branch one of its own, or of its parent's
   * from before the fork. What others have changed since stays, cell by cell.
   *
   * ```ts
   * const { lsn } = await db.run('UPDATE products SET price = 0');
   * await db.revert(lsn);
   * ```
   *
   * @throws DoSQLError `MERGE_CONFLICT` when a cell that it changed has changed again, with `conflicts`,
   * `CONSTRAINT_*` when rows would not fit others, `FORBIDDEN` for one that changed the schema.
   */
  revert(tx: bigint | number): Promise<PickResult> {
    return this.#change(({ revert }) => revert(this.engine, this.core.branches, tx, this.scope().branch));
  }

  /**
   * Makes the changes of one transaction again, given by any LSN of it, on this handle's branch or on `onto`: of one
   * of another branch, without all else that it has, or of one that was undone.
   *
   * ```ts
   * const { lsn } = await draft.run("UPDATE products SET price = 12 WHERE sku = 'A1'");
   * await draft.cherryPick(lsn, { onto: 'main' });
   * ```
   *
   * Rows are matched by primary key, cell by cell.
   *
   * @throws DoSQLError `MERGE_CONFLICT` with `conflicts` when a cell that it changed holds something else there,
   * `CONSTRAINT_*`, `NO_SUCH_BRANCH`, `NO_SUCH_TABLE`, `NO_SUCH_COLUMN`, `FORBIDDEN` for one that changed the schema.
   */
  async cherryPick(tx: bigint | number, { onto }: PickOptions = {}): Promise<PickResult> {
    const line = onto === undefined ? this.scope().branch : (await this.core.branching()).branches.idOf(onto);
    return this.#change(({ cherryPick }) => cherryPick(this.engine, this.core.branches, tx, line));
  }

  /**
   * Erases rows and their past for good, from main and from every branch, whichever this handle is of: no query,
   * history, merge or stream finds them any more. Rows that foreign keys delete along with them are erased too. No
   * trigger fires. Conflicts that merges have left in these tables are forgotten.
   *
   * ```ts
   * const report = await db.purge('users', { where: 'id = ?', params: [userId] });
   * await db.purge('visits', { before: '2026-01-01', column: 'at' });   // rows older than that
   * await db.purge('visits', { before: { ago: '30d' } });               // the table's past, not its rows
   * ```
   *
   * Those who follow the log get a deletion with the row's key and nothing else; with `keepKeys: false`, nothing.
   *
   * @throws DoSQLError `CONSTRAINT_FOREIGNKEY` when rows refer to these; then nothing has been erased.
   */
  purge(table: string, target: PurgeTarget): Promise<ErasureReport> {
    return this.#change(({ purge }) =>
      purge(this.engine, this.core.branches, table, target, this.scope().branch),
    );
  }

  /** The migrations that have been applied, in order; a branch's are its parent's up to the fork, and its own. */
  async migrations(): Promise<AppliedMigration[]> {
    this.gate.refuseHolder();
    const { appliedMigrations } = await import('./migration.ts');
    return this.gate.pass(() => appliedMigrations(this.engine, this.scope().branch));
  }

  /**
   * Applies migrations that have not been applied yet, as {@link DB} does on opening, and returns these. On a branch
   * they change the branch only; merging it brings them over together with what they did.
   *
   * ```ts
   * const next = await db.branch('next');
   * await next.migrate({ folder: '.do/migrations/saas' });
   * await db.merge('next');
   * ```
   *
   * @throws DoSQLError `MIGRATION_FAILED`, `MIGRATION_CHANGED`, `MIGRATION_MISSING`
   */
  async migrate(migrations: Migrations): Promise<AppliedMigration[]> {
    this.gate.refuseHolder();
    const { loadMigrations, migrate } = await import('./migration.ts');
    const loaded = await loadMigrations(migrations);
    return this.gate.hold(() => migrate(this.engine, loaded, this.scope().branch));
  }

  /**
   * Sets the timer `name` for `at` (a Date, or ms since the epoch), replacing one of that name. It runs from
   * the object's alarm, so the class's `alarm()` must call {@link Database.alarm}. Inside a transaction of
   * this database it is part of the transaction. With `ifAbsent` one that is set stays as it is, unless its handler
   * is running just now, which may not see any more what the new one is to be about.
   */
  schedule(
    name: string,
    at: Date | number,
    payload?: unknown,
    { ifAbsent = false }: { readonly ifAbsent?: boolean } = {},
  ): Promise<void> {
    return this.core.schedule(name, at, payload, ifAbsent);
  }

  /** Removes the timer `name`; returns whether there was one. */
  cancel(name: string): Promise<boolean> {
    return this.core.cancel(name);
  }

  /**
   * Names what to do when the timer `name`, or any called `name:…`, is due. Call it in the constructor: the
   * object may be woken by the very alarm that needs it. Handlers run at least once.
   */
  onTimer<P = unknown>(name: string, handler: TimerHandler<P>): void {
    this.core.timers.on(name, handler as TimerHandler);
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
    return this.core.timers.alarm(info);
  }

  /** Makes the cold rows hot that changes after `lsn` are about: what follows goes by the log, and finds rows by keys. */
  async #bringChanged(lsn: number | undefined): Promise<void> {
    if (lsn !== undefined) await this.engine.files?.cold.logged(lsn);
  }

  /** Runs `work` when the row with this key is hot. */
  #withRow<T>(table: string, key: KeyValue, work: () => T): Promise<T> {
    const { files } = this.engine;
    if (files === undefined) return recalling(this.engine, () => this.gate.pass(work));
    const held = async (): Promise<T> => {
      const { keyOf } = await import('./history/row-key.ts');
      const found = keyOf(this.engine, table, key, this.scope().branch ?? 0);
      await files.cold.row(found.relation.tableId, found.key);
      return work();
    };
    return recalling(this.engine, () => this.gate.hold(held));
  }

  /** Takes its turn before it loads what changes many rows: turns are in the order of the calls. */
  #change<T>(work: (change: typeof ChangeModule) => Promise<T>): Promise<T> {
    const held = async (): Promise<T> => {
      await this.engine.loadHistory();
      return work(await import('./change/index.ts'));
    };
    return recalling(this.engine, () => this.gate.hold(held));
  }
}
