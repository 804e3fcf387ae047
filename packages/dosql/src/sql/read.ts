import type { Binding } from '../value/parameter.ts';

/** The platform's limit on the columns of a table, and of a result. */
export const MAX_COLUMNS = 100;

/** All rows of a statement of DoSQL's own, as arrays. */
export function all<T extends readonly unknown[]>(
  sql: SqlStorage,
  text: string,
  ...bindings: Binding[]
): T[] {
  return [...sql.exec(text, ...bindings).raw()] as unknown as T[];
}

/**
 * The first row of a query of DoSQL's own that has one at most, or ends in LIMIT 1: as long as a cursor has more rows to
 * give SQLite drops no table. Not for statements that write, whose cursor must be read to its end.
 */
export function first<T extends readonly unknown[]>(
  sql: SqlStorage,
  text: string,
  ...bindings: Binding[]
): T | undefined {
  return sql
    .exec(text, ...bindings)
    .raw()
    .next().value as T | undefined;
}
