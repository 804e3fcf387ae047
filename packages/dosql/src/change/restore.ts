import type { Branches } from '../branch/branches.ts';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { asOf } from '../history/as-of.ts';
import type { Point } from '../history/point.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN } from '../schema/line.ts';
import { bareRowid, type Relation } from '../schema/relation.ts';
import { parse, type Statement } from '../sql/statement.ts';
import { describe } from '../value/parameter.ts';
import { apply, violationError } from './apply.ts';
import { imagesOf, keysChanged } from './images.ts';
import { mainPlace, mainPlaces } from './place.ts';
import { restoreBranch } from './restore-branch.ts';
import { assertKept, emptied, pairsOf, refilled, type Pair } from './restore-pairs.ts';
import { unchecked } from './unchecked.ts';
import type { TableChange } from './write.ts';

/** What to set back. */
export interface RestoreOptions {
  /** Only these tables; by default all. */
  readonly tables?: readonly string[] | undefined;
}

/** What setting back has done. */
export interface RestoreResult {
  /** Rows inserted, updated and deleted. */
  readonly changes: number;
  /** The log's end after it. */
  readonly lsn: bigint;
}

/**
 * Sets a line, or some of its tables, back to how it was at `point`, as new changes in one transaction; a branch also
 * to how its parent was before it forked. The caller holds the gate.
 *
 * Rows go back, definitions stay: a table keeps the columns that it has got since, with what they hold in rows
 * that are still there and their default in rows that come back. A table that has been dropped is created again,
 * with its indexes and triggers. One that has been created since is emptied.
 *
 * @throws DoSQLError `CONSTRAINT_*` when rows that go back do not fit those that stay, `NO_SUCH_TABLE`, and what
 * resolving the point throws; then nothing has changed.
 */
export async function restore(
  engine: Engine,
  branches: Branches | undefined,
  point: Point,
  { tables }: RestoreOptions = {},
  line: number = MAIN,
): Promise<RestoreResult> {
  if (tables !== undefined && !Array.isArray(tables))
    throw new DoSQLError('BAD_PARAMETER', `tables is ${describe(tables)}: give an array of names`);
  // What changes since the point are about is looked for by keys.
  if (engine.files !== undefined) await engine.files.cold.logged(engine.history.points.resolve(point));
  return unchecked(engine, (areEnforced) => {
    const { catalog, history, log } = engine;
    const lsn = history.points.resolve(point);
    if (branches !== undefined && line !== MAIN)
      return restoreBranch(engine, branches, { line, lsn, tables }, areEnforced);
    const pairs = pairsOf(catalog.tablesAt(lsn), catalog.tablesAt(log.end()), tables);
    assertKept(engine, pairs, lsn);
    const end = log.end();
    const dropped = pairs.flatMap(({ past, now }) => (now === undefined && past !== undefined ? [past] : []));
    for (const relation of dropped) createAgain(engine, relation.sql);
    const changes = pairs.map((pair) => changeOf(engine, pair, lsn, end));
    const applied = apply(engine, mainPlaces(engine.storage.sql, catalog), changes, areEnforced);
    if (applied.violations.length > 0) throw violationError('restoring', applied.violations);
    for (const relation of dropped) completeAgain(engine, relation, lsn);
    return { changes: applied.inserted + applied.updated + applied.deleted, lsn: BigInt(log.end()) };
  });
}

function createAgain(engine: Engine, sql: string): void {
  engine.runOwn(parse(sql, true)[0] as Statement);
}

/** Indexes and triggers of a table that has been created again, once it has its rows. */
function completeAgain(engine: Engine, { name }: Relation, lsn: number): void {
  const objects = engine.catalog.objects.at(lsn).toSorted((a, b) => a.place - b.place);
  for (const { type, table, sql } of objects)
    if (type !== 'view' && sameName(table, name)) createAgain(engine, sql);
}

function changeOf(engine: Engine, { past, now }: Pair, lsn: number, end: number): TableChange {
  const { catalog, storage } = engine;
  if (past === undefined) return emptied(mainPlace(storage.sql, now as Relation));
  const versions = catalog.versions(past.tableId).filter(({ id }) => id >= past.id);
  if (now?.tableId === past.tableId) {
    const place = mainPlace(storage.sql, now);
    const stretch = { after: lsn, upTo: end };
    return {
      place,
      target: imagesOf({ place, past, versions, stretch, side: 'before' }),
      keys: keysChanged(versions, stretch),
    };
  }
  const relation = now ?? catalog.relationAt(past.name, engine.log.end());
  if (relation === undefined) throw new Error(`"${past.name}" has not been created again`);
  const rows = asOf({ at: past, now: undefined, versions }, String(lsn), 'gaps', bareRowid(past));
  return refilled(mainPlace(storage.sql, relation), past, rows);
}
