import type { ChangeRow, ChangeValue } from '@dotdo/cdc';
import { columnOf, type Relation } from '../schema/relation.ts';
import { first } from '../sql/read.ts';
import type { Log } from './log.ts';

/** A row of the log: lsn, rel, op, at, k, then the value columns. */
export type LogRow = [
  number,
  number,
  number,
  number,
  number | null,
  ...(string | number | null | ArrayBuffer)[],
];

/** Where a column of an image is found: in which of its rows, at which place, before a change and after it. */
interface Place {
  readonly name: string;
  readonly part: number;
  readonly before: number;
  readonly after: number;
}

/** Where the row's key stands. */
const KEY = 4;

/** Reads the rows that the log keeps of one version of a table. */
export class ImageReader {
  readonly #sql: SqlStorage;
  readonly #columns: readonly string[];
  readonly #places: readonly Place[];
  readonly #key: readonly Place[];
  /** An assignment to `__proto__` would set no property. */
  readonly #isPlain: boolean;

  constructor(sql: SqlStorage, log: Log, relation: Relation) {
    this.#sql = sql;
    this.#columns = ['lsn', 'rel', 'op', 'at', 'k', ...log.valueColumns()];
    const at = new Map(this.#columns.map((name, i) => [name, i]));
    const placeOf = (id: number): Place => {
      const { name } = columnOf(relation, id);
      const slot = relation.layout.slots.find(({ columnId }) => columnId === id);
      if (slot === undefined) {
        const isRowid = relation.key.kind === 'rowid' && relation.key.columnId === id;
        return { name, part: 0, before: isRowid ? KEY : -1, after: isRowid ? KEY : -1 };
      }
      return {
        name,
        part: slot.part,
        before: at.get(slot.name) ?? -1,
        after: slot.after === undefined ? -1 : (at.get(slot.after) ?? -1),
      };
    };
    this.#places = relation.columns.map(({ id }) => placeOf(id));
    this.#key =
      relation.primaryKey.length === 0
        ? [{ name: 'rowid', part: 0, before: KEY, after: KEY }]
        : relation.primaryKey.map(placeOf);
    this.#isPlain = ![...this.#places, ...this.#key].some(({ name }) => name === '__proto__');
  }

  /** The image that begins at `rows[from]`; of an update in one row the one before it, or after it. */
  image(rows: readonly LogRow[], from: number, which: 'before' | 'after'): ChangeRow {
    return this.#record(this.#places, rows, from, which);
  }

  /** The primary key, or the rowid, in the image that begins at `rows[from]`. */
  key(rows: readonly LogRow[], from: number, which: 'before' | 'after'): ChangeRow {
    return this.#record(this.#key, rows, from, which);
  }

  #record(
    places: readonly Place[],
    rows: readonly LogRow[],
    from: number,
    which: 'before' | 'after',
  ): ChangeRow {
    const record: Record<string, ChangeValue> = {};
    for (const place of places) {
      const value = this.#value(rows[from + place.part] as LogRow, place[which]);
      if (this.#isPlain) record[place.name] = value;
      else
        Object.defineProperty(record, place.name, {
          value,
          enumerable: true,
          writable: true,
          configurable: true,
        });
    }
    return record;
  }

  #value(row: LogRow, index: number): ChangeValue {
    const value = row[index] ?? null;
    if (typeof value === 'string' || value === null) return value;
    if (typeof value === 'object') return new Uint8Array(value);
    if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value;
    // Too large for a double to be sure of: an integer is read again as text.
    const column = this.#columns[index] as string;
    const exact = first<[string, string]>(
      this.#sql,
      `SELECT typeof(${column}), CAST(${column} AS TEXT) FROM __dosql_log WHERE lsn = ?`,
      row[0],
    );
    return exact?.[0] === 'integer' ? BigInt(exact[1]) : value;
  }
}
