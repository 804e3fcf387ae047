import { lowerCase, type ChangeLog, type RowCondition, type TableInfo } from '../change-log.ts';
import type { Publication } from '../publication.ts';
import type { Shape } from '../shape.ts';

/** Conditions over the rows of tables, in SQL, by table. */
export type Restriction = Readonly<Record<string, string>>;

/**
 * The shape, with rows only that satisfy `restriction` too. It is the app's own: it may name any column.
 */
export function restricted(shape: Shape, restriction: Restriction | undefined): Shape {
  if (restriction === undefined || shape.selection === undefined) return shape;
  const selection = new Map(shape.selection);
  for (const [name, sql] of Object.entries(restriction)) {
    const table = selection.get(lowerCase(name));
    if (table === undefined) continue;
    const condition: RowCondition = { sql };
    selection.set(lowerCase(name), { ...table, where: [condition, ...(table.where ?? [])] });
  }
  return { ...shape, selection };
}

/** @throws an error with code `BAD_PARAMETER` for a restriction of a table that is not published: a slip of the pen. */
export function checkRestriction(log: ChangeLog, restriction: Restriction, publication: Publication): void {
  for (const [name, sql] of Object.entries(restriction)) {
    if (!publication.tables.has(lowerCase(name)))
      throw log.error(
        'BAD_PARAMETER',
        `authorize restricts "${name}", which publication "${publication.name}" does not have`,
      );
    if (typeof sql !== 'string' || sql.trim() === '')
      throw log.error(
        'BAD_PARAMETER',
        `authorize restricts "${name}" by no condition: give SQL over its row`,
      );
  }
}

/** Whether `key` of a table's events, as they are published, is the whole key and tells its rows apart. */
export function isKeyWhole({ key, columns }: TableInfo, publication: Publication, table: string): boolean {
  const { columns: published, mask = {} } = publication.tables.get(table) ?? {};
  const shown = published && new Set(published.map(lowerCase));
  const masks = new Map(Object.entries(mask).map(([column, how]) => [lowerCase(column), how]));
  const names = (key.length === 0 ? ['rowid'] : key).map(lowerCase);
  // A column that is called so stands in `after` where the key's would.
  if (key.length === 0 && columns.some((column) => lowerCase(column) === 'rowid')) return false;
  return names.every((name) => {
    const how = masks.get(name);
    const isDistinct = how === undefined || (typeof how === 'object' && 'hash' in how);
    return isDistinct && (key.length === 0 || shown === undefined || shown.has(name));
  });
}
