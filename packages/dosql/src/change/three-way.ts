import { keyText } from './apply.ts';
import { DoSQLError } from '../error.ts';
import { balanced } from '../sql/compound.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import type { Row, SqlValue } from '../value/row.ts';
import { differ, Fields, type Field, type Match } from './fields.ts';
import type { Place } from './place.ts';
import { readExact, readKeys, type RowKeyValues } from './violation.ts';
import type { TableChange } from './write.ts';

/** A row that cannot take a change, because what the change is about has changed there too. */
export interface Conflict {
  readonly table: string;
  readonly key: RowKeyValues;
  /** The columns in question. */
  readonly columns: readonly string[];
  /** The row before the change, as it is, and after the change; null where it is not there. */
  readonly base: Row | null;
  readonly ours: Row | null;
  readonly theirs: Row | null;
}

/** A change of rows, as what they were before it and what they are after it. */
export interface RowsChange {
  readonly place: Place;
  /** Queries for the rows, as they are written: see `storedColumns`. */
  readonly base: string;
  readonly theirs: string;
  readonly match?: Match | undefined;
  /** The rowids are another line's: one may be another row's here, and what is new gets one of its own. */
  readonly isForeign?: boolean | undefined;
}

/** Conflicts whose rows are read; of all others only the number is told. */
const MAX_CONFLICTS = 100;

/**
 * Makes a change on rows that may have changed since: cell by cell, what differs between `base` and `theirs` goes
 * from one to the other where the row that is there still holds what `base` has. Finds out what it cannot do, and
 * what there is to write otherwise.
 */
export class ThreeWay {
  readonly place: Place;
  readonly #sql: SqlStorage;
  readonly #fields: Fields;
  readonly #match: Match | undefined;
  readonly #isForeign: boolean;
  readonly #base: string;
  readonly #theirs: string;
  readonly #conflicts: string;

  constructor(sql: SqlStorage, { place, base, theirs, match, isForeign }: RowsChange, index: number) {
    this.#sql = sql;
    this.place = place;
    this.#match = match;
    this.#isForeign = isForeign === true;
    this.#fields = new Fields(place.relation, match);
    this.#base = `__dosql_base${index}`;
    this.#theirs = `__dosql_theirs${index}`;
    this.#conflicts = `__dosql_conflict${index}`;
    for (const [table, query] of [
      [this.#base, base],
      [this.#theirs, theirs],
    ] as const) {
      sql.exec(this.#fields.rowsTable(table));
      sql.exec(`INSERT INTO ${table}(${this.#fields.all.map(({ slot }) => slot).join(', ')}) ${query}`);
    }
    this.#findConflicts();
  }

  /** How many rows cannot take the change. */
  get conflictCount(): number {
    return all<[number]>(this.#sql, `SELECT count(*) FROM ${this.#conflicts}`)[0]?.[0] ?? 0;
  }

  /** The rows that cannot take the change, up to a hundred of them. */
  conflicts(): Conflict[] {
    const { relation } = this.place;
    const keys = this.#fields.keyNames();
    const cells = this.#fields.all.map((field) => [`r.${quoteName(field.name)}`, field] as const);
    const kept = this.#fields.all.map(({ name, slot }) => `t.${slot} AS ${quoteName(name)}`).join(', ');
    const isKept = this.#fields.key.map(({ slot }, i) => `t.${slot} = k.${keys[i]}`).join(' AND ');
    const isPresent = this.#fields.key
      .map(({ name }, i) => `r.${quoteName(name)} = k.${keys[i]}`)
      .join(' AND ');
    const read = (from: string, at: number): SqlValue[] | undefined =>
      readExact(
        this.#sql,
        cells.map(([cell]) => cell),
        from,
        at,
      )[0];
    const from = (table: string): string =>
      `FROM (SELECT ${kept} FROM ${this.#conflicts} AS k JOIN ${table} AS t ON ${isKept} WHERE k.rowid = ?1) AS r`;
    return Array.from({ length: Math.min(this.conflictCount, MAX_CONFLICTS) }, (_, i) => {
      const base = read(from(this.#base), i + 1);
      const theirs = read(from(this.#theirs), i + 1);
      const ours = read(
        `FROM ${this.#conflicts} AS k CROSS JOIN ${this.place.rows} AS r ON ${isPresent} WHERE k.rowid = ?1`,
        i + 1,
      );
      const side = base === undefined ? from(this.#theirs) : from(this.#base);
      const [key = {}] = readKeys(this.#sql, relation, side, i + 1);
      return {
        table: relation.name,
        key,
        columns: this.#columnsOf(base, ours, theirs),
        base: this.#row(base),
        ours: this.#row(ours),
        theirs: this.#row(theirs),
      };
    });
  }

  /** What there is to write when no row is in conflict. */
  change(): TableChange {
    const fields = this.#fields;
    const joined = `${this.#theirs} AS h JOIN ${this.#base} AS b ON ${this.#isSame('b')} CROSS JOIN ${this.place.rows} AS r ON ${fields.isSame('r', 'h')}`;
    const cells = fields.all.map((field) => {
      const { name, slot } = field;
      const isChanged = fields.compared.includes(field);
      return isChanged
        ? `CASE WHEN ${differ(field, `b.${slot}`, `h.${slot}`)} THEN h.${slot} ELSE r.${quoteName(name)} END`
        : `h.${slot}`;
    });
    const added = fields.all.map(({ slot }) => `h.${slot}`);
    const isNew = `NOT EXISTS (SELECT 1 FROM ${this.#base} AS b WHERE ${this.#isSame('b')})`;
    const isAbsent = `NOT EXISTS (SELECT 1 FROM ${this.place.rows} AS r WHERE ${fields.isSame('r', 'h')})`;
    const insert = `SELECT ${added.join(', ')} FROM ${this.#theirs} AS h WHERE ${isNew} AND ${isAbsent}`;
    const fresh = fields.all.filter(({ column }) => column !== undefined).map(({ slot }) => `h.${slot}`);
    const gone = fields.key.map(({ slot }) => `b.${slot}`);
    return {
      place: this.place,
      match: this.#match,
      target:
        `SELECT ${cells.join(', ')} FROM ${joined} WHERE ${this.#isChanged('b', 'h')}` +
        (this.#isForeign ? '' : ` UNION ALL ${insert}`),
      ...(this.#isForeign
        ? { fresh: `SELECT ${fresh.join(', ')} FROM ${this.#theirs} AS h WHERE ${isNew}` }
        : {}),
      keys: `SELECT ${gone.join(', ')} FROM ${this.#base} AS b WHERE NOT EXISTS (SELECT 1 FROM ${this.#theirs} AS h WHERE ${this.#isSame('b')})`,
    };
  }

  /** Removes what it took down. */
  close(): void {
    for (const table of [this.#base, this.#theirs, this.#conflicts])
      this.#sql.exec(`DROP TABLE IF EXISTS ${table}`);
  }

  /** Rows that changed in a cell that the change is about, or went, or came, where the change is about the row. */
  #findConflicts(): void {
    const { key } = this.#fields;
    const names = this.#fields.keyNames();
    this.#sql.exec(`CREATE TABLE ${this.#conflicts}(${names.join(', ')})`);
    const slots = (row: string): string => key.map(({ slot }) => `${row}.${slot}`).join(', ');
    const ours = `LEFT JOIN ${this.place.rows} AS r ON ${this.#fields.isSame('r', 'b')}`;
    const isThere = `r.${quoteName(key[0]?.name ?? '')} IS NOT NULL`;
    const cell = this.#fields.compared.map((field) => {
      const { slot } = field;
      const row = `r.${quoteName(field.name)}`;
      return `(${differ(field, `b.${slot}`, `h.${slot}`)} AND ${differ(field, row, `b.${slot}`)} AND ${differ(field, row, `h.${slot}`)})`;
    });
    const isBroken = cell.length === 0 ? 'FALSE' : balanced(cell, 'OR');
    const selects = [
      `SELECT ${slots('b')} FROM ${this.#base} AS b JOIN ${this.#theirs} AS h ON ${this.#isSame('b')} ${ours} ` +
        `WHERE CASE WHEN ${isThere} THEN ${this.#isForeign ? this.#isOther('b') : isBroken} ELSE ${this.#isChanged('b', 'h')} END`,
      `SELECT ${slots('b')} FROM ${this.#base} AS b CROSS JOIN ${this.place.rows} AS r ON ${this.#fields.isSame('r', 'b')} ` +
        `WHERE NOT EXISTS (SELECT 1 FROM ${this.#theirs} AS h WHERE ${this.#isSame('b')}) AND ${this.#isOther('b')}`,
    ];
    if (!this.#isForeign)
      selects.push(
        `SELECT ${slots('h')} FROM ${this.#theirs} AS h CROSS JOIN ${this.place.rows} AS r ON ${this.#fields.isSame('r', 'h')} ` +
          `WHERE NOT EXISTS (SELECT 1 FROM ${this.#base} AS b WHERE ${this.#isSame('b')}) AND ${this.#isOther('h')}`,
      );
    for (const select of selects) this.#sql.exec(`INSERT INTO ${this.#conflicts} ${select}`);
  }

  #isSame(of: 'b'): string {
    return this.#fields.key.map(({ slot }) => `${of}.${slot} = h.${slot}`).join(' AND ');
  }

  #isChanged(a: string, b: string): string {
    const differs = this.#fields.compared.map((field) =>
      differ(field, `${a}.${field.slot}`, `${b}.${field.slot}`),
    );
    return differs.length === 0 ? 'FALSE' : `(${balanced(differs, 'OR')})`;
  }

  /** The row that is there is not the one that is kept. */
  #isOther(kept: string): string {
    const differs = this.#fields.compared.map((field) =>
      differ(field, `r.${quoteName(field.name)}`, `${kept}.${field.slot}`),
    );
    return differs.length === 0 ? 'FALSE' : `(${balanced(differs, 'OR')})`;
  }

  /** The columns that are in the way: of a row that is in all three, those that all have otherwise. */
  #columnsOf(
    base: SqlValue[] | undefined,
    ours: SqlValue[] | undefined,
    theirs: SqlValue[] | undefined,
  ): string[] {
    const sides: [SqlValue[] | undefined, SqlValue[] | undefined][] =
      base === undefined ? [[ours, theirs]] : theirs === undefined ? [[ours, base]] : [[base, theirs]];
    if (base !== undefined && ours !== undefined && theirs !== undefined)
      sides.push([ours, base], [ours, theirs]);
    const isOther = (i: number): boolean => sides.every(([a, b]) => !isSameValue(a?.[i], b?.[i]));
    return this.#fields.all
      .filter((field: Field, i) => field.column !== undefined && isOther(i))
      .map(({ name }) => name);
  }

  #row(values: SqlValue[] | undefined): Row | null {
    if (values === undefined) return null;
    const cells = this.#fields.all.map(
      ({ name, column }, i) => [column === undefined ? 'rowid' : name, values[i] ?? null] as const,
    );
    return Object.fromEntries(cells);
  }
}

function isSameValue(a: SqlValue | undefined, b: SqlValue | undefined): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array)
    return a.length === b.length && a.every((byte, i) => byte === b[i]);
  return a === b;
}

/** What a change that cannot be made fails with, with the rows that are in its way. */
export type ConflictError = DoSQLError & { readonly conflicts: readonly Conflict[] };

/** The error that names the rows in conflict. */
export function conflictError(what: string, count: number, conflicts: readonly Conflict[]): ConflictError {
  const MOST = 10;
  const rows = conflicts
    .slice(0, MOST)
    .map(
      ({ table, key, columns }) =>
        `"${table}" ${keyText(key)}${columns.length === 0 ? '' : `: ${columns.join(', ')}`}`,
    );
  const more = count > rows.length ? [`and ${count - rows.length} more`] : [];
  const error = new DoSQLError(
    'MERGE_CONFLICT',
    `${what}: nothing was changed, since rows have changed that it is about: ${[...rows, ...more].join('; ')}`,
  );
  return Object.assign(error, { conflicts });
}
