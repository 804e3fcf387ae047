import type { CommitHook } from './commit-hook.ts';
import { DoSQLError, sqliteError } from './error.ts';
import type { History } from './history/index.ts';
import { Inserts } from './inserts.ts';
import type { Archived } from './log/archived.ts';
import { Log, toJulian } from './log/log.ts';
import { imagesOfAll, OP } from './schema/capture.ts';
import { Catalog, sameName } from './schema/catalog.ts';
import { pragmaOutcome, pragmaWords } from './pragma.ts';
import { plainNames } from './schema/line.ts';
import { checkKeys } from './schema/foreign-key.ts';
import { HistoryNotLoaded, waits } from './outcome.ts';
import type { Branching, FileStatements, Outcome, RunOptions } from './outcome.ts';
import { keepNames } from './sql/names.ts';
import { disguise } from './sql/disguise.ts';
import { keepingLastRowId } from './sql/last-rowid.ts';
import { first } from './sql/read.ts';
import { readsUrl, splice, type Statement } from './sql/statement.ts';
import { Statements } from './sql/statements.ts';
import { bind, encode, orderParameters } from './value/parameter.ts';
import type { Bound, SqlParameter, SqlParameters } from './value/parameter.ts';
import type { RawValue } from './value/row.ts';

export type { Branching, Outcome, RunOptions } from './outcome.ts';

const AFTER_WRITE = 'SELECT changes(), last_insert_rowid(), total_changes()';
const NO_ROWS: RawValue[][] = [];
const NO_NAMES: string[] = [];

/**
 * Runs statements against the object's SQLite, synchronously, and keeps log and catalog in step with what
 * they do. Knows nothing of callers, queues or promises: who may run a statement when is decided above.
 *
 * Invariant: outside {@link Engine.atomically} and {@link Engine.transaction}, the log's end has been marked
 * as the end of a transaction; inside, that is done once, when the outermost ends.
 */
export class Engine {
  readonly storage: DurableObjectStorage;
  readonly log: Log;
  readonly catalog: Catalog;
  readonly #sql: SqlStorage;
  readonly #clock: (() => number) | undefined;
  readonly #statements = new Statements();
  readonly #listeners = new Set<() => void>();
  /** Undefined while the database has no branches. */
  branching: Branching | undefined;
  /** Undefined until a statement may need a file. */
  files: FileStatements | undefined;
  /** Loads them. */
  loadFiles: () => Promise<FileStatements> = () => Promise.reject(new Error('no files'));
  /** What has been archived; undefined where there is no cold storage to read it from. */
  archived: Archived | undefined;
  /** Waits for what something has failed for with `error`, so that it can be done again; throws any other error as it is. */
  recall: (error: unknown) => Promise<void> = async (unknown) => {
    throw unknown;
  };
  /** Undefined until something asks for the past. */
  loadedHistory: History | undefined;
  commitHook: CommitHook | undefined;
  #depth = 0;
  #clockMs = Number.NaN;
  #changes = 0;
  /** total_changes() when the log's end was last known. */
  #total = Number.NaN;
  #defersKeys = false;
  /** The inserts of the open transaction. */
  #inserts: Inserts | undefined;
  #isGone = false;

  constructor(storage: DurableObjectStorage, clock: (() => number) | undefined) {
    this.storage = storage;
    this.#sql = storage.sql;
    this.#clock = clock;
    this.log = new Log(this.#sql);
    this.catalog = new Catalog(this.#sql, this.log);
  }

  /** Creates DoSQL's own tables where they are missing and captures every table that is not captured yet. */
  open(name: string): void {
    this.storage.transactionSync(() => {
      this.log.open(this.nowMs());
      const known = this.log.meta('name');
      if (known === undefined) this.log.setMeta('name', name);
      else if (known !== name)
        throw new DoSQLError('NAME_MISMATCH', `this storage holds the database "${known}", not "${name}"`);
      if (this.#clock === undefined) this.#sql.exec('DROP TABLE IF EXISTS __dosql_clock');
      else
        this.#sql.exec(
          'CREATE TABLE IF NOT EXISTS __dosql_clock(at REAL); INSERT INTO __dosql_clock(at) SELECT NULL WHERE NOT EXISTS (SELECT 1 FROM __dosql_clock)',
        );
      this.#sql.exec('CREATE TABLE IF NOT EXISTS __dosql_rowid(id INTEGER PRIMARY KEY)');
      this.tick();
      this.catalog.open(this.#clock !== undefined);
      this.log.mark(this.log.end());
    });
  }

  /** ms since the epoch. */
  nowMs(): number {
    return this.#clock?.() ?? Date.now();
  }

  /** What reads the past; throws {@link HistoryNotLoaded}. */
  get history(): History {
    if (this.loadedHistory === undefined) throw new HistoryNotLoaded();
    return this.loadedHistory;
  }

  async loadHistory(): Promise<void> {
    const { History } = await import('./history/index.ts');
    this.loadedHistory ??= new History(this);
  }

  /** True once the storage was found to have been deleted behind the database. */
  get isGone(): boolean {
    if (!this.#isGone) this.#isGone = !this.hasOwn('__dosql_meta');
    return this.#isGone;
  }

  /** Whether a table of DoSQL's own is there: those of a part that is not used are not. */
  hasOwn(table: string): boolean {
    return first(this.#sql, 'SELECT 1 FROM sqlite_schema WHERE name = ?', table) !== undefined;
  }

  /** True while there are branches. */
  get hasBranchesNow(): boolean {
    return this.branching?.heldFrom !== undefined;
  }

  /** True while a transaction is open. */
  get isInTransaction(): boolean {
    return this.#depth > 0;
  }

  /** Calls `listener` after every transaction that has changed something; returns the way to stop that. */
  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The one statement that `sql` is.
   *
   * @throws DoSQLError `SYNTAX` when it is none or several, `FORBIDDEN`.
   */
  statement(sql: string): Statement {
    return this.#statements.get(sql);
  }

  /** Whether a statement has to wait for files; one that is none is left to fail where it is run. */
  waits(sql: string): boolean {
    if (this.files === undefined && !(typeof sql === 'string' && sql.includes('://'))) return false;
    try {
      const statement = this.statement(sql);
      return this.files === undefined ? readsUrl(statement) : this.files.concerns(statement);
    } catch {
      return false;
    }
  }

  /** Runs one statement to its end; cursors are never left open, an unread RETURNING would reset the object. */
  run(statement: Statement, params: SqlParameters | undefined, options: RunOptions = {}): Outcome {
    const values = orderParameters(statement, params);
    if (statement.kind === 'read') return this.#read(statement, values, options);
    if (options.at !== undefined)
      throw new DoSQLError(
        'READ_ONLY',
        'a database as of a point is read-only: write through the database itself',
        { sql: statement.sql },
      );
    const { branch } = options;
    if (statement.kind === 'ddl') this.files?.refuse(statement, branch);
    if (statement.kind === 'ddl')
      return this.keepingLastRowId(() =>
        branch === undefined || this.branching === undefined
          ? this.atomically(() => this.#runDdl(statement, values))
          : this.branching.ddl(statement, branch),
      );
    if (statement.kind === 'pragma') return this.#runPragma(statement, branch);
    if (statement.kind === 'maintenance') return this.#read(statement, values, {});
    if (this.#depth === 0 && this.#checksKeys)
      return this.atomically(() => this.#write(statement, values, options));
    return this.#write(statement, values, options);
  }

  /** Runs a statement of DoSQL's own that changes the schema, inside a transaction. */
  runOwn(statement: Statement): Outcome {
    return this.#runDdl(statement, []);
  }

  /** What `changes()` gives after the user's last statement. */
  get lastChanges(): number {
    return this.#changes;
  }

  /** An open cursor over a statement that only reads. */
  cursor(
    statement: Statement,
    params: SqlParameters | undefined,
    options: RunOptions,
  ): SqlStorageCursor<Record<string, SqlStorageValue>> {
    const { sql, bindings } = this.#prepare(statement, orderParameters(statement, params), options);
    return this.#guard(statement.sql, () => this.#sql.exec(sql, ...bindings));
  }

  /** The text that SQLite runs for `statement`, and its bindings. */
  bound(statement: Statement, params: SqlParameters | undefined, options: RunOptions = {}): Bound {
    return this.#prepare(statement, orderParameters(statement, params), options);
  }

  /** Runs `callback` in a transaction that ends with it: a throw undoes all that it wrote. Nests as savepoints. */
  atomically<T>(callback: () => T): T {
    const before = this.#begin();
    try {
      const result = this.storage.transactionSync(() => {
        const result = callback();
        this.#beforeCommit();
        return result;
      });
      this.#committed();
      return result;
    } catch (error) {
      this.#rolledBack(before);
      throw error;
    }
  }

  /**
   * The same with a callback that may wait. The platform holds the object's other events back meanwhile, and
   * keeps SQLite's transaction open over every await, so that a crash leaves all or nothing. As the outermost
   * savepoint it is also faster than {@link atomically} for many writes: SQLite copies no page for it.
   */
  async transaction<T>(callback: () => Promise<T>): Promise<T> {
    let before: Before | undefined;
    try {
      const result = await this.storage.transaction(async () => {
        before = this.#begin();
        const result = await callback();
        this.#beforeCommit();
        return result;
      });
      this.#committed();
      return result;
    } catch (error) {
      if (before !== undefined) this.#rolledBack(before);
      throw error;
    }
  }

  #begin(): Before {
    if (this.#depth++ === 0) {
      const end = this.#guard('', () => this.log.end());
      this.log.skip(end);
      this.#inserts = new Inserts(this.#sql, end);
    }
    return { marked: this.log.marked, generation: this.catalog.generation };
  }

  #beforeCommit(): void {
    if (this.#depth > 1) return;
    if (this.#checksKeys) checkKeys(this.#sql, this.catalog, this.log.marked);
    const end = this.log.end();
    this.#inserts?.commit(end);
    this.#mark(end);
  }

  /** Takes note that a transaction ends at `end`, before it does. Returns the rows billed. */
  #mark(end: number): number {
    if (end !== this.log.marked) this.commitHook?.beforeCommit();
    return this.log.mark(end);
  }

  #committed(): void {
    this.#depth--;
    if (this.#depth > 0) return;
    this.#inserts = undefined;
    this.#defersKeys = false;
    this.#notify();
  }

  #rolledBack(before: Before): void {
    this.#depth--;
    if (this.#depth === 0) {
      this.#inserts?.rollBack();
      this.#inserts = undefined;
    } else if (this.#inserts !== undefined) {
      this.#inserts.rollBackTo(this.isGone ? 0 : this.log.end());
    }
    this.log.unmark(before.marked);
    this.loadedHistory?.clear();
    this.#clockMs = Number.NaN;
    this.commitHook?.rolledBack();
    this.files?.rolledBack();
    if (this.isGone) return;
    if (this.catalog.generation !== before.generation) {
      this.log.open(this.nowMs());
      this.log.unmark(before.marked);
      this.catalog.load();
    }
    this.branching?.rolledBack();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  #read(statement: Statement, values: readonly SqlParameter[], options: RunOptions): Outcome {
    const { sql, bindings } = this.#prepare(statement, values, options);
    try {
      const cursor = this.#sql.exec(sql, ...bindings);
      const raw = [...cursor.raw<RawValue[]>()];
      const { columnNames: names, rowsRead, rowsWritten } = cursor;
      const lsn = this.#inserts?.end ?? this.log.marked;
      return { names, raw, rowsRead, rowsWritten, changes: 0, lastRowId: 0, lsn };
    } catch (error) {
      throw this.#failed(error, statement.sql);
    }
  }

  #write(statement: Statement, values: readonly SqlParameter[], options: RunOptions): Outcome {
    this.tick();
    const { sql, bindings } = this.#prepare(statement, values, options);
    const togglesRecursion = statement.replaces && !this.catalog.isRecursive;
    if (togglesRecursion) this.#sql.exec('PRAGMA recursive_triggers = ON');
    try {
      const cursor = this.#sql.exec(sql, ...bindings);
      const raw = statement.isReturning ? [...cursor.raw<RawValue[]>()] : NO_ROWS;
      const names = statement.isReturning ? cursor.columnNames : NO_NAMES;
      const { rowsRead, rowsWritten } = cursor;
      const isMain = options.branch === undefined;
      if (
        this.#inserts !== undefined &&
        isMain &&
        statement.insertsOne &&
        this.catalog.logsOneRow(statement.target)
      ) {
        this.#changes = 1;
        return this.#inserts.next(rowsRead, rowsWritten);
      }
      const after = first<[number, number, number]>(this.#sql, AFTER_WRITE) as [number, number, number];
      const changes = after[0];
      const lastRowId = after[1];
      const lsn = this.#endAfter(statement, changes, after[2]);
      if (!isMain) this.branching?.wrote(lsn);
      this.#changes = changes;
      let marks = 0;
      if (this.#inserts !== undefined) this.#inserts.end = lsn;
      else if (lsn !== this.log.marked) {
        marks = this.#mark(lsn);
        this.#total += marks;
        this.#notify();
      }
      return { names, raw, rowsRead, rowsWritten: rowsWritten + marks, changes, lastRowId, lsn };
    } catch (error) {
      const failed = this.#failed(error, statement.sql);
      // A statement that did not compile leaves the count of the one before it.
      if (failed.code.startsWith('CONSTRAINT'))
        this.#changes = first<[number]>(this.#sql, 'SELECT changes()')?.[0] ?? 0;
      // INSERT OR FAIL keeps the rows before the one that failed.
      if (this.#isGone) throw failed;
      const end = this.log.end();
      if (this.#inserts !== undefined) this.#inserts.end = end;
      else if (end !== this.log.marked) {
        this.#mark(end);
        this.#notify();
      }
      throw failed;
    } finally {
      if (togglesRecursion) this.#sql.exec('PRAGMA recursive_triggers = OFF');
    }
  }

  /**
   * The log's end after a statement. Reading it costs more than all else that is asked after a write, so it is
   * reckoned where that is sure: each change of a captured table writes at least one log row, so when SQLite has
   * counted just two rows for each change since the end was known, they are the changes and one log row for
   * each, and nobody else has written.
   */
  #endAfter(statement: Statement, changes: number, total: number): number {
    const counted = total - this.#total;
    this.#total = total;
    if (counted !== 2 * changes || !this.catalog.isCaptured(statement.target)) return this.log.end();
    return (this.#inserts?.end ?? this.log.marked) + changes;
  }

  #runDdl(statement: Statement, values: readonly SqlParameter[]): Outcome {
    const { ddl } = statement;
    if (
      ddl !== undefined &&
      (ddl.what === 'view' || ddl.what === 'trigger') &&
      statement.references.some(({ systemTime }) => systemTime !== undefined)
    )
      throw new DoSQLError('SYNTAX', `a ${ddl.what} cannot name a point of the past`, { sql: statement.sql });
    this.tick();
    const { sql, bindings } = this.#prepare(statement, values, {});
    return this.#guard(statement.sql, () => {
      const existed =
        ddl?.verb === 'create' && this.catalog.current().some(({ table }) => sameName(table, ddl.name));
      if (ddl !== undefined) this.branching?.beforeDdl(ddl);
      if (ddl !== undefined) this.catalog.prepare(ddl);
      const cursor = this.#sql.exec(sql, ...bindings);
      const raw = [...cursor.raw<RawValue[]>()];
      const { columnNames: names, rowsRead, rowsWritten } = cursor;
      if (ddl !== undefined) this.catalog.refresh(ddl);
      const created =
        ddl?.verb === 'create' && ddl.what === 'table' && !existed
          ? this.catalog.current().find(({ table }) => sameName(table, ddl.name))
          : undefined;
      // CREATE TABLE … AS SELECT filled the table before it could be captured.
      if (created !== undefined) this.#sql.exec(imagesOfAll(created, OP.insert, this.catalog.now));
      this.loadedHistory?.points.clear();
      const lsn = this.log.end();
      if (this.#inserts !== undefined) this.#inserts.end = lsn;
      return { names, raw, rowsRead, rowsWritten, changes: 0, lastRowId: 0, lsn };
    });
  }

  /** What the log notes of DDL are inserts of ours, which last_insert_rowid() must not show: only an insert can mend it. */
  keepingLastRowId<T>(callback: () => T): T {
    return keepingLastRowId(this.#sql, callback, () => this.isGone);
  }

  #runPragma(asked: Statement, branch: number | undefined): Outcome {
    const statement = branch === undefined ? asked : (this.branching?.pragma(asked, branch) ?? asked);
    const words = pragmaWords(statement);
    if (words.includes('DEFER_FOREIGN_KEYS') && words.length > 2) this.#defersKeys = true;
    return pragmaOutcome(this.#read(statement, [], {}), words, branch !== undefined);
  }

  get #checksKeys(): boolean {
    return this.catalog.hasDeferredKeys || this.#defersKeys;
  }

  /** To be called before rows are written: with an injected clock the triggers read the time from a table. */
  tick(): void {
    if (this.#clock === undefined) return;
    const now = this.#clock();
    if (now === this.#clockMs) return;
    this.#clockMs = now;
    // An INSERT would change what last_insert_rowid() gives to the user's next statement.
    this.#sql.exec('UPDATE __dosql_clock SET at = ?', toJulian(now));
  }

  #prepare(statement: Statement, values: readonly SqlParameter[], options: RunOptions): Bound {
    const { at, branch, redirect, isHotOnly = false } = options;
    if (redirect === undefined && !isHotOnly && (this.files?.concerns(statement) ?? false))
      throw waits(statement);
    const bound =
      at === undefined && branch === undefined && !statement.isSpecial
        ? bind(statement, values)
        : this.#guard(statement.sql, () => this.#prepareSpecial(statement, values, options));
    return redirect === undefined ? bound : redirect(bound);
  }

  /** Statements that cannot be run by their own text. */
  #prepareSpecial(statement: Statement, values: readonly SqlParameter[], options: RunOptions): Bound {
    const { at, branch, redirect } = options;
    if (this.branching !== undefined && (branch !== undefined || this.branching.names(statement)))
      return this.branching.prepare(statement, values, options);
    const namesPast = statement.references.some(({ systemTime }) => systemTime !== undefined);
    if (at !== undefined || namesPast) {
      const lsn = at === undefined ? undefined : this.history.points.resolve(at);
      return this.history.rewriter.rewrite(statement, values, lsn, options.schema, redirect === undefined);
    }
    const edits = disguise(statement, this.#changes);
    if (edits.length === 0) return bind(statement, values);
    const { bindings, write } = encode(statement.sql, values);
    const parameters = statement.parameters.map(({ start, end, index }) => ({
      start,
      end,
      text: write(index),
    }));
    const all = [...edits, ...parameters];
    return { sql: splice(statement.sql, [...all, ...keepNames(statement, all)]), bindings };
  }

  #guard<T>(sql: string, callback: () => T): T {
    try {
      return callback();
    } catch (error) {
      throw this.#failed(error, sql);
    }
  }

  #failed(error: unknown, sql: string): DoSQLError {
    const failed = sqliteError(error, sql, this.branching === undefined ? undefined : plainNames);
    if (failed.code !== 'NO_SUCH_TABLE' || !this.isGone) return failed;
    return new DoSQLError(
      'STORAGE_UNAVAILABLE',
      'deleteAll() was called behind the database: call DB() again',
      { sql, cause: error },
    );
  }
}

interface Before {
  readonly marked: number;
  readonly generation: number;
}
