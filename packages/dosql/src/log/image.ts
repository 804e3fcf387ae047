import type { ChangeRow, ChangeValue } from '@dotdo/cdc';
import { columnOf, type Relation } from '../schema/relation.ts';
import { first } from '../sql/read.ts';

/** A row of the log: lsn, rel, op, at, k, then the value columns. */
export type LogRow = [
  number,
  number,
  number,
  number,
  number | null,
  ...(string | number | null | ArrayBuffer)[],
];

/** Where a column of an image is found: in which of its rows, at which place. */
interface Place {
  readonly name: string;
  readonly part: number;
  /** -1 where it is not. */
  readonly index: number;
}

/** Where the columns of an image are, before a change and after it. */
interface Places {
  readonly before: readonly Place[];
  readonly after: readonly Place[];
}

/** The columns of the log that are read before those of values. */
export const HEADER: readonly string[] = ['lsn', 'rel', 'op', 'at', 'k'];
/** Where the row's key stands. */
const KEY = 4;

/** Reads the rows that the log keeps of one version of a table. */
export class ImageReader {
  readonly #sql: SqlStorage;
  readonly #columns: readonly string[];
  readonly #image: Places;
  readonly #key: Places;
  /** An assignment to `__proto__` would set no property. */
  readonly #isPlain: boolean;

  /** `columns` are those of the log that rows are read with: {@link HEADER}, and all that hold values of `relation`. */
  constructor(sql: SqlStorage, columns: readonly string[], relation: Relation) {
    this.#sql = sql;
    this.#columns = columns;
    const at = new Map(columns.map((name, i) => [name, i]));
    const placeOf = (id: number, which: 'before' | 'after'): Place => {
      const { name } = columnOf(relation, id);
      const slot = relation.layout.slots.find(({ columnId }) => columnId === id);
      if (slot === undefined) {
        const isRowid = relation.key.kind === 'rowid' && relation.key.columnId === id;
        return { name, part: 0, index: isRowid ? KEY : -1 };
      }
      const column = which === 'before' ? slot.name : slot.after;
      return { name, part: slot.part, index: column === undefined ? -1 : (at.get(column) ?? -1) };
    };
    const placesOf = (ids: readonly number[]): Places => ({
      before: ids.map((id) => placeOf(id, 'before')),
      after: ids.map((id) => placeOf(id, 'after')),
    });
    const rowid = [{ name: 'rowid', part: 0, index: KEY }];
    this.#image = placesOf(relation.columns.map(({ id }) => id));
    this.#key =
      relation.primaryKey.length === 0 ? { before: rowid, after: rowid } : placesOf(relation.primaryKey);
    this.#isPlain = ![...this.#image.before, ...this.#key.before].some(({ name }) => name === '__proto__');
  }

  /** The image that begins at `rows[from]`; of an update in one row the one before it, or after it. */
  image(rows: readonly LogRow[], from: number, which: 'before' | 'after'): ChangeRow {
    return this.#record(this.#image[which], rows, from);
  }

  /** The primary key, or the rowid, in the image that begins at `rows[from]`. */
  key(rows: readonly LogRow[], from: number, which: 'before' | 'after'): ChangeRow {
    return this.#record(this.#key[which], rows, from);
  }

  #record(places: readonly Place[], rows: readonly LogRow[], from: number): ChangeRow {
    const record: Record<string, ChangeValue> = {};
    for (const { name, part, index } of places) {
      const value = index < 0 ? null : this.#value(rows[from + part] as LogRow, index);
      if (this.#isPlain) record[name] = value;
      else
        Object.defineProperty(record, name, { value, enumerable: true, writable: true, configurable: true });
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
