import type { Database, Row, SqlValue } from '@dotdo/dosql';
import { openBranch } from './branches.ts';
import { HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { Merge, Resolution } from './input.ts';
import type { Context } from './routes.ts';

type MergeResult = Awaited<ReturnType<Database['merge']>>;
type Conflict = MergeResult['conflicts'][number];
type Cells = Readonly<Record<string, SqlValue | undefined>>;

/** Columns that the app keeps by itself: where only they are in question, nobody is asked. */
const KEPT_BY_APP: ReadonlySet<string> = new Set(['updated_at', 'completed_at']);

/**
 * `POST /branches/:name/merge { dryRun? }`: brings what has changed on the branch to main: all of it or, with 409
 * and the reasons, nothing. A dry run answers the same and changes nothing.
 */
export async function mergeBranch(context: Context): Promise<Response> {
  const { main, request, name } = context;
  await openBranch(context, name);
  const { dryRun } = parseInput(Merge, await readJson(request));
  const { merged, inserted, updated, deleted, lsn, ...reasons } = await merge(main, name, dryRun);
  if (!merged) throw new HttpError(409, explain(reasons), reasons);
  return json({ merged: !dryRun, inserted, updated, deleted, lsn });
}

/** `GET /branches/:name/conflicts`: what the last merge of the branch met and nobody has resolved yet. */
export async function listConflicts(context: Context): Promise<Response> {
  const { main, query, name } = context;
  await openBranch(context, name);
  parseQuery(NoQuery, query);
  return json({ conflicts: await conflictsOf(main, name) });
}

/**
 * `POST /branches/:name/conflicts/resolve { table, key, take }`: what the next merge makes of one row. `ours` is
 * main's, `theirs` the branch's; otherwise `take` has the values of the cells in question. A cell that only one
 * side has changed is that side's in any case.
 */
export async function resolveConflict(context: Context): Promise<Response> {
  const { main, request, name } = context;
  await openBranch(context, name);
  const { table, key, take } = parseInput(Resolution, await readJson(request));
  const conflicts = await conflictsOf(main, name);
  const conflict = conflicts.find((conflict) => conflict.table === table && conflict.key['id'] === key.id);
  if (conflict === undefined) throw notFound('conflict');
  await main.resolve(table, conflict.key, resolution(conflict, take), { source: name });
  return json({ conflicts: await conflictsOf(main, name) });
}

/** Merges, and decides by itself what is no question for people. */
async function merge(main: Database, name: string, dryRun: boolean): Promise<MergeResult> {
  const result = await main.merge(name, { dryRun });
  const conflicts = result.conflicts.filter(isOpen);
  const decided = result.conflicts.filter((conflict) => !isOpen(conflict));
  if (decided.length > 0 && conflicts.length === 0)
    return main.merge(name, { dryRun, strategy: (conflict) => mergedRow(conflict) });
  if (!dryRun)
    for (const conflict of decided)
      await main.resolve(conflict.table, conflict.key, mergedRow(conflict), { source: name });
  return { ...result, conflicts };
}

/** What merging a branch into main has left to be resolved. */
async function conflictsOf(main: Database, name: string): Promise<Conflict[]> {
  const conflicts = await main.conflicts();
  return conflicts.filter(({ source }) => source === name);
}

/** Whether a person has to decide. */
function isOpen({ ours, theirs, columns }: Conflict): boolean {
  return ours === null || theirs === null || columns.some((column) => !KEPT_BY_APP.has(column));
}

function explain({ conflicts, violations }: Pick<MergeResult, 'conflicts' | 'violations'>): string {
  if (conflicts.length > 0)
    return `${conflicts.length === 1 ? '1 row has' : `${conflicts.length} rows have`} changed on main too: resolve this and merge again`;
  const [violation] = violations;
  if (violation === undefined) return 'main and the branch define their tables differently';
  return `the rows would not fit together: ${violation.message} (${violation.table} ${Object.values(violation.key).join()})`;
}

function resolution(conflict: Conflict, take: 'ours' | 'theirs' | Cells): 'ours' | 'theirs' | Row {
  if (typeof take !== 'string') return mergedRow(conflict, take);
  const { [take]: side, ours, theirs, columns } = conflict;
  // One side has deleted the row: it is the other's, or gone.
  if (side === null || ours === null || theirs === null) return take;
  return mergedRow(conflict, Object.fromEntries(columns.map((column) => [column, side[column] ?? null])));
}

/** The row of both sides: what only one has changed is from there, what both have changed is as `chosen`, or ours. */
function mergedRow({ base, ours, theirs, columns }: Conflict, chosen: Cells = {}): Row {
  const row: Row = Object.assign({}, ours ?? theirs, chosen);
  for (const [column, value] of Object.entries(theirs ?? {}))
    if (!Object.hasOwn(chosen, column) && !columns.includes(column) && value !== base?.[column])
      row[column] = value;
  const latest = (column: string): string | null =>
    [ours?.[column], theirs?.[column]]
      .filter((time) => typeof time === 'string')
      .toSorted()
      .at(-1) ?? null;
  row['updated_at'] = latest('updated_at');
  if ('completed_at' in row)
    row['completed_at'] = row['status'] === 'done' ? (latest('completed_at') ?? row['updated_at']) : null;
  return row;
}
