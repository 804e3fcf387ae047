import type { Branches } from '../branch/branches.ts';
import { States, tableNamed } from '../branch/states.ts';
import { apply, Places, unchecked, type Violation } from '../change/index.ts';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { describe } from '../value/parameter.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import type { Row, SqlValue } from '../value/row.ts';
import { baseOf, statesOf, type Base, type State } from './ancestry.ts';
import { ConflictStore } from './conflicts.ts';
import { RowReader } from './rows.ts';
import { applySchema, mergedSchema } from './schema-change.ts';
import { TableMerger, type Decision } from './table-merge.ts';
import type { MergedTable, SchemaMerge } from './schema.ts';
import { Refused } from './taken.ts';
import { violatedRows } from './violated.ts';
import type { SchemaConflict } from './table.ts';

/** A row that the two sides changed, each otherwise. */
export interface MergeConflict {
  readonly table: string;
  readonly key: Readonly<Record<string, SqlValue>>;
  /** The row as it was when the sides parted, as it is on the branch that is merged into, and on the other; null where it is not there. */
  readonly base: Row | null;
  readonly ours: Row | null;
  readonly theirs: Row | null;
  /** The columns in question. */
  readonly columns: readonly string[];
}

/**
 * How to settle conflicts: not at all, by the side of one branch, or by a function that gives the row, null for none.
 * Of the row it may give only the columns in question: the others are merged as in any row.
 */
export type MergeStrategy = 'fail' | 'ours' | 'theirs' | ((conflict: MergeConflict) => Row | null);

/** How to merge. */
export interface MergeOptions {
  /** The branch to merge into; by default that of the handle. */
  readonly into?: string;
  readonly strategy?: MergeStrategy;
  /** Only tells what merging would do. */
  readonly dryRun?: boolean;
}

/** What merging has done, or why it has done nothing. */
export interface MergeResult {
  readonly merged: boolean;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  /** Rows that are not settled. */
  readonly conflicts: readonly MergeConflict[];
  /** Definitions that both sides changed, each otherwise. */
  readonly schemaConflicts: readonly SchemaConflict[];
  /** Constraints that the merged rows would not satisfy. */
  readonly violations: readonly Violation[];
  /** The log's end after it. */
  readonly lsn: bigint;
}

/** Thrown to undo what was tried. */
class Undone extends Error {
  readonly result: MergeResult;

  constructor(result: MergeResult) {
    super('the merge is undone');
    this.result = result;
  }
}

/**
 * Merges the line `source` into the line `into`, three-way from the state that both have in common, in one
 * transaction that is logged and streamed like any other. The caller holds the gate.
 *
 * Nothing changes when conflicts are left, or constraints would be violated. Conflicts are then kept in tables
 * `dosql_conflicts_<table>`.
 */
export async function merge(
  engine: Engine,
  branches: Branches,
  source: number,
  into: number,
  { strategy = 'fail', dryRun = false }: MergeOptions,
): Promise<MergeResult> {
  if (!['fail', 'ours', 'theirs'].includes(strategy as string) && typeof strategy !== 'function')
    throw new DoSQLError(
      'BAD_PARAMETER',
      `strategy is ${describe(strategy)}: give 'fail', 'ours', 'theirs' or a function`,
    );
  if (source === into)
    throw new DoSQLError('BAD_PARAMETER', `"${branches.nameOf(source)}" cannot be merged into itself`);
  const store = new ConflictStore(engine, branches, source, into);
  const attempt = (isCareful: boolean): Promise<MergeResult> =>
    unchecked(engine, (areEnforced) => {
      const merging = new Merging(engine, branches, source, into, strategy, store, isCareful);
      const merged = merging.run(areEnforced);
      if (dryRun || !merged.merged) throw new Undone(merged);
      if (store.exists) store.clear();
      return merged;
    });
  try {
    return await attempt(false).catch((error: unknown) => {
      if (!(error instanceof Refused)) throw error;
      return attempt(true);
    });
  } catch (error) {
    if (!(error instanceof Undone)) throw error;
    const { result } = error;
    if (!dryRun && strategy === 'fail' && result.conflicts.length > 0)
      engine.atomically(() => store.keep(error.result.conflicts));
    return { ...result, lsn: BigInt(engine.log.end()) };
  }
}

/** One merge, inside its transaction. */
class Merging {
  readonly #engine: Engine;
  readonly #branches: Branches;
  readonly #source: number;
  readonly #into: number;
  readonly #strategy: MergeStrategy;
  readonly #store: ConflictStore;
  readonly #isCareful: boolean;
  readonly #states: States;

  /** With `isCareful` every row that a constraint refuses is found; without, the first one throws {@link Refused}. */
  constructor(
    engine: Engine,
    branches: Branches,
    source: number,
    into: number,
    strategy: MergeStrategy,
    store: ConflictStore,
    isCareful: boolean,
  ) {
    this.#engine = engine;
    this.#branches = branches;
    this.#source = source;
    this.#into = into;
    this.#strategy = strategy;
    this.#store = store;
    this.#isCareful = isCareful;
    this.#states = new States(engine, branches);
  }

  run(areEnforced: boolean): MergeResult {
    const end = this.#engine.log.end();
    // What main has changed is kept for the branch that is merged only where its rows are read through main's.
    if (this.#into !== MAIN) this.#branches.watch(this.#branches.branch(this.#into));
    const ancestry = this.#branches.ancestry();
    const [theirs, ours]: [State, State] = [
      { line: this.#source, lsn: end },
      { line: this.#into, lsn: end },
    ];
    const base = baseOf(ancestry, ours, theirs);
    const bases = statesOf(base);
    const nothing = {
      merged: false,
      inserted: 0,
      updated: 0,
      deleted: 0,
      conflicts: [],
      violations: [],
      schemaConflicts: [],
      lsn: BigInt(end),
    };
    if (this.#branches.isKnown(this.#source, bases)) return { ...nothing, merged: true };
    const schema = mergedSchema(this.#states, latest(bases), ours, theirs, (tableId) =>
      this.#changes(bases, tableId),
    );
    if (schema.conflicts.length > 0) return { ...nothing, schemaConflicts: schema.conflicts };
    // Rows are read before definitions change: then their states are what they were.
    const tables = this.#mergers(schema.tables, base, bases, ours, theirs);
    for (const table of tables) table.read();
    const broken = this.#applySchema(schema);
    if (broken !== undefined) return { ...nothing, violations: broken };
    const decisions = new Map<TableMerger, Decision>();
    const conflicts: MergeConflict[] = [];
    for (const table of tables) {
      const decision = table.decide(this.#relation(table.name), this.#strategy, this.#store);
      decisions.set(table, decision);
      conflicts.push(...decision.conflicts);
    }
    if (conflicts.length > 0) return { ...nothing, conflicts };
    const places = new Places(this.#engine, this.#branches, this.#into);
    const taken = this.#isCareful
      ? []
      : tables.flatMap((table) => table.take(decisions.get(table) as Decision, places) ?? []);
    const changes = tables.flatMap((table, i) => {
      const change = table.change(decisions.get(table) as Decision, places, i);
      return change === undefined ? [] : [change];
    });
    const applied = apply(this.#engine, places.all(), changes, areEnforced, taken);
    for (const table of tables) table.close();
    if (applied.violations.length > 0 && taken.length > 0) throw new Refused();
    if (applied.violations.length > 0) return { ...nothing, violations: applied.violations };
    // A merge that changes nothing still makes a state of its own, which knows more.
    if (this.#engine.log.end() === end) this.#engine.catalog.note();
    this.#branches.noteMerge({
      source: this.#source,
      sourceLsn: end,
      into: this.#into,
      lsn: this.#engine.log.end(),
    });
    return {
      ...nothing,
      merged: true,
      inserted: applied.inserted,
      updated: applied.updated,
      deleted: applied.deleted,
      lsn: BigInt(this.#engine.log.end()),
    };
  }

  /** Gives the line the merged definitions; the violations when its rows do not keep them. */
  #applySchema(schema: SchemaMerge): Violation[] | undefined {
    try {
      applySchema(this.#engine, this.#states, this.#into, schema);
      return undefined;
    } catch (error) {
      if (!(error instanceof DoSQLError) || !error.code.startsWith('CONSTRAINT_')) throw error;
      const reader = new RowReader(this.#engine, this.#states);
      return violatedRows(
        this.#engine,
        reader,
        this.#states,
        { line: this.#into, lsn: undefined },
        schema,
        error,
      );
    }
  }

  #mergers(
    tables: readonly MergedTable[],
    base: Base | undefined,
    bases: readonly State[],
    ours: State,
    theirs: State,
  ): TableMerger[] {
    const [ourTables, theirTables] = [this.#states.tables(ours), this.#states.tables(theirs)];
    return tables.flatMap((table) => {
      const their = table.theirs && tableNamed(theirTables, table.theirs.definition.name);
      if (their === undefined) return [];
      const our = table.ours && tableNamed(ourTables, table.ours.definition.name);
      return [new TableMerger(this.#engine, this.#states, table, { base, bases, ours, theirs }, our, their)];
    });
  }

  /** The table of this name on the line that is merged into. */
  #relation(name: string): Relation {
    const relation = tableNamed(this.#states.tables({ line: this.#into, lsn: undefined }), name);
    if (relation === undefined) throw new Error(`the merged table "${name}" is not there`);
    return relation;
  }

  /** Which side has changed rows of a table since the base. */
  #changes(bases: readonly State[], tableId: number): { ours: boolean; theirs: boolean } {
    const has = (line: number): boolean =>
      bases.some((state) => this.#states.hasChanges(state, { line, lsn: undefined }, tableId));
    return { ours: has(this.#into), theirs: has(this.#source) };
  }
}

/** One state for the definitions: of several, the latest. */
function latest(states: readonly State[]): State | undefined {
  return states.toSorted((a, b) => b.lsn - a.lsn)[0];
}
