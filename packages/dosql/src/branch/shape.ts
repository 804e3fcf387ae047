import type { Catalog } from '../schema/catalog.ts';
import type { Relation } from '../schema/relation.ts';
import { scan } from '../sql/scan.ts';
import { all } from '../sql/read.ts';
import { lowerName, tokenize } from '../sql/token.ts';

/** A unique index or any other, of a table on main. */
export interface IndexShape {
  readonly name: string;
  /** Undefined for the index of a PRIMARY KEY or UNIQUE in the table's definition. */
  readonly sql: string | undefined;
  readonly isUnique: boolean;
  /** A column that is an expression, or the rowid, has no name. */
  readonly columns: readonly { readonly name: string | undefined; readonly collation: string }[];
}

/** A foreign key; `to` are the parent's columns. */
export interface ForeignKey {
  readonly parent: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
}

/** What a table on main consists of besides its columns, as SQLite's pragmas tell. */
export interface TableShape {
  readonly relation: Relation;
  readonly indexes: readonly IndexShape[];
  readonly foreignKeys: readonly ForeignKey[];
  readonly triggers: readonly { readonly name: string; readonly sql: string }[];
  /** SQL of the default of each NOT NULL column that has one, by the column's name. */
  readonly defaults: ReadonlyMap<string, string>;
  readonly isAutoincrement: boolean;
}

/** The shape of one table. */
export function shapeOf(sql: SqlStorage, relation: Relation): TableShape {
  const { table } = relation;
  const indexes = all<[string, number, string | null]>(
    sql,
    'SELECT i.name, i."unique", s.sql FROM pragma_index_list(?) AS i LEFT JOIN sqlite_schema AS s ON s.type = \'index\' AND s.name = i.name ORDER BY i.seq DESC',
    table,
  ).map(([name, isUnique, text]): IndexShape => ({
    name,
    sql: text ?? undefined,
    isUnique: isUnique === 1,
    columns: all<[string | null, string]>(
      sql,
      'SELECT name, coll FROM pragma_index_xinfo(?) WHERE "key" = 1',
      name,
    ).map(([column, collation]) => ({ name: column ?? undefined, collation })),
  }));
  const keys = new Map<number, { parent: string; from: string[]; to: (string | null)[] }>();
  for (const [id, parent, from, to] of all<[number, string, string, string | null]>(
    sql,
    'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq',
    table,
  )) {
    const key = keys.get(id) ?? { parent, from: [], to: [] };
    keys.set(id, key);
    key.from.push(from);
    key.to.push(to);
  }
  return {
    relation,
    indexes,
    foreignKeys: [...keys.values()].map((key) => ({ ...key, to: referenced(sql, key) })),
    triggers: all<[string, string]>(
      sql,
      "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE AND substr(name, 1, 8) <> '__dosql_' ORDER BY rowid",
      table,
    ).map(([name, text]) => ({ name, sql: text })),
    defaults: new Map(
      all<[string, string]>(
        sql,
        'SELECT name, dflt_value FROM pragma_table_xinfo(?) WHERE "notnull" = 1 AND dflt_value IS NOT NULL',
        table,
      ),
    ),
    isAutoincrement: isAutoincrement(relation),
  };
}

/** Whether SQLite keeps the largest rowid that a table has ever had. */
export function isAutoincrement({ sql }: Relation): boolean {
  return tokenize(sql).some(({ text }) => text === 'AUTOINCREMENT');
}

/** A foreign key that names no columns of its parent means the primary key. */
function referenced(sql: SqlStorage, { parent, to }: { parent: string; to: (string | null)[] }): string[] {
  if (to.every((name) => name !== null)) return to;
  return all<[string]>(sql, 'SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk', parent).flat();
}

/**
 * The tables that main had at `lsn` and that a branch must get together with `names`: those that foreign keys join
 * to them, in either direction, and those that triggers of theirs name, or views that these name.
 */
export function closure(catalog: Catalog, names: readonly string[], lsn: number): Relation[] {
  const links = new Map<string, Set<string>>();
  const link = (a: string, b: string): void => {
    const [from, to] = [lowerName(a), lowerName(b)];
    links.set(from, (links.get(from) ?? new Set()).add(to));
  };
  const tables = catalog.tablesAt(lsn);
  for (const { name, sql } of tables)
    for (const reference of scan(sql, tokenize(sql)))
      if (reference.kind === 'reference') {
        link(name, reference.name);
        link(reference.name, name);
      }
  for (const { type, table, sql } of catalog.objects.at(lsn))
    if (type !== 'index') for (const { name } of scan(sql, tokenize(sql))) link(table, name);
  const found = new Set(names.map(lowerName));
  for (const name of found) for (const next of links.get(name) ?? []) found.add(next);
  return tables.filter(({ name }) => found.has(lowerName(name)));
}
