import { first } from './read.ts';

/**
 * Runs `callback`, which inserts rows of DoSQL's own, which last_insert_rowid() must not show: only an insert can mend
 * it. `isGone` tells that the storage has been deleted meanwhile.
 */
export function keepingLastRowId<T>(sql: SqlStorage, callback: () => T, isGone: () => boolean): T {
  const read = (): string => first<[string]>(sql, 'SELECT CAST(last_insert_rowid() AS TEXT)')?.[0] as string;
  const before = read();
  try {
    return callback();
  } finally {
    if (read() !== before && !isGone()) {
      sql.exec('INSERT INTO __dosql_rowid(id) VALUES(CAST(? AS INTEGER))', before);
      sql.exec('DELETE FROM __dosql_rowid');
    }
  }
}
