import { OP } from '../schema/capture.ts';
import { bareRowid, type Relation } from '../schema/relation.ts';
import { quoteName } from '../sql/token.ts';
import { all } from '../sql/read.ts';
import type { BaseAbout } from './base.ts';
import { handRows, valueOf } from './insert-rows.ts';
import type { OpenRows } from './rows-file.ts';

/** Where a table's rows are to be, and of when what is known of them is. */
export interface Course {
  /** The LSN of the state that is wanted. */
  readonly target: number;
  /** The base was read from the one LSN to the other. */
  readonly first: number;
  readonly last: number;
}

/** The key of each row of which the log decides, and which of its rows does. */
const CHANGED = '__dosql_changed';

/**
 * Fills one table, by a base and the log.
 *
 * The base's rows were read while others wrote, each at some moment of [first, last]. A row is what the log says of its
 * key: the image before its first change after the target, of those up to `last`; else the image after its last
 * change up to the target, of those after `first`. A row of which the log says neither has not changed, so it is in
 * the base as it was.
 */
export class TableFiller {
  readonly #sql: SqlStorage;
  /** The version that the table has at the target. */
  readonly #relation: Relation;
  readonly #versions: readonly Relation[];
  readonly #course: Course;
  #hasChanges = false;

  /** `versions` are all of the table, oldest first. */
  constructor(sql: SqlStorage, relation: Relation, versions: readonly Relation[], course: Course) {
    this.#sql = sql;
    this.#relation = relation;
    this.#versions = versions;
    this.#course = course;
  }

  /** Creates the table, and puts the rows into it of which the log decides. */
  begin(): void {
    this.#sql.exec(this.#relation.sql);
    const keys = this.#keyNames();
    const { key, columns } = this.#relation;
    const types =
      key.kind === 'rowid'
        ? ['INTEGER']
        : key.columnIds.map((id) => affinityType(columns.find((column) => column.id === id)?.affinity));
    this.#sql.exec(
      `DROP TABLE IF EXISTS ${CHANGED}; CREATE TABLE ${CHANGED}(${keys.map((name, i) => `${name} ${types[i]}`).join(', ')}, ` +
        `lsn INTEGER, rel INTEGER, op INTEGER, is_before INTEGER, PRIMARY KEY(${keys.join(', ')})) WITHOUT ROWID`,
    );
    const { target, first, last } = this.#course;
    // The later one of a key takes the place of the one before it, and an image before goes before one after.
    for (const version of this.#versions) this.#note(version, 'max', first, target);
    for (const version of this.#versions.toReversed()) this.#note(version, 'min', target, last);
    this.#hasChanges = all(this.#sql, `SELECT 1 FROM ${CHANGED} LIMIT 1`).length > 0;
    if (this.#hasChanges) for (const version of this.#versions) this.#images(version);
  }

  /** Puts the base's rows into the table of which the log does not decide; returns how many the file has. */
  add(file: OpenRows, { columns }: BaseAbout): Promise<number> {
    const { key } = this.#relation;
    const taken = columns.flatMap(([id, name]) => {
      const target = this.#target(id);
      return target === undefined ? [] : [{ target, name }];
    });
    const keyIds = key.kind === 'rowid' ? [key.columnId ?? -1] : key.columnIds;
    const keyNames = keyIds.map((id) => columns.find((column) => column[0] === id)?.[1] as string);
    const names = [...new Set([...taken.map(({ name }) => name), ...keyNames])];
    const into = `INSERT INTO ${quoteName(this.#relation.table)}(${taken.map(({ target }) => quoteName(target)).join(', ')})`;
    const values = taken.map(({ name }) => valueOf(file, name)).join(', ');
    const condition = this.#unchanged(keyNames.map((name) => valueOf(file, name)));
    return handRows(file, names, (query, bindings) => {
      this.#sql.exec(`${into} SELECT ${values} FROM (${query}) AS r${condition}`, ...bindings);
    });
  }

  /** Positions of rows in a cold file that have changed since it was written: the table has them, or has them no more. */
  async gone(file: OpenRows, keyNames: readonly string[], position: string): Promise<number[]> {
    const gone: number[] = [];
    if (!this.#hasChanges) return gone;
    const condition = this.#same(keyNames.map((name) => valueOf(file, name)));
    await handRows(file, [...keyNames, position], (query, bindings) => {
      const text = `SELECT r.${quoteName(position)} FROM (${query}) AS r WHERE EXISTS (SELECT 1 FROM ${CHANGED} AS c WHERE ${condition})`;
      for (const [row] of all<[number]>(this.#sql, text, ...bindings)) gone.push(row);
    });
    return gone;
  }

  /** Clears up. */
  end(): void {
    this.#sql.exec(`DROP TABLE ${CHANGED}`);
  }

  #keyNames(): string[] {
    const { key } = this.#relation;
    return key.kind === 'rowid' ? ['k0'] : key.columnIds.map((_, i) => `k${i}`);
  }

  /** Notes, for each key, its first or last change of a version after `after`, up to `to`. */
  #note(version: Relation, which: 'min' | 'max', after: number, to: number): void {
    const from = Math.max(after, version.since);
    const until = Math.min(to, version.until ?? to);
    if (until <= from) return;
    const slots = keySlots(version);
    const isBefore = which === 'min' ? 1 : 0;
    const passedOver = isBefore === 1 ? OP.updateAfter : `${OP.updateBefore}, ${OP.rewrite}`;
    this.#sql.exec(
      `INSERT OR REPLACE INTO ${CHANGED}(${this.#keyNames().join(', ')}, lsn, rel, op, is_before) ` +
        `SELECT ${slots.join(', ')}, ${which}(lsn), rel, op, ${isBefore} FROM __dosql_log ` +
        `WHERE lsn > ${from} AND lsn <= ${until} AND rel = ${version.id} AND op NOT IN (${OP.more}, ${OP.schema}, ${passedOver}) GROUP BY ${slots.join(', ')}`,
    );
  }

  /** Puts the images of a version into the table. */
  #images(version: Relation): void {
    const more = Array.from(
      { length: version.layout.parts - 1 },
      (_, i) => ` JOIN __dosql_log AS l${i + 1} ON l${i + 1}.lsn = c.lsn + ${i + 1}`,
    );
    const from = `${CHANGED} AS c CROSS JOIN __dosql_log AS l0 ON l0.lsn = c.lsn${more.join('')} WHERE c.rel = ${version.id}`;
    const before = `c.is_before = 1 AND c.op IN (${OP.update}, ${OP.delete}, ${OP.updateBefore}, ${OP.rewrite})`;
    const after = `c.is_before = 0 AND c.op IN (${OP.insert}, ${OP.updateAfter})`;
    this.#put(version, 'name', `${from} AND (${before} OR ${after})`);
    if (version.layout.updatesInOneRow)
      this.#put(version, 'after', `${from} AND c.is_before = 0 AND c.op = ${OP.update}`);
  }

  #put(version: Relation, which: 'name' | 'after', from: string): void {
    const { key } = version;
    const values = version.layout.slots.flatMap((slot) => {
      const target = this.#target(slot.columnId);
      return target === undefined ? [] : [{ target, value: `l${slot.part}.${slot[which] ?? 'NULL'}` }];
    });
    const rowid = key.kind === 'rowid' ? this.#target(key.columnId ?? -1) : undefined;
    if (rowid !== undefined) values.push({ target: rowid, value: 'l0.k' });
    this.#sql.exec(
      `INSERT INTO ${quoteName(this.#relation.table)}(${values.map(({ target }) => quoteName(target)).join(', ')}) ` +
        `SELECT ${values.map(({ value }) => value).join(', ')} FROM ${from}`,
    );
  }

  /** What the table calls a column that rows are put into; undefined when it has it no more, or computes it. */
  #target(id: number): string | undefined {
    if (id === -1) return bareRowid(this.#relation);
    const column = this.#relation.columns.find((column) => column.id === id);
    return column === undefined || column.isGenerated ? undefined : column.name;
  }

  #unchanged(keys: readonly string[]): string {
    return this.#hasChanges
      ? ` WHERE NOT EXISTS (SELECT 1 FROM ${CHANGED} AS c WHERE ${this.#same(keys)})`
      : '';
  }

  #same(keys: readonly string[]): string {
    return this.#keyNames()
      .map((name, i) => `c.${name} = ${keys[i]}`)
      .join(' AND ');
  }
}

/** The log columns that hold the key of a row of `version`: in the first row of its image. */
function keySlots({ key, layout }: Relation): string[] {
  if (key.kind === 'rowid') return ['k'];
  return key.columnIds.map((id) => layout.slots.find(({ columnId }) => columnId === id)?.name ?? 'NULL');
}

function affinityType(affinity: string | undefined): string {
  return affinity === undefined || affinity === 'blob' ? '' : affinity.toUpperCase();
}
