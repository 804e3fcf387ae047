import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { asOf } from '../history/as-of.ts';
import { defaultsOf } from '../history/default.ts';
import type { Point } from '../history/point.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { parse, type Statement } from '../sql/statement.ts';
import { quoteName } from '../sql/token.ts';
import { describe } from '../value/parameter.ts';
import { apply, violationError } from './apply.ts';
import { forgotten } from './forget.ts';
import { imagesOf, keysChanged } from './images.ts';
import { assertMain, keyColumns, mainPlace, mainPlaces, storedColumns, type Place } from './place.ts';
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

/** A table as of the point and as it is now; either may be missing. */
interface Pair {
  readonly past: Relation | undefined;
  readonly now: Relation | undefined;
}

/**
 * Sets main, or some of its tables, back to how it was at `point`, as new changes in one transaction. The caller
 * holds the gate.
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
  point: Point,
  { tables }: RestoreOptions = {},
  branch: number = MAIN,
): Promise<RestoreResult> {
  assertMain(branch, 'restore()');
  if (tables !== undefined && !Array.isArray(tables))
    throw new DoSQLError('BAD_PARAMETER', `tables is ${describe(tables)}: give an array of names`);
  return unchecked(engine, (areEnforced) => {
    const { catalog, log, points } = engine;
    const lsn = points.resolve(point);
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

function pairsOf(
  past: readonly Relation[],
  now: readonly Relation[],
  names: readonly string[] | undefined,
): Pair[] {
  const pairs = past.map((relation): Pair => {
    const same = now.find(({ tableId }) => tableId === relation.tableId);
    // Dropped and created anew under its name, as migrations do that cannot alter it.
    const anew = now.find(
      ({ tableId, name }) =>
        sameName(name, relation.name) && !past.some((other) => other.tableId === tableId),
    );
    return { past: relation, now: same ?? anew };
  });
  for (const relation of now)
    if (!pairs.some((pair) => pair.now === relation)) pairs.push({ past: undefined, now: relation });
  if (names === undefined) return pairs;
  return names.map((name) => {
    const found =
      pairs.find((pair) => pair.now !== undefined && sameName(pair.now.name, name)) ??
      pairs.find((pair) => pair.past !== undefined && sameName(pair.past.name, name));
    if (found !== undefined) return found;
    throw new DoSQLError('NO_SUCH_TABLE', `there is no table ${describe(name)}, neither then nor now`);
  });
}

/** A table whose past has been erased would read as one that was not there. */
function assertKept({ storage }: Engine, pairs: readonly Pair[], lsn: number): void {
  for (const [tableId, from] of forgotten(storage.sql)) {
    const pair = pairs.find(({ now }) => now?.tableId === tableId);
    if (pair?.now !== undefined && lsn < from)
      throw new DoSQLError(
        'HISTORY_EXPIRED',
        `the past of "${pair.now.name}" before LSN ${from} has been erased: name the other tables in { tables }`,
      );
  }
}

function createAgain(engine: Engine, sql: string): void {
  engine.runOwn(parse(sql, true)[0] as Statement);
}

/** Indexes and triggers of a table that has been created again, once it has its rows. */
function completeAgain(engine: Engine, { name }: Relation, lsn: number): void {
  for (const { type, table, sql } of engine.catalog.objects.at(lsn))
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
  return refilled(mainPlace(storage.sql, relation), past, versions, lsn);
}

/** A table that was not there. */
function emptied(place: Place): TableChange {
  const columns = storedColumns(place.relation).map(({ name }) => `r.${quoteName(name)}`);
  return {
    place,
    target: `SELECT ${columns.join(', ')} FROM ${place.rows} AS r WHERE FALSE`,
    keys: allKeys(place),
  };
}

function allKeys({ relation, rows }: Place): string {
  const keys = keyColumns(relation).map(({ name }) => `r.${quoteName(name)}`);
  return `SELECT ${keys.join(', ')} FROM ${rows} AS r`;
}

/** A table that has been created anew gets the rows of the one that was there, by the names of their columns. */
function refilled(place: Place, past: Relation, versions: readonly Relation[], lsn: number): TableChange {
  const { relation } = place;
  const defaults = defaultsOf(relation);
  const rowid = past.key.kind === 'rowid' && past.key.columnId === undefined ? past.key.name : undefined;
  const source = `${asOf({ at: past, now: undefined, versions }, String(lsn), 'gaps', rowid)} AS p`;
  const valueOf = (name: string, id: number | undefined): string | undefined => {
    const column = past.columns.find((column) => sameName(column.name, name));
    if (column !== undefined) return `p.${quoteName(column.name)}`;
    return id === undefined ? undefined : (defaults.get(id) ?? 'NULL');
  };
  const isKnown = keyColumns(relation).every(
    ({ id, name }) => id === undefined || past.columns.some((column) => sameName(column.name, name)),
  );
  if (!isKnown)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `"${relation.name}" has been created anew with a key that the one of then did not have: name the other tables in { tables }`,
    );
  const columns = storedColumns(relation).map(({ id, name }) =>
    id === undefined ? undefined : valueOf(name, id),
  );
  const isKeyless = columns.includes(undefined);
  const values = columns.filter((value) => value !== undefined).join(', ');
  if (!isKeyless) return { place, target: `SELECT ${values} FROM ${source}`, keys: allKeys(place) };
  if (rowid !== undefined)
    return { place, target: `SELECT p.${quoteName(rowid)}, ${values} FROM ${source}`, keys: allKeys(place) };
  return { ...emptied(place), fresh: `SELECT ${values} FROM ${source}` };
}
