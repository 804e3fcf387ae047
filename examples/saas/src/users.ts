import type { Database } from '@dotdo/dosql';
import { HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { rowsAt } from '@dotdo/example-shared/past';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { NewUser, PointQuery } from './input.ts';
import type { Context } from './routes.ts';
import { tokenFor } from './token.ts';

/** The user that signing up makes. */
export const OWNER_ID = 1;
/** Carries the id of the user whose token the Worker has seen. */
export const USER_HEADER = 'x-user-id';

/** A user, as the table has it. */
export interface User {
  readonly id: number;
  readonly email: string;
  readonly name: string;
  readonly role: 'owner' | 'admin' | 'member';
}

/** `GET /users` */
export async function listUsers({ db, query }: Context): Promise<Response> {
  const { as_of } = parseQuery(PointQuery, query);
  return json({ users: await rowsAt(db, as_of, 'SELECT * FROM users ORDER BY name, id') });
}

/** `GET /users/:id` */
export async function getUser({ db, query, id }: Context): Promise<Response> {
  const { as_of } = parseQuery(PointQuery, query);
  const [user] = await rowsAt(db, as_of, 'SELECT * FROM users WHERE id = ?', [id]);
  if (user === undefined) throw notFound('user');
  return json(user);
}

/** `POST /users { email, name, role? }`: a role other than member is an admin's to give. */
export async function createUser(context: Context): Promise<Response> {
  const user = parseInput(NewUser, await readJson(context.request));
  if (user.role !== 'member') await requireAdmin(context);
  const [created] = await context.db.query(
    'INSERT INTO users (email, name, role) VALUES (:email, :name, :role) RETURNING *',
    user,
  );
  return json(created, { status: 201 });
}

/** `POST /users/:id/tokens`: a token for a user of the tenant, which an admin hands on. */
export async function createToken(context: Context): Promise<Response> {
  await requireAdmin(context);
  const { db, query, id, env } = context;
  parseQuery(NoQuery, query);
  const user = await userById(db, id);
  if (user === undefined) throw notFound('user');
  return json({ token: await tokenFor(env.TOKEN_SECRET, { tenant: db.name, userId: id }) }, { status: 201 });
}

/** Throws a 403 unless the request comes from an owner or admin of the tenant. */
export async function requireAdmin({ main, userId }: Pick<Context, 'main' | 'userId'>): Promise<void> {
  // Read on main: nobody makes themselves an admin on a branch.
  const user = await userById(main, userId);
  if (user === undefined || user.role === 'member')
    throw new HttpError(403, 'this is for admins of the tenant');
}

/** A user of the tenant. */
export async function userById(db: Database, id: number): Promise<User | undefined> {
  return (await db.get<User>('SELECT * FROM users WHERE id = ?', [id])) ?? undefined;
}
