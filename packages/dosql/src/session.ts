import type { Engine, Outcome, RunOptions } from './engine.ts';
import { DoSQLError } from './error.ts';
import { Gate } from './gate.ts';
import type { Point } from './history/point.ts';
import type { SchemaChoice } from './history/rewrite.ts';
import { InsertOutcome, resolveInserts } from './inserts.ts';
import type { FormatOptions } from './scan/source/formats.ts';
import { parse } from './sql/statement.ts';
import { exactRows } from './value/integer.ts';
import { durationMs } from './value/duration.ts';
import { isExact } from './value/marked.ts';
import type { SqlParameters } from './value/parameter.ts';
import { inTurn, recalling } from './turn.ts';
import { toRows, toValue, type RawValue, type Row, type SqlValue } from './value/row.ts';

/** How to give results back. */
export interface QueryOptions {
  /** `'bigint'` returns every integer as an exact bigint; by default integers are numbers, exact up to 2^53. */
  readonly integers?: 'number' | 'bigint';
  /** `'present'` reads the past with the columns of the present; by default it has the columns of that time. */
  readonly schema?: SchemaChoice;
  /** For a statement that reads files: the types of their columns, and how their text is written. */
  readonly files?: FormatOptions | undefined;
}

/** What a statement did. */
export interface RunResult {
  /** Rows that the statement itself inserted, updated or deleted, without cascades and triggers. */
  readonly changes: number;
  /** rowid of the last row inserted. */
  readonly lastRowId: number;
  /** The log's end after the statement: the point to read it back at with `asOf({ lsn })`. */
  readonly lsn: bigint;
  /**
   * Rows that the platform bills as read and written, log included; but not what DoSQL notes of a change of the schema,
   * such as the images of all rows that DROP TABLE and DROP COLUMN take away.
   */
  readonly rowsRead: number;
  readonly rowsWritten: number;
}

/** A statement of a batch. */
export interface BatchStatement {
  readonly sql: string;
  readonly params?: SqlParameters | undefined;
}

/** What a statement of a batch did, and the rows that it returned. */
export interface BatchResult<T = Row> extends RunResult {
  readonly rows: T[];
  /** The same rows, under D1's name for them. */
  readonly results: T[];
}

/** Up to this many statements a batch runs within the turn; larger ones are faster as a transaction. */
const MAX_STATEMENTS_IN_TURN = 32;
/** The platform resets an object that holds others back for 30 s. */
const TRANSACTION_TIMEOUT_MS = 25_000;

/** Reads one branch at one point of the past, or the present. */
export class Reader {
  protected readonly engine: Engine;
  protected readonly gate: Gate;
  #scope: RunOptions;

  constructor(engine: Engine, gate: Gate, scope: RunOptions = {}) {
    this.engine = engine;
    this.gate = gate;
    this.#scope = scope;
  }

  /**
   * All rows of a query.
   *
   * ```ts
   * const tasks = await db.query<Task>('SELECT * FROM tasks WHERE project_id = ?', [projectId]);
   * ```
   */
  query<T = Row>(sql: string, params?: SqlParameters, options: QueryOptions = {}): Promise<T[]> {
    if (this.engine.waits(sql)) return this.#waitingRows(sql, params, options) as Promise<T[]>;
    return inTurn(
      this.engine,
      this.gate,
      () => this.#rows(sql, params, options) as T[],
      () => this.#waitingRows(sql, params, options) as Promise<T[]>,
    );
  }

  /** The first row of a query; null when it has none. */
  async get<T = Row>(sql: string, params?: SqlParameters, options: QueryOptions = {}): Promise<T | null> {
    const waiting = async (): Promise<T | null> =>
      ((await this.#waitingRows(sql, params, options))[0] as T | undefined) ?? null;
    if (this.engine.waits(sql)) return waiting();
    return inTurn(
      this.engine,
      this.gate,
      () => (this.#rows(sql, params, options)[0] as T | undefined) ?? null,
      waiting,
    );
  }

  /**
   * Rows one by one, for results too large to hold. Writes made meanwhile may or may not be seen, as with
   * any open cursor of SQLite; an uncommitted transaction of others never is. As of a point of the past the
   * rows are read at once, since no open cursor could keep later writes out.
   */
  async *iterate<T = Row>(sql: string, params?: SqlParameters): AsyncGenerator<T, void, undefined> {
    if (this.engine.waits(sql)) {
      yield* await this.query<T>(sql, params);
      return;
    }
    const open = (): Rows => {
      this.assertOpen();
      const statement = this.engine.statement(sql);
      const options = this.scope();
      if (statement.kind === 'read' && options.at !== undefined)
        return buffered(this.engine.run(statement, params, options));
      if (statement.kind === 'read') return this.engine.cursor(statement, params, options);
      throw new DoSQLError('READ_ONLY', 'iterate() only reads: use query()', { sql });
    };
    const cursor = await inTurn(this.engine, this.gate, open, async () =>
      buffered(await this.wait(sql, params)),
    );
    const names = cursor.columnNames;
    const rows = cursor.raw();
    for (;;) {
      const chunk = await this.gate.pass(() => {
        const values = [];
        for (let i = 0; i < 100; i++) {
          const next = rows.next();
          if (next.done === true) break;
          values.push(next.value);
        }
        return values;
      });
      if (chunk.length === 0) return;
      yield* toRows(names, chunk) as T[];
    }
  }

  /** A query's rows as arrays, integers that a double does not hold as bigint. */
  protected async exactRows(
    sql: string,
    params: SqlParameters | undefined,
  ): Promise<{ names: readonly string[]; rows: SqlValue[][] }> {
    const isWaiting = this.engine.waits(sql);
    const { names, raw } = isWaiting
      ? await this.wait(sql, params)
      : await inTurn(
          this.engine,
          this.gate,
          () => this.engine.run(this.engine.statement(sql), params, this.scope()),
          () => this.wait(sql, params),
        );
    if (raw.every((row) => row.every(isExact))) return { names, rows: raw.map((row) => row.map(toValue)) };
    const rows = await this.query(sql, params, { integers: 'bigint' });
    return {
      names,
      rows: rows.map((row) =>
        names.map((name) => {
          const value = row[name] ?? null;
          return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
        }),
      ),
    };
  }

  /** Runs a statement that has to wait for files, for which others go on meanwhile. */
  protected async wait(
    sql: string,
    params: SqlParameters | undefined,
    options: QueryOptions = {},
  ): Promise<Outcome> {
    const files = await this.engine.loadFiles();
    return recalling(this.engine, () =>
      files.run(this.engine.statement(sql), params, { ...this.scope(), ...options }, (work) =>
        this.gate.pass(() => {
          this.assertOpen();
          return work();
        }),
      ),
    );
  }

  protected assertOpen(): void {
    // A database is always open; a transaction is until it ends.
  }

  /** A point relative to now is fixed when it is first used: all queries of a handle see one state. */
  protected scope(): RunOptions {
    const { at } = this.#scope;
    if (typeof at === 'object' && at !== null && 'ago' in at)
      this.#scope = { ...this.#scope, at: this.engine.nowMs() - durationMs(at.ago, 'ago') };
    return this.#scope;
  }

  async #waitingRows(sql: string, params: SqlParameters | undefined, options: QueryOptions): Promise<Row[]> {
    const { names, raw } = await this.wait(sql, params, options);
    return toRows(names, raw);
  }

  #rows(sql: string, params: SqlParameters | undefined, { integers, schema }: QueryOptions): Row[] {
    this.assertOpen();
    const scope = schema === undefined ? this.scope() : { ...this.scope(), schema };
    const statement = this.engine.statement(sql);
    if (integers === 'bigint' && statement.kind === 'read')
      return exactRows(this.engine, statement, params, scope);
    if (integers === 'bigint' && statement.kind === 'write')
      throw new DoSQLError('BAD_PARAMETER', "integers: 'bigint' is for queries, not for RETURNING", { sql });
    const { names, raw } = this.engine.run(statement, params, scope);
    return toRows(names, raw);
  }
}

/** Reads and writes, one statement or one transaction at a time. */
export class Session extends Reader {
  /** Runs one statement and tells what it did. */
  run(sql: string, params?: SqlParameters): Promise<RunResult> {
    const waiting = (): Promise<RunResult> => this.wait(sql, params).then(runResult);
    if (this.engine.waits(sql)) return waiting();
    const run = (): RunResult => {
      this.assertOpen();
      return runResult(this.engine.run(this.engine.statement(sql), params, this.scope()));
    };
    return inTurn(this.engine, this.gate, run, waiting);
  }

  /** Runs any number of statements, all or none. */
  async exec(sql: string): Promise<void> {
    const texts = parse(sql).map((statement) => statement.sql);
    const waiting = (): Promise<void> =>
      recalling(this.engine, () =>
        this.transaction(async (tx) => {
          for (const text of texts) await tx.run(text);
        }),
      );
    if (texts.some((text) => this.engine.waits(text))) {
      await waiting();
      return;
    }
    const run = (): void => {
      this.assertOpen();
      const statements = parse(sql);
      if (statements.length === 1) void this.engine.run(this.engine.statement(sql), [], this.scope());
      else if (statements.length > 1)
        this.engine.atomically(() =>
          statements.forEach((statement) => this.engine.run(statement, [], this.scope())),
        );
    };
    await inTurn(this.engine, this.gate, run, waiting);
  }

  /** Runs statements with parameters, all or none. */
  batch<T = Row>(statements: readonly BatchStatement[]): Promise<BatchResult<T>[]> {
    const waiting = (): Promise<BatchResult<T>[]> =>
      recalling(this.engine, () =>
        this.transaction(async (tx) => {
          const results: BatchResult<T>[] = [];
          for (const { sql, params } of statements) results.push(await tx.waitForBatch<T>(sql, params));
          return results;
        }),
      );
    if (statements.some(({ sql }) => this.engine.waits(sql))) return waiting();
    const runAll = (): BatchResult<T>[] => {
      this.assertOpen();
      const outcomes = statements.map(({ sql, params }) =>
        this.engine.run(this.engine.statement(sql), params, this.scope()),
      );
      resolveInserts(outcomes);
      return outcomes.map((outcome) => batchResult<T>(outcome));
    };
    if (statements.length <= MAX_STATEMENTS_IN_TURN || this.engine.isInTransaction)
      return inTurn(this.engine, this.gate, () => this.engine.atomically(runAll), waiting);
    const hold = (): Promise<BatchResult<T>[]> =>
      this.gate.hold(() => this.engine.transaction(async () => runAll()));
    return recalling(this.engine, hold).catch((error: unknown) => {
      if (error instanceof DoSQLError && error.code === 'WAITS') return waiting();
      throw error;
    });
  }

  /**
   * Runs `callback` with a handle of its own and keeps what it wrote if it returns, nothing if it throws.
   * Everyone else's statements wait; other events of the object are held back by the platform, for at most
   * 25 s, after which the transaction is rolled back. On a transaction's handle it makes a savepoint.
   *
   * ```ts
   * const order = await db.transaction(async (tx) => {
   *   const { lastRowId } = await tx.run('INSERT INTO orders(user_id) VALUES (?)', [userId]);
   *   await tx.run('UPDATE stock SET reserved = reserved + 1 WHERE sku = ?', [sku]);
   *   return lastRowId;
   * });
   * ```
   */
  transaction<T>(callback: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.gate.hold(() => {
      this.assertOpen();
      return this.engine.transaction(async () => {
        // The platform may begin a savepoint that nobody awaits only after the transaction that it is part of.
        this.assertOpen();
        const tx = new Transaction(this.engine, new Gate(), this.scope(), () => this.assertOpen());
        try {
          return await withTimeout(callback(tx));
        } finally {
          tx.close();
          if (tx.gate.isHeld) await tx.gate.hold(async () => {});
        }
      });
    });
  }

  /**
   * A read-only handle on every table as of `point`, with the columns of that time; with `schema: 'present'` they
   * are those of the present, under their present names: a column added since has its constant default, or NULL; a
   * generated one is computed from the others.
   */
  asOf(point: Point, { schema }: Pick<QueryOptions, 'schema'> = {}): Reader {
    // No point at all is a mistake, and must not read the present.
    const at = point ?? null;
    return new Reader(this.engine, this.gate, { ...this.scope(), at, schema });
  }
}

/** A transaction's handle, valid until its callback ends. */
export class Transaction extends Session {
  readonly #assertOuterOpen: () => void;
  #isOver = false;

  constructor(engine: Engine, gate: Gate, scope: RunOptions, assertOuterOpen: () => void) {
    super(engine, gate, scope);
    this.#assertOuterOpen = assertOuterOpen;
  }

  /** Runs a statement of a batch of which some have to wait for files. */
  async waitForBatch<T>(sql: string, params: SqlParameters | undefined): Promise<BatchResult<T>> {
    const outcome = this.engine.waits(sql)
      ? await this.wait(sql, params)
      : await this.gate.pass(() => this.engine.run(this.engine.statement(sql), params, this.scope()));
    return batchResult<T>(outcome);
  }

  /** Ends the handle, and those of savepoints inside. */
  close(): void {
    this.#isOver = true;
  }

  protected override assertOpen(): void {
    this.#assertOuterOpen();
    if (!this.#isOver) return;
    throw new DoSQLError(
      'TRANSACTION_OVER',
      'the transaction has ended: await every statement in its callback',
    );
  }
}

/** A cursor, or what has its shape. */
interface Rows {
  readonly columnNames: string[];
  raw(): Iterator<RawValue[]>;
}

/** Rows that have been read, in the shape of a cursor. */
function buffered({ names, raw }: Outcome): Rows {
  return { columnNames: [...names], raw: () => raw.values() };
}

/** What a statement did, without its rows. */
function runResult(outcome: Outcome): RunResult {
  const { changes, rowsRead, rowsWritten } = outcome;
  const lsn = BigInt(outcome.lsn);
  if (!(outcome instanceof InsertOutcome) || outcome.isResolved)
    return { changes, lastRowId: outcome.lastRowId, lsn, rowsRead, rowsWritten };
  return {
    changes,
    get lastRowId() {
      return outcome.lastRowId;
    },
    lsn,
    rowsRead,
    rowsWritten,
  };
}

function batchResult<T>(outcome: Outcome): BatchResult<T> {
  const rows = toRows(outcome.names, outcome.raw) as T[];
  return { ...runResult(outcome), rows, results: rows };
}

async function withTimeout<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new DoSQLError(
          'TRANSACTION_TIMEOUT',
          `a transaction was open for ${TRANSACTION_TIMEOUT_MS / 1_000} s and was rolled back`,
        ),
      );
    }, TRANSACTION_TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
