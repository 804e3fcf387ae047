import type { Affinity } from '../schema/relation.ts';
import { all, first } from '../sql/read.ts';
import { INITIAL_WIDTHS, POOLS, type Widths } from './layout.ts';

/** Unix time in ms of Julian day 0, negated: SQLite's own constant (https://sqlite.org/src/file?name=src/date.c). */
const JULIAN_EPOCH_MS = 210_866_760_000_000;
const DAY_MS = 86_400_000;

/** The julian day of a time, as the same double that SQLite's julianday() computes from the same millisecond. */
export function toJulian(ms: number): number {
  return (ms + JULIAN_EPOCH_MS) / DAY_MS;
}

/** The time of a julian day, in ms since the Unix epoch. */
export function fromJulian(day: number): number {
  return Math.round(day * DAY_MS) - JULIAN_EPOCH_MS;
}

const EARLIEST =
  "SELECT l.value, a.value FROM __dosql_meta AS l, __dosql_meta AS a WHERE l.key = 'trimmed_lsn' AND a.key = 'trimmed_at'";

/** Two rows of 2 MiB, and the log's own columns. */
const TWO_IMAGES_BYTES = 4_200_000;

/** Keys of `__dosql_meta`. */
type MetaKey =
  | 'name'
  | 'trimmed_lsn'
  | 'trimmed_at'
  | 'settled_lsn'
  | 'triggers'
  | 'dropped_branch'
  | 'cold_prefix'
  | 'id'
  | 'tableId'
  | 'lease';

/**
 * The change log: its tables, its end, its transactions and its clock.
 *
 * `__dosql_log` has a row per row change, numbered by `lsn`, a plain rowid: SQLite gives the next number,
 * and since the last row is never trimmed no number is given twice. `__dosql_tx` has a row per transaction
 * of more than one change, from its first LSN to its last; a change outside any such range is a transaction
 * of its own. `at` is a julian day, written by the triggers.
 */
export class Log {
  readonly #sql: SqlStorage;
  #widths: Widths = INITIAL_WIDTHS;
  /** The LSN up to which every change is known to be inside a transaction that has been marked. */
  #marked = 0;
  /** The LSN up to which the log's times are known to be in order. */
  #settled: number | undefined;
  #holdsTwoImages: boolean | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Creates what is missing and reads what is there. */
  open(nowMs: number): void {
    this.#sql.exec(
      'CREATE TABLE IF NOT EXISTS __dosql_meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID; ' +
        `CREATE TABLE IF NOT EXISTS __dosql_log(lsn INTEGER PRIMARY KEY, rel INTEGER, op INTEGER, at REAL, k INTEGER, ${poolColumns(INITIAL_WIDTHS).join(', ')}); ` +
        'CREATE TABLE IF NOT EXISTS __dosql_tx(last INTEGER PRIMARY KEY, first INTEGER NOT NULL) WITHOUT ROWID;',
    );
    if (this.meta('trimmed_at') === undefined) {
      this.setMeta('trimmed_lsn', 0);
      this.setMeta('trimmed_at', toJulian(nowMs));
    }
    const names = all<[string]>(this.#sql, "SELECT name FROM pragma_table_info('__dosql_log')").flat();
    const count = (prefix: string): number =>
      names.filter((name) => new RegExp(`^${prefix}\\d+$`).test(name)).length;
    this.#widths = Object.fromEntries(
      POOLS.map(({ affinity, prefix }) => [affinity, count(prefix)]),
    ) as Record<Affinity, number>;
    this.#marked = this.end();
  }

  /**
   * Whether a row of the log takes two images of 2 MB, the largest row that the platform promises to hold
   * (https://developers.cloudflare.com/durable-objects/platform/limits/). Its SQLite has taken up to 2, 4 and 8 MiB.
   */
  get holdsTwoImages(): boolean {
    if (this.#holdsTwoImages === undefined)
      try {
        first(this.#sql, `SELECT length(zeroblob(${TWO_IMAGES_BYTES}))`);
        this.#holdsTwoImages = true;
      } catch {
        this.#holdsTwoImages = false;
      }
    return this.#holdsTwoImages;
  }

  get widths(): Widths {
    return this.#widths;
  }

  /** Adds the columns that `widths` asks for. */
  widen(widths: Widths): void {
    for (const { affinity, prefix, type } of POOLS)
      for (let i = this.#widths[affinity]; i < widths[affinity]; i++)
        this.#sql.exec(`ALTER TABLE __dosql_log ADD COLUMN ${prefix}${i} ${type}`);
    this.#widths = widths;
  }

  /** Names of all value columns. */
  valueColumns(): string[] {
    return POOLS.flatMap(({ affinity, prefix }) =>
      Array.from({ length: this.#widths[affinity] }, (_, i) => `${prefix}${i}`),
    );
  }

  /** The last LSN, of a change committed or not. */
  end(): number {
    return first<[number | null]>(this.#sql, 'SELECT max(lsn) FROM __dosql_log')?.[0] ?? 0;
  }

  /** The LSN up to which {@link mark} has been told of the log's end. */
  get marked(): number {
    return this.#marked;
  }

  /**
   * Takes note that the log ends at `end` and that a transaction does too: its changes, if more than one,
   * become one transaction. Changes that others wrote since the last note join it. Returns the rows billed.
   */
  mark(end: number): number {
    const first = this.#marked + 1;
    this.#marked = end;
    if (end <= first) return 0;
    this.#sql.exec('INSERT INTO __dosql_tx(last, first) VALUES(?, ?)', end, first);
    return 1;
  }

  /** Takes note that others' changes up to `end` are there, each a transaction of its own. */
  skip(end: number): void {
    this.#marked = end;
  }

  /** Undoes what {@link mark} noted inside a transaction that was rolled back. */
  unmark(end: number): void {
    this.#marked = end;
    this.#settled = undefined;
  }

  /** The points that can be read: those from this LSN and this time on. */
  earliest(): { lsn: number; ms: number } {
    const row = first<[number, number]>(this.#sql, EARLIEST);
    return { lsn: Number(row?.[0]), ms: fromJulian(Number(row?.[1])) };
  }

  /**
   * The LSN whose state was the database's at time `ms`: the last change not later than it.
   * Found by halving the log, which needs its times in order: see {@link settleClock}.
   */
  lsnAt(ms: number): number {
    this.settleClock();
    const at = toJulian(ms);
    let low = Number(this.meta('trimmed_lsn'));
    let high = this.end();
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const row = first<[number, number]>(
        this.#sql,
        'SELECT at, lsn FROM __dosql_log WHERE lsn >= ? ORDER BY lsn LIMIT 1',
        middle,
      );
      if (row === undefined || row[0] > at) high = middle - 1;
      else low = Math.max(middle, row[1]);
    }
    return low;
  }

  /** The time of the last change up to `lsn`, in ms; that of the window's beginning when there is none. */
  timeOf(lsn: number): number {
    this.settleClock();
    const row = first<[number]>(
      this.#sql,
      'SELECT at FROM __dosql_log WHERE lsn <= ? ORDER BY lsn DESC LIMIT 1',
      lsn,
    );
    return row === undefined ? this.earliest().ms : fromJulian(row[0]);
  }

  /**
   * The end of the transaction that holds `lsn`, when `lsn` is not that end itself but inside: the state at
   * an LSN is that of the last whole transaction, so it is the LSN before `first`.
   */
  wholeUpTo(lsn: number): number {
    const { first, last } = this.transactionOf(lsn);
    return lsn === last ? lsn : first - 1;
  }

  /** The first and the last LSN of the transaction that `lsn` is of. */
  transactionOf(lsn: number): { first: number; last: number } {
    const row = first<[number, number]>(
      this.#sql,
      'SELECT first, last FROM __dosql_tx WHERE last >= ? ORDER BY last LIMIT 1',
      lsn,
    );
    return row === undefined || row[0] > lsn ? { first: lsn, last: lsn } : { first: row[0], last: row[1] };
  }

  /**
   * Puts the log's times in order up to its end: where the machine's clock stepped back, a change reads as no earlier
   * than the one before it. Looks only at what was written since the last time it looked.
   */
  settleClock(end: number = this.end()): void {
    const from = (this.#settled ??= Number(this.meta('settled_lsn') ?? 0));
    if (end <= from) return;
    const step = first(
      this.#sql,
      'SELECT 1 FROM (SELECT at, lag(at) OVER (ORDER BY lsn) AS before FROM __dosql_log WHERE lsn >= ?) WHERE at < before LIMIT 1',
      from,
    );
    if (step !== undefined)
      this.#sql.exec(
        'UPDATE __dosql_log SET at = s.at FROM (SELECT lsn, max(at) OVER (ORDER BY lsn) AS at FROM __dosql_log WHERE lsn >= ?) AS s ' +
          'WHERE __dosql_log.lsn = s.lsn AND __dosql_log.at < s.at',
        from,
      );
    this.#settled = end;
    // Remembering it past the object's eviction costs a billed row, so only once in a while.
    if (step !== undefined || end - from > 10_000) this.setMeta('settled_lsn', end);
  }

  /** A value that DoSQL keeps about the database. */
  meta(key: MetaKey): string | number | undefined {
    return first<[string | number]>(this.#sql, 'SELECT value FROM __dosql_meta WHERE key = ?', key)?.[0];
  }

  setMeta(key: MetaKey, value: string | number): void {
    this.#sql.exec(
      'INSERT INTO __dosql_meta(key, value) VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value',
      key,
      value,
    );
  }
}

function poolColumns(widths: Widths): string[] {
  return POOLS.flatMap(({ affinity, prefix, type }) =>
    Array.from({ length: widths[affinity] }, (_, i) => `${prefix}${i} ${type}`.trim()),
  );
}
