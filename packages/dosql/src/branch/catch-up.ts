import { imageSource, keyNames, keySlots } from '../history/as-of.ts';
import { keyExpressions, OP } from '../schema/capture.ts';
import type { Catalog } from '../schema/catalog.ts';
import { columnOf, type Relation } from '../schema/relation.ts';
import { compound } from '../sql/compound.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import { copyUp, HIDING_DEPTH, isBare, isParent, shadowColumns, shadowName } from './overlay.ts';
import type { BranchTable } from './table.ts';

/**
 * Keeps what the branch sees of its overlaid tables as it was, while main has changed them: for each key that
 * main changed in `(from, to]` and that the branch does not hide yet, the row as it was before goes into the
 * overlay, and the key into the shadow.
 *
 * The keys of all tables are hidden before any row is copied: else a row that is copied would take along what
 * it refers to as main has it now. To be run by `copying` of `copying.ts`.
 */
export function catchUp(
  sql: SqlStorage,
  catalog: Catalog,
  branch: number,
  tables: readonly BranchTable[],
  from: number,
  to: number,
): void {
  const overlays = tables.filter(({ main }) => main !== undefined);
  const missing = overlays.map((table) => ({
    table,
    lsns: firstChanges(sql, catalog, branch, table, from, to),
  }));
  const changed = missing.filter(({ lsns }) => lsns.length > 0);
  if (changed.length === 0) return;
  sql.exec('PRAGMA defer_foreign_keys = ON');
  sql.exec(`UPDATE __dosql_copying SET depth = depth + ${HIDING_DEPTH}`);
  for (const { table, lsns } of changed) hide(sql, catalog, branch, table, JSON.stringify(lsns));
  sql.exec(`UPDATE __dosql_copying SET depth = depth - ${HIDING_DEPTH}`);
  for (const { table, lsns } of changed) {
    for (const insert of imageInserts(catalog, table)) sql.exec(insert, JSON.stringify(lsns));
    for (const insert of parentInserts(branch, table, overlays, catalog))
      sql.exec(insert, JSON.stringify(lsns));
  }
  // Left on, it would put off the checks of the statements to come.
  sql.exec('PRAGMA defer_foreign_keys = OFF');
}

const IS_CHANGE = `op BETWEEN ${OP.insert} AND ${OP.rewrite}`;

/** LSN of the first change in `(from, to]` of each key that the branch does not hide. */
function firstChanges(
  sql: SqlStorage,
  catalog: Catalog,
  branch: number,
  { own }: BranchTable,
  from: number,
  to: number,
): number[] {
  const keys = keyNames(own);
  const arms = catalog.versions(own.tableId).map((version) => {
    const slots = keySlots(version).map((slot, i) => `${slot} AS ${keys[i]}`);
    return `SELECT ${slots.join(', ')}, lsn FROM __dosql_log WHERE lsn > ?1 AND lsn <= ?2 AND rel = ${version.id} AND ${IS_CHANGE}`;
  });
  const hidden = shadowColumns(own).map((column, i) => `s.${column} = c.${keys[i]}`);
  const shadow = quoteName(shadowName(branch, own.name));
  return all<[number]>(
    sql,
    `SELECT min(c.lsn) FROM (${compound(arms, 'UNION ALL')}) AS c WHERE NOT EXISTS (SELECT 1 FROM ${shadow} AS s WHERE ${hidden.join(' AND ')}) GROUP BY ${keys.map((key) => `c.${key}`).join(', ')}`,
    from,
    to,
  ).flat();
}

const AT_LSNS = 'IN (SELECT value FROM json_each(?1))';

function hide(sql: SqlStorage, catalog: Catalog, branch: number, { own }: BranchTable, lsns: string): void {
  const columns = shadowColumns(own).join(', ');
  for (const version of catalog.versions(own.tableId))
    sql.exec(
      `INSERT OR IGNORE INTO ${quoteName(shadowName(branch, own.name))}(${columns}) SELECT ${keySlots(version).join(', ')} FROM __dosql_log WHERE lsn ${AT_LSNS} AND rel = ${version.id}`,
      lsns,
    );
}

/** Puts the images of log rows into the overlay. */
function imageInserts(catalog: Catalog, { own }: BranchTable): string[] {
  const stored = own.columns.filter(({ isGenerated }) => !isGenerated);
  const hasRowid = own.key.kind === 'rowid' && own.key.columnId === undefined;
  const names = [
    ...(own.key.kind === 'rowid' && hasRowid ? [quoteName(own.key.name)] : []),
    ...stored.map(({ name }) => quoteName(name)),
  ];
  return catalog.versions(own.tableId).map((version) => {
    const { from, value, key } = imageSource(version, '__dosql_log AS l');
    const values = [...(hasRowid ? [key] : []), ...stored.map(value)];
    return `INSERT INTO ${quoteName(own.table)}(${names.join(', ')}) SELECT ${values.join(', ')} FROM ${from} WHERE l.lsn ${AT_LSNS} AND l.rel = ${version.id} AND l.op <> ${OP.insert}`;
  });
}

/** Copies up the rows that the images of log rows refer to. */
function parentInserts(
  branch: number,
  table: BranchTable,
  overlays: readonly BranchTable[],
  catalog: Catalog,
): string[] {
  const { own, shape } = table;
  return shape.foreignKeys.flatMap(({ parent, from, to }) => {
    const target = overlays.find(({ own: { name } }) => name.toLowerCase() === parent.toLowerCase());
    if (target?.main === undefined) return [];
    const main: Relation = target.main;
    return catalog.versions(own.tableId).map((version) => {
      const source = imageSource(version, '__dosql_log AS l');
      const joined = to.map((column, i) => {
        const child = own.columns.find(
          ({ name }) => name.toLowerCase() === (from[i] as string).toLowerCase(),
        );
        return isParent('m', column, child === undefined ? 'NULL' : source.value(columnOf(own, child.id)));
      });
      const keys =
        `SELECT DISTINCT ${keyExpressions(main, 'm').join(', ')} FROM ${source.from} CROSS JOIN ${quoteName(main.table)} AS m ON ${joined.join(' AND ')} ` +
        `WHERE l.lsn ${AT_LSNS} AND l.rel = ${version.id} AND l.op <> ${OP.insert} AND ${isBare(branch, main, 'm')}`;
      return copyUp(branch, target.shape, keys);
    });
  });
}
