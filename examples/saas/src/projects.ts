import { newId } from './branches.ts';
import { json, notFound, readJson } from '@dotdo/example-shared/http';
import { rowsAt } from '@dotdo/example-shared/past';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { NewProject, ProjectQuery, PointQuery } from './input.ts';
import type { Context } from './routes.ts';

/** `GET /projects?status=`: the active ones unless another status is asked for, last changed first. */
export async function listProjects({ db, query }: Context): Promise<Response> {
  const { as_of, status } = parseQuery(ProjectQuery, query);
  const projects = await rowsAt(
    db,
    as_of,
    `SELECT p.*, u.name AS owner_name, coalesce(t.task_count, 0) AS task_count
     FROM projects p
     JOIN users u ON u.id = p.owner_id
     LEFT JOIN (SELECT project_id, count(*) AS task_count FROM tasks GROUP BY project_id) t ON t.project_id = p.id
     WHERE p.status = ?
     ORDER BY p.updated_at DESC, p.id DESC`,
    [status],
  );
  return json({ projects });
}

/** `GET /projects/:id` */
export async function getProject({ db, query, id }: Context): Promise<Response> {
  const { as_of } = parseQuery(PointQuery, query);
  const [project] = await rowsAt(
    db,
    as_of,
    `SELECT p.*, u.name AS owner_name, (SELECT count(*) FROM tasks t WHERE t.project_id = p.id) AS task_count
     FROM projects p
     JOIN users u ON u.id = p.owner_id
     WHERE p.id = ?`,
    [id],
  );
  if (project === undefined) throw notFound('project');
  return json(project);
}

/** `POST /projects { name, description?, owner_id }` */
export async function createProject(context: Context): Promise<Response> {
  const project = parseInput(NewProject, await readJson(context.request));
  const [created] = await context.db.query(
    `INSERT INTO projects (id, name, description, owner_id)
     VALUES (:id, :name, :description, :owner_id) RETURNING *`,
    { id: await newId(context, 'projects'), ...project },
  );
  return json(created, { status: 201 });
}

/** `DELETE /projects/:id`: its tasks go with it. */
export async function deleteProject({ db, query, id }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const { changes } = await db.run('DELETE FROM projects WHERE id = ?', [id]);
  if (changes === 0) throw notFound('project');
  return new Response(null, { status: 204 });
}
