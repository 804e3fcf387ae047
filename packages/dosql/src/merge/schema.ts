import { isName, lowerName, nameOf, quoteName, tokenize } from '../sql/token.ts';
import { printTable, renamed, sameText, type Renames, type TableDefinition } from './definition.ts';
import type { Three } from './elements.ts';
import {
  describeConflict,
  mergeTable,
  mergeWhole,
  type SchemaConflict,
  type Side,
  type TableMerge,
} from './table.ts';

/** An index, a view or a trigger, as its CREATE statement. */
export interface ObjectDefinition {
  readonly type: 'index' | 'view' | 'trigger';
  readonly name: string;
  /** The table or view that it belongs to; a view's is itself. */
  readonly table: string;
  readonly sql: string;
}

/** A table as one side has it. */
export interface SchemaTable {
  /** Stays the same through renames; tables without one are matched by name. */
  readonly id?: number;
  readonly definition: TableDefinition;
  /** Whether the side changed rows of it since the base: a table that was changed so is not dropped. */
  readonly hasChanges?: boolean;
}

/** What one side's schema consists of. */
export interface Schema {
  readonly tables: readonly SchemaTable[];
  readonly objects: readonly ObjectDefinition[];
}

/** A table of the merged schema, and what it was on each side. */
export interface MergedTable extends Three<SchemaTable> {
  readonly definition: TableDefinition;
  /** What each of its columns is called on each side that has it. */
  readonly columns: readonly Three<string>[];
}

/** The merged schema; to be used where there are no conflicts. */
export interface SchemaMerge {
  readonly tables: readonly MergedTable[];
  readonly objects: readonly ObjectDefinition[];
  readonly conflicts: readonly SchemaConflict[];
}

/**
 * Merges two schemas three-way, by Dolt's rules: what one side added, changed or dropped is done; the same change on
 * both sides is done once; different changes of one thing are a conflict, and so is dropping what the other side
 * changed, be it the table's definition or its rows. Indexes and triggers go with their table, unless the other side
 * added or changed one.
 *
 * Tables and indexes follow renames of columns on the other side. Views, triggers and other tables' foreign keys
 * that one side added do not follow what the other side renamed.
 */
export function mergeSchemas({ base, ours, theirs }: Record<Side, Schema>): SchemaMerge {
  const conflicts: SchemaConflict[] = [];
  const tables: MergedTable[] = [];
  const namings: Record<Side, Map<string, Naming>> = { base: new Map(), ours: new Map(), theirs: new Map() };
  for (const three of alignTables(base.tables, ours.tables, theirs.tables)) {
    const merged = mergeTable({
      base: three.base?.definition,
      ours: three.ours?.definition,
      theirs: three.theirs?.definition,
    });
    conflicts.push(...merged.conflicts);
    if (merged.conflicts.length === 0) conflicts.push(...droppedWithRows(three));
    const { definition, columns } = merged;
    if (definition === undefined) continue;
    tables.push({ ...three, definition, columns });
    for (const side of ['base', 'ours', 'theirs'] as const) note(namings[side], side, three, merged);
  }
  const followed = ({ objects }: Schema, side: Side): ObjectDefinition[] =>
    objects.map((object) => follow(object, namings[side]));
  const own = followed(ours, 'ours');
  const merged = mergeObjects(followed(base, 'base'), own, followed(theirs, 'theirs'));
  const isKept = owned(tables, merged.objects);
  const orphans = merged.objects.filter((object) => !isKept(object));
  conflicts.push(...merged.conflicts, ...twins(tables, merged.objects));
  conflicts.push(...orphans.map((object) => orphan(object, own.includes(object))));
  return { tables, objects: merged.objects.filter(isKept), conflicts };
}

/** What becomes of the names that one side uses for a table and its columns. */
interface Naming {
  readonly name: string;
  readonly columns: Renames;
}

function note(
  namings: Map<string, Naming>,
  side: Side,
  three: Three<SchemaTable>,
  { definition, renames }: TableMerge,
): void {
  const name = three[side]?.definition.name;
  if (name !== undefined && definition !== undefined)
    namings.set(lowerName(name), { name: definition.name, columns: renames[side] });
}

/** An object that follows what its table and the table's columns are called after the merge. */
function follow(object: ObjectDefinition, namings: ReadonlyMap<string, Naming>): ObjectDefinition {
  const naming = namings.get(lowerName(object.table));
  if (naming === undefined || object.type === 'view') return object;
  if (object.type === 'trigger') return { ...object, table: naming.name };
  const sql = renamed(object.sql, object.table, naming.columns);
  if (lowerName(naming.name) === lowerName(object.table))
    return { ...object, sql: renamedWhere(sql, naming) };
  const tokens = tokenize(sql);
  const on = tokens.findIndex(({ text }) => text === 'ON');
  const token = tokens[on + 1];
  const moved =
    token === undefined ? sql : sql.slice(0, token.start) + quoteName(naming.name) + sql.slice(token.end);
  return { ...object, table: naming.name, sql: renamedWhere(moved, naming) };
}

/** The columns in the WHERE of a partial index stand outside of parentheses. */
function renamedWhere(sql: string, { name, columns }: Naming): string {
  const where = tokenize(sql).find(({ text }) => text === 'WHERE')?.start;
  if (where === undefined || columns.size === 0) return sql;
  const condition = renamed(`(${sql.slice(where + 5)})`, name, columns);
  return sql.slice(0, where + 5) + condition.slice(1, -1);
}

function owned(
  tables: readonly MergedTable[],
  objects: readonly ObjectDefinition[],
): (object: ObjectDefinition) => boolean {
  const views = objects.filter(({ type }) => type === 'view');
  const names = new Set(
    [...tables.map(({ definition }) => definition.name), ...views.map(({ name }) => name)].map(lowerName),
  );
  return ({ table }) => names.has(lowerName(table));
}

/**
 * Puts together the tables that are one: by id, else by name, as after one was made anew under its old name. The ids of
 * such a one's columns say nothing about the other's.
 */
function alignTables(
  base: readonly SchemaTable[],
  ours: readonly SchemaTable[],
  theirs: readonly SchemaTable[],
): Three<SchemaTable>[] {
  const [inOurs, inTheirs] = [successors(base, ours), successors(base, theirs)];
  const inBase = base.map((old) => ({ base: old, ours: inOurs.get(old), theirs: inTheirs.get(old) }));
  const known = new Set(inBase.flatMap((three) => [three.ours, three.theirs]));
  const theirsAdded = theirs.filter((table) => !known.has(table));
  const oursAdded = ours
    .filter((table) => !known.has(table))
    .map((own) => ({
      base: undefined,
      ours: own,
      theirs: theirsAdded.find((their) => isNamesake(own, their)),
    }));
  const both = new Set(oursAdded.map(({ theirs }) => theirs));
  return [
    ...inBase.map(withoutStrangeIds),
    ...oursAdded,
    ...theirsAdded
      .filter((table) => !both.has(table))
      .map((their) => ({ base: undefined, ours: undefined, theirs: their })),
  ];
}

function successors(
  base: readonly SchemaTable[],
  side: readonly SchemaTable[],
): Map<SchemaTable, SchemaTable> {
  const found = new Map<SchemaTable, SchemaTable>();
  const left = new Set(side);
  const rules = [
    (a: SchemaTable, b: SchemaTable): boolean => a.id !== undefined && a.id === b.id,
    isNamesake,
  ];
  for (const rule of rules)
    for (const old of base) {
      const match = found.has(old) ? undefined : [...left].find((table) => rule(old, table));
      if (match === undefined) continue;
      found.set(old, match);
      left.delete(match);
    }
  return found;
}

function isNamesake(a: SchemaTable, b: SchemaTable): boolean {
  return lowerName(a.definition.name) === lowerName(b.definition.name);
}

function withoutStrangeIds(three: Three<SchemaTable>): Three<SchemaTable> {
  const { base } = three;
  const known = (table: SchemaTable | undefined): SchemaTable | undefined => {
    if (table === undefined || table.id === base?.id) return table;
    const columns = table.definition.columns.map(({ name, text, rest }) => ({ name, text, rest }));
    return { ...table, definition: { ...table.definition, columns } };
  };
  return { base, ours: known(three.ours), theirs: known(three.theirs) };
}

function droppedWithRows({ base, ours, theirs }: Three<SchemaTable>): SchemaConflict[] {
  if (base === undefined || (ours === undefined) === (theirs === undefined)) return [];
  const left = (ours ?? theirs) as SchemaTable;
  if (left.hasChanges !== true) return [];
  return [
    {
      what: 'table',
      name: left.definition.name,
      description:
        ours === undefined
          ? 'our side dropped it, their side changed its rows'
          : 'our side changed its rows, their side dropped it',
      base: printTable(base.definition),
      ours: ours && printTable(ours.definition),
      theirs: theirs && printTable(theirs.definition),
    },
  ];
}

/** Tables, or a table and a view or index, that the sides gave one name. */
function twins(tables: readonly MergedTable[], objects: readonly ObjectDefinition[]): SchemaConflict[] {
  const seen = new Map<string, string>();
  const conflicts: SchemaConflict[] = [];
  const see = (what: 'table' | 'view' | 'index', name: string, sql: string): void => {
    const other = seen.get(lowerName(name));
    if (other === undefined) {
      seen.set(lowerName(name), sql);
      return;
    }
    const description = 'the two sides gave this name to different things';
    conflicts.push({ what, name, description, base: undefined, ours: other, theirs: sql });
  };
  for (const { definition } of tables) see('table', definition.name, printTable(definition));
  for (const { type, name, sql } of objects) if (type !== 'trigger') see(type, name, sql);
  return conflicts;
}

/** Merges indexes, views and triggers, each as a whole: they are matched by type and name. */
export function mergeObjects(
  base: readonly ObjectDefinition[],
  ours: readonly ObjectDefinition[],
  theirs: readonly ObjectDefinition[],
): { readonly objects: readonly ObjectDefinition[]; readonly conflicts: readonly SchemaConflict[] } {
  const keyed = (side: readonly ObjectDefinition[]): Map<string, ObjectDefinition> =>
    new Map(side.map((object) => [`${object.type} ${lowerName(object.name)}`, object]));
  const [old, own, their] = [keyed(base), keyed(ours), keyed(theirs)];
  const objects: ObjectDefinition[] = [];
  const conflicts: SchemaConflict[] = [];
  for (const key of new Set([...own.keys(), ...their.keys()])) {
    const three = { base: old.get(key), ours: own.get(key), theirs: their.get(key) };
    const merged = mergeWhole(three, sameObject);
    if (merged === undefined) {
      const { type, name } = (three.ours ?? three.theirs) as ObjectDefinition;
      conflicts.push({
        what: type,
        name,
        description: describeConflict(three),
        base: three.base?.sql,
        ours: three.ours?.sql,
        theirs: three.theirs?.sql,
      });
    }
    const kept = merged === undefined ? three.ours : merged.value;
    if (kept !== undefined) objects.push(kept);
  }
  return { objects, conflicts };
}

function sameObject(a: ObjectDefinition | undefined, b: ObjectDefinition | undefined): boolean {
  return a === b || sameText(a && unspelled(a.sql), b && unspelled(b.sql));
}

/** A CREATE statement with its object's name spelled one way: ALTER TABLE quotes what it renames. */
function unspelled(sql: string): string {
  const tokens = tokenize(sql);
  const name = tokens.findIndex(
    (token, i) =>
      i > 0 &&
      isName(token) &&
      !/^(?:UNIQUE|INDEX|VIEW|TRIGGER|TEMP|TEMPORARY|IF|NOT|EXISTS)$/.test(token.text),
  );
  const token = tokens[name];
  return token === undefined
    ? sql
    : `${sql.slice(0, token.start)} ${lowerName(nameOf(sql, token))} ${sql.slice(token.end)}`;
}

function orphan({ type, name, table, sql }: ObjectDefinition, isOurs: boolean): SchemaConflict {
  const [side, other] = isOurs ? ['our', 'their'] : ['their', 'our'];
  return {
    what: type,
    name,
    description: `${side} side added or changed it, ${other} side dropped ${JSON.stringify(table)}, to which it belongs`,
    base: undefined,
    ours: isOurs ? sql : undefined,
    theirs: isOurs ? undefined : sql,
  };
}
