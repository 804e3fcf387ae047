import { POOLS } from '../log/layout.ts';
import { keyExpressions, OP } from '../schema/capture.ts';
import { type Column, type Relation, type RowKey } from '../schema/relation.ts';
import { compound } from '../sql/compound.ts';
import { quoteName } from '../sql/token.ts';
import { computed, type Generated } from './generated.ts';

/** A table's past: the version that held then, and everything that has come since. */
export interface Past {
  /** The version at the point. */
  readonly at: Relation;
  /** The present version; undefined when the table has been dropped. */
  readonly now: Relation | undefined;
  /** Every version from the point on, `at` first. */
  readonly versions: readonly Relation[];
  /** Where a branch's present rows are read, instead of from the table itself: a subquery, with the rowid as its key. */
  readonly rows?: string | undefined;
  /** SQL for the values of columns that an image does not have, by the columns' ids; NULL for all others. */
  readonly defaults?: ReadonlyMap<number, string> | undefined;
  /** How those of them are computed that are generated. */
  readonly generated?: ReadonlyMap<number, Generated> | undefined;
}

/**
 * How the rows that have not changed are read.
 *
 * `gaps` reads the ranges between the changed keys, fastest when all rows are read and few have changed.
 * `probe` reads all and looks each up among the changed keys, fastest when more have: a range costs 1 µs, a
 * lookup 0.05. `merge` reads all beside the changes in the order of their keys, fastest when most have changed; the
 * changes are sorted with all that is read of them, so the caller has looked at how much that is, and that the key is
 * a rowid. It is `probe` where a generated column is computed. `search` asks of each row whether it changed, which lets
 * SQLite use the table's indexes for the statement's conditions.
 */
export type BaseAccess = 'gaps' | 'probe' | 'merge' | 'search';

/**
 * The rows of a table as of an LSN, as a subquery with the columns of that time; `point` is SQL for the LSN.
 *
 * Read by undoing: rows whose key has no change after the point, and the before-image of each key's first
 * change after it. Invariant: the caller has checked that the point is inside the window, so a key without
 * a later change in the log has not changed.
 */
export function asOf(past: Past, point: string, access: BaseAccess, rowid: string | undefined): string {
  const { at: then, now, versions } = past;
  const keys = keyNames(then);
  const carried = carriedImages(past, rowid, access === 'merge');
  if (access === 'merge' && carried !== undefined && now !== undefined)
    return merged(past, now, point, carried, rowid);
  const changes =
    carried === undefined
      ? `(${compound(
          versions.map((version) => changesOf(version, point)),
          'UNION ALL',
        )})`
      : `(${changesOf(carried.version, point, carried.slots)})`;
  const columns = [...keys, 'min(lsn) AS lsn', ...(carried?.slots ?? [])];
  const changed = `WITH __dosql_changed AS MATERIALIZED (SELECT ${columns.join(', ')} FROM ${changes} GROUP BY ${keys.join(', ')})`;
  const arms =
    carried === undefined
      ? versions.map((version) => images(past, version, rowid))
      : [`SELECT ${carried.columns} FROM __dosql_changed AS c WHERE c.op <> ${OP.insert}`];
  const base =
    now === undefined ? [] : [...typed(past, now, rowid, []), unchanged(past, now, access, rowid, [])];
  return `(${changed} ${compound([...base, ...arms], 'UNION ALL')})`;
}

/**
 * SELECT without rows that has the columns' types, to come first where present rows lack one of them: the first of a
 * compound decides, and what CAST gives would be NUMERIC in a table made of the rows, whatever number it is.
 */
export function typed(
  { at: then }: Pick<Past, 'at'>,
  now: Relation,
  rowid: string | undefined,
  more: readonly ResultColumn[],
): string[] {
  if (then.columns.every(({ id }) => now.columns.some((column) => column.id === id))) return [];
  const list = [
    ...(rowid === undefined ? [] : [`k AS ${quoteName(rowid)}`]),
    ...then.columns.map((column) => {
      const pool = POOLS.find(({ affinity }) => affinity === column.affinity);
      return `${collated(`${pool?.prefix}0`, column)} AS ${quoteName(column.name)}`;
    }),
    ...more.map(({ name, value }) => `${value} AS ${quoteName(name)}`),
  ];
  return [`SELECT ${list.join(', ')} FROM __dosql_log WHERE FALSE`];
}

/** Before-images that are read where the changes are, called `c`. */
interface CarriedImages {
  readonly version: Relation;
  /** What of the log they take. */
  readonly slots: readonly string[];
  /** The columns of a row as of then. */
  readonly columns: string;
}

/**
 * The before-images where `__dosql_changed` can hold them itself, which spares a lookup in the log for each: where all
 * changes are of one version, and what is read of it are numbers. Texts and blobs may be large, and are looked up, but
 * with `withTexts`.
 * A group's other columns are those of the row that has its min(): https://sqlite.org/lang_select.html#bareagg.
 */
function carriedImages(
  { at: then, versions, defaults, generated }: Past,
  rowid: string | undefined,
  withTexts: boolean,
): CarriedImages | undefined {
  const [version] = versions;
  if (version === undefined || versions.length > 1) return undefined;
  const { key, layout } = version;
  const slots = ['op'];
  const values: string[] = [];
  for (const column of then.columns) {
    const slot = layout.slots.find(({ columnId }) => columnId === column.id);
    const nth = key.kind === 'primary' ? key.columnIds.indexOf(column.id) : -1;
    if (key.kind === 'rowid' && column.id === key.columnId) values.push('c.k');
    else if (nth >= 0) values.push(`c.k${nth}`);
    else if (slot === undefined && generated?.has(column.id) === true) return undefined;
    else if (slot === undefined) values.push(defaults?.get(column.id) ?? nullOf(column));
    else if (slot.part > 0 || (isText(column) && !withTexts)) return undefined;
    else {
      slots.push(slot.name);
      values.push(`c.${slot.name}`);
    }
  }
  const columns = then.columns.map(
    (column, i) => `${collated(values[i] ?? '', column)} AS ${quoteName(column.name)}`,
  );
  const extra = rowid === undefined ? [] : [`c.k AS ${quoteName(rowid)}`];
  return { version, slots, columns: [...extra, ...columns].join(', ') };
}

/** What a present row has for an LSN and an `op` among changes: later than all of them, and no insert. */
const PRESENT = '9223372036854775807';

/**
 * The rows as of then, each the first of its key among the changes and the present row. Both come in the order of their
 * keys, the table as it lies and the changes sorted, so that SQLite groups them as it merges them: half the time that
 * it takes to group the changes first and look each row up among them. The LIMIT keeps the statement's conditions out of
 * it: SQLite would put `a IN (SELECT …)` behind HAVING, where the other side's affinity changes `a` for good.
 */
function merged(
  past: Past,
  now: Relation,
  point: string,
  { version, slots, columns }: CarriedImages,
  rowid: string | undefined,
): string {
  const names = past.at.columns.map(({ name }) => quoteName(name));
  const wanted = rowid === undefined ? names : [quoteName(rowid), ...names];
  const present = presentSelect(past, now, `${presentRows(past, now)} AS b`, rowid, [
    { name: '__dosql_key', value: rowidOf(now.key) },
    { name: '__dosql_change', value: PRESENT },
  ]);
  const changes = `SELECT ${columns}, c.k, c.lsn * 8 + c.op FROM (${changesOf(version, point, slots)}) AS c`;
  const types = typed(past, now, rowid, [
    { name: '__dosql_key', value: 'k' },
    { name: '__dosql_change', value: 'lsn' },
  ]);
  return `(SELECT ${wanted.join(', ')} FROM (${[...types, present, changes].join(' UNION ALL ')} ORDER BY __dosql_key) GROUP BY __dosql_key HAVING min(__dosql_change) % 8 <> ${OP.insert} LIMIT -1)`;
}

/** One row of a table as of a point: the before-image in the log row `lsn`, if that has one, as a subquery. */
export function imageAt(
  past: Omit<Past, 'now' | 'versions'>,
  version: Relation,
  lsn: string,
  rowid: string | undefined,
): string {
  const where = `l.lsn = ${lsn} AND l.op NOT IN (${OP.insert}, ${OP.updateAfter})`;
  return `(${imageSelect(past, version, '__dosql_log AS l', where, rowid)})`;
}

/** A result column beside the table's: its name, and SQL for its value. */
export interface ResultColumn {
  readonly name: string;
  readonly value: string;
}

/** SELECT of images of `version` in log rows called `l`: the rowid if that is wanted, the columns of the point, and `more`. */
export function imageSelect(
  past: Omit<Past, 'now' | 'versions'>,
  version: Relation,
  from: string,
  where: string,
  rowid: string | undefined,
  more: readonly ResultColumn[] = [],
): string {
  const source = imageSource(version, from, past.defaults);
  const value = (column: Column): string => collated(source.value(column), column);
  return select(past, version, { ...source, value }, `${source.from} WHERE ${where}`, rowid, more);
}

/**
 * SELECT of rows that have the columns of `version`; `rest` is what comes behind FROM. A generated column that they lack
 * is computed from the others.
 */
function select(
  { at: then, generated = new Map<number, Generated>() }: Omit<Past, 'now' | 'versions'>,
  version: Relation,
  { key, value }: { readonly key: string; readonly value: (column: Column) => string },
  rest: string,
  rowid: string | undefined,
  more: readonly ResultColumn[],
): string {
  const isLacking = ({ id }: Column): boolean =>
    generated.has(id) && !version.columns.some((column) => column.id === id);
  const needed = new Set(then.columns);
  for (const column of needed)
    if (isLacking(column)) for (const other of generated.get(column.id)?.reads ?? []) needed.add(other);
  const lacking = [...needed].filter(isLacking);
  const columns = lacking.length === 0 ? then.columns : [...needed].filter((column) => !isLacking(column));
  const results = [
    ...(rowid === undefined ? [] : [{ name: rowid, value: key }]),
    ...columns.map((column) => ({ name: column.name, value: value(column) })),
    ...more,
  ];
  const list = results.map((result) => `${result.value} AS ${quoteName(result.name)}`);
  const rows = `SELECT ${list.join(', ')} FROM ${rest}`;
  if (lacking.length === 0) return rows;
  const kept = results.map(({ name }) => name);
  const names = [rowid ?? [], then.columns.map(({ name }) => name), more.map(({ name }) => name)].flat();
  return `SELECT ${names.map(quoteName).join(', ')} FROM (${computed(rows, kept, lacking, generated)})`;
}

/** The log's names for a row's key, one for each expression of it. */
export function keyNames(relation: Relation): string[] {
  return relation.key.kind === 'rowid' ? ['k'] : relation.key.columnIds.map((_, i) => `k${i}`);
}

/** The log columns that hold the key of a row of `version`. */
export function keySlots(version: Relation): string[] {
  const { key } = version;
  if (key.kind === 'rowid') return ['k'];
  return key.columnIds.map((id) => {
    const slot = version.layout.slots.find((slot) => slot.columnId === id);
    // The key columns are laid out first, so only a key of more columns than the log has is continued.
    if (slot === undefined || slot.part > 0)
      throw new Error(`the key of relation ${version.id} is not in its first log row`);
    return slot.name;
  });
}

/** Whether what the column holds may be long. */
export function isText({ affinity }: Column): boolean {
  return affinity === 'text' || affinity === 'blob';
}

function changesOf(version: Relation, point: string, more: readonly string[] = []): string {
  const slots = keySlots(version).map((slot, i) => (slot === 'k' ? 'k' : `${slot} AS k${i}`));
  return `SELECT ${[...slots, 'lsn', ...more].join(', ')} FROM __dosql_log WHERE lsn > ${point} AND rel = ${version.id} AND op BETWEEN ${OP.insert} AND ${OP.rewrite}`;
}

/** SELECT of present rows, called `b` in `rest`, which is what comes behind FROM; otherwise as {@link imageSelect}. */
export function presentSelect(
  past: Omit<Past, 'now' | 'versions'>,
  now: Relation,
  rest: string,
  rowid: string | undefined,
  more: readonly ResultColumn[],
): string {
  const value = (column: Column): string => {
    const name = now.columns.find(({ id }) => id === column.id)?.name;
    if (name !== undefined) return `b.${quoteName(name)}`;
    // A column that is gone took an image of every row with it, but for those that were cold while there was the column.
    return collated(past.defaults?.get(column.id) ?? nullOf(column), column);
  };
  return select(past, now, { key: rowidOf(now.key), value }, rest, rowid, more);
}

/** Where the present rows are; a table with its schema, so that a common table expression of that name is not meant. */
export function presentRows({ rows }: Pick<Past, 'rows'>, now: Relation): string {
  return rows ?? `main.${quoteName(now.table)}`;
}

/** SELECT of the rows whose keys are not in `__dosql_changed`, with `more` result columns behind the table's. */
export function unchanged(
  past: Omit<Past, 'now' | 'versions'>,
  now: Relation,
  access: BaseAccess,
  rowid: string | undefined,
  more: readonly ResultColumn[],
): string {
  const { key } = now;
  const table = presentRows(past, now);
  const rows = (rest: string): string => presentSelect(past, now, rest, rowid, more);
  if (key.kind === 'primary' || access === 'probe' || access === 'merge') {
    const keys = keyNames(now);
    const same = keyExpressions(now, 'b').map((expression, i) => `c.${keys[i]} = ${expression}`);
    return rows(
      `${table} AS b WHERE NOT EXISTS (SELECT 1 FROM __dosql_changed AS c WHERE ${same.join(' AND ')})`,
    );
  }
  if (access === 'search')
    return rows(`${table} AS b WHERE ${rowidOf(key)} NOT IN (SELECT k FROM __dosql_changed)`);
  // The gaps between changed keys; with none, one gap from end to end. Before the smallest integer there is none:
  // one less than it would be a REAL that equals it.
  const gaps =
    '(SELECT low, high FROM (SELECT ifnull(lag(k) OVER (ORDER BY k) + 1, -9223372036854775808) AS low, nullif(k, -9223372036854775808) - 1 AS high FROM __dosql_changed) WHERE low <= high ' +
    'UNION ALL SELECT ifnull(max(k) + 1, -9223372036854775808), 9223372036854775807 FROM __dosql_changed) AS g';
  return rows(`${gaps} CROSS JOIN ${table} AS b ON ${rowidOf(key)} BETWEEN g.low AND g.high`);
}

function images(past: Past, version: Relation, rowid: string | undefined): string {
  // By a list of LSNs, which SQLite goes through in their order: log rows that lie together are read together.
  const where = `l.lsn IN (SELECT lsn FROM __dosql_changed) AND l.rel = ${version.id} AND l.op <> ${OP.insert}`;
  return imageSelect(past, version, '__dosql_log AS l', where, rowid);
}

/** Reads images of `version` from log rows called `l`: the joins for their continuations, and each value. */
export function imageSource(
  version: Relation,
  from: string,
  defaults?: ReadonlyMap<number, string>,
): { from: string; value: (column: Column) => string; key: string } {
  const more = Array.from(
    { length: version.layout.parts - 1 },
    (_, i) => ` JOIN __dosql_log AS l${i + 1} ON l${i + 1}.lsn = l.lsn + ${i + 1}`,
  );
  const value = (column: Column): string => {
    if (version.key.kind === 'rowid' && column.id === version.key.columnId) return 'l.k';
    const slot = version.layout.slots.find(({ columnId }) => columnId === column.id);
    if (slot === undefined) return defaults?.get(column.id) ?? nullOf(column);
    return `${slot.part === 0 ? 'l' : `l${slot.part}`}.${slot.name}`;
  };
  return { from: from + more.join(''), value, key: 'l.k' };
}

function rowidOf(key: RowKey): string {
  return key.kind === 'rowid' ? `b.${quoteName(key.name)}` : 'NULL';
}

/** NULL that compares as the column does: the first SELECT of a compound decides for all how its columns compare. */
export function nullOf(column: Column): string {
  return `CAST(NULL AS ${column.affinity.toUpperCase()})`;
}

/** `value` with the collation that the column has. */
export function collated(value: string, column: Column): string {
  return column.collation === undefined ? value : `${value} COLLATE ${column.collation}`;
}

/** What rows that are not in the table itself have in a column that has been dropped from it. */
export function droppedName({ id }: Pick<Column, 'id'>): string {
  return `$${id}`;
}

/** The present version with the columns that it has lost: rows that are elsewhere still have them. */
export function withDropped(now: Relation, { columns }: Relation): Relation {
  const lost = columns.filter(({ id }) => !now.columns.some((column) => column.id === id));
  const dropped = lost.map((column) => ({ ...column, name: droppedName(column) }));
  return { ...now, columns: [...now.columns, ...dropped] };
}
