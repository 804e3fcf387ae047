import { DoSQLError } from './error.ts';
import type { Engine, Outcome, RunOptions } from './engine.ts';
import type { Gate } from './gate.ts';
import type { SqlParameter } from './value/parameter.ts';
import { inTurn, recalling } from './turn.ts';
import { toRows, toValue, type Row, type SqlValue } from './value/row.ts';

/** D1's result (https://developers.cloudflare.com/d1/worker-api/return-object/). */
export interface D1StyleResult<T = Row> {
  readonly success: true;
  readonly results: T[];
  readonly meta: {
    /** ms that the statement took, as far as the platform's clock moves. */
    readonly duration: number;
    readonly changes: number;
    readonly last_row_id: number;
    readonly changed_db: boolean;
    readonly size_after: number;
    readonly rows_read: number;
    readonly rows_written: number;
  };
}

/** A statement in D1's shape: `db.prepare(sql).bind(…).all()`. */
export class PreparedStatement {
  readonly sql: string;
  readonly params: readonly SqlParameter[];
  readonly #engine: Engine;
  readonly #gate: Gate;
  readonly #scope: RunOptions;

  constructor(
    engine: Engine,
    gate: Gate,
    scope: RunOptions,
    sql: string,
    params: readonly SqlParameter[] = [],
  ) {
    this.#engine = engine;
    this.#gate = gate;
    this.#scope = scope;
    this.sql = sql;
    this.params = params;
  }

  /** The same statement with these values for `?` and `?NNN`. */
  bind(...params: SqlParameter[]): PreparedStatement {
    return new PreparedStatement(this.#engine, this.#gate, this.#scope, this.sql, params);
  }

  /** All rows, with what the statement did. */
  all<T = Row>(): Promise<D1StyleResult<T>> {
    return this.#run((outcome, started) => ({
      success: true,
      results: toRows(outcome.names, outcome.raw) as T[],
      meta: {
        duration: Date.now() - started,
        changes: outcome.changes,
        last_row_id: outcome.lastRowId,
        changed_db: outcome.rowsWritten > 0,
        size_after: this.#engine.storage.sql.databaseSize,
        rows_read: outcome.rowsRead,
        rows_written: outcome.rowsWritten,
      },
    }));
  }

  /** As {@link all}, for a statement whose rows do not matter. */
  run<T = Row>(): Promise<D1StyleResult<T>> {
    return this.all<T>();
  }

  /** The first row, or one column of it; null when there is no row. */
  first<T = Row>(): Promise<T | null>;
  first<T = SqlValue>(column: string): Promise<T | null>;
  first<T>(column?: string): Promise<T | null> {
    return this.#run(({ names, raw }) => {
      if (column !== undefined && !names.includes(column))
        throw new DoSQLError('NO_SUCH_COLUMN', `there is no column "${column}"`, { sql: this.sql });
      const row = toRows(names, raw.slice(0, 1))[0];
      if (row === undefined) return null;
      return (column === undefined ? row : row[column]) as T;
    });
  }

  /** Rows as arrays, which keep columns of the same name apart; with their names in front if asked for. */
  raw<T = SqlValue[]>(options: { readonly columnNames?: boolean } = {}): Promise<T[]> {
    return this.#run(({ names, raw }) => {
      const rows = raw.map((values) => values.map(toValue));
      return (options.columnNames === true ? [[...names], ...rows] : rows) as T[];
    });
  }

  async #run<T>(use: (outcome: Outcome, started: number) => T): Promise<T> {
    const waiting = async (): Promise<T> => {
      const started = Date.now();
      const files = await this.#engine.loadFiles();
      const statement = this.#engine.statement(this.sql);
      const outcome = await recalling(this.#engine, () =>
        files.run(statement, this.params, this.#scope, (work) => this.#gate.pass(work)),
      );
      return use(outcome, started);
    };
    if (this.#engine.waits(this.sql)) return waiting();
    const run = (): T => {
      const started = Date.now();
      return use(this.#engine.run(this.#engine.statement(this.sql), this.params, this.#scope), started);
    };
    return inTurn(this.#engine, this.#gate, run, waiting);
  }
}
