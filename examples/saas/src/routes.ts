import type { Database } from '@dotdo/dosql';
import { activity, live } from './activity.ts';
import { exportAll } from './export.ts';
import { HttpError, methodNotAllowed } from './http.ts';
import { createProject, deleteProject, getProject, listProjects } from './projects.ts';
import { status } from './status.ts';
import {
  createTask,
  deleteTask,
  getTask,
  listTasks,
  taskHistory,
  updateTask,
  updateTaskById,
} from './tasks.ts';
import { createUser, getUser, listUsers } from './users.ts';

/** What a handler works with. */
export interface Context {
  readonly ctx: DurableObjectState;
  readonly db: Database;
  readonly request: Request;
  readonly query: URLSearchParams;
  /** The row that the path names; 0, which no row has, on a path that names none. */
  readonly id: number;
}

type Handler = (context: Context) => Response | Promise<Response>;

/** The tenant's whole HTTP interface. */
const ROUTES: readonly (readonly [path: RegExp, methods: Readonly<Record<string, Handler>>])[] = [
  [/^\/users$/, { GET: listUsers, POST: createUser }],
  [/^\/users\/(\d{1,15})$/, { GET: getUser }],
  [/^\/projects$/, { GET: listProjects, POST: createProject }],
  [/^\/projects\/(\d{1,15})$/, { GET: getProject, DELETE: deleteProject }],
  [/^\/tasks$/, { GET: listTasks, POST: createTask, PATCH: updateTaskById }],
  [/^\/tasks\/(\d{1,15})$/, { GET: getTask, PATCH: updateTask, DELETE: deleteTask }],
  [/^\/tasks\/(\d{1,15})\/history$/, { GET: taskHistory }],
  [/^\/activity$/, { GET: activity }],
  [/^\/activity\/live$/, { GET: live }],
  [/^\/export$/, { GET: exportAll }],
  [/^\/status$/, { GET: status }],
];

/**
 * Answers a request out of the tenant's database.
 *
 * @throws HttpError 404 for a path that is none, 405 for a method that it does not take.
 */
export async function route(context: Pick<Context, 'ctx' | 'db' | 'request'>): Promise<Response> {
  const { method, url } = context.request;
  const { pathname, searchParams: query } = new URL(url);
  for (const [path, methods] of ROUTES) {
    const match = path.exec(pathname);
    if (match === null) continue;
    const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (handler === undefined) throw methodNotAllowed(Object.keys(methods));
    return handler({ ...context, query, id: Number(match[1] ?? 0) });
  }
  throw new HttpError(404, 'there is no such path');
}
