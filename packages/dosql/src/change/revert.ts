import type { Engine } from '../engine.ts';
import { MAIN } from '../schema/line.ts';
import { pick, type PickResult } from './pick.ts';
import { assertMain, mainPlaces } from './place.ts';
import { unchecked } from './unchecked.ts';

/**
 * Undoes one transaction of main's, given by any LSN of it, as new changes. The caller holds the gate.
 *
 * @throws DoSQLError as {@link pick} does; then nothing has changed.
 */
export async function revert(
  engine: Engine,
  tx: bigint | number,
  branch: number = MAIN,
): Promise<PickResult> {
  assertMain(branch, 'revert()');
  return unchecked(engine, (areEnforced) => {
    const places = mainPlaces(engine.storage.sql, engine.catalog);
    return pick(engine, { tx, direction: 'undo', places }, areEnforced);
  });
}

/**
 * Makes one transaction of main's again, on main, as new changes: one that was undone, or that restoring took back.
 * The caller holds the gate.
 *
 * @throws DoSQLError as {@link pick} does; then nothing has changed.
 */
export async function cherryPick(
  engine: Engine,
  tx: bigint | number,
  branch: number = MAIN,
): Promise<PickResult> {
  assertMain(branch, 'cherryPick()');
  return unchecked(engine, (areEnforced) => {
    const places = mainPlaces(engine.storage.sql, engine.catalog);
    return pick(engine, { tx, direction: 'again', places }, areEnforced);
  });
}
