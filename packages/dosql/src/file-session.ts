import type { BackupResult } from './backup/index.ts';
import type { Core } from './core.ts';
import type { RunOptions } from './engine.ts';
import type { Pass } from './outcome.ts';
import { Session } from './session.ts';
import { recalling } from './turn.ts';
import type { CopyOptions, CopyResult, FileReport, TierOptions, TierPass, TierStatus } from './tier/index.ts';
import type { SqlParameters } from './value/parameter.ts';
import { toRows } from './value/row.ts';

/** How SQLite runs a statement. */
export interface Plan {
  /** The statement as SQLite gets it: with every mention of the past replaced. */
  readonly sql: string;
  /** SQLite's own plan (https://sqlite.org/eqp.html), a step a line, indented by depth. */
  readonly steps: readonly { readonly id: number; readonly parent: number; readonly detail: string }[];
  /** For a statement that reads files or cold rows: what it has read of them, for which it is run. */
  readonly files?: FileReport | undefined;
}

/** A session that knows of files: those of cold rows, those that SQL names, and backups. */
export class FileSession extends Session {
  protected readonly core: Core;

  constructor(core: Core, scope: RunOptions) {
    super(core.engine, core.gate, scope);
    this.core = core;
  }

  /** Where in the bucket the cold files of this database are: what `restore` has to be given. */
  get coldPrefix(): string | undefined {
    return this.core.coldPrefix;
  }

  /** How SQLite would run a statement; does not run it, unless it is a query that reads files. */
  async explain(sql: string, params?: SqlParameters): Promise<Plan> {
    if (this.engine.waits(sql)) return recalling(this.engine, () => this.#explainFiles(sql, params));
    const explain = (): Plan => {
      const prefix = 'EXPLAIN QUERY PLAN ';
      const statement = this.engine.statement(prefix + sql);
      const { names, raw } = this.engine.run(statement, params, this.scope());
      const steps = toRows(names, raw).map(({ id, parent, detail }) => ({
        id: Number(id),
        parent: Number(parent),
        detail: String(detail),
      }));
      return { sql: this.engine.bound(statement, params, this.scope()).sql.slice(prefix.length), steps };
    };
    return recalling(this.engine, () => this.gate.pass(explain));
  }

  /**
   * Puts what has come since the last backup into the cold storage: the first time all rows, then only what the log has
   * got, until that has become more than the rows. Writes go on meanwhile. `restore()` makes the database anew of it,
   * in an object that holds nothing, as of any point that is archived. Branches, timers and the cursors of streams are
   * not part of it.
   *
   * ```ts
   * const { lsn } = await db.backup();
   * ```
   *
   * @throws DoSQLError `BAD_PARAMETER` when the database was opened without cold storage, `STORAGE_UNAVAILABLE` when
   * that does not answer: what was backed up before stays, and the next call goes on.
   */
  async backup(): Promise<BackupResult> {
    this.gate.refuseHolder();
    return (await this.core.backup()).run();
  }

  /**
   * Makes old rows of a table cold from now on: Parquet files in the cold storage, or in the object where it was given
   * none. SQL reads and writes the table as before. With null, makes all of them hot again.
   *
   * ```ts
   * await db.tier('readings', { column: 'timestamp', hotFor: '24h', sortBy: ['sensor_id'] });
   * ```
   *
   * Passes run from the object's alarm, or with {@link Database.tierPass}.
   *
   * @throws DoSQLError `NO_SUCH_TABLE`, `NO_SUCH_COLUMN`, `BAD_PARAMETER`, `FORBIDDEN` for a table with foreign keys, or
   * with a unique index that cold rows cannot be checked by.
   */
  async tier(table: string, options: TierOptions | null): Promise<void> {
    this.gate.refuseHolder();
    await (await this.core.files()).tiering.set(table, options);
  }

  /** Makes what is old enough cold now, of one table or of all, instead of at the next alarm. */
  async tierPass(table?: string): Promise<TierPass> {
    this.gate.refuseHolder();
    return (await this.core.files()).tiering.pass(table);
  }

  /**
   * Writes the rows of a query as a Parquet file, or with `partitionBy` as one in each folder, to a bucket that the
   * database was given or to its own file store (`fsx://`).
   *
   * ```ts
   * await db.copy('SELECT * FROM orders WHERE year = 2025', 'r2://exports/orders-2025.parquet', { sortBy: ['customer'] });
   * ```
   *
   * @throws DoSQLError `FORBIDDEN_URL`, `BAD_PARAMETER`, `STORAGE_UNAVAILABLE`
   */
  async copy(
    sql: string,
    url: string,
    { params, ...options }: CopyOptions & { readonly params?: SqlParameters | undefined } = {},
  ): Promise<CopyResult> {
    this.gate.refuseHolder();
    const { target } = await this.core.files();
    const { copy } = await import('./tier/copy.ts');
    const statement = this.engine.statement(sql);
    const pass: Pass = (work) => this.gate.pass(work);
    return recalling(this.engine, () =>
      copy(this.engine, statement, params, url, options, this.scope(), pass, target),
    );
  }

  /**
   * The rows of a query as an Arrow IPC stream, which `tableFromIPC` of apache-arrow, Polars or DuckDB read.
   *
   * ```ts
   * return new Response(await db.arrow('SELECT * FROM readings'), { headers: { 'content-type': ARROW } });
   * ```
   */
  async arrow(sql: string, params?: SqlParameters): Promise<ReadableStream<Uint8Array>> {
    const { names, rows } = await this.exactRows(sql, params);
    const { rowStream } = await import('./arrow/index.ts');
    return rowStream(names, rows);
  }

  /** What is cold, what waits for the cold storage, and what keeps it from going on. */
  async tierStatus(): Promise<TierStatus[]> {
    this.gate.refuseHolder();
    const { tiering } = await this.core.files();
    return this.gate.pass(() => tiering.status());
  }

  async #explainFiles(sql: string, params: SqlParameters | undefined): Promise<Plan> {
    const { runner } = await this.core.files();
    const pass: Pass = (work) => this.gate.pass(work);
    const files = await runner.report(this.engine.statement(sql), params, this.scope(), pass);
    return { sql, steps: [], files };
  }
}
