import { DoSQLError } from '../error.ts';
import { defaultsOf } from '../history/default.ts';
import { sameName } from '../schema/catalog.ts';
import { columnOf, type Relation } from '../schema/relation.ts';
import { first } from '../sql/read.ts';
import { Fields } from './fields.ts';
import { imagesOf, type Images } from './images.ts';
import type { Place } from './place.ts';

/**
 * A version of a table as one of `now`: where they are not the same table, but were made on two lines under one name,
 * columns are the same that have the same name.
 */
export function aligned(version: Relation, now: Relation): Relation {
  if (version.tableId === now.tableId) return version;
  const ids = new Map(
    version.columns.map(({ id, name }) => [
      id,
      now.columns.find((column) => sameName(column.name, name))?.id,
    ]),
  );
  // Ids of columns are greater than 0.
  const idOf = (id: number): number => ids.get(id) ?? -id;
  const { key, layout } = version;
  return {
    ...version,
    tableId: now.tableId,
    columns: version.columns.map((column) => ({ ...column, id: idOf(column.id) })),
    primaryKey: version.primaryKey.map(idOf),
    key:
      key.kind === 'primary'
        ? { ...key, columnIds: key.columnIds.map(idOf) }
        : { ...key, columnId: key.columnId === undefined ? undefined : idOf(key.columnId) },
    layout: { ...layout, slots: layout.slots.map((slot) => ({ ...slot, columnId: idOf(slot.columnId) })) },
  };
}

type Changes = Omit<Images, 'side'>;

/**
 * Nothing that was written is to be lost because the place has no column for it.
 *
 * @throws DoSQLError `NO_SUCH_COLUMN`
 */
export function assertColumns(sql: SqlStorage, changes: Changes): void {
  const { past, place } = changes;
  const missing = past.columns.filter(
    ({ id, isGenerated }) => !isGenerated && !place.relation.columns.some((column) => column.id === id),
  );
  if (missing.length === 0) return;
  // As they were on their own line, whose columns they have.
  const own: Place = { ...place, relation: past };
  const fields = new Fields(past, changes.match);
  const names = fields.all.map((_, i) => `v${i}`).join(', ');
  const same = fields.key.map((field) => `b.v${fields.all.indexOf(field)} = h.v${fields.all.indexOf(field)}`);
  const defaults = defaultsOf(past);
  for (const { id, name } of missing) {
    const cell = `v${fields.all.findIndex(({ column }) => column?.id === id)}`;
    const isNew = fields.key.map((field) => `b.v${fields.all.indexOf(field)} IS NULL`).join(' AND ');
    const written = first(
      sql,
      `WITH b(${names}) AS (${imagesOf({ ...changes, place: own, side: 'before' })}), h(${names}) AS (${imagesOf({ ...changes, place: own, side: 'after' })}) ` +
        `SELECT 1 FROM h LEFT JOIN b ON ${same.join(' AND ')} WHERE h.${cell} IS NOT iif(${isNew}, ${defaults.get(id) ?? 'NULL'}, b.${cell}) LIMIT 1`,
    );
    if (written !== undefined)
      throw new DoSQLError(
        'NO_SUCH_COLUMN',
        `the transaction wrote "${past.name}"."${name}", which is not there: add the column first, or merge`,
      );
  }
}

/**
 * Rows of two lines are told apart by their primary key.
 *
 * @throws DoSQLError `FORBIDDEN` where one line has another key, or a row has none.
 */
export function assertKeys(sql: SqlStorage, changes: Changes): void {
  const { past, place } = changes;
  const { relation } = place;
  const isSame = relation.primaryKey.every((id) => past.primaryKey.includes(id));
  if (!isSame || relation.primaryKey.length !== past.primaryKey.length)
    throw new DoSQLError(
      'FORBIDDEN',
      `"${relation.name}" has another primary key than on the branch of the transaction: merge the branch instead`,
    );
  if (relation.primaryKey.length === 0) return;
  const fields = new Fields(relation, changes.match);
  const names = fields.all.map((_, i) => `v${i}`).join(', ');
  const isNull = fields.key.map((field) => `v${fields.all.indexOf(field)} IS NULL`).join(' OR ');
  for (const side of ['before', 'after'] as const)
    if (
      first(
        sql,
        `WITH h(${names}) AS (${imagesOf({ ...changes, side })}) SELECT 1 FROM h WHERE ${isNull} LIMIT 1`,
      )
    )
      throw new DoSQLError(
        'FORBIDDEN',
        `a row of "${relation.name}" has NULL in its primary key (${relation.primaryKey.map((id) => columnOf(relation, id).name).join(', ')}), by which it cannot be found on another branch`,
      );
}
