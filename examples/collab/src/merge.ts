import type { MergeConflict, MergeResult, Row } from '@dotdo/dosql';
import { HttpError, json, readJson } from '@dotdo/example-shared/http';
import { parseInput } from '@dotdo/example-shared/input';
import type { BlockRow } from './block.ts';
import { branchOf } from './branches.ts';
import { Merge } from './input.ts';
import { MAIN } from './line.ts';
import { requireRole } from './members.ts';
import type { Context } from './routes.ts';
import { diff, mergeText, overlap } from './text.ts';

type Side = 'ours' | 'theirs';

/**
 * `POST /branches/:branch/merge { take?, dryRun? }`: brings what was done on the branch to main: all of it or, with
 * 409 and the conflicts, nothing. `take` says whose side to take in these: ours is main's, theirs the branch's.
 */
export async function mergeBranch(context: Context): Promise<Response> {
  requireRole(context, 'editor');
  const { main, rooms, member, request } = context;
  const name = branchOf(context);
  const { take, dryRun } = parseInput(Merge, await readJson(request));
  const room = await rooms.room(MAIN);
  const { merged, inserted, updated, deleted, lsn } = await rooms.turns.take(async () => {
    const before = main.lsn();
    const open: MergeConflict[] = [];
    const strategy = (conflict: MergeConflict): Row | null => {
      const row = together(conflict, take);
      if (row === undefined) open.push(conflict);
      return row === undefined ? conflict.ours : row;
    };
    // First to see whether people have to decide; nothing is left behind by that.
    const tried = await main.merge(name, { strategy, dryRun: true });
    if (open.length > 0 || !tried.merged)
      throw new HttpError(409, explain(open), { conflicts: open.map(shown) });
    const result: MergeResult = dryRun ? tried : await main.merge(name, { strategy });
    if (!dryRun)
      await main.run(`INSERT INTO runs (id, line, user_id, kind, lsn, at) VALUES (?, ?, ?, 'merge', ?, ?)`, [
        `merge/${crypto.randomUUID()}`,
        MAIN,
        member.id,
        before,
        new Date(),
      ]);
    return result;
  });
  await room.tell();
  return json({ merged: merged && !dryRun, inserted, updated, deleted, lsn });
}

/**
 * A block that both sides have changed: its text with the changes of both, unless they are about the same words. What
 * remains is for people: undefined, unless they have said whose side to take.
 */
function together(
  { base, ours, theirs, columns }: MergeConflict,
  take: Side | undefined,
): Row | null | undefined {
  if (ours === null || theirs === null || base === null) {
    if (take === undefined) return undefined;
    return take === 'ours' ? ours : theirs;
  }
  const [was, here, there] = [base, ours, theirs] as unknown as [BlockRow, BlockRow, BlockRow];
  const merged: Row = { ...ours };
  for (const [column, value] of Object.entries(theirs))
    if (!columns.includes(column) && value !== base[column]) merged[column] = value;
  for (const column of columns) {
    // Whose doing it is: that of whoever merges it.
    if (column === 'run') merged[column] = '';
    else if (column === 'text' && !overlap(diff(was.text, here.text), diff(was.text, there.text)))
      merged[column] = mergeText(was.text, here.text, there.text);
    else if (take === undefined) return undefined;
    else merged[column] = (take === 'ours' ? ours : theirs)[column] ?? null;
  }
  return merged;
}

function explain(conflicts: readonly MergeConflict[]): string {
  const count = conflicts.length === 1 ? '1 block has' : `${conflicts.length} blocks have`;
  return `${count} been changed on main in the same place: say which side to take`;
}

function shown({ key, base, ours, theirs, columns }: MergeConflict): object {
  return { id: key['id'], columns: columns.filter((column) => column !== 'run'), base, ours, theirs };
}
