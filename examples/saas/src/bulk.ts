import { openBranch } from './branches.ts';
import { json, readJson } from '@dotdo/example-shared/http';
import { parseInput } from '@dotdo/example-shared/input';
import { BulkEdit } from './input.ts';
import type { Context } from './routes.ts';
import { SETS } from './tasks.ts';

/** `IS` rather than `=`, since null is a value to look for: the tasks of no one, or without a date. */
const FILTERS = {
  project_id: 'project_id IS :where_project_id',
  status: 'status IS :where_status',
  assignee_id: 'assignee_id IS :where_assignee_id',
  label: 'label IS :where_label',
};

/**
 * `POST /branches/:name/bulk { where: { status?, … }, set: { status?, … } }`: sets fields of all tasks that have
 * all of these values. A task that has the new values already stays as it is, its `updated_at` too.
 */
export async function bulkEdit(context: Context): Promise<Response> {
  const db = await openBranch(context, context.name);
  const { where, set } = parseInput(BulkEdit, await readJson(context.request));
  const columns = Object.keys(set) as (keyof typeof set)[];
  const conditions = (Object.keys(where) as (keyof typeof FILTERS)[]).map((column) => FILTERS[column]);
  const isOther = columns.map((column) => `${column} IS NOT :${column}`).join(' OR ');
  const { changes, lsn } = await db.run(
    `UPDATE tasks SET ${columns.map((column) => SETS[column]).join(', ')}, updated_at = CURRENT_TIMESTAMP
     WHERE ${[...conditions, `(${isOther})`].join(' AND ')}`,
    { ...set, ...prefixed('where_', where) },
  );
  return json({ changes, lsn });
}

function prefixed<T>(prefix: string, values: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));
}
