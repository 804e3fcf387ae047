import { keyExpressions, IS_NO_COPY } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import { physicalName } from '../schema/line.ts';
import { columnOf, ROWID_NAMES, type Column, type Relation } from '../schema/relation.ts';
import { balanced } from '../sql/compound.ts';
import { parse, RESERVED, splice, type Statement } from '../sql/statement.ts';
import { isName, lowerName, nameOf, quoteName, tokenize, type Token } from '../sql/token.ts';
import type { ForeignKey, TableShape } from './shape.ts';

/**
 * How a branch keeps a table: an **overlay**, a table of the same definition that holds only the rows that the
 * branch has touched, and a set of **shadow** keys, those of main's rows that the overlay stands for. What the
 * branch sees is main's rows whose key is not shadowed, and the overlay's.
 *
 * Copying a row up changes no answer, so copying too much is always right. The triggers here copy up, before
 * SQLite looks at a constraint of the overlay, every row of main that the constraint could meet: then SQLite
 * itself checks it, in its own words.
 */

/** SQL name of the set of keys that a branch's table hides of main's. */
export function shadowName(branch: number, name: string): string {
  return `${RESERVED}s${branch}_${name}`;
}

/** Columns of a shadow, one for each of the key. */
export function shadowColumns({ key }: Relation): string[] {
  return key.kind === 'rowid' ? ['k0'] : key.columnIds.map((_, i) => `k${i}`);
}

/** The condition that the row `row` of main's table is not hidden on the branch. */
export function isBare(branch: number, relation: Relation, row: string): string {
  const same = keyExpressions(relation, row).map((key, i) => `s.k${i} = ${key}`);
  return `NOT EXISTS (SELECT 1 FROM ${quoteName(shadowName(branch, relation.name))} AS s WHERE ${same.join(' AND ')})`;
}

/** Columns that can be written. */
export function storedColumns(relation: Relation): string[] {
  const names = relation.columns.filter(({ isGenerated }) => !isGenerated).map(({ name }) => quoteName(name));
  const { key } = relation;
  return key.kind === 'rowid' && key.columnId === undefined ? [quoteName(key.name), ...names] : names;
}

/**
 * What a branch sees of a table, as a subquery; `rowid` is the word by which a rowid without column is wanted. With
 * `areAllRead` a statement goes through all rows: where main's have rowids, they are read as ranges.
 */
export function rowsOf(
  branch: number,
  main: Relation,
  overlay: Relation,
  rowid?: string,
  areAllRead: boolean = false,
): string {
  const columns = overlay.columns.map(({ name }) => `m.${quoteName(name)}`);
  const key = main.key.kind === 'rowid' ? main.key.name : undefined;
  const extra =
    rowid === undefined || key === undefined ? [] : [`m.${quoteName(key)} AS ${quoteName(rowid)}`];
  const list = [...extra, ...columns].join(', ');
  const rows = `main.${quoteName(main.table)} AS m`;
  const bare =
    areAllRead && key !== undefined
      ? `${bareRanges(branch, main)} AS g CROSS JOIN ${rows} ON m.${quoteName(key)} BETWEEN g.low AND g.high`
      : `${rows} WHERE ${isBare(branch, main, 'm')}`;
  return `(SELECT ${list} FROM ${bare} UNION ALL SELECT ${list} FROM main.${quoteName(overlay.table)} AS m)`;
}

/**
 * The ranges of rowids around those that are hidden, as a subquery of `low` and `high`. Looking one row up among these takes
 * 0.15 µs, a range 0.5 µs: all rows of main's are read in half the time if few are hidden, and in 1.3 of it if every other
 * one is. Before the smallest integer there is no range: one less than it would be a REAL that equals it.
 */
function bareRanges(branch: number, { name }: Relation): string {
  const shadow = quoteName(shadowName(branch, name));
  const [least, most] = ['-9223372036854775808', '9223372036854775807'];
  return (
    `(SELECT ${least} AS low, iif(min(k0) IS NULL, ${most}, nullif(min(k0), ${least}) - 1) AS high FROM ${shadow} ` +
    `UNION ALL SELECT s.k0 + 1, ifnull((SELECT min(n.k0) - 1 FROM ${shadow} AS n WHERE n.k0 > s.k0), ${most}) FROM ${shadow} AS s ` +
    `WHERE NOT EXISTS (SELECT 1 FROM ${shadow} AS n WHERE n.k0 = s.k0 + 1))`
  );
}

/**
 * Rows of main that the branch has not copied up, as a subquery, with their key and the columns that the statement
 * names: all of them could be one more than SQLite takes. `rowid` as for {@link rowsOf}.
 */
export function bareRows(
  branch: number,
  main: Relation,
  isNamed: (name: string) => boolean,
  rowid?: string,
): string {
  const { key } = main;
  const isKey = (id: number): boolean =>
    key.kind === 'rowid' ? key.columnId === id : key.columnIds.includes(id);
  const columns = main.columns
    .filter(({ id, name }) => isKey(id) || isNamed(name))
    .map(({ name }) => `m.${quoteName(name)}`);
  const extra = new Map<string, string>();
  if (key.kind === 'rowid' && key.columnId === undefined) extra.set(key.name, `m.${quoteName(key.name)}`);
  if (key.kind === 'rowid' && rowid !== undefined && !extra.has(rowid))
    extra.set(rowid, `m.${quoteName(key.name)} AS ${quoteName(rowid)}`);
  return `(SELECT ${[...extra.values(), ...columns].join(', ')} FROM main.${quoteName(main.table)} AS m WHERE ${isBare(branch, main, 'm')})`;
}

/**
 * The statement that copies up the rows of main's table whose keys `keys` selects. A row that refers to rows of
 * its own table takes them along, up to the root: its own copying could not, where triggers do not recur.
 */
export function copyUp(branch: number, { relation, foreignKeys }: TableShape, keys: string): string {
  const columns = shadowColumns(relation).join(', ');
  const into = `INSERT OR IGNORE INTO ${quoteName(shadowName(branch, relation.name))}(${columns})`;
  const own = foreignKeys.filter(({ parent }) => sameName(parent, relation.name));
  if (own.length === 0) return `${into} ${keys}`;
  const table = quoteName(relation.table);
  const isSame = keyExpressions(relation, 'c').map((key, i) => `${key} = a.k${i}`);
  const steps = own.map(({ from, to }) => {
    const joined = to.map((column, i) => isParent('p', column, `c.${quoteName(from[i] as string)}`));
    return (
      `SELECT ${keyExpressions(relation, 'p').join(', ')} FROM a JOIN ${table} AS c ON ${isSame.join(' AND ')} ` +
      `JOIN ${table} AS p ON ${joined.join(' AND ')} WHERE ${isBare(branch, relation, 'p')}`
    );
  });
  return `${into} SELECT ${columns} FROM (WITH RECURSIVE a(${columns}) AS (SELECT * FROM (${keys}) UNION ${steps.join(' UNION ')}) SELECT ${columns} FROM a)`;
}

/** Statements of DoSQL's own that say how deep in copying it is: triggers of the user's do not fire then. */
export const BEGIN_COPY = 'UPDATE __dosql_copying SET depth = depth + 1';
/** Ends what {@link BEGIN_COPY} began. */
export const END_COPY = 'UPDATE __dosql_copying SET depth = depth - 1';
/** At this depth keys are hidden without copying main's rows, which have changed since. */
export const HIDING_DEPTH = 1_000;

/** `CREATE TABLE` of a branch's own table, from the definition of the one that it stands for. */
export function overlayTable(branch: number, relation: Relation): string {
  const [statement] = parse(relation.sql, true) as [Statement];
  const edits = statement.references
    .filter(({ kind }) => kind === 'define' || kind === 'reference')
    .map(({ start, end, name }) => ({ start, end, text: quoteName(physicalName(branch, name)) }));
  const open = statement.tokens.findIndex(({ text }) => text === '(');
  // A CHECK may name the table before a column.
  statement.tokens.forEach((token, i) => {
    const isTable = i > open && statement.tokens[i + 1]?.text === '.' && isName(token);
    if (isTable && sameName(nameOf(statement.sql, token), relation.name))
      edits.push({
        start: token.start,
        end: token.end,
        text: quoteName(physicalName(branch, relation.name)),
      });
  });
  return splice(statement.sql, edits);
}

/** `CREATE INDEX` of a branch's own index. */
export function overlayIndex(branch: number, sql: string): string {
  const tokens = tokenize(sql);
  const on = tokens.findIndex(({ text }) => text === 'ON');
  const edits = [tokens[on - 1], tokens[on + 1]].map((token) => {
    const { start, end } = token as Token;
    return { start, end, text: quoteName(physicalName(branch, nameOf(sql, token as Token))) };
  });
  return splice(sql, edits);
}

/** The set of keys that a branch's table hides. */
export function shadowTable(branch: number, relation: Relation): string {
  const { key } = relation;
  const names = shadowColumns(relation);
  const columns =
    key.kind === 'rowid'
      ? ['k0 INTEGER']
      : key.columnIds.map((id, i) => {
          const { affinity, collation } = columnOf(relation, id);
          return `k${i} ${affinity === 'blob' ? 'BLOB' : affinity.toUpperCase()}${collation === undefined ? '' : ` COLLATE ${collation}`}`;
        });
  return `CREATE TABLE ${quoteName(shadowName(branch, relation.name))}(${columns.join(', ')}, PRIMARY KEY(${names.join(', ')})) WITHOUT ROWID`;
}

/**
 * The triggers that copy rows up before a table of the branch is written; `shapes` are those of the branch's
 * overlays. A folded table has all its rows, but what it refers to, or what refers to it, may not be there. `largest`
 * is what {@link largestRowid} gives.
 */
export function copyTriggers(
  branch: number,
  shape: TableShape,
  isFolded: boolean,
  shapes: readonly TableShape[],
  largest: string | undefined,
): string[] {
  const { relation } = shape;
  const name = (event: string): string => quoteName(triggerName(branch, event, relation));
  const overlay = quoteName(physicalName(branch, relation.name));
  const triggers = isFolded ? [] : [copyTrigger(branch, shape, shapes)];
  const own = isFolded ? [] : uniqueCopies(branch, shape);
  const events: [name: string, event: string, Copy[]][] = [
    [
      'insert',
      'BEFORE INSERT',
      [
        ...own,
        ...parentCopies(branch, shape, shapes, false),
        ...(isFolded ? [] : largestCopy(branch, shape, largest)),
      ],
    ],
    [
      'update',
      `BEFORE UPDATE${updatedColumns(shape, shapes)}`,
      [...own, ...parentCopies(branch, shape, shapes, true), ...childCopies(branch, shape, shapes, true)],
    ],
    // A rowid that SQLite gives is known after the insert only, and foreign keys are checked after that.
    ['given', 'AFTER INSERT', parentCopies(branch, givenKeys(shape), shapes, false)],
    ['delete', 'BEFORE DELETE', childCopies(branch, shape, shapes, false)],
  ];
  for (const [trigger, event, copies] of events) {
    if (copies.length === 0) continue;
    const when = balanced(
      copies.map(({ condition }) => `(${condition})`),
      'OR',
    );
    triggers.push(
      `CREATE TRIGGER ${name(trigger)} ${event} ON ${overlay} WHEN ${IS_NO_COPY} AND (${when}) ` +
        `BEGIN ${BEGIN_COPY}; ${copies.map(({ statement }) => `${statement}; `).join('')}${END_COPY}; END`,
    );
  }
  return triggers;
}

/**
 * The columns of which an update names one that a constraint is about: those of unique keys, a rowid by any name, and of
 * foreign keys in either direction. Without an end where a key is of an expression, or the rowid has no column.
 */
function updatedColumns(
  { relation, indexes, foreignKeys }: TableShape,
  shapes: readonly TableShape[],
): string {
  const { key, columns } = relation;
  if (key.kind === 'rowid' && key.columnId === undefined) return '';
  const named = [
    ...indexes.flatMap((index) => (index.isUnique ? index.columns.map(({ name }) => name) : [])),
    ...foreignKeys.flatMap(({ from }) => from),
    ...shapes.flatMap((child) =>
      child.foreignKeys.flatMap(({ parent, to }) => (sameName(parent, relation.name) ? to : [])),
    ),
  ];
  const isPlain = (name: string | undefined): boolean =>
    name !== undefined && columns.some((column) => sameName(column.name, name) && !column.isGenerated);
  if (!named.every(isPlain)) return '';
  const rowid = key.kind === 'rowid' ? [key.name, ...ROWID_NAMES] : [];
  return ` OF ${[...new Set([...named, ...rowid])].map((name) => quoteName(name as string)).join(', ')}`;
}

/** Rows to be copied up before a constraint is checked. */
interface Copy {
  /** Whether there are any. */
  readonly condition: string;
  readonly statement: string;
}

/**
 * The condition that the row `row` of a parent is the one that `value` of its child refers to. SQLite compares them by
 * the parent's affinity and collation only: with a column of the child's own, `+` takes its affinity away.
 */
export function isParent(row: string, column: string, value: string): string {
  return `${row}.${quoteName(column)} = +${value}`;
}

/**
 * The condition that the row `m` of a child is one that SQLite looks for when its parent's row OLD changes: by the
 * parent's collation, and as numbers when either is declared so. There may be more of them.
 */
function isChild(child: Relation, from: string, parent: Relation, to: string): string {
  const [own, other] = [columnNamed(child, from), columnNamed(parent, to)];
  const [column, value] = [`m.${quoteName(from)}`, `OLD.${quoteName(to)}`];
  const equal = `${column} = ${value} COLLATE ${other?.collation ?? 'BINARY'}`;
  const isConverted = isNumeric(other) && !isNumeric(own);
  return isConverted ? `(${equal} OR CAST(${column} AS NUMERIC) = ${value})` : equal;
}

function columnNamed({ columns }: Relation, name: string): Column | undefined {
  return columns.find((column) => sameName(column.name, name));
}

/** A key that is no column is the rowid. */
function isNumeric(column: Column | undefined): boolean {
  return column === undefined || !/^(?:text|blob)$/.test(column.affinity);
}

function copyOf(branch: number, shape: TableShape, where: string, guard = ''): Copy {
  const { relation } = shape;
  const from = `FROM ${quoteName(relation.table)} AS m WHERE ${guard}(${where}) AND ${isBare(branch, relation, 'm')}`;
  return {
    condition: `EXISTS (SELECT 1 ${from})`,
    statement: copyUp(branch, shape, `SELECT ${keyExpressions(relation, 'm').join(', ')} ${from}`),
  };
}

function triggerName(branch: number, event: string, { name }: Relation): string {
  return `${RESERVED}f${branch}_${event}_${name}`;
}

/** The trigger that copies the row whose key has just been hidden, and the rows that it refers to. */
export function copyTrigger(branch: number, shape: TableShape, shapes: readonly TableShape[]): string {
  const { relation, foreignKeys } = shape;
  const name = quoteName(triggerName(branch, 'copy', relation));
  const isRow = (row: string): string =>
    keyExpressions(relation, row)
      .map((key, i) => `${key} = NEW.k${i}`)
      .join(' AND ');
  const parents = foreignKeys.flatMap((key) => {
    const parent = shapeNamed(shapes, key.parent);
    if (parent === undefined || parent === shape) return [];
    const joined = key.to.map((column, i) => isParent('m', column, `c.${quoteName(key.from[i] as string)}`));
    const from = `FROM ${quoteName(relation.table)} AS c JOIN ${quoteName(parent.relation.table)} AS m ON ${joined.join(' AND ')}`;
    const keys = `SELECT ${keyExpressions(parent.relation, 'm').join(', ')} ${from} WHERE ${isRow('c')} AND ${isBare(branch, parent.relation, 'm')}`;
    return [`${copyUp(branch, parent, keys)}; `];
  });
  const columns = storedColumns(relation).join(', ');
  return (
    `CREATE TRIGGER ${name} AFTER INSERT ON ${quoteName(shadowName(branch, relation.name))} ` +
    `WHEN (SELECT depth FROM __dosql_copying) < ${HIDING_DEPTH} BEGIN ${parents.join('')}` +
    `INSERT INTO ${quoteName(physicalName(branch, relation.name))}(${columns}) SELECT ${columns} FROM ${quoteName(relation.table)} AS m WHERE ${isRow('m')}; END`
  );
}

/** Rows that share a unique key with the new one. */
function uniqueCopies(branch: number, shape: TableShape): Copy[] {
  const { relation, indexes, defaults } = shape;
  const conditions =
    relation.key.kind === 'rowid'
      ? [`m.${quoteName(relation.key.name)} = NEW.${quoteName(relation.key.name)}`]
      : [];
  for (const index of indexes) {
    if (!index.isUnique) continue;
    const named = index.columns.every(({ name }) => name !== undefined);
    if (!named) {
      conditions.push(expressionsMatch(relation, index.sql ?? ''));
      continue;
    }
    const equal = index.columns.map(({ name, collation }) => {
      const column = quoteName(name as string);
      // OR REPLACE puts the default where NULL is not allowed, after the BEFORE triggers have run.
      const standard = defaults.get(name as string);
      const value = standard === undefined ? `NEW.${column}` : `coalesce(NEW.${column}, ${standard})`;
      return `m.${column} = ${value} COLLATE ${collation}`;
    });
    conditions.push(equal.join(' AND '));
  }
  if (conditions.length === 0) return [];
  return [
    copyOf(
      branch,
      shape,
      balanced(
        conditions.map((condition) => `(${condition})`),
        'OR',
      ),
    ),
  ];
}

/** Equality of each expression of a unique index, read from main's row and from the new one. */
function expressionsMatch(relation: Relation, sql: string): string {
  const tokens = tokenize(sql);
  const on = tokens.findIndex(({ text }) => text === 'ON');
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens.slice(on + 2)) {
    if (token.text === ')' && --depth === 0) break;
    if (token.text === ',' && depth === 1) parts.push([]);
    else if (depth > 0 && token.text !== 'ASC' && token.text !== 'DESC') parts.at(-1)?.push(token);
    if (token.text === '(') depth++;
  }
  const columns = new Set(relation.columns.map(({ name }) => lowerName(name)));
  return parts
    .map((part) => {
      const read = (row: string): string =>
        part
          .map((token) => {
            const text = sql.slice(token.start, token.end);
            const isColumn =
              isName(token) && token.kind !== 'string' && columns.has(lowerName(nameOf(sql, token)));
            return isColumn ? `${row}.${quoteName(nameOf(sql, token))}` : text;
          })
          .join(' ');
      return `${read('m')} = ${read('NEW')}`;
    })
    .join(' AND ');
}

/** Rows that the new one refers to. */
function parentCopies(
  branch: number,
  shape: TableShape,
  shapes: readonly TableShape[],
  isUpdate: boolean,
): Copy[] {
  return shape.foreignKeys.flatMap((key) => {
    const parent = shapeNamed(shapes, key.parent);
    if (parent === undefined) return [];
    const equal = key.to.map((column, i) => isParent('m', column, `NEW.${quoteName(key.from[i] as string)}`));
    return [copyOf(branch, parent, equal.join(' AND '), isUpdate ? isChanged(key.from) : '')];
  });
}

/** The table with those foreign keys only that its own rowid is part of. */
function givenKeys(shape: TableShape): TableShape {
  const { key } = shape.relation;
  const isGiven = (name: string): boolean => key.kind === 'rowid' && sameName(key.name, name);
  return { ...shape, foreignKeys: shape.foreignKeys.filter(({ from }) => from.some(isGiven)) };
}

/** Rows that refer to the old one, which SQLite may have to find, change or delete. */
function childCopies(
  branch: number,
  shape: TableShape,
  shapes: readonly TableShape[],
  isUpdate: boolean,
): Copy[] {
  return shapes.flatMap((child) =>
    child.foreignKeys
      .filter(({ parent }) => sameName(parent, shape.relation.name))
      .map(({ from, to }: ForeignKey) => {
        const equal = to.map((column, i) =>
          isChild(child.relation, from[i] as string, shape.relation, column),
        );
        return copyOf(branch, child, equal.join(' AND '), isUpdate ? isChanged(to) : '');
      }),
  );
}

/** Whether any of these is not the very same value: `a` is not `A`, and 1 not 1.0, whatever the column's collation. */
function isChanged(columns: readonly string[]): string {
  const changed = columns.map((name) => {
    const column = quoteName(name);
    return `NEW.${column} IS NOT OLD.${column} COLLATE BINARY OR typeof(NEW.${column}) <> typeof(OLD.${column})`;
  });
  return `(${changed.join(' OR ')}) AND `;
}

/**
 * The row with the largest rowid has to be in the overlay for SQLite to give the next one, as it would on main.
 * `largest` is no less than that of any row of main's that the branch sees through: without that limit, all rows
 * that main has got since would be passed over, for each insert.
 */
function largestCopy(branch: number, shape: TableShape, largest: string | undefined): Copy[] {
  const { relation } = shape;
  const { key } = relation;
  if (key.kind !== 'rowid' || largest === undefined) return [];
  const rowid = quoteName(key.name);
  const overlay = `(SELECT max(${rowid}) FROM ${quoteName(physicalName(branch, relation.name))})`;
  const row = `SELECT m.${rowid} FROM ${quoteName(relation.table)} AS m WHERE m.${rowid} <= ${largest} AND ${isBare(branch, relation, 'm')} ORDER BY m.${rowid} DESC LIMIT 1`;
  // Before the insert, a rowid that SQLite is to give reads as -1.
  const isWanted = key.columnId === undefined ? '' : `NEW.${rowid} = -1 AND `;
  return [
    {
      condition: `${isWanted}ifnull(${largest} > ${overlay}, TRUE) AND ifnull((${row}) > ${overlay}, (${row}) IS NOT NULL)`,
      statement: copyUp(branch, shape, `SELECT * FROM (${row}) WHERE ${isWanted}TRUE`),
    },
  ];
}

/** Query for the largest rowid of main's rows that the branch sees through, as text; undefined without a rowid. */
export function largestRowid(branch: number, relation: Relation): string | undefined {
  if (relation.key.kind !== 'rowid') return undefined;
  const rowid = `m.${quoteName(relation.key.name)}`;
  return `SELECT CAST(${rowid} AS TEXT) FROM ${quoteName(relation.table)} AS m WHERE ${isBare(branch, relation, 'm')} ORDER BY ${rowid} DESC LIMIT 1`;
}

function shapeNamed(shapes: readonly TableShape[], name: string): TableShape | undefined {
  return shapes.find(({ relation }) => sameName(relation.name, name));
}
