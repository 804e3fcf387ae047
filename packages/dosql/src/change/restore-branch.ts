import type { Branches } from '../branch/branches.ts';
import { changedKeys, States, type LineState } from '../branch/states.ts';
import type { Branching, Engine } from '../engine.ts';
import { defaultsOf } from '../history/default.ts';
import { sameName } from '../schema/catalog.ts';
import type { Relation } from '../schema/relation.ts';
import { compound } from '../sql/compound.ts';
import { parse, type Statement } from '../sql/statement.ts';
import { quoteName } from '../sql/token.ts';
import { apply, violationError } from './apply.ts';
import { Fields } from './fields.ts';
import { storedColumns, type Place } from './place.ts';
import { Places } from './places.ts';
import type { RestoreResult } from './restore.ts';
import { assertKept, emptied, pairsOf, refilled, type Pair } from './restore-pairs.ts';
import type { TableChange } from './write.ts';

/** What of a branch to set back, and to which state. */
interface BranchRestore {
  readonly line: number;
  readonly lsn: number;
  readonly tables: readonly string[] | undefined;
}

/**
 * Sets a branch, or some of its tables, back to how it was at an LSN. The caller holds a transaction in which foreign
 * keys are not enforced.
 *
 * The log tells which keys may differ, as for a diff of the two states: what the branch changed since, and what its
 * parent did until the fork.
 */
export function restoreBranch(
  engine: Engine,
  branches: Branches,
  { line, lsn, tables }: BranchRestore,
  areEnforced: boolean,
): RestoreResult {
  const states = new States(engine, branches);
  const places = new Places(engine, branches, line);
  const state = { line, lsn };
  const branch = branches.branch(line);
  branches.watch(branch);
  const pairs = pairsOf(states.tables(state), states.tables({ line, lsn: undefined }), tables);
  assertKept(engine, pairs, lsn);
  const create = (sql: string): void => {
    (engine.branching as Branching).ddl(parse(sql, true)[0] as Statement, line);
  };
  const dropped = pairs.flatMap(({ past, now }) => (now === undefined && past !== undefined ? [past] : []));
  const objects = states.objects(state);
  for (const relation of dropped) create(states.sqlOf(relation));
  /** Tables whose rows are all replaced have to be the branch's own. */
  const whole = (name: string): Place => {
    const place = places.named(name);
    branches.fold(branch, [name]);
    return place;
  };
  const changes = pairs.flatMap(({ past, now }: Pair, i) => {
    if (past === undefined) return [emptied(whole((now as Relation).name))];
    if (past.tableId !== now?.tableId)
      return [refilled(whole(now?.name ?? past.name), past, rowsOf(states, state, past))];
    return changeOf(engine, states, state, places, { past, now }, i) ?? [];
  });
  const applied = apply(engine, places.all(), changes, areEnforced);
  if (applied.violations.length > 0) throw violationError('restoring', applied.violations);
  pairs.forEach((_, i) => engine.storage.sql.exec(`DROP TABLE IF EXISTS ${keyTable(i)}`));
  for (const { name } of dropped)
    for (const object of objects)
      if (object.type !== 'view' && sameName(object.table, name)) create(object.sql);
  return { changes: applied.inserted + applied.updated + applied.deleted, lsn: BigInt(engine.log.end()) };
}

function keyTable(index: number): string {
  return `__dosql_restored${index}`;
}

/** What there is to write of a table that both states have; undefined when nothing has changed. */
function changeOf(
  engine: Engine,
  states: States,
  state: LineState,
  places: Places,
  { past, now }: { readonly past: Relation; readonly now: Relation },
  index: number,
): TableChange | undefined {
  const { sql } = engine.storage;
  const segments = states.segments({ line: state.line, lsn: undefined }, state, past.tableId);
  const changed = changedKeys(segments);
  if (changed === undefined) return undefined;
  const place = places.named(now.name);
  const fields = new Fields(place.relation);
  const keys = keyTable(index);
  const names = fields.keyNames();
  sql.exec(fields.keysTable(keys));
  sql.exec(`INSERT OR IGNORE INTO ${keys}(${names.join(', ')}) SELECT * FROM (${changed})`);
  places.copyUp(
    place,
    keys,
    fields.key.map(({ name }) => name),
  );
  return {
    place,
    target: pastRows(states, state, past, place, keys),
    keys: `SELECT ${names.join(', ')} FROM ${keys}`,
  };
}

/** Query for the rows of then that have one of the keys, as the place's are written. */
function pastRows(states: States, state: LineState, past: Relation, place: Place, keys: string): string {
  const { relation, rows } = place;
  const defaults = defaultsOf(relation);
  const fields = new Fields(relation);
  const isSame = fields.key.map(({ name }, i) => `o.${quoteName(name)} = c.k${i}`).join(' AND ');
  const isThere = `o.${quoteName(fields.key[0]?.name ?? '')} IS NOT NULL`;
  const { with: prefix, sources } = states.rows(state, past);
  const selects = sources.map((source) => {
    const values = storedColumns(relation).map(({ id, name }) => {
      const column = past.columns.find((column) => column.id === id);
      if (id === undefined) return source.key[0];
      if (column !== undefined) return source.value(column);
      return `CASE WHEN ${isThere} THEN o.${quoteName(name)} ELSE ${defaults.get(id) ?? 'NULL'} END`;
    });
    // The table of keys stands on the left: it compares as the key does, and the log does not.
    const same = source.key.map((key, i) => `c.k${i} = ${key}`);
    const where = [...same, source.where].filter((text) => text !== '').join(' AND ');
    return `SELECT ${values.join(', ')} FROM ${keys} AS c CROSS JOIN ${source.from} LEFT JOIN ${rows} AS o ON ${isSame} WHERE ${where}`;
  });
  if (selects.length === 0)
    return `SELECT ${storedColumns(relation)
      .map(() => 'NULL')
      .join(', ')} WHERE FALSE`;
  return `${prefix}${compound(selects, 'UNION ALL')}`;
}

/** All rows of then, as a subquery, with the rowid where that is no column. */
function rowsOf(states: States, state: LineState, past: Relation): string {
  const { with: prefix, sources } = states.rows(state, past);
  const { key, columns } = past;
  const selects = sources.map((source) => {
    const rowid =
      key.kind === 'rowid' && key.columnId === undefined
        ? [`${source.key[0]} AS ${quoteName(key.name)}`]
        : [];
    const values = columns.map((column) => `${source.value(column)} AS ${quoteName(column.name)}`);
    return `SELECT ${[...rowid, ...values].join(', ')} FROM ${source.from}${source.where === '' ? '' : ` WHERE ${source.where}`}`;
  });
  return `(${prefix}${compound(selects, 'UNION ALL')})`;
}
