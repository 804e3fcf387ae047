import { DoSQLError } from '@dotdo/dosql';
import { HttpError, json, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { outsideHistory } from '@dotdo/example-shared/past';
import { Restore, UndoRestore } from './input.ts';
import type { Context } from './routes.ts';
import { requireAdmin } from './users.ts';

/** Names, in the object's own storage, each restore that can be undone. Any other transaction is not for undoing here. */
const keyOf = (lsn: number): string => `restore:${lsn}`;
/** What is set back: the board. Who may do what stays, or yesterday's board would bring back a right taken today. */
const TABLES = ['projects', 'tasks'];

/**
 * `POST /restore { to }`: sets the board back to a point, as new changes, which are in the history and reach every
 * page and the webhook like any other. `lsn` is what undoing takes; it is null when the board was like that already.
 */
export async function restoreBoard(context: Context): Promise<Response> {
  await requireAdmin(context);
  const { main, ctx, request, query } = context;
  parseQuery(NoQuery, query);
  const { to } = parseInput(Restore, await readJson(request));
  try {
    const { changes, lsn } = await main.restore(to, { tables: TABLES });
    if (changes > 0) ctx.storage.kv.put(keyOf(Number(lsn)), true);
    return json({ changes, lsn: changes > 0 ? lsn : null });
  } catch (error) {
    throw await outsideHistory(main, error);
  }
}

/**
 * `POST /restore/undo { lsn }`: takes a restore back, and nothing else: what has been written since stays, other
 * restores among it. 409 when something of what it set back has been changed again, 410 when it is longer ago than the
 * history reaches.
 */
export async function undoRestore(context: Context): Promise<Response> {
  await requireAdmin(context);
  const { main, ctx, request, query } = context;
  parseQuery(NoQuery, query);
  const { lsn } = parseInput(UndoRestore, await readJson(request));
  if (ctx.storage.kv.get(keyOf(lsn)) === undefined)
    throw new HttpError(409, 'this is no restore, or it is undone already');
  try {
    const { inserted, updated, deleted } = await main.revert(lsn);
    ctx.storage.kv.delete(keyOf(lsn));
    return json({ changes: inserted + updated + deleted });
  } catch (error) {
    if (!(error instanceof DoSQLError) || !/^(?:MERGE_CONFLICT|CONSTRAINT_)/.test(error.code))
      throw await outsideHistory(main, error);
    throw new HttpError(
      409,
      'what was restored has been changed since: restore the board to a point instead',
    );
  }
}
