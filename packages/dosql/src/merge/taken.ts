import type { Segment } from '../branch/states.ts';
import { differ, Fields, keyColumns, type Place, type RowWriter } from '../change/index.ts';
import type { Engine } from '../engine.ts';
import { sqliteError } from '../error.ts';
import { keyNames } from '../history/as-of.ts';
import { captureTriggers, OP, triggerNames } from '../schema/capture.ts';
import { plainNames } from '../schema/line.ts';
import type { Column, Relation } from '../schema/relation.ts';
import { balanced, compound } from '../sql/compound.ts';
import { all, first } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';

/** What the log tells of the changes of a branch's table, without a look at the rows. */
interface Told {
  readonly hasDeleted: boolean;
  /** Columns whose values changed in rows that were there. */
  readonly changed: readonly string[];
  /** The rows lie on many pages: triggers are made for such. */
  readonly areMany: boolean;
}

/** From so many rows on, and so far apart on average, it is worth while to have triggers made for them. */
const MANY_ROWS = 200;
const FAR_APART = 10;

/** SQLite takes 100 terms in the aggregates of a query, columns counted. */
const MAX_AGGREGATES = 20;

/** Thrown where a constraint refuses rows that were to be taken as they are. */
export class Refused extends Error {}

/**
 * Writes into main's table the rows of a branch's that main has not changed since they parted, from table to table:
 * as many pages of main's as the rows lie on are read and written once.
 *
 * Which columns to set the log tells. A constraint that refuses a row ends it all with {@link Refused}.
 */
export class TakenRows implements RowWriter {
  readonly place: Place;
  inserted = 0;
  updated = 0;
  deleted = 0;
  readonly #engine: Engine;
  readonly #overlay: Relation;
  readonly #keys: string;
  readonly #told: Told;

  /** `keys` is the query for their keys, as the log has them, and `overlay` the branch's table that has them. */
  constructor(engine: Engine, place: Place, overlay: Relation, keys: string, told: Told) {
    this.#engine = engine;
    this.place = place;
    this.#overlay = overlay;
    this.#keys = keys;
    this.#told = told;
  }

  write(): void {
    const { catalog, log } = this.#engine;
    const { relation } = this.place;
    const since = log.end();
    const { areMany, hasDeleted } = this.#told;
    if (areMany) {
      const [now] = first<[number]>(this.#engine.storage.sql, `SELECT ${catalog.now}`) as [number];
      this.#capture(captureTriggers(relation, String(now)));
    }
    if (hasDeleted) this.#exec(this.#delete());
    this.#exec(this.#upsert());
    if (areMany) {
      this.#capture(captureTriggers(relation, catalog.now));
      catalog.settle();
    }
    const count = (...ops: number[]): string => `count(*) FILTER (WHERE op IN (${ops.join(', ')}))`;
    [this.inserted, this.updated, this.deleted] = first<[number, number, number]>(
      this.#engine.storage.sql,
      `SELECT ${count(OP.insert)}, ${count(OP.update, OP.updateAfter)}, ${count(OP.delete)} FROM __dosql_log WHERE lsn > ? AND rel = ?`,
      since,
      relation.id,
    ) as [number, number, number];
  }

  /**
   * Has the table's changes logged by other triggers. With such as have the time already a thousand rows of as many
   * pages take 4 ms instead of 10; making them takes half a millisecond.
   */
  #capture(triggers: readonly string[]): void {
    const { sql } = this.#engine.storage;
    for (const name of triggerNames(this.place.relation)) sql.exec(`DROP TRIGGER IF EXISTS ${name}`);
    for (const trigger of triggers) sql.exec(trigger);
  }

  #delete(): string {
    const keys = keyNames(this.#overlay);
    const list = keyColumns(this.place.relation).map(({ name }) => `d.${quoteName(name)}`);
    const key = list.length === 1 ? list[0] : `(${list.join(', ')})`;
    return (
      `DELETE FROM ${this.place.table} AS d WHERE ${key} IN (SELECT ${keys.map((name) => `c.${name}`).join(', ')} FROM (${this.#keys}) AS c ` +
      `WHERE NOT EXISTS (SELECT 1 FROM main.${quoteName(this.#overlay.table)} AS o WHERE ${this.#isSame()}))`
    );
  }

  #upsert(): string {
    const { relation, table } = this.place;
    const fields = new Fields(relation);
    const key = fields.key.map(({ name }) => quoteName(name)).join(', ');
    const set = fields.all.filter(({ name }) => this.#told.changed.includes(name));
    const then =
      set.length === 0
        ? 'NOTHING'
        : `UPDATE SET ${set.map(({ name }) => `${quoteName(name)} = excluded.${quoteName(name)}`).join(', ')} ` +
          `WHERE ${balanced(
            set.map((field) =>
              differ(field, `r.${quoteName(field.name)}`, `excluded.${quoteName(field.name)}`),
            ),
            'OR',
          )}`;
    const names = fields.all.map(({ name }) => quoteName(name));
    return (
      `INSERT OR FAIL INTO ${table} AS r(${names.join(', ')}) SELECT ${names.map((name) => `o.${name}`).join(', ')} ` +
      `FROM (${this.#keys}) AS c CROSS JOIN main.${quoteName(this.#overlay.table)} AS o WHERE ${this.#isSame()} ON CONFLICT(${key}) DO ${then}`
    );
  }

  /** Whether the branch's row `o` has the key `c`. */
  #isSame(): string {
    const keys = keyNames(this.#overlay);
    return keyColumns(this.#overlay)
      .map(({ name }, i) => `o.${quoteName(name)} = c.${keys[i]}`)
      .join(' AND ');
  }

  #exec(text: string): void {
    try {
      this.#engine.storage.sql.exec(text);
    } catch (error) {
      throw sqliteError(error, text, plainNames).code.startsWith('CONSTRAINT_') ? new Refused() : error;
    }
  }
}

/** What the log tells of a branch's changes; undefined where it does not tell enough, or there are none. */
export function toldOf(sql: SqlStorage, relation: Relation, segments: readonly Segment[]): Told | undefined {
  const { slots, updatesInOneRow } = relation.layout;
  const isOne = segments.every(({ versions }) => versions.every(({ id }) => id === relation.id));
  if (!isOne || !updatesInOneRow) return undefined;
  const before = (column: Pick<Column, 'id'> | undefined): string =>
    String(slots.find(({ columnId }) => columnId === column?.id)?.name);
  const after = (column: Pick<Column, 'id'> | undefined): string =>
    String(slots.find(({ columnId }) => columnId === column?.id)?.after);
  const arms = segments.map(
    (segment) =>
      `SELECT * FROM __dosql_log WHERE lsn > ${segment.after} AND lsn <= ${segment.upTo} AND rel = ${relation.id}`,
  );
  const changes = `(${compound(arms, 'UNION ALL')})`;
  const { compared } = new Fields(relation);
  const flags = [
    `max(op NOT IN (${OP.insert}, ${OP.update}, ${OP.delete}))`,
    `max(op = ${OP.insert})`,
    `max(op = ${OP.delete})`,
    `count(*) >= ${MANY_ROWS}${relation.key.kind === 'rowid' ? ` AND max(k) - min(k) >= ${FAR_APART} * count(*)` : ''}`,
    ...compared.map(
      (field) => `max(op = ${OP.update} AND ${differ(field, before(field.column), after(field.column))})`,
    ),
  ];
  const told: (number | null)[] = [];
  for (let i = 0; i < flags.length; i += MAX_AGGREGATES) {
    const some = flags.slice(i, i + MAX_AGGREGATES).join(', ');
    told.push(...(all<(number | null)[]>(sql, `SELECT ${some} FROM ${changes}`)[0] ?? []));
  }
  if (told[0] !== 0) return undefined;
  const [, hasInserted, hasDeleted, areMany, ...changed] = told.map((flag) => flag === 1);
  // A row that was deleted and inserted again may be another in all columns.
  const isAny = hasInserted === true && hasDeleted === true;
  return {
    hasDeleted: hasDeleted === true,
    changed: compared.filter((_, i) => isAny || changed[i] === true).map(({ name }) => name),
    areMany: areMany === true,
  };
}
