import type { Outcome } from './engine.ts';
import { DoSQLError } from './error.ts';
import { all, first } from './sql/read.ts';

/**
 * The one-row inserts of a transaction, whose rowids are looked up only when someone asks.
 *
 * Asking SQLite for changes() and last_insert_rowid() after each statement costs as much as half the insert
 * itself. An insert of one row writes one log row, so its LSN is the one after the last, and the log keeps
 * the rowid under it.
 *
 * Invariant: `end` is the log's end as long as every write of the transaction went through DoSQL. Writes
 * around it would shift the LSNs; they show as a log that ends elsewhere, and then no guess is made.
 */
export class Inserts {
  readonly #sql: SqlStorage;
  end: number;
  /** Where the log ended after each savepoint that was undone: LSNs after it are given again. */
  readonly #undone: number[] = [];
  #state: 'open' | 'committed' | 'mixed' | 'rolled back' = 'open';

  constructor(sql: SqlStorage, end: number) {
    this.#sql = sql;
    this.end = end;
  }

  /** An insert of one row has just run. */
  next(rowsRead: number, rowsWritten: number): InsertOutcome {
    return new InsertOutcome(this, ++this.end, this.#undone.length, rowsRead, rowsWritten);
  }

  /** The transaction commits with the log ending at `end`. */
  commit(end: number): void {
    this.#state = end === this.end ? 'committed' : 'mixed';
  }

  /** What was inserted is gone. */
  rollBack(): void {
    this.#state = 'rolled back';
  }

  /** A savepoint was undone, and with it what was logged after `end`. */
  rollBackTo(end: number): void {
    this.#undone.push(end);
    this.end = end;
  }

  /** The rowid that the insert with this LSN gave, made after so many savepoints had been undone. */
  rowId(lsn: number, undone: number): number {
    if (this.#state === 'rolled back' || this.#undone.slice(undone).some((end) => lsn > end))
      throw new DoSQLError('TRANSACTION_OVER', 'the row was rolled back: it has no lastRowId any more');
    const row = first<[number | null, number | null]>(
      this.#sql,
      'SELECT (SELECT k FROM __dosql_log WHERE lsn = ?), (SELECT max(lsn) FROM __dosql_log)',
      lsn,
    );
    const isSure = this.#state === 'committed' || (this.#state === 'open' && row?.[1] === this.end);
    if (isSure && row?.[0] !== undefined && row[0] !== null) return row[0];
    throw new DoSQLError(
      'TRANSACTION_OVER',
      'lastRowId is unknown after writes around DoSQL: read it at once',
    );
  }

  /** The rowids of the inserts with these LSNs, which no other write can have come between. */
  rowIds(from: number, to: number): Map<number, number> {
    return new Map(
      all<[number, number]>(this.#sql, 'SELECT lsn, k FROM __dosql_log WHERE lsn BETWEEN ? AND ?', from, to),
    );
  }
}

/** What an insert of one row did. */
export class InsertOutcome implements Outcome {
  readonly names: readonly string[] = [];
  readonly raw: [] = [];
  readonly changes = 1;
  readonly lsn: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly inserts: Inserts;
  readonly #undone: number;
  #lastRowId: number | undefined;

  constructor(inserts: Inserts, lsn: number, undone: number, rowsRead: number, rowsWritten: number) {
    this.inserts = inserts;
    this.#undone = undone;
    this.lsn = lsn;
    this.rowsRead = rowsRead;
    this.rowsWritten = rowsWritten;
  }

  /** The rowid has been looked up. */
  get isResolved(): boolean {
    return this.#lastRowId !== undefined;
  }

  get lastRowId(): number {
    return (this.#lastRowId ??= this.inserts.rowId(this.lsn, this.#undone));
  }

  set lastRowId(value: number) {
    this.#lastRowId = value;
  }
}

/** Looks up the rowids of all inserts of a batch at once; nothing has run in between. */
export function resolveInserts(outcomes: readonly Outcome[]): void {
  const inserted = outcomes.filter((outcome) => outcome instanceof InsertOutcome);
  const [head] = inserted;
  const last = inserted.at(-1);
  if (head === undefined || last === undefined) return;
  const rowIds = head.inserts.rowIds(head.lsn, last.lsn);
  for (const outcome of inserted) outcome.lastRowId = rowIds.get(outcome.lsn) ?? 0;
}
