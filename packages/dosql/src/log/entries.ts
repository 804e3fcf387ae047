import type { Change, ChangeRow, LogEntry } from '@dotdo/cdc';
import type { Catalog } from '../schema/catalog.ts';
import { NO_RELATION, OP } from '../schema/capture.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import type { Binding } from '../value/parameter.ts';
import { HEADER, ImageReader, type LogRow } from './image.ts';
import { fromJulian, type Log } from './log.ts';

/** What of one version's changes to show, and as what. */
export interface RelationView {
  /** Which columns to show, of `before` and `after`; updates that change none of them are left out. */
  readonly isWanted: ((column: string) => boolean) | undefined;
  /** `key`, too, shows only these. */
  readonly hidesKey: boolean;
  /** LSNs of the log's rows with an image that is wanted: of the one image, or that before an update in one row. */
  readonly images: ReadonlySet<number> | undefined;
  /** LSNs of updates in one row whose image after it is wanted. */
  readonly after: ReadonlySet<number> | undefined;
  /** LSNs at which the changes begin that are to be shown at all. */
  readonly rows: ReadonlySet<number> | undefined;
  /** Shows, of all others, that a row has gone from its key. */
  readonly deletions: boolean;
}

/** What of the log to show. */
export interface EntryView {
  /** Numbers of the versions of tables. */
  readonly relations: readonly number[];
  /** How to show changes of a version up to an LSN. */
  of(relation: Relation, to: number): RelationView | undefined;
}

/** Some entries, and the LSN up to which these are all. */
export interface EntryPage {
  readonly entries: LogEntry[];
  readonly lsn: number;
  /** There is nothing behind them. */
  readonly isEnd: boolean;
}

/** Rows with more LSNs than this between them, on average, are looked up one by one. */
const SPARSE = 20;
/** LSNs that are passed over in one go in search of rows that are wanted. */
const SPAN = 50_000;

/**
 * Rows of the log as changes: halves and continuations put together, values named by the columns of the
 * relation version that they were logged under.
 */
export class Entries {
  readonly #sql: SqlStorage;
  readonly #log: Log;
  readonly #catalog: Catalog;

  constructor(sql: SqlStorage, log: Log, catalog: Catalog) {
    this.#sql = sql;
    this.#log = log;
    this.#catalog = catalog;
  }

  /** Entries of one branch after `after`, oldest first, at most `limit`, from about as many rows of the log. */
  after(after: number, limit: number, branch: number = MAIN, view?: EntryView): EntryPage {
    // A change may be several rows.
    const most = Math.max(limit, 50);
    const end = this.#log.end();
    const to = view === undefined ? end : Math.min(end, after + SPAN);
    const wanted = view === undefined ? '' : ` AND rel IN (${view.relations.join(', ')})`;
    const rows = this.#rows(`lsn > ? AND lsn <= ?${wanted}`, [after, to], most);
    const isFull = rows.length === most;
    // The last change may go on past the limit: it is read with the next rows.
    if (isFull) while (rows.length > 1 && !beginsChange(rows.pop() as LogRow));
    const lsn = isFull ? (rows.at(-1) as LogRow)[0] : to;
    const entries = this.#entries(rows, branch, undefined, view, lsn);
    const last = entries[limit - 1];
    if (last === undefined || entries.length === limit) return { entries, lsn, isEnd: lsn === end };
    return { entries: entries.slice(0, limit), lsn: Number(last.lsn), isEnd: false };
  }

  /** The first LSN of the transaction `tx`. */
  begin(tx: number): number {
    return all<[number]>(this.#sql, 'SELECT first FROM __dosql_tx WHERE last = ?', tx)[0]?.[0] ?? tx;
  }

  /** Entries of one branch whose log rows satisfy `condition`. */
  where(condition: string, bindings: Binding[], branch: number = MAIN): LogEntry[] {
    return this.#entries(this.#rows(condition, bindings, -1), branch);
  }

  /**
   * Entries of a table on one branch that the log's rows at these LSNs are part of, none of which is continued in
   * another row; `end` is the log's.
   */
  at(lsns: readonly number[], versions: readonly Relation[], branch: number, end: number): LogEntry[] {
    this.#log.settleClock(end);
    const slots = versions.flatMap(({ layout }) =>
      layout.slots.flatMap(({ name, after }) => [name, after ?? name]),
    );
    const columns = [...new Set([...HEADER, ...slots])];
    const rows = this.#rowsAt(lsns, columns);
    const halves = rows.flatMap(([lsn, , op]) =>
      op === OP.updateBefore ? [lsn, lsn + 1] : op === OP.updateAfter ? [lsn - 1, lsn] : [],
    );
    const whole = halves.length === 0 ? rows : this.#rowsAt([...new Set([...lsns, ...halves])], columns);
    return this.#entries(whole, branch, columns);
  }

  #rowsAt(lsns: readonly number[], columns: readonly string[]): LogRow[] {
    return all<LogRow>(
      this.#sql,
      `SELECT ${columns.join(', ')} FROM json_each(?) AS j CROSS JOIN __dosql_log AS l ON l.lsn = j.value`,
      JSON.stringify(lsns),
    ).toSorted(([a], [b]) => a - b);
  }

  #rows(condition: string, bindings: Binding[], limit: number): LogRow[] {
    this.#log.settleClock();
    return all<LogRow>(
      this.#sql,
      `SELECT ${this.#columns().join(', ')} FROM __dosql_log WHERE ${condition} ORDER BY lsn LIMIT ${limit}`,
      ...bindings,
    );
  }

  #columns(): string[] {
    return [...HEADER, ...this.#log.valueColumns()];
  }

  #entries(
    rows: readonly LogRow[],
    branch: number,
    columns: readonly string[] = this.#columns(),
    view?: EntryView,
    to: number = Infinity,
  ): LogEntry[] {
    const transactions = new Transactions(this.#sql, rows);
    const tables = new Map<number, TableReader>();
    const tableOf = (id: number): TableReader => {
      let table = tables.get(id);
      if (table === undefined) {
        const relation = this.#catalog.relation(id);
        const shown = relation.branch === branch ? view?.of(relation, to) : undefined;
        table = { relation, images: new ImageReader(this.#sql, columns, relation), view: shown };
        tables.set(id, table);
      }
      return table;
    };
    const entries: LogEntry[] = [];
    for (let i = 0; i < rows.length;) {
      const [, id, op, at] = rows[i] as LogRow;
      if (id === NO_RELATION) {
        i++;
        continue;
      }
      const table = tableOf(id);
      const { relation } = table;
      const from = i;
      i += (op === OP.updateBefore ? 2 : 1) * (op === OP.schema ? 1 : relation.layout.parts);
      if (relation.branch !== branch || op === OP.rewrite) continue;
      const last = (rows[i - 1] as LogRow)[0];
      const tx = transactions.of(last);
      const lsn = BigInt(last);
      if (op === OP.schema) {
        const sql = relation.since === last ? relation.sql : null;
        entries.push({
          lsn,
          tx: tx ?? lsn,
          timestamp: new Date(fromJulian(at)),
          table: relation.name,
          op: 'schema',
          sql,
        });
        continue;
      }
      const change = changeOf(table, rows, from, lsn, tx ?? lsn);
      if (change !== undefined) entries.push(change);
    }
    return entries;
  }
}

/** What it takes to read the rows of one version of a table. */
interface TableReader {
  readonly relation: Relation;
  readonly images: ImageReader;
  readonly view: RelationView | undefined;
}

/** Where an image begins, and which one of the row it is. */
type ImageAt = [from: number, which: 'before' | 'after'];

/** The change that begins at `rows[from]`, as it is to be shown; undefined when it is not. */
function changeOf(
  { relation, images, view }: TableReader,
  rows: readonly LogRow[],
  from: number,
  last: bigint,
  tx: bigint,
): Change | undefined {
  const [lsn, , op, time] = rows[from] as LogRow;
  const second = from + relation.layout.parts;
  const isHidden = view?.rows?.has(lsn) === false;
  if (isHidden && !view.deletions) return undefined;
  const isInOne = op === OP.update;
  const afterLsn = op === OP.updateBefore ? (rows[second] as LogRow)[0] : lsn;
  const hadBefore = op !== OP.insert && view?.images?.has(lsn) !== false;
  // Whatever else there is, such as what erasing has left, says that a row went.
  const isThereAfter = op === OP.insert || isInOne || op === OP.updateBefore;
  const hasAfter = isThereAfter && (isInOne ? view?.after : view?.images)?.has(afterLsn) !== false;
  if (!hadBefore && !hasAfter) return undefined;
  const at: ImageAt = isInOne ? [from, 'after'] : [op === OP.insert ? from : second, 'before'];
  let before = hadBefore ? images.image(rows, from, 'before') : null;
  let after = hasAfter ? images.image(rows, ...at) : null;
  if (isHidden && after !== null) {
    // It comes later as it is then, but by its old key nothing will.
    if (before === null || isSameRow(images.key(rows, from, 'before'), images.key(rows, ...at)))
      return undefined;
    after = null;
  }
  // A row that an update lets in is new to who reads: it goes by the key that it has now.
  let key = hadBefore ? images.key(rows, from, 'before') : images.key(rows, ...at);
  const { isWanted } = view ?? {};
  if (isWanted !== undefined) {
    const hidesKey = view?.hidesKey === true && relation.primaryKey.length > 0;
    const isChanged = before !== null && after !== null && !isSameRow(key, images.key(rows, ...at));
    // Who keeps the row has to know its new key, asked for or not.
    const names = isChanged && !hidesKey ? Object.keys(key) : [];
    const isShown = (column: string): boolean => isWanted(column) || names.includes(column);
    before = before && only(before, isShown);
    after = after && only(after, isShown);
    if (before !== null && after !== null && isSameRow(before, after)) return undefined;
    if (hidesKey) key = only(key, isWanted);
  }
  return {
    lsn: last,
    tx,
    timestamp: new Date(fromJulian(time)),
    table: relation.name,
    op: before === null ? 'insert' : after === null ? 'delete' : 'update',
    key,
    before,
    after,
  };
}

function only(row: ChangeRow, isWanted: (column: string) => boolean): ChangeRow {
  return Object.fromEntries(Object.entries(row).filter(([name]) => isWanted(name)));
}

function isSameRow(a: ChangeRow, b: ChangeRow): boolean {
  return Object.entries(a).every(([name, value]) => {
    const other = b[name];
    if (!(value instanceof Uint8Array && other instanceof Uint8Array)) return Object.is(value, other);
    return value.length === other.length && value.every((byte, i) => byte === other[i]);
  });
}

function beginsChange([, , op]: LogRow): boolean {
  return op !== OP.more && op !== OP.updateAfter;
}

/** The transactions of more than one change that a stretch of the log belongs to. */
class Transactions {
  readonly #ranges: readonly (readonly [first: number, last: number])[];
  #at = 0;
  #tx: bigint | undefined;

  constructor(sql: SqlStorage, rows: readonly LogRow[]) {
    const from = rows[0]?.[0];
    const to = rows.at(-1)?.[0];
    if (from === undefined || to === undefined) this.#ranges = [];
    else if (to - from < SPARSE * rows.length)
      this.#ranges = all<[number, number]>(
        sql,
        'SELECT first, last FROM __dosql_tx WHERE last >= ? AND first <= ? ORDER BY last',
        from,
        to,
      );
    else
      this.#ranges = all<[number, number]>(
        sql,
        'SELECT t.first, t.last FROM json_each(?) AS l CROSS JOIN __dosql_tx AS t ON t.last = (SELECT min(n.last) FROM __dosql_tx AS n WHERE n.last >= l.value)',
        JSON.stringify(rows.map(([lsn]) => lsn)),
      ).toSorted(([, a], [, b]) => a - b);
  }

  /** The transaction of `lsn`, undefined when that is all of it; called with growing LSNs. */
  of(lsn: number): bigint | undefined {
    let range = this.#ranges[this.#at];
    while (range !== undefined && range[1] < lsn) {
      range = this.#ranges[++this.#at];
      this.#tx = undefined;
    }
    return range === undefined || lsn < range[0] ? undefined : (this.#tx ??= BigInt(range[1]));
  }
}
