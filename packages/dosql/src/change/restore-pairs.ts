import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { defaultsOf } from '../history/default.ts';
import { sameName } from '../schema/catalog.ts';
import { bareRowid, type Relation } from '../schema/relation.ts';
import { quoteName } from '../sql/token.ts';
import { describe } from '../value/parameter.ts';
import { forgotten } from './forget.ts';
import { keyColumns, storedColumns, type Place } from './place.ts';
import type { TableChange } from './write.ts';

/** A table as of the point and as it is now; either may be missing. */
export interface Pair {
  readonly past: Relation | undefined;
  readonly now: Relation | undefined;
}

/** The tables of then and of now that belong together; only those called by `names`, if given. */
export function pairsOf(
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

/**
 * A table whose past has been erased would read as one that was not there.
 *
 * @throws DoSQLError `HISTORY_EXPIRED`
 */
export function assertKept({ storage }: Engine, pairs: readonly Pair[], lsn: number): void {
  for (const [tableId, from] of forgotten(storage.sql)) {
    const pair = pairs.find(({ now }) => now?.tableId === tableId);
    if (pair?.now !== undefined && lsn < from)
      throw new DoSQLError(
        'HISTORY_EXPIRED',
        `the past of "${pair.now.name}" before LSN ${from} has been erased: name the other tables in { tables }`,
      );
  }
}

/** A table that was not there. */
export function emptied(place: Place): TableChange {
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

/**
 * A table that has been created anew gets the rows of the one that was there, by the names of their columns. `rows` is
 * a subquery for these, with the rowid where that is no column.
 */
export function refilled(place: Place, past: Relation, rows: string): TableChange {
  const { relation } = place;
  const defaults = defaultsOf(relation);
  const rowid = bareRowid(past);
  const source = `${rows} AS p`;
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
