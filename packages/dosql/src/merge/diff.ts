import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { changedKeys, isKeyless, States, tableNamed, type LineState } from '../branch/states.ts';
import type { Branches } from '../branch/branches.ts';
import { sameName } from '../schema/catalog.ts';
import type { Relation } from '../schema/relation.ts';
import type { Row, SqlValue } from '../value/row.ts';
import { baseOf, statesOf, type State } from './ancestry.ts';
import { sameValue } from './cells.ts';
import { comparedColumns, RowReader, shown, shownKey, shownRow, type StoredRow } from './rows.ts';

/** A row that two states do not have alike. */
export interface RowDiff {
  readonly table: string;
  /** Its primary key; for a table without one, the rowid. */
  readonly key: Readonly<Record<string, SqlValue>>;
  /** `added`: only the second state has it. */
  readonly type: 'added' | 'removed' | 'modified';
  readonly before: Row | null;
  readonly after: Row | null;
  /** The columns that differ; all for a row that was added or removed. */
  readonly columns: readonly string[];
}

/** What to compare. */
export interface DiffOptions {
  /** Only this table. */
  readonly table?: string;
  /** Compare with the state that both have in common instead of with the first branch: what the second has changed. */
  readonly base?: boolean;
}

/**
 * What turns one state into another, row by row. The log tells which rows may differ, so the cost is that of the
 * changes since the two had a state in common.
 */
export function diff(
  engine: Engine,
  branches: Branches,
  left: LineState,
  to: LineState,
  { table, base }: DiffOptions = {},
): RowDiff[] {
  if (base === true) {
    const end = engine.log.end();
    const heads = [left, to].map(({ line, lsn }) => ({ line, lsn: lsn ?? end })) as [State, State];
    // Of several such states, the latest.
    const [common] = statesOf(baseOf(branches.ancestry(), ...heads)).toSorted((a, b) => b.lsn - a.lsn);
    return diff(engine, branches, common ?? left, to, table === undefined ? {} : { table });
  }
  const from = left;
  const states = new States(engine, branches);
  const reader = new RowReader(engine, states);
  const [before, after] = [states.tables(from), states.tables(to)];
  const wanted = (relation: Relation): boolean => table === undefined || sameName(relation.name, table);
  if (
    table !== undefined &&
    tableNamed(before, table) === undefined &&
    tableNamed(after, table) === undefined
  )
    throw new DoSQLError('NO_SUCH_TABLE', `no such table: ${table}`);
  const diffs: RowDiff[] = [];
  for (const old of before.filter(wanted)) {
    const now = after.find(({ tableId }) => tableId === old.tableId) ?? tableNamed(after, old.name);
    const keys = changedKeys(states.segments(from, to, old.tableId));
    if (now?.tableId !== old.tableId) {
      diffs.push(
        ...differences(old, now, reader.all(from, old), now === undefined ? new Map() : reader.all(to, now)),
      );
      continue;
    }
    if (keys !== undefined)
      diffs.push(...differences(old, now, reader.changed(from, old, keys), reader.changed(to, now, keys)));
  }
  for (const now of after.filter(wanted)) {
    if (before.some(({ tableId, name }) => tableId === now.tableId || sameName(name, now.name))) continue;
    diffs.push(...differences(now, now, new Map(), reader.all(to, now)));
  }
  return diffs;
}

function* differences(
  old: Relation,
  now: Relation | undefined,
  before: ReadonlyMap<string, StoredRow>,
  after: ReadonlyMap<string, StoredRow>,
): Generator<RowDiff> {
  const relation = now ?? old;
  const names = comparedColumns(relation).map(({ name }) => name);
  const changedColumns = comparing(old, relation);
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(key), after.get(key)];
    const columns = was === undefined || is === undefined ? undefined : changedColumns(was, is);
    if (columns?.length === 0) continue;
    const common = {
      table: relation.name,
      key: is === undefined ? shownKey(old, was as StoredRow) : shownKey(relation, is),
      before: shownRow(old, was),
      after: shownRow(relation, is),
    };
    if (columns !== undefined) yield { ...common, type: 'modified', columns };
    else if (was === undefined) yield { ...common, type: 'added', columns: names };
    else yield { ...common, type: 'removed', columns: comparedColumns(old).map(({ name }) => name) };
  }
}

/** What tells the columns in which two rows differ. */
function comparing(old: Relation, now: Relation): (was: StoredRow, is: StoredRow) => string[] {
  const before = comparedColumns(old);
  const columns = comparedColumns(now).map(({ id, name }) => ({
    name,
    at: before.findIndex((column) => column.id === id),
  }));
  const isExact = isKeyless(now);
  return (was, is) => {
    const changed: string[] = [];
    for (let i = 0; i < columns.length; i++) {
      const { name, at } = columns[i] as { name: string; at: number };
      const [a, b] = [was.cells[at], is.cells[i]];
      const isSame =
        at >= 0 && (a === b || (sameValue(shown(a), shown(b)) && (typeof a === typeof b || !isExact)));
      if (!isSame) changed.push(name);
    }
    return changed;
  };
}
