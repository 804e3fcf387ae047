import { OP } from '../schema/capture.ts';
import type { Relation } from '../schema/relation.ts';
import { first } from '../sql/read.ts';
import { keySlots } from './as-of.ts';

/** A row's key as one value: the rowid, or the primary key's values joined. */
export type KeyText = number | string;

/** Lookups that read the log each time before an index of it is worth its memory. */
const LOOKUPS_BEFORE_INDEX = 10;
/** Past this many changes the index would take too much of the object's 128 MB, and lookups keep reading the log. */
const MAX_INDEXED_CHANGES = 500_000;

/**
 * For each key of one version of a table, the LSNs of its changes: what makes a point lookup in the past
 * cost one step instead of a pass over the log. Built in memory on demand, over the part of the log that
 * lookups have asked for, and extended as the log grows; losing it loses nothing.
 */
export class KeyIndex {
  readonly #sql: SqlStorage;
  readonly #relation: Relation;
  readonly #keys: string[];
  readonly #isChange: string;
  readonly #changes = new Map<KeyText, number[]>();
  #lookups = 0;
  /** The index holds the changes after `#from`, up to `#to`; undefined until it is built. */
  #from: number | undefined;
  #to = 0;

  constructor(sql: SqlStorage, relation: Relation) {
    this.#sql = sql;
    this.#relation = relation;
    this.#isChange = `rel = ${relation.id} AND op BETWEEN ${OP.insert} AND ${OP.rewrite}`;
    // A rowid past 2^53 would be rounded on the way out: it comes as text, like its key does.
    this.#keys = keySlots(relation).map((slot) =>
      slot === 'k'
        ? `CASE WHEN k BETWEEN -9007199254740991 AND 9007199254740991 THEN k ELSE CAST(k AS TEXT) END`
        : slot,
    );
  }

  /** LSN of the first change of the row `key` after `point`; undefined when there is none up to `end`. */
  firstAfter(
    key: KeyText,
    values: readonly (string | number)[],
    point: number,
    end: number,
  ): number | undefined {
    if (point >= end) return undefined;
    if (this.#from === undefined && ++this.#lookups <= LOOKUPS_BEFORE_INDEX) return this.#read(values, point);
    if (end - Math.min(this.#from ?? point, point) > MAX_INDEXED_CHANGES) return this.#read(values, point);
    this.#extend(point, end);
    const lsns = this.#changes.get(key);
    if (lsns === undefined) return undefined;
    let low = 0;
    let high = lsns.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((lsns[middle] as number) > point) high = middle;
      else low = middle + 1;
    }
    return lsns[low];
  }

  #read(values: readonly (string | number)[], point: number): number | undefined {
    const same = keySlots(this.#relation).map((slot) => `${slot} = ?`);
    const row = first<[number]>(
      this.#sql,
      `SELECT lsn FROM __dosql_log WHERE lsn > ? AND ${this.#isChange} AND ${same.join(' AND ')} ORDER BY lsn LIMIT 1`,
      point,
      ...values,
    );
    return row?.[0];
  }

  /** Reads what the log has got since; an older point than any before begins the index anew from there. */
  #extend(point: number, end: number): void {
    if (this.#from === undefined || point < this.#from) {
      this.#changes.clear();
      this.#from = this.#to = point;
    }
    if (end <= this.#to) return;
    const cursor = this.#sql.exec(
      `SELECT lsn, ${this.#keys.join(', ')} FROM __dosql_log WHERE lsn > ? AND lsn <= ? AND ${this.#isChange} ORDER BY lsn`,
      this.#to,
      end,
    );
    for (const [lsn, ...values] of cursor.raw() as unknown as Iterable<[number, ...(string | number)[]]>) {
      const key = keyText(values);
      const known = this.#changes.get(key);
      if (known === undefined) this.#changes.set(key, [lsn]);
      else known.push(lsn);
    }
    this.#to = end;
  }
}

/** One value for a whole key; kinds are kept apart, so that 1 and '1' are two keys. */
export function keyText(values: readonly (string | number)[]): KeyText {
  const [only] = values;
  if (values.length === 1 && typeof only === 'number') return only;
  return JSON.stringify(values);
}
