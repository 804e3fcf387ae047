import type { Cdc } from '@dotdo/cdc';
import type { Database } from '@dotdo/dosql';
import { activity, live } from './activity.ts';
import { createBranch, dropBranch, listBranches, onBranch } from './branches.ts';
import { bulkEdit } from './bulk.ts';
import { diffBranch } from './diff.ts';
import { exportAll } from './export.ts';
import { HttpError } from '@dotdo/example-shared/http';
import { findRoute, requireRoute, type Routes } from '@dotdo/example-shared/router';
import { listConflicts, mergeBranch, resolveConflict } from './merge.ts';
import { createProject, deleteProject, getProject, listProjects } from './projects.ts';
import { restoreBoard, undoRestore } from './restore.ts';
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
import { createToken, createUser, getUser, listUsers } from './users.ts';
import { deleteWebhook, getWebhook, putWebhook, replayWebhook } from './webhook.ts';
import type { Env } from './worker.ts';

/** What a handler works with. */
export interface Context {
  readonly ctx: DurableObjectState;
  readonly env: Env;
  readonly main: Database;
  readonly cdc: Cdc;
  /** What the request reads and writes: main, or the branch in its query. */
  readonly db: Database;
  /** Whose token the request carries. */
  readonly userId: number;
  readonly request: Request;
  readonly query: URLSearchParams;
  /** The row that the path names; 0, which no row has, on a path that names none. */
  readonly id: number;
  /** The branch that the path names; empty on a path that names none. */
  readonly name: string;
}

type Handler = (context: Context) => Response | Promise<Response>;

/** Paths that take `?branch=`: what they read and write is then the branch's. */
const ROUTES_OF_ANY_BRANCH: Routes<Handler> = [
  [/^\/projects$/, { GET: listProjects, POST: createProject }],
  [/^\/projects\/(?<id>\d{1,15})$/, { GET: getProject, DELETE: deleteProject }],
  [/^\/tasks$/, { GET: listTasks, POST: createTask, PATCH: updateTaskById }],
  [/^\/tasks\/(?<id>\d{1,15})$/, { GET: getTask, PATCH: updateTask, DELETE: deleteTask }],
];

/** The rest of the tenant's HTTP interface. */
const ROUTES: Routes<Handler> = [
  [/^\/users$/, { GET: listUsers, POST: createUser }],
  [/^\/users\/(?<id>\d{1,15})$/, { GET: getUser }],
  [/^\/users\/(?<id>\d{1,15})\/tokens$/, { POST: createToken }],
  [/^\/tasks\/(?<id>\d{1,15})\/history$/, { GET: taskHistory }],
  [/^\/branches$/, { GET: listBranches, POST: createBranch }],
  [/^\/branches\/(?<name>[^/]+)$/, { DELETE: dropBranch }],
  [/^\/branches\/(?<name>[^/]+)\/bulk$/, { POST: bulkEdit }],
  [/^\/branches\/(?<name>[^/]+)\/diff$/, { GET: diffBranch }],
  [/^\/branches\/(?<name>[^/]+)\/merge$/, { POST: mergeBranch }],
  [/^\/branches\/(?<name>[^/]+)\/conflicts$/, { GET: listConflicts }],
  [/^\/branches\/(?<name>[^/]+)\/conflicts\/resolve$/, { POST: resolveConflict }],
  [/^\/activity$/, { GET: activity }],
  [/^\/live$/, { GET: live }],
  [/^\/webhook$/, { GET: getWebhook, PUT: putWebhook, DELETE: deleteWebhook }],
  [/^\/webhook\/replay$/, { POST: replayWebhook }],
  [/^\/restore$/, { POST: restoreBoard }],
  [/^\/restore\/undo$/, { POST: undoRestore }],
  [/^\/export$/, { GET: exportAll }],
  [/^\/status$/, { GET: status }],
];

/**
 * Answers a request out of the tenant's database.
 *
 * @throws HttpError 404 for a path that is none, 405 for a method that it does not take.
 */
export async function route(
  context: Pick<Context, 'ctx' | 'env' | 'main' | 'cdc' | 'userId' | 'request'>,
): Promise<Response> {
  const { main, request } = context;
  const { pathname, searchParams: query } = new URL(request.url);
  const here = { ...context, query, db: main };
  const branched = findRoute(ROUTES_OF_ANY_BRANCH, pathname, request.method);
  if (branched !== undefined)
    return onBranch(here, (db) => branched.handler({ ...here, db, ...named(branched.params) }));
  const { handler, params } = requireRoute(ROUTES, pathname, request.method);
  if (query.has('branch')) throw new HttpError(400, 'this path takes no branch');
  return handler({ ...here, ...named(params) });
}

function named({ id = '0', name = '' }: Readonly<Record<string, string>>): Pick<Context, 'id' | 'name'> {
  return { id: Number(id), name };
}
