import type { Engine, RunOptions } from '../engine.ts';
import type { Statement } from '../sql/statement.ts';
import type { SqlParameters } from './parameter.ts';
import { toRows, type RawValue, type Row } from './row.ts';

/**
 * The rows of a query with every integer as a bigint. The platform hands out 64-bit integers as doubles, so
 * integers leave SQLite as marked text; texts are marked too, to be told from them.
 */
export function exactRows(
  engine: Engine,
  statement: Statement,
  params: SqlParameters | undefined,
  options: RunOptions,
): Row[] {
  const { sql, bindings } = engine.bound(statement, params, options);
  const read = engine.storage.sql;
  const names = columnNames(read.exec(`SELECT * FROM (${sql}) LIMIT 0`, ...bindings));
  const columns = names.map((_, i) => `c${i}`);
  const marked = columns.map(
    (c) => `CASE typeof(${c}) WHEN 'integer' THEN 'i' || ${c} WHEN 'text' THEN 't' || ${c} ELSE ${c} END`,
  );
  // By a name that no table of the query has.
  const text = `WITH __dosql_exact(${columns.join(', ')}) AS (${sql}) SELECT ${marked.join(', ')} FROM __dosql_exact`;
  const raw = [...read.exec(text, ...bindings).raw()] as RawValue[][];
  const rows = toRows(names, raw);
  for (const row of rows)
    for (const [name, value] of Object.entries(row))
      if (typeof value === 'string')
        row[name] = value.startsWith('i') ? BigInt(value.slice(1)) : value.slice(1);
  return rows;
}

/** A subquery's columns; SQLite tells equal names apart with `:1`, which the query itself does not have. */
function columnNames(cursor: { readonly columnNames: string[] }): string[] {
  const names = cursor.columnNames;
  return names.map((name) => {
    const original = /^(.*):\d+$/.exec(name)?.[1];
    return original !== undefined && names.includes(original) ? original : name;
  });
}
