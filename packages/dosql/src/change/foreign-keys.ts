import { imageSource, keySlots } from '../history/as-of.ts';
import { OP } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import { lineOf } from '../schema/line.ts';
import { columnOf, type Column, type Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import { keyColumns, type Place } from './place.ts';
import { readKeys, type Violation } from './violation.ts';
import type { TableWriter } from './write.ts';

/** A foreign key between two tables of one line; `parent` is undefined when that table is not there. */
interface Reference {
  readonly child: Place;
  readonly parent: Place | undefined;
  readonly parentName: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
}

/**
 * The rows that a foreign key does not allow after the changes since the LSN `since`, among `places`, all tables
 * of one line: rows written that refer to what is not there, and rows that refer to what has gone.
 *
 * The log tells what has changed, so the cost is that of the changes; `written` are the places that it is about. Rows
 * that `writers` were to write and that another constraint refuses count as there: their own violation has been reported.
 */
export function brokenReferences(
  sql: SqlStorage,
  places: readonly Place[],
  written: readonly Place[],
  writers: readonly TableWriter[],
  since: number,
): Violation[] {
  const touched = (place: Place | undefined): boolean =>
    written.some(({ relation }) => relation.id === place?.relation.id);
  const found = referencesOf(sql, places).flatMap((reference) => {
    const { child, parent } = reference;
    return [
      ...(touched(child) ? [writtenRows(child.relation, since)] : []),
      ...(parent !== undefined && touched(parent) ? [orphans(reference, parent, since)] : []),
    ].flatMap((candidates) => {
      const relation = child.relation;
      const isBroken = brokenCondition(reference, writers);
      const keys = readKeys(sql, relation, `FROM (${candidates(child)}) AS r WHERE ${isBroken}`);
      return keys.map((key) => violation(reference, key));
    });
  });
  return distinct(found);
}

function violation({ child, parentName, from }: Reference, key: Violation['key']): Violation {
  const table = child.relation.name;
  const message = `FOREIGN KEY constraint failed: (${from.join(', ')}) of the row refers to a row of "${parentName}" that is not there`;
  return { table, key, type: 'foreignkey', columns: from, message };
}

/** A row is found twice when it was written and what it refers to has gone. */
function distinct(violations: readonly Violation[]): Violation[] {
  const text = ({ table, key, columns }: Violation): string =>
    JSON.stringify([
      table,
      columns,
      Object.values(key).map((value) => (typeof value === 'bigint' ? `${value}n` : value)),
    ]);
  return [...new Map(violations.map((violation) => [text(violation), violation])).values()];
}

/** The foreign keys of all tables of a line. */
function referencesOf(sql: SqlStorage, places: readonly Place[]): Reference[] {
  const references = new Map<
    string,
    { child: Place; parent: Place | undefined; parentName: string; from: string[]; to: (string | null)[] }
  >();
  const rows = all<[string, number, string, string, string | null]>(
    sql,
    'SELECT n.value, f.id, f."table", f."from", f."to" FROM json_each(?) AS n JOIN pragma_foreign_key_list(n.value) AS f ORDER BY n.key, f.id, f.seq',
    JSON.stringify(places.map(({ relation }) => relation.table)),
  );
  for (const [name, id, physical, from, to] of rows) {
    const child = places.find(({ relation }) => sameName(relation.table, name));
    if (child === undefined) continue;
    const parentName = lineOf(physical).name;
    const parent = places.find(({ relation }) => sameName(relation.name, parentName));
    const key = `${child.relation.id} ${id}`;
    const reference = references.get(key) ?? { child, parent, parentName, from: [], to: [] };
    references.set(key, reference);
    reference.from.push(from);
    reference.to.push(to);
  }
  return [...references.values()].map((reference) => ({
    ...reference,
    to: referenced(reference.parent, reference.to),
  }));
}

/** A foreign key that names no columns of its parent means the primary key. */
function referenced(parent: Place | undefined, to: readonly (string | null)[]): string[] {
  const primaryKey = parent?.relation.primaryKey.map((id) => columnOf(parent.relation, id).name) ?? [];
  return to.map((name, i) => name ?? primaryKey[i] ?? '');
}

type Candidates = (child: Place) => string;

/** The columns of the row `w`, and its rowid where that is no column. */
function columnsOf({ key, columns }: Relation): string {
  const rowid = key.kind === 'rowid' && key.columnId === undefined ? [key.name] : [];
  return [...rowid, ...columns.map(({ name }) => name)]
    .map((name) => `w.${quoteName(name)} AS ${quoteName(name)}`)
    .join(', ');
}

/** The rows of a table that have been written since. */
function writtenRows(relation: Relation, since: number): Candidates {
  const key = keyColumns(relation);
  const slots = keySlots(relation).map((slot, i) => `${slot} AS k${i}`);
  const same = key.map(({ name }, i) => `w.${quoteName(name)} = +l.k${i}`);
  return ({ rows }) =>
    `SELECT ${columnsOf(relation)} FROM (SELECT DISTINCT ${slots.join(', ')} FROM __dosql_log WHERE lsn > ${since} AND rel = ${relation.id} ` +
    `AND op IN (${OP.insert}, ${OP.update}, ${OP.updateAfter})) AS l CROSS JOIN ${rows} AS w ON ${same.join(' AND ')}`;
}

/** The rows that refer to what has been deleted, or has another key now. */
function orphans({ from, to }: Reference, parent: Place, since: number): Candidates {
  const { relation } = parent;
  const image = imageSource(relation, '__dosql_log AS l');
  const columns = to.map((name) => relation.columns.find((column) => sameName(column.name, name)));
  const old = columns.map((column, i) => `${column === undefined ? 'NULL' : image.value(column)} AS a${i}`);
  const present = to.map((name, i) => `p.${quoteName(name)} = +o.a${i}`);
  const refers = from.map((name, i) => `w.${quoteName(name)} = o.a${i} COLLATE ${collationOf(columns[i])}`);
  return ({ relation: child, rows }) =>
    `SELECT ${columnsOf(child)} FROM (SELECT DISTINCT ${old.join(', ')} FROM ${image.from} WHERE l.lsn > ${since} AND l.rel = ${relation.id} ` +
    `AND l.op IN (${OP.update}, ${OP.delete}, ${OP.updateBefore})) AS o CROSS JOIN ${rows} AS w ON ${refers.join(' AND ')} ` +
    `WHERE NOT EXISTS (SELECT 1 FROM ${parent.rows} AS p WHERE ${present.join(' AND ')})`;
}

function collationOf(column: Column | undefined): string {
  return quoteName(column?.collation ?? 'BINARY');
}

/**
 * Whether the row `r` refers to what is not there. The parent's column stands on the left, and the child's behind
 * a plus: they compare by the parent's affinity and collation, as SQLite does for foreign keys.
 */
function brokenCondition({ parent, from, to }: Reference, writers: readonly TableWriter[]): string {
  const refers = from.map((name) => `r.${quoteName(name)} IS NOT NULL`);
  if (parent === undefined) return refers.join(' AND ');
  const same = to.map((name, i) => `p.${quoteName(name)} = +r.${quoteName(from[i] as string)}`);
  const absent = [`NOT EXISTS (SELECT 1 FROM ${parent.rows} AS p WHERE ${same.join(' AND ')})`];
  const writer = writers.find(
    ({ place, violations }) => place.relation.id === parent.relation.id && violations.length > 0,
  );
  const slots = to.map((name) => writer?.slotOf(name));
  if (writer !== undefined && slots.every((slot) => slot !== undefined)) {
    const wanted = slots.map((slot, i) => `t.${slot} = +r.${quoteName(from[i] as string)}`);
    absent.push(`NOT EXISTS (SELECT 1 FROM ${writer.target} AS t WHERE ${wanted.join(' AND ')})`);
  }
  return [...refers, ...absent].join(' AND ');
}
