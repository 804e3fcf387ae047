import type { ChangeRow, LogEntry } from '@dotdo/cdc';
import type { Catalog } from '../schema/catalog.ts';
import { NO_RELATION, OP } from '../schema/capture.ts';
import { MAIN } from '../schema/line.ts';
import { columnOf, type Relation, type Slot } from '../schema/relation.ts';
import { all, first } from '../sql/read.ts';
import type { Binding } from '../value/parameter.ts';
import { fromJulian, type Log } from './log.ts';

/** A row of the log: lsn, rel, op, at, k, then the value columns. */
type LogRow = [number, number, number, number, number | null, ...(string | number | null | ArrayBuffer)[]];

interface Image {
  readonly relation: Relation;
  readonly values: Map<number, LogValue>;
}

type LogValue = string | number | bigint | null | Uint8Array;

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

  /** Entries of one branch after `after`, oldest first, from at most `limit` rows of the log. */
  after(after: number, limit: number, branch: number = MAIN): LogEntry[] {
    const most = Math.max(limit, 50);
    for (let from = after; ;) {
      const rows = this.#rows('lsn > ?', [from], most);
      // The last change may go on past the limit: it is read with the next rows.
      if (rows.length === most) while (rows.length > 1 && !beginsChange(rows.pop() as LogRow));
      const entries = this.#entries(rows, branch);
      const last = rows.at(-1)?.[0];
      // Rows that are no changes of their own give no entries; the log does not end with them.
      if (entries.length > 0 || last === undefined) return entries;
      from = last;
    }
  }

  /** Entries of one branch whose log rows satisfy `condition`. */
  where(condition: string, bindings: Binding[], branch: number = MAIN): LogEntry[] {
    return this.#entries(this.#rows(condition, bindings, -1), branch);
  }

  #rows(condition: string, bindings: Binding[], limit: number): LogRow[] {
    this.#log.settleClock();
    const columns = ['lsn', 'rel', 'op', 'at', 'k', ...this.#log.valueColumns()];
    return all<LogRow>(
      this.#sql,
      `SELECT ${columns.join(', ')} FROM __dosql_log WHERE ${condition} ORDER BY lsn LIMIT ${limit}`,
      ...bindings,
    );
  }

  #entries(rows: readonly LogRow[], branch: number): LogEntry[] {
    const transactions = new Transactions(this.#sql, rows);
    const entries: LogEntry[] = [];
    for (let i = 0; i < rows.length;) {
      const row = rows[i] as LogRow;
      const [, relationId, op, at] = row;
      if (relationId === NO_RELATION) {
        i++;
        continue;
      }
      const relation = this.#catalog.relation(relationId);
      const size = (op === OP.updateBefore ? 2 : 1) * (op === OP.schema ? 1 : relation.layout.parts);
      const parts = rows.slice(i, i + size);
      i += size;
      const lsn = (parts.at(-1) as LogRow)[0];
      if (relation.branch !== branch) continue;
      const { tx, txBegin } = transactions.of(lsn);
      const common = {
        lsn: BigInt(lsn),
        tx,
        txBegin,
        timestamp: new Date(fromJulian(at)),
        table: relation.name,
      };
      if (op === OP.schema) {
        entries.push({ ...common, op: 'schema', sql: relation.since === lsn ? relation.sql : null });
      } else if (op !== OP.rewrite) {
        const half = parts.slice(0, relation.layout.parts);
        const before = op === OP.insert ? undefined : this.#image(relation, half, 'name');
        const after =
          op === OP.insert
            ? this.#image(relation, half, 'name')
            : op === OP.update
              ? this.#image(relation, half, 'after')
              : op === OP.updateBefore
                ? this.#image(relation, parts.slice(relation.layout.parts), 'name')
                : undefined;
        const kind = before === undefined ? 'insert' : after === undefined ? 'delete' : 'update';
        const key = this.#key(relation, row, before ?? (after as Image));
        entries.push({
          ...common,
          op: kind,
          key,
          before: before ? toRow(before) : null,
          after: after ? toRow(after) : null,
        });
      }
    }
    return entries;
  }

  #image(relation: Relation, parts: readonly LogRow[], which: 'name' | 'after'): Image {
    const values = new Map<number, LogValue>();
    if (relation.key.kind === 'rowid' && relation.key.columnId !== undefined)
      values.set(relation.key.columnId, this.#value(parts[0] as LogRow, 'k'));
    for (const slot of relation.layout.slots)
      values.set(slot.columnId, this.#value(parts[slot.part] as LogRow, slot[which] as string));
    return { relation, values };
  }

  #key(relation: Relation, row: LogRow, image: Image): ChangeRow {
    const ids = relation.primaryKey;
    if (ids.length === 0) return { rowid: this.#value(row, 'k') };
    return record(ids.map((id) => [columnOf(relation, id).name, image.values.get(id) ?? null]));
  }

  #value(row: LogRow, column: Slot['name']): LogValue {
    const index = column === 'k' ? 4 : 5 + this.#log.valueColumns().indexOf(column);
    const value = row[index] ?? null;
    if (typeof value === 'object' && value !== null) return new Uint8Array(value);
    if (typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value)) return value;
    // Too large for a double to be sure of: an integer is read again as text.
    const exact = first<[string, string]>(
      this.#sql,
      `SELECT typeof(${column}), CAST(${column} AS TEXT) FROM __dosql_log WHERE lsn = ?`,
      row[0],
    );
    return exact?.[0] === 'integer' ? BigInt(exact[1]) : value;
  }
}

function beginsChange([, , op]: LogRow): boolean {
  return op !== OP.more && op !== OP.updateAfter;
}

function toRow({ relation, values }: Image): ChangeRow {
  return record(relation.columns.map(({ id, name }) => [name, values.get(id) ?? null]));
}

/** An object with exactly these properties, whatever they are called. */
function record(entries: readonly (readonly [string, LogValue])[]): ChangeRow {
  return Object.fromEntries(entries);
}

/** The transactions that a stretch of the log belongs to. */
class Transactions {
  readonly #ranges: readonly (readonly [first: number, last: number])[];
  #at = 0;

  constructor(sql: SqlStorage, rows: readonly LogRow[]) {
    const from = rows[0]?.[0];
    const to = rows.at(-1)?.[0];
    this.#ranges =
      from === undefined || to === undefined
        ? []
        : all<[number, number]>(
            sql,
            'SELECT first, last FROM __dosql_tx WHERE last >= ? AND first <= ? ORDER BY last',
            from,
            to,
          );
  }

  /** The transaction of `lsn`; called with growing LSNs. */
  of(lsn: number): { tx: bigint; txBegin: bigint } {
    while (this.#at < this.#ranges.length && (this.#ranges[this.#at] as readonly [number, number])[1] < lsn)
      this.#at++;
    const range = this.#ranges[this.#at];
    if (range === undefined || lsn < range[0]) return { tx: BigInt(lsn), txBegin: BigInt(lsn) };
    return { tx: BigInt(range[1]), txBegin: BigInt(range[0]) };
  }
}
