import { OP } from '../schema/capture.ts';
import type { Catalog } from '../schema/catalog.ts';
import type { Relation } from '../schema/relation.ts';
import { compound } from '../sql/compound.ts';
import { first } from '../sql/read.ts';
import { keySlots } from './as-of.ts';
import { hashOf, isExactHash, Postings, type KeyPart } from './postings.ts';

/** Which columns an index goes by: those that identify a row in the log, or those of the declared primary key. */
export type KeyChoice = 'key' | 'primary key';

/** An index of the log is built once lookups without it have read this many times the rows that it would hold. */
const SCANS_BEFORE_INDEX = 2;
/** So many changes of all tables together are indexed, at 8 bytes each; past it lookups read the log. */
const MAX_INDEXED_CHANGES = 4_000_000;
/** So many LSNs are looked through at a time for rowids, which come as JSON far below the platform's limit of 2 MB. */
const LSNS_TOGETHER = 20_000;

/** The indexes of all tables, within one limit. */
export class KeyIndexes {
  readonly #sql: SqlStorage;
  readonly #catalog: Catalog;
  readonly #indexes = new Map<string, KeyIndex>();

  constructor(sql: SqlStorage, catalog: Catalog) {
    this.#sql = sql;
    this.#catalog = catalog;
  }

  /** Forgets all that has been read. */
  clear(): void {
    this.#indexes.clear();
  }

  /** The index of a table; undefined where the log does not have these columns in a change's first row. */
  of({ tableId, branch }: Relation, choice: KeyChoice): KeyIndex | undefined {
    const versions = this.#catalog.versions(tableId, branch);
    if (versions.some((version) => slotsOf(version, choice) === undefined)) return undefined;
    const name = `${choice} ${branch} ${tableId}`;
    let index = this.#indexes.get(name);
    if (index === undefined) {
      index = new KeyIndex(this.#sql, choice, (changes) => this.#makeRoom(name, changes));
      this.#indexes.set(name, index);
    }
    index.versions = versions;
    return index;
  }

  /** Whether an index may hold so many changes; others go to make room for it. */
  #makeRoom(name: string, changes: number): boolean {
    if (changes > MAX_INDEXED_CHANGES) return false;
    let total = changes;
    for (const [other, { size }] of this.#indexes) if (other !== name) total += size;
    for (const other of this.#indexes.keys()) {
      if (total <= MAX_INDEXED_CHANGES) break;
      if (other === name) continue;
      total -= this.#indexes.get(other)?.size ?? 0;
      this.#indexes.delete(other);
    }
    return true;
  }
}

/**
 * For each key of a table, the LSNs of the changes that had it before or after: what makes a point lookup in
 * the past, and one row's history, cost a step instead of a pass over the log. Built in memory on demand, over
 * the part of the log that lookups have asked for, and extended as the log grows; losing it loses nothing.
 */
export class KeyIndex {
  readonly #sql: SqlStorage;
  readonly #choice: KeyChoice;
  readonly #makeRoom: (changes: number) => boolean;
  /** Every version of the table that the log knows. */
  versions: readonly Relation[] = [];
  /** Rows of the log that lookups have read for want of an index. */
  #scanned = 0;
  #postings: Postings | undefined;
  #to = 0;
  /** All keys so far are their own hashes. */
  #isExact = true;

  constructor(sql: SqlStorage, choice: KeyChoice, makeRoom: (changes: number) => boolean) {
    this.#sql = sql;
    this.#choice = choice;
    this.#makeRoom = makeRoom;
  }

  /** Changes that it holds. */
  get size(): number {
    return this.#postings?.size ?? 0;
  }

  /**
   * LSN of the first change after `point` that the row `key` has had; undefined when there is none up to `end`.
   * The values of `key` are as the table stores them.
   */
  firstAfter(key: readonly (string | number)[], point: number, end: number): number | undefined {
    if (point >= end) return undefined;
    if (!this.#isReady(point, end)) return this.#read(key, point, end);
    const found = this.#postings?.after(hashOf(key), point) ?? [];
    if (this.#isExact && isExactHash(key)) return found[0];
    return found.find((lsn) => this.#read(key, lsn - 1, lsn) !== undefined);
  }

  /**
   * LSNs after `point` and up to `end` of all changes that the row `key` may have had, in order: all that it has
   * had, and now and then one that is another's. Undefined while there is no index; `isUrgent` builds it at once.
   */
  candidates(key: readonly KeyPart[], point: number, end: number, isUrgent = false): number[] | undefined {
    if (point >= end) return [];
    return this.#isReady(point, end, isUrgent) ? this.#postings?.after(hashOf(key), point) : undefined;
  }

  /** Whether the index covers `point` to `end`, having been built or extended if that is worth it. */
  #isReady(point: number, end: number, isUrgent = false): boolean {
    const base = this.#postings?.base ?? Infinity;
    if (point < base && !isUrgent) {
      this.#scanned += end - point;
      if (this.#scanned <= SCANS_BEFORE_INDEX * (end - point)) return false;
    }
    if (!this.#makeRoom(end - Math.min(base, point))) {
      // Much of what it holds may lie before the window by now: it is begun anew where lookups look.
      this.#postings = undefined;
      this.#scanned = 0;
      return false;
    }
    this.#extend(point, end);
    return true;
  }

  /** The first change of `key` after `point`, up to `end`, as the log itself tells it. */
  #read(key: readonly (string | number)[], point: number, end: number): number | undefined {
    const arms = this.versions.map((version) => {
      const sides = (slotsOf(version, this.#choice) ?? []).map((slots) =>
        slots.map((slot, i) => `${slot} = ?${i + 3}`).join(' AND '),
      );
      return `SELECT * FROM (SELECT lsn FROM __dosql_log WHERE lsn > ?1 AND lsn <= ?2 AND ${isChange(version)} AND (${sides.join(' OR ')}) ORDER BY lsn LIMIT 1)`;
    });
    const row = first<[number | null]>(
      this.#sql,
      `SELECT min(lsn) FROM (${compound(arms, 'UNION ALL')})`,
      point,
      end,
      ...key,
    );
    return row?.[0] ?? undefined;
  }

  /** Reads what the log has got since; an older point than any before begins the index anew from there. */
  #extend(point: number, end: number): void {
    if (this.#postings === undefined || point < this.#postings.base) {
      this.#postings = new Postings(point);
      this.#to = point;
      this.#isExact = true;
    }
    if (end <= this.#to) return;
    for (const version of this.versions)
      if (version.until === undefined || version.until > this.#to) this.#scan(version, end);
    this.#postings.settle();
    this.#to = end;
  }

  #scan(version: Relation, end: number): void {
    const [before = [], after = []] = slotsOf(version, this.#choice) ?? [];
    const to = Math.min(end, version.until ?? end);
    if (before[0] === 'k') this.#scanRowids(version, to);
    else this.#scanKeys(version, before, after, to);
  }

  /** Rowids are integers, of which many come as one text in a third of the time that they take row by row. */
  #scanRowids(version: Relation, to: number): void {
    const postings = this.#postings as Postings;
    for (let from = this.#to; from < to; from += LSNS_TOGETHER) {
      const texts = first<[string, string]>(
        this.#sql,
        `SELECT json_group_array(lsn), json_group_array(k) FROM (SELECT lsn, k FROM __dosql_log WHERE lsn > ? AND lsn <= ? AND ${isChange(version)} ORDER BY lsn)`,
        from,
        Math.min(to, from + LSNS_TOGETHER),
      ) as [string, string];
      const [lsns, keys] = texts.map((text) => JSON.parse(text)) as [number[], number[]];
      lsns.forEach((lsn, i) => {
        this.#isExact &&= isExactHash(keys, i, i + 1);
        postings.add(hashOf(keys, i, i + 1), lsn);
      });
    }
  }

  #scanKeys(version: Relation, before: readonly string[], after: readonly string[], to: number): void {
    const cursor = this.#sql.exec(
      `SELECT lsn, op, ${[...before, ...after].join(', ')} FROM __dosql_log WHERE lsn > ? AND lsn <= ? AND ${isChange(version)} ORDER BY lsn`,
      this.#to,
      to,
    );
    const postings = this.#postings as Postings;
    const width = before.length;
    for (const row of cursor.raw() as unknown as Iterable<[number, number, ...KeyPart[]]>) {
      const [lsn, op] = row;
      const hash = hashOf(row, 2, 2 + width);
      this.#isExact &&= isExactHash(row, 2, 2 + width);
      postings.add(hash, lsn);
      if (op !== OP.update || after.length === 0) continue;
      const next = hashOf(row, 2 + width);
      this.#isExact &&= isExactHash(row, 2 + width);
      if (next !== hash) postings.add(next, lsn);
    }
  }
}

function isChange({ id }: Relation): string {
  return `rel = ${id} AND op BETWEEN ${OP.insert} AND ${OP.rewrite}`;
}

/** The log columns of a change's key: once where the key stays the same, else as it was before and after. */
function slotsOf(version: Relation, choice: KeyChoice): string[][] | undefined {
  if (choice === 'key') return [keySlots(version)];
  const slots = version.primaryKey.map((id) => version.layout.slots.find(({ columnId }) => columnId === id));
  if (slots.length === 0 || slots.some((slot) => slot === undefined || slot.part > 0)) return undefined;
  const before = slots.map((slot) => slot?.name as string);
  const after = slots.map((slot) => slot?.after);
  return after.includes(undefined) ? [before] : [before, after as string[]];
}
