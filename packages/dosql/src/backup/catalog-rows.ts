import type { Relation, SchemaObject } from '../schema/relation.ts';
import { physicalName } from '../schema/line.ts';
import { all } from '../sql/read.ts';
import { MAIN } from '../schema/line.ts';

/** A row of `__dosql_relation` of main. */
export type RelationRow = readonly [
  id: number,
  tableId: number,
  name: string,
  since: number,
  until: number | null,
  sql: string,
  shape: string,
];

/** A row of `__dosql_object` of main. */
export type ObjectRow = readonly [
  type: SchemaObject['type'],
  name: string,
  table: string,
  since: number,
  until: number | null,
  sql: string,
  place: number,
];

/** What was defined in some stretch of the log. */
export interface CatalogRows {
  readonly relations: readonly RelationRow[];
  readonly objects: readonly ObjectRow[];
}

/** What the database had at some LSN from `from` to `to`. */
export function catalogRows(sql: SqlStorage, from: number, to: number): CatalogRows {
  const during = `branch = ${MAIN} AND since <= ?1 AND (until IS NULL OR until > ?2)`;
  return {
    relations: all<RelationRow>(
      sql,
      `SELECT id, table_id, name, since, iif(until > ?1, NULL, until), sql, shape FROM __dosql_relation WHERE ${during} ORDER BY id`,
      to,
      from,
    ),
    objects: all<ObjectRow>(
      sql,
      `SELECT type, name, tbl_name, since, iif(until > ?1, NULL, until), sql, place FROM __dosql_object WHERE ${during} ORDER BY id`,
      to,
      from,
    ),
  };
}

/** What several stretches of the log have, each version once, with the LSN that it ended at where one of them knows it. */
export function joinCatalogs(all: readonly CatalogRows[]): CatalogRows {
  const relations = new Map<string, RelationRow>();
  const objects = new Map<string, ObjectRow>();
  for (const rows of all) {
    for (const row of rows.relations) {
      const key = `${row[0]} ${row[3]}`;
      if (row[4] !== null || !relations.has(key)) relations.set(key, row);
    }
    for (const row of rows.objects) {
      const key = JSON.stringify([row[0], row[1], row[3], row[6]]);
      if (row[4] !== null || !objects.has(key)) objects.set(key, row);
    }
  }
  return {
    relations: [...relations.values()].toSorted((a, b) => a[3] - b[3] || a[0] - b[0]),
    objects: [...objects.values()].toSorted((a, b) => a[6] - b[6] || a[3] - b[3]),
  };
}

/** What holds at `lsn` of versions that begin and end. */
export function isAt(since: number, until: number | null, lsn: number): boolean {
  return since <= lsn && (until === null || lsn < until);
}

/** A version of a table as the rest of the code has it. */
export function relationOf([id, tableId, name, since, until, sql, shape]: RelationRow): Relation {
  return {
    id,
    tableId,
    branch: MAIN,
    name,
    table: physicalName(MAIN, name),
    since,
    until: until ?? undefined,
    sql,
    ...(JSON.parse(shape) as Pick<Relation, 'columns' | 'primaryKey' | 'key' | 'layout'>),
  };
}
