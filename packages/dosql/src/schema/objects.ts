import { all } from '../sql/read.ts';
import { RESERVED } from '../sql/statement.ts';
import { lowerName } from '../sql/token.ts';
import { isInternal, MAIN } from './line.ts';
import type { SchemaObject } from './relation.ts';

/** What versions of views, indexes and triggers are recorded in. */
export const OBJECT_TABLE =
  'CREATE TABLE IF NOT EXISTS __dosql_object(id INTEGER PRIMARY KEY, branch INTEGER NOT NULL, type TEXT NOT NULL, name TEXT NOT NULL, tbl_name TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, sql TEXT NOT NULL, place INTEGER NOT NULL)';

/**
 * Every version of every view, index and trigger, as its CREATE statement: what the past and merges need to know
 * of them. Main's are kept in step with SQLite's own schema; a branch notes what it has that main has not.
 */
export class SchemaObjects {
  readonly #sql: SqlStorage;
  #objects: SchemaObject[] = [];

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Creates what is missing and reads what is recorded. */
  load(): void {
    this.#sql.exec(OBJECT_TABLE);
    this.#objects = all<
      [number, SchemaObject['type'], string, string, number, number | null, string, number]
    >(
      this.#sql,
      'SELECT branch, type, name, tbl_name, since, until, sql, place FROM __dosql_object ORDER BY id',
    ).map(([branch, type, name, table, since, until, sql, place]) => ({
      branch,
      type,
      name,
      table,
      since,
      until: until ?? undefined,
      sql,
      place,
    }));
  }

  /** Forgets the versions that ended by `lsn`. */
  forget(lsn: number): void {
    this.#objects = this.#objects.filter(({ until }) => until === undefined || until > lsn);
  }

  /** Those that a branch itself had at `lsn`. */
  at(lsn: number, branch: number = MAIN): SchemaObject[] {
    return this.of(branch).filter(({ since, until }) => since <= lsn && (until === undefined || lsn < until));
  }

  /** Those that a branch has, or has had, of its own. */
  of(branch: number): SchemaObject[] {
    return this.#objects.filter((object) => object.branch === branch);
  }

  /** All versions of the views called `name`, on all lines. */
  views(name: string): SchemaObject[] {
    const lower = lowerName(name);
    return this.#objects.filter((object) => object.type === 'view' && lowerName(object.name) === lower);
  }

  /** The present ones of all branches. */
  all(): SchemaObject[] {
    return this.#objects.filter(({ until }) => until === undefined);
  }

  /** Records what has become different in SQLite's schema; `note` gives the LSN at which it has. */
  refresh(note: () => number): void {
    const actual = all<[SchemaObject['type'], string, string, string]>(
      this.#sql,
      `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL AND substr(name, 1, ${RESERVED.length}) <> '${RESERVED}'`,
    ).filter(([, name, table]) => !isInternal(name) && !isInternal(table));
    const current = this.of(MAIN).filter(({ until }) => until === undefined);
    const gone = current.filter(
      (object) =>
        !actual.some(
          ([type, name, , sql]) => type === object.type && name === object.name && sql === object.sql,
        ),
    );
    const come = actual.filter(
      ([type, name, , sql]) =>
        !current.some((object) => object.type === type && object.name === name && object.sql === sql),
    );
    if (gone.length === 0 && come.length === 0) return;
    const lsn = note();
    for (const object of gone) this.end(object, lsn);
    for (const [type, name, table, sql] of come) {
      // One whose text ALTER has changed stays in its place.
      const place = gone.find((object) => object.type === type && object.name === name)?.place;
      this.begin({ branch: MAIN, type, name, table, since: lsn, until: undefined, sql, place });
    }
  }

  /** Records one, behind all others unless it has a place already. */
  begin(made: Omit<SchemaObject, 'place'> & { readonly place?: number | undefined }): void {
    const place = made.place ?? Math.max(0, ...this.#objects.map((object) => object.place)) + 1;
    const object = { ...made, place };
    const { branch, type, name, table, since, until, sql } = object;
    this.#sql.exec(
      'INSERT INTO __dosql_object(branch, type, name, tbl_name, since, until, sql, place) VALUES(?, ?, ?, ?, ?, ?, ?, ?)',
      branch,
      type,
      name,
      table,
      since,
      until ?? null,
      sql,
      place,
    );
    this.#objects.push(object);
  }

  /** Records that one is no more. */
  end(object: SchemaObject, lsn: number): void {
    const { branch, type, name } = object;
    this.#sql.exec(
      'UPDATE __dosql_object SET until = ? WHERE branch = ? AND type = ? AND name = ? AND until IS NULL',
      lsn,
      branch,
      type,
      name,
    );
    this.#objects = this.#objects.map((other) => (other === object ? { ...object, until: lsn } : other));
  }
}
