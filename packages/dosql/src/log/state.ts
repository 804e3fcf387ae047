import { all, first } from '../sql/read.ts';

/** Texts by key, which change streams keep about themselves: in the database, and no part of its log. */
export class State {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get(key: string): string | undefined {
    if (!this.#exists()) return undefined;
    return first<[string]>(this.#sql, 'SELECT value FROM __dosql_state WHERE key = ?', key)?.[0];
  }

  /** Keeps `value`; undefined removes the key. */
  set(key: string, value: string | undefined): void {
    if (value === undefined) {
      if (this.#exists()) this.#sql.exec('DELETE FROM __dosql_state WHERE key = ?', key);
      return;
    }
    if (!this.#exists())
      this.#sql.exec('CREATE TABLE __dosql_state(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID');
    this.#sql.exec('INSERT OR REPLACE INTO __dosql_state(key, value) VALUES(?, ?)', key, value);
  }

  /** What is kept under keys that begin with `prefix`, behind `after`, in the order of the keys. */
  list(prefix: string, after: string = '', limit: number = -1): [string, string][] {
    if (!this.#exists()) return [];
    return all<[string, string]>(
      this.#sql,
      'SELECT key, value FROM __dosql_state WHERE key >= ?1 AND key > ?2 AND substr(key, 1, length(?1)) = ?1 ORDER BY key LIMIT ?3',
      prefix,
      after,
      limit,
    );
  }

  /** Asked each time: a transaction that is rolled back takes the table with it. */
  #exists(): boolean {
    return first(this.#sql, "SELECT 1 FROM sqlite_schema WHERE name = '__dosql_state'") !== undefined;
  }
}
