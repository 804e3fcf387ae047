import { newId } from './branches.ts';
import { rowsAt } from '@dotdo/example-shared/past';
import { json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { NewTask, PointQuery, TaskPatch, TaskPatchWithId, TaskQuery } from './input.ts';
import type { Context } from './routes.ts';
import type { InferOutput } from 'valibot';

const SELECT = `
  SELECT t.*, u.name AS assignee_name, p.name AS project_name
  FROM tasks t
  JOIN projects p ON p.id = t.project_id
  LEFT JOIN users u ON u.id = t.assignee_id`;

/** A filter that is not given is left out of the statement, so that SQLite can use the index of another. */
const FILTERS = {
  project_id: 't.project_id = :project_id',
  status: 't.status = :status',
  assignee_id: 't.assignee_id = :assignee_id',
};

/** How each field of a task is set. A task that is done knows since when. */
export const SETS = {
  project_id: 'project_id = :project_id',
  title: 'title = :title',
  description: 'description = :description',
  assignee_id: 'assignee_id = :assignee_id',
  status: `status = :status,
    completed_at = iif(:status = 'done', coalesce(completed_at, CURRENT_TIMESTAMP), NULL)`,
  priority: 'priority = :priority',
  due_date: 'due_date = :due_date',
  label: 'label = :label',
};

const ORDER = 'ORDER BY t.priority DESC, t.due_date ASC, t.id';

/** `GET /tasks?project_id=&status=&assignee_id=`: the highest priority first, then by due date. */
export async function listTasks({ db, query }: Context): Promise<Response> {
  const { as_of, ...filter } = parseQuery(TaskQuery, query);
  const conditions = (Object.keys(filter) as (keyof typeof filter)[]).map((column) => FILTERS[column]);
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  return json({ tasks: await rowsAt(db, as_of, `${SELECT} ${where} ${ORDER}`, filter) });
}

/** `GET /tasks/:id` */
export async function getTask({ db, query, id }: Context): Promise<Response> {
  const { as_of } = parseQuery(PointQuery, query);
  const [task] = await rowsAt(db, as_of, `${SELECT} WHERE t.id = ?`, [id]);
  if (task === undefined) throw notFound('task');
  return json(task);
}

/** `POST /tasks { project_id, title, … }` */
export async function createTask(context: Context): Promise<Response> {
  const { db, request } = context;
  const task = parseInput(NewTask, await readJson(request));
  const { lastRowId } = await db.run(
    `INSERT INTO tasks
       (id, project_id, title, description, assignee_id, status, priority, due_date, label, completed_at)
     VALUES
       (:id, :project_id, :title, :description, :assignee_id, :status, :priority, :due_date, :label,
        iif(:status = 'done', CURRENT_TIMESTAMP, NULL))`,
    { id: await newId(context, 'tasks'), ...task },
  );
  return json(await db.get(`${SELECT} WHERE t.id = ?`, [lastRowId]), { status: 201 });
}

/** `PATCH /tasks/:id { title?, status?, … }`: changes the fields that are given. */
export async function updateTask({ db, request, id }: Context): Promise<Response> {
  const patch = parseInput(TaskPatch, await readJson(request));
  return json(await patchTask(db, id, patch));
}

/** `PATCH /tasks { id, title?, status?, … }` is the same. */
export async function updateTaskById({ db, request }: Context): Promise<Response> {
  const { id, ...patch } = parseInput(TaskPatchWithId, await readJson(request));
  return json(await patchTask(db, id, patch));
}

/** `DELETE /tasks/:id` */
export async function deleteTask({ db, query, id }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const { changes } = await db.run('DELETE FROM tasks WHERE id = ?', [id]);
  if (changes === 0) throw notFound('task');
  return new Response(null, { status: 204 });
}

/** `GET /tasks/:id/history`: every version of the task, oldest first, also when it has been deleted. */
export async function taskHistory({ db, query, id }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const versions = await db.history('tasks', id);
  if (versions.length === 0) throw notFound('task');
  return json({
    versions: versions.map(({ row, op, lsnFrom, lsnTo, validFrom, validTo }) => ({
      op,
      lsn_from: lsnFrom,
      lsn_to: lsnTo,
      valid_from: validFrom,
      valid_to: validTo,
      row,
    })),
  });
}

/** Writes the given fields only, so of two patches at once neither undoes the other. */
async function patchTask(
  db: Context['db'],
  id: number,
  patch: InferOutput<typeof TaskPatch>,
): Promise<unknown> {
  const columns = Object.keys(patch) as (keyof typeof SETS)[];
  const sets = [...columns.map((column) => SETS[column]), 'updated_at = CURRENT_TIMESTAMP'];
  const [, task] = await db.batch([
    { sql: `UPDATE tasks SET ${sets.join(', ')} WHERE id = :id`, params: { ...patch, id } },
    { sql: `${SELECT} WHERE t.id = ?`, params: [id] },
  ]);
  const [row] = task?.rows ?? [];
  if (row === undefined) throw notFound('task');
  return row;
}
