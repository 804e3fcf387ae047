import type { Engine } from '../engine.ts';
import { keyNames } from '../history/as-of.ts';
import { changedKeys, isKeyless, type Segment, type States } from '../branch/states.ts';
import { Fields, type Match, type Places, type TableChange } from '../change/index.ts';
import { DoSQLError } from '../error.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN } from '../schema/line.ts';
import { columnOf, type Relation } from '../schema/relation.ts';
import { first } from '../sql/read.ts';
import { describe } from '../value/parameter.ts';
import type { Row, SqlValue } from '../value/row.ts';
import type { Base, State } from './ancestry.ts';
import {
  foldBases,
  mergeCount,
  mergeRow,
  sameValue,
  UNDECIDED,
  type BaseCells,
  type Cells,
} from './cells.ts';
import type { ConflictStore, Settled } from './conflicts.ts';
import type { MergeConflict, MergeStrategy } from './merge.ts';
import {
  comparedColumns,
  primaryKeyOf,
  RowReader,
  shown,
  storedJson,
  storedOf,
  type Stored,
  type StoredRow,
} from './rows.ts';
import type { MergedTable } from './schema.ts';
import { counted, fill, type Count, type Counts } from './stored.ts';
import { TakenRows, toldOf } from './taken.ts';

/** The states that a merge is made of. */
export interface MergeStates {
  readonly base: Base | undefined;
  readonly bases: readonly State[];
  readonly ours: State;
  readonly theirs: State;
}

/** What shall become of a table's rows. */
export interface Decision {
  readonly relation: Relation;
  /** Rows that shall be so, and the keys of all rows concerned. */
  readonly rows: readonly (readonly Stored[])[];
  readonly keys: readonly (readonly Stored[])[];
  readonly conflicts: readonly MergeConflict[];
}

/** Merges the rows of one table. */
export class TableMerger {
  readonly name: string;
  readonly #engine: Engine;
  readonly #states: States;
  readonly #reader: RowReader;
  readonly #table: MergedTable;
  readonly #merge: MergeStates;
  readonly #our: Relation | undefined;
  readonly #their: Relation;
  /** Rows of each base state, and of theirs and ours, by key. */
  readonly #based = new Map<
    State,
    { relation: Relation | undefined; rows: ReadonlyMap<string, StoredRow> }
  >();
  /** What each column of the merged table has by default. */
  #defaults: readonly Stored[] = [];
  /** Query for the keys of rows that are taken from theirs as they are. */
  #taken: string | undefined;
  #segments: readonly Segment[] = [];
  /** Theirs has made all of its changes on its own line, not on one that it comes from. */
  #isOwn = false;
  #theirs: ReadonlyMap<string, StoredRow> = new Map();
  #ours: ReadonlyMap<string, StoredRow> = new Map();
  /** DoSQL's own tables that hold what is to be written. */
  readonly #made: string[] = [];

  constructor(
    engine: Engine,
    states: States,
    table: MergedTable,
    merge: MergeStates,
    our: Relation | undefined,
    their: Relation,
  ) {
    this.name = table.definition.name;
    this.#engine = engine;
    this.#states = states;
    this.#reader = new RowReader(engine, states);
    this.#table = table;
    this.#merge = merge;
    this.#our = our;
    this.#their = their;
  }

  /** Reads the rows that theirs may have otherwise than the base. */
  read(): void {
    const { bases, theirs, ours } = this.#merge;
    const baseRelations = new Map(bases.map((state) => [state, this.#baseRelation(state)]));
    const isOne = [...baseRelations.values()].every((relation) => relation?.tableId === this.#their.tableId);
    if (!isOne) {
      // A table that is new, or was made anew, says nothing about which of its rows are.
      this.#theirs = this.#reader.all(theirs, this.#their);
      for (const [state, relation] of baseRelations)
        this.#based.set(state, {
          relation,
          rows: relation === undefined ? new Map() : this.#reader.all(state, relation),
        });
    } else {
      const segments = bases.flatMap((state) => this.#states.segments(state, theirs, this.#their.tableId));
      this.#isOwn =
        theirs.line !== MAIN &&
        segments.every(({ versions }) => versions.every(({ branch }) => branch === theirs.line));
      this.#segments = segments;
      const keys = this.#contested([...baseRelations.values()]);
      this.#theirs = this.#reader.changed(theirs, this.#their, keys, this.#isOwn);
      for (const [state, relation] of baseRelations)
        this.#based.set(state, {
          relation,
          rows: this.#reader.changed(state, relation as Relation, keys),
        });
    }
    if (this.#our === undefined) return;
    this.#ours = isKeyless(this.#our)
      ? this.#hasRows
        ? this.#reader.all(ours, this.#our)
        : new Map()
      : this.#reader.keyed(ours, this.#our, this.#keys());
  }

  /**
   * Of the keys that theirs changed, those that ours changed too. Where both know one table in the same columns and by
   * the same key, the others need no looking at: ours has the rows as they were, so theirs are taken as they are.
   */
  #contested(based: readonly (Relation | undefined)[]): string | undefined {
    const { bases, ours } = this.#merge;
    const [[base], segments, their] = [bases, this.#segments, this.#their];
    const changed = changedKeys(segments);
    const isAlike = [this.#our, ...based].every(
      (side) =>
        side?.tableId === their.tableId &&
        JSON.stringify([side.columns, side.key, side.primaryKey]) ===
          JSON.stringify([their.columns, their.key, their.primaryKey]),
    );
    const isByKey =
      (their.key.kind === 'primary' || their.key.columnId !== undefined) &&
      their.primaryKey.length > 0 &&
      their.primaryKey.every((id) => columnOf(their, id).collation === undefined);
    if (changed === undefined || base === undefined || bases.length > 1 || !isAlike || !isByKey)
      return changed;
    const ownSegments = this.#states.segments(base, ours, their.tableId);
    const own = changedKeys(ownSegments);
    const any = `SELECT 1 FROM (${changedKeys(segments, true)}) WHERE (${keyNames(their).join(', ')}) IN (${changedKeys(ownSegments, true)}) LIMIT 1`;
    const isNone = own === undefined || first(this.#engine.storage.sql, any) === undefined;
    this.#taken = isNone ? changed : `SELECT * FROM (${changed}) EXCEPT SELECT * FROM (${own})`;
    return isNone ? undefined : `SELECT * FROM (${changed}) INTERSECT SELECT * FROM (${own})`;
  }

  get #hasRows(): boolean {
    return this.#theirs.size > 0 || [...this.#based.values()].some(({ rows }) => rows.size > 0);
  }

  #baseRelation(state: State): Relation | undefined {
    const tables = this.#states.tables(state);
    return (
      tables.find(({ tableId }) => tableId === this.#their.tableId) ??
      tables.find(
        ({ name }) => this.#table.base !== undefined && sameName(name, this.#table.base.definition.name),
      )
    );
  }

  /** The primary keys of all rows that were read. */
  #keys(): Stored[][] {
    const keys = new Map<string, Stored[]>();
    const add = (relation: Relation, rows: ReadonlyMap<string, StoredRow>): void => {
      for (const [key, row] of rows) if (!keys.has(key)) keys.set(key, primaryKeyOf(relation, row));
    };
    add(this.#their, this.#theirs);
    for (const { relation, rows } of this.#based.values()) if (relation !== undefined) add(relation, rows);
    return [...keys.values()];
  }

  /** Decides about each row; `relation` is the table as it is now, its definition merged. */
  decide(relation: Relation, strategy: MergeStrategy, store: ConflictStore): Decision {
    this.#defaults = this.#reader.defaults(relation);
    if (isKeyless(relation)) return this.#decideKeyless(relation);
    const decision: { rows: Stored[][]; keys: Stored[][]; conflicts: MergeConflict[] } = {
      rows: [],
      keys: [],
      conflicts: [],
    };
    const columns = comparedColumns(relation);
    const names = columns.map(({ name }) => name);
    const keys = new Set([
      ...this.#theirs.keys(),
      ...[...this.#based.values()].flatMap(({ rows }) => [...rows.keys()]),
    ]);
    for (const key of keys) {
      const [ourRow, theirRow] = [this.#ours.get(key), this.#theirs.get(key)];
      const ours = ourRow && this.#aligned(relation, this.#our, 'ours', ourRow);
      const theirs = theirRow && this.#aligned(relation, this.#their, 'theirs', theirRow);
      const base = this.#base(relation, key);
      const [ourCells, theirCells] = [cellsOf(ours), cellsOf(theirs)];
      const merged = mergeRow(base, ourCells, theirCells, names);
      if (merged.kind === 'same') continue;
      const origin = (row: Cells | undefined): Stored[] | undefined =>
        row?.map(
          (value, i) =>
            (value === ourCells?.[i]
              ? ours?.[i]
              : value === theirCells?.[i]
                ? theirs?.[i]
                : storedOf(value)) as Stored,
        );
      const rowKey = this.#keyOf(relation, (ourRow ?? theirRow ?? this.#anyBase(key)) as StoredRow);
      const put = (row: Stored[] | undefined): void => {
        decision.keys.push(rowKey);
        if (row !== undefined) decision.rows.push(row);
      };
      if (merged.kind !== 'conflict') {
        put(origin(merged.row));
        continue;
      }
      const conflict: MergeConflict = {
        table: relation.name,
        key: Object.fromEntries(
          relation.primaryKey.map((id, i) => [columnOf(relation, id).name, shown(rowKey[i])]),
        ),
        base: shownCells(
          names,
          base === UNDECIDED ? undefined : base?.map((value) => (value === UNDECIDED ? null : value)),
        ),
        ours: shownCells(names, ourCells),
        theirs: shownCells(names, theirCells),
        columns: merged.columns,
      };
      if (strategy === 'ours') put(origin(merged.row));
      else if (strategy === 'theirs') put(origin(merged.theirRow));
      else if (typeof strategy === 'function') {
        const rest = origin(merged.row) ?? origin(merged.theirRow) ?? [];
        put(given(relation, names, strategy(conflict), rest, conflict));
      } else {
        const settled = store.resolution(conflict);
        if (settled === undefined) decision.conflicts.push(conflict);
        else put(settledRow(names, settled, conflict, origin(merged.row), origin(merged.theirRow)));
      }
    }
    return { relation, ...decision };
  }

  /** Rows without a key are one when they are equal: what theirs has more or less of, ours gets or loses. */
  #decideKeyless(relation: Relation): Decision {
    const theirs = counted(
      [...this.#theirs.values()].map((row) => this.#aligned(relation, this.#their, 'theirs', row)),
    );
    const base = this.#baseCounts(relation, this.#merge.base);
    const oursRows = [...this.#ours.values()].map((row) => ({
      row,
      cells: this.#aligned(relation, this.#our, 'ours', row),
    }));
    const ours = counted(oursRows.map(({ cells }) => cells));
    const rows: Stored[][] = [];
    const keys: Stored[][] = [];
    for (const key of new Set([...theirs.keys(), ...base.keys()])) {
      const [b, o, t] = [base.get(key)?.count ?? 0, ours.get(key)?.count ?? 0, theirs.get(key)?.count ?? 0];
      const change = mergeCount(b, o, t) - o;
      const { row } = (theirs.get(key) ?? base.get(key)) as { row: readonly Stored[] };
      for (let i = 0; i < change; i++) rows.push([...row]);
      const same = oursRows.filter(({ cells }) => cells.map(storedJson).join() === key);
      for (let i = 0; i < -change; i++) keys.push([`i${same[i]?.row.rowid}`]);
    }
    return { relation, rows, keys, conflicts: [] };
  }

  /** How often each row of a table without a key was there when the sides parted. */
  #baseCounts(relation: Relation, base: Base | undefined): Counts {
    if (base === undefined) return new Map();
    if (base.kind === 'state') {
      const { relation: then, rows } = this.#at(base);
      return counted([...rows.values()].map((row) => this.#aligned(relation, then, 'base', row)));
    }
    const [old, one, other] = [base.base, base.one, base.other].map((each) =>
      this.#baseCounts(relation, each),
    ) as [Counts, Counts, Counts];
    const keys = new Set([...one.keys(), ...other.keys()]);
    return new Map(
      [...keys].map((key) => {
        const { row } = (one.get(key) ?? other.get(key)) as Count;
        const count = mergeCount(
          old.get(key)?.count ?? 0,
          one.get(key)?.count ?? 0,
          other.get(key)?.count ?? 0,
        );
        return [key, { row, count }];
      }),
    );
  }

  /** The rows that were read of a base state. */
  #at({ line, lsn }: State): { relation: Relation | undefined; rows: ReadonlyMap<string, StoredRow> } {
    const state = this.#merge.bases.find((other) => other.line === line && other.lsn === lsn);
    return (state && this.#based.get(state)) ?? { relation: undefined, rows: new Map<string, StoredRow>() };
  }

  /** A row of one side in the columns of the merged table; what the side has no column for is its default. */
  #aligned(
    relation: Relation,
    side: Relation | undefined,
    which: 'base' | 'ours' | 'theirs',
    { cells }: StoredRow,
  ): Stored[] {
    const own = side === undefined ? [] : comparedColumns(side);
    return comparedColumns(relation).map(({ name }, i) => {
      const called = this.#table.columns.find((three) => sameName(mergedName(three), name))?.[which];
      const at = called === undefined ? -1 : own.findIndex((column) => sameName(column.name, called));
      return (at < 0 ? this.#defaults[i] : cells[at]) ?? null;
    });
  }

  /** The row that the sides parted from, in the columns of the merged table. */
  #base(relation: Relation, key: string): BaseCells {
    const fold = (base: Base | undefined): BaseCells => {
      if (base === undefined) return undefined;
      if (base.kind === 'merge') return foldBases(fold(base.base), fold(base.one), fold(base.other));
      const { relation: then, rows } = this.#at(base);
      const row = rows.get(key);
      if (row === undefined || then === undefined) return undefined;
      return this.#aligned(relation, then, 'base', row).map(shown);
    };
    return fold(this.#merge.base);
  }

  #anyBase(key: string): StoredRow | undefined {
    for (const { rows } of this.#based.values()) if (rows.has(key)) return rows.get(key);
    return undefined;
  }

  /** The key of a row, whichever side it is of: columns of a key are never missing on any. */
  #keyOf(relation: Relation, row: StoredRow): Stored[] {
    for (const side of [
      this.#our,
      this.#their,
      ...[...this.#based.values()].map(({ relation: then }) => then),
    ])
      if (side !== undefined && row.cells.length === comparedColumns(side).length)
        return primaryKeyOf(side, row);
    return primaryKeyOf(relation, row);
  }

  /**
   * What writes the rows of theirs that ours takes as they are, where that can be done from table to table: on main,
   * from a branch's own table. {@link change} leaves them to it then.
   */
  take({ relation }: Decision, places: Places): TakenRows | undefined {
    const isExact = this.#their.primaryKey.every((id) => columnOf(this.#their, id).affinity !== 'blob');
    if (this.#taken === undefined || !this.#isOwn || !isExact || this.#merge.ours.line !== MAIN)
      return undefined;
    const told = toldOf(this.#engine.storage.sql, this.#their, this.#segments);
    if (told === undefined) return undefined;
    const taken = new TakenRows(this.#engine, places.named(relation.name), this.#their, this.#taken, told);
    this.#taken = undefined;
    return taken;
  }

  /** What there is to write, as {@link apply} takes it. */
  change({ relation, rows, keys }: Decision, places: Places, index: number): TableChange | undefined {
    if (rows.length === 0 && keys.length === 0 && this.#taken === undefined) return undefined;
    const { sql } = this.#engine.storage;
    const match: Match = relation.primaryKey.length > 0 ? 'primaryKey' : 'key';
    const fields = new Fields(relation, match);
    const [rowTable, keyTable] = [`__dosql_merged${index}`, `__dosql_mergedkey${index}`];
    this.#made.push(rowTable, keyTable);
    sql.exec(fields.keysTable(keyTable));
    const columns = comparedColumns(relation);
    const isFresh = isKeyless(relation);
    const slots = columns.map(({ name }) => fields.slotOf(name) as string);
    const define = columns.map(
      (column, i) => `${slots[i]} ${column.affinity === 'blob' ? '' : column.affinity.toUpperCase()}`,
    );
    sql.exec(isFresh ? `CREATE TABLE ${rowTable}(${define.join(', ')})` : fields.rowsTable(rowTable));
    if (this.#taken !== undefined) {
      // Keys in columns of the log's names, and in the order in which the table has them.
      sql.exec(`INSERT INTO ${keyTable}(${fields.keyNames().join(', ')}) ${this.#taken}`);
      const taken = `(SELECT ${keyNames(this.#their)
        .map((name, i) => `k${i} AS ${name}`)
        .join(', ')} FROM ${keyTable})`;
      for (const query of this.#reader.queries(
        this.#merge.theirs,
        this.#their,
        taken,
        comparedColumns(this.#their),
        this.#isOwn,
      ))
        sql.exec(`INSERT INTO ${rowTable}(${slots.join(', ')}) ${query}`);
    }
    fill(sql, keyTable, fields.keyNames(), keys);
    fill(sql, rowTable, slots, rows);
    const place = places.of(
      relation.name,
      keyTable,
      fields.key.map(({ name }) => name),
    );
    const all = fields.all.map(({ slot }) => slot).join(', ');
    const keyQuery = `SELECT ${fields.keyNames().join(', ')} FROM ${keyTable}`;
    if (!isFresh) return { place, target: `SELECT ${all} FROM ${rowTable}`, keys: keyQuery, match };
    const none = fields.all.map(() => 'NULL').join(', ');
    return {
      place,
      target: `SELECT ${none} WHERE FALSE`,
      keys: keyQuery,
      fresh: `SELECT ${slots.join(', ')} FROM ${rowTable}`,
    };
  }

  /** Removes what it took down. */
  close(): void {
    for (const table of this.#made) this.#engine.storage.sql.exec(`DROP TABLE ${table}`);
  }
}

/** What a column of the merged table is called. */
function mergedName({
  base,
  ours,
  theirs,
}: {
  base?: string | undefined;
  ours?: string | undefined;
  theirs?: string | undefined;
}): string {
  if (ours === undefined) return theirs ?? base ?? '';
  return theirs !== undefined && base !== undefined && sameName(ours, base) ? theirs : ours;
}

function cellsOf(row: readonly Stored[] | undefined): SqlValue[] | undefined {
  return row?.map(shown);
}

function shownCells(names: readonly string[], cells: readonly SqlValue[] | undefined): Row | null {
  return cells === undefined ? null : Object.fromEntries(names.map((name, i) => [name, cells[i] ?? null]));
}

/**
 * The row by which a conflict has been settled in its table. A cell that is ours there is what merging makes of the
 * row with ours in the conflict's columns, and one that is theirs, with theirs: what is in no conflict is not lost.
 */
function settledRow(
  names: readonly string[],
  { row, given: meant }: Settled,
  { ours, theirs }: MergeConflict,
  ourRow: readonly Stored[] | undefined,
  theirRow: readonly Stored[] | undefined,
): Stored[] | undefined {
  return row === null
    ? undefined
    : names.map((name, i) => {
        const cell = row[name] ?? null;
        if (meant.includes(name)) return storedOf(cell);
        if (ours !== null && ourRow !== undefined && sameValue(cell, ours[name])) return ourRow[i] ?? null;
        if (theirs !== null && theirRow !== undefined && sameValue(cell, theirs[name]))
          return theirRow[i] ?? null;
        return storedOf(cell);
      });
}

/** The row that a caller gives for a conflict; columns that it leaves out are merged as if there were none. */
function given(
  relation: Relation,
  names: readonly string[],
  row: Row | null,
  from: readonly Stored[],
  { table, key }: MergeConflict,
): Stored[] | undefined {
  if (row === null) return undefined;
  if (typeof row !== 'object')
    throw new DoSQLError(
      'BAD_PARAMETER',
      `the row for "${table}" ${JSON.stringify(key)} is ${describe(row)}: give a row, or null for none`,
    );
  const strange = Object.keys(row).find(
    (name) => !relation.columns.some((column) => sameName(column.name, name)),
  );
  if (strange !== undefined)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `the row for "${table}" has "${strange}", which is no column of it`,
    );
  return names.map((name, i) => {
    const own = Object.entries(row).find(([column]) => sameName(column, name));
    if (own === undefined) return from[i] ?? null;
    const cell = from[i];
    return cell !== undefined && shown(cell) === own[1] ? cell : storedOf(own[1]);
  });
}
