import { DoSQLError, type Database } from '@dotdo/dosql';
import { HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { BranchQuery, NewBranch } from './input.ts';
import type { Context } from './routes.ts';
import { requireAdmin } from './users.ts';

/** The line that every tenant has. It is no branch: it cannot be dropped, nor merged into itself. */
const MAIN = 'main';

/** `GET /branches`: all but main, oldest first, with what each has changed. */
export async function listBranches(context: Context): Promise<Response> {
  await requireAdmin(context);
  const { main, query } = context;
  parseQuery(NoQuery, query);
  const branches = await main.branches();
  return json({
    branches: branches.map(({ name, base, createdAt, changes }) => ({
      name,
      base_lsn: base,
      created_at: createdAt,
      changes,
    })),
  });
}

/** `POST /branches { name }`: a branch of main as it is now. */
export async function createBranch(context: Context): Promise<Response> {
  await requireAdmin(context);
  const { main, request } = context;
  const { name } = parseInput(NewBranch, await readJson(request));
  await main.branch(name);
  return json({ name }, { status: 201 });
}

/** `DELETE /branches/:name`: with all that was changed on it. */
export async function dropBranch(context: Context): Promise<Response> {
  const { main, query, name } = context;
  await openBranch(context, name);
  parseQuery(NoQuery, query);
  await main.dropBranch(name);
  return new Response(null, { status: 204 });
}

/**
 * Answers a request on the branch that its query names, or on main.
 *
 * @throws HttpError 403 for a branch when it does not come from an admin, 404 for one that is not there.
 */
export async function onBranch(
  context: Omit<Context, 'db' | 'id' | 'name'>,
  work: (db: Database) => Response | Promise<Response>,
): Promise<Response> {
  const { main, query } = context;
  const { branch = MAIN } = parseQuery(BranchQuery, pick(query, 'branch'));
  query.delete('branch');
  if (branch === MAIN) return work(main);
  const db = await openBranch(context, branch);
  try {
    return await work(db);
  } catch (error) {
    // A branch keeps the tables that it was made with, and a migration may have changed main's since.
    const isOlder = error instanceof DoSQLError && /^NO_SUCH_(?:TABLE|COLUMN)$/.test(error.code);
    throw isOlder ? new HttpError(409, 'this branch is older than the schema: merge or drop it') : error;
  }
}

/**
 * The id for a new row. On main it is null: SQLite gives the next one. On a branch it is the next one of main,
 * which is then taken: two rows that were made on different branches never have the same id, or a merge would
 * take them for one row that differs.
 */
export async function newId({ main, db }: Context, table: 'projects' | 'tasks'): Promise<number | null> {
  if (db === main) return null;
  const [, updated] = await main.batch<{ seq: number }>([
    {
      sql: `INSERT INTO sqlite_sequence (name, seq)
            SELECT ?1, 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)`,
      params: [table],
    },
    { sql: 'UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = ? RETURNING seq', params: [table] },
  ]);
  return updated?.rows[0]?.seq ?? null;
}

/** A branch of the tenant, for an admin. Only this tenant's database is looked into, so there are no others'. */
export async function openBranch(context: Pick<Context, 'main' | 'userId'>, name: string): Promise<Database> {
  await requireAdmin(context);
  if (name === MAIN) throw notFound('branch');
  return context.main.checkout(name);
}

function pick(query: URLSearchParams, name: string): URLSearchParams {
  return new URLSearchParams(query.getAll(name).map((value) => [name, value]));
}
