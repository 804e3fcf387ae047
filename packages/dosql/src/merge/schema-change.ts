import type { LineState, States } from '../branch/states.ts';
import type { Engine } from '../engine.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { parse, type Statement } from '../sql/statement.ts';
import { quoteName } from '../sql/token.ts';
import { parseTable, printTable, sameText, type TableDefinition } from './definition.ts';
import { planOf } from './plan.ts';
import {
  mergeSchemas,
  type MergedTable,
  type ObjectDefinition,
  type Schema,
  type SchemaMerge,
  type SchemaTable,
} from './schema.ts';

/** The definitions of three states, merged. */
export function mergedSchema(
  states: States,
  base: LineState | undefined,
  ours: LineState,
  theirs: LineState,
  changes: (tableId: number) => { ours: boolean; theirs: boolean },
): SchemaMerge {
  const known = new Map<number, { ours: boolean; theirs: boolean }>();
  const hasChanges = (side: 'ours' | 'theirs', tableId: number, isDropped: boolean): boolean => {
    if (!isDropped) return false;
    const found = known.get(tableId) ?? changes(tableId);
    known.set(tableId, found);
    return found[side];
  };
  const [ourTables, theirTables] = [states.tables(ours), states.tables(theirs)];
  const isIn = (tables: readonly Relation[], { tableId, name }: Relation): boolean =>
    tables.some((other) => other.tableId === tableId || sameName(other.name, name));
  return mergeSchemas({
    base:
      base === undefined
        ? { tables: [], objects: [] }
        : schemaOf(states, base, states.tables(base), () => false),
    // Only of a table that the other side has dropped it matters whether it has changed.
    ours: schemaOf(states, ours, ourTables, (relation) =>
      hasChanges('ours', relation.tableId, !isIn(theirTables, relation)),
    ),
    theirs: schemaOf(states, theirs, theirTables, (relation) =>
      hasChanges('theirs', relation.tableId, !isIn(ourTables, relation)),
    ),
  });
}

function schemaOf(
  states: States,
  state: LineState,
  tables: readonly Relation[],
  hasChanges: (relation: Relation) => boolean,
): Schema {
  return {
    tables: tables.map((relation): SchemaTable => ({
      id: relation.tableId,
      definition: definitionOf(states, relation),
      hasChanges: hasChanges(relation),
    })),
    objects: states.objects(state).map(({ type, name, table, sql }) => ({ type, name, table, sql })),
  };
}

function definitionOf(states: States, relation: Relation): TableDefinition {
  const definition = parseTable(
    states.sqlOf(relation),
    (name) => relation.columns.find((column) => sameName(column.name, name))?.id,
  );
  if (definition === undefined) throw new Error(`the definition of "${relation.name}" has no columns`);
  return { ...definition, name: relation.name };
}

const REBUILT = 'dosql_rebuilt_';

/** The table that SQLite means when it names one that is to take its place. */
export function rebuiltFrom(name: string): string {
  return name.startsWith(REBUILT) ? name.slice(REBUILT.length) : name;
}

/** Gives the line `into` the merged definitions. The caller holds a transaction. */
export function applySchema(engine: Engine, states: States, into: number, schema: SchemaMerge): void {
  const run = (sql: string): void => {
    engine.run(parse(sql)[0] as Statement, [], into === MAIN ? {} : { branch: into });
  };
  const present = { line: into, lsn: undefined };
  const isKept = ({ type, name }: ObjectDefinition): boolean =>
    schema.objects.some((object) => object.type === type && sameName(object.name, name));
  for (const object of states.objects(present))
    if (!isKept(object)) run(`DROP ${object.type.toUpperCase()} ${quoteName(object.name)}`);
  for (const relation of states.tables(present))
    if (!schema.tables.some(({ ours }) => ours?.id === relation.tableId))
      run(`DROP TABLE ${quoteName(relation.name)}`);
  for (const table of schema.tables) changeTable(engine, states, present, table, run);
  for (const object of schema.objects) {
    const now = states
      .objects(present)
      .find(({ type, name }) => type === object.type && sameName(name, object.name));
    if (now !== undefined && sameText(now.sql, object.sql)) continue;
    if (now !== undefined) run(`DROP ${object.type.toUpperCase()} ${quoteName(now.name)}`);
    run(object.sql);
  }
}

function changeTable(
  engine: Engine,
  states: States,
  present: LineState,
  { ours, definition }: MergedTable,
  run: (sql: string) => void,
): void {
  if (ours === undefined) {
    run(printTable(definition));
    return;
  }
  const used = states
    .objects(present)
    .flatMap(({ type, table, sql }) =>
      type !== 'view' && sameName(table, ours.definition.name) ? namesIn(sql, ours.definition) : [],
    );
  const plan = planOf(ours.definition, definition, used);
  if ('alters' in plan) for (const alter of plan.alters) run(alter);
  else rebuild(engine, states, present, { ours, definition }, run);
}

/** SQLite's way to change what ALTER TABLE cannot (https://sqlite.org/lang_altertable.html#otheralter): a new table takes the old one's place. */
function rebuild(
  engine: Engine,
  states: States,
  present: LineState,
  { ours, definition }: Pick<MergedTable, 'definition'> & { ours: SchemaTable },
  run: (sql: string) => void,
): void {
  const { sql } = engine.storage;
  const old = ours.definition;
  const name = REBUILT + definition.name;
  const kept = definition.columns.flatMap((column) => {
    const from = old.columns.find((other) =>
      column.id === undefined || other.id === undefined
        ? sameName(other.name, column.name)
        : other.id === column.id,
    );
    return from === undefined || isGenerated(column.text)
      ? []
      : [{ to: quoteName(column.name), from: quoteName(from.name) }];
  });
  run(printTable({ ...definition, name }));
  run(
    `INSERT INTO ${quoteName(name)}(${kept.map(({ to }) => to).join(', ')}) SELECT ${kept.map(({ from }) => from).join(', ')} FROM ${quoteName(old.name)}`,
  );
  const own = states
    .objects(present)
    .filter(({ type, table }) => type !== 'view' && sameName(table, old.name));
  run(`DROP TABLE ${quoteName(old.name)}`);
  // Others refer to the table by its name, which is to mean the new one.
  sql.exec('PRAGMA legacy_alter_table = ON');
  try {
    run(`ALTER TABLE ${quoteName(name)} RENAME TO ${quoteName(definition.name)}`);
  } finally {
    sql.exec('PRAGMA legacy_alter_table = OFF');
  }
  for (const { sql: text } of own) run(text);
}

function isGenerated(text: string): boolean {
  return /\bAS\s*\(/i.test(text);
}

function namesIn(sql: string, { columns }: TableDefinition): string[] {
  return columns.map(({ name }) => name).filter((name) => sql.toLowerCase().includes(name.toLowerCase()));
}
