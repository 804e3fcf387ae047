import type { Branches } from '../branch/branches.ts';
import type { Engine } from '../engine.ts';
import { MAIN } from '../schema/line.ts';
import { pick, type PickResult } from './pick.ts';
import { unchecked } from './unchecked.ts';

/**
 * Undoes one transaction on a line, given by any LSN of it, as new changes. The caller holds the gate.
 *
 * @throws DoSQLError as {@link pick} does; then nothing has changed.
 */
export async function revert(
  engine: Engine,
  branches: Branches | undefined,
  tx: bigint | number,
  line: number = MAIN,
): Promise<PickResult> {
  await bringHot(engine, tx);
  return unchecked(engine, (areEnforced) =>
    pick(engine, branches, { tx, direction: 'undo', line }, areEnforced),
  );
}

/**
 * Makes one transaction of whatever line again on a line, as new changes: one of another branch, or one that was
 * undone, or that restoring took back. The caller holds the gate.
 *
 * @throws DoSQLError as {@link pick} does; then nothing has changed.
 */
export async function cherryPick(
  engine: Engine,
  branches: Branches | undefined,
  tx: bigint | number,
  line: number = MAIN,
): Promise<PickResult> {
  await bringHot(engine, tx);
  return unchecked(engine, (areEnforced) =>
    pick(engine, branches, { tx, direction: 'again', line }, areEnforced),
  );
}

/** Makes the cold rows hot that a transaction is about: they are found by their keys. */
async function bringHot({ files, log }: Engine, tx: bigint | number): Promise<void> {
  const lsn = Number(tx);
  if (files === undefined || !Number.isSafeInteger(lsn)) return;
  const { first, last } = log.transactionOf(lsn);
  await files.cold.logged(first - 1, last);
}
