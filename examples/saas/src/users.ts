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

/** `POST /users { email, name, role? }`: a role other than member is an admin's to give, that of an owner an owner's. */
export async function createUser(context: Context): Promise<Response> {
  const user = parseInput(NewUser, await readJson(context.request));
  if (user.role !== 'member') requireRank(await requireAdmin(context), user);
  const [created] = await context.db.query(
    'INSERT INTO users (email, name, role) VALUES (:email, :name, :role) RETURNING *',
    user,
  );
  return json(created, { status: 201 });
}

/** `POST /users/:id/tokens`: a token for a user of the tenant, which an admin hands on; an owner's is for owners to give. */
export async function createToken(context: Context): Promise<Response> {
  const admin = await requireAdmin(context);
  const { main, query, id, env } = context;
  parseQuery(NoQuery, query);
  const user = await userById(main, id);
  if (user === undefined) throw notFound('user');
  requireRank(admin, user);
  return json(
    { token: await tokenFor(env.TOKEN_SECRET, { tenant: main.name, userId: id }) },
    { status: 201 },
  );
}

/** The owner or admin of the tenant that the request comes from; throws a 403 if it does from another. */
export async function requireAdmin({ main, userId }: Pick<Context, 'main' | 'userId'>): Promise<User> {
  // Read on main: nobody makes themselves an admin on a branch.
  const user = await userById(main, userId);
  if (user === undefined || user.role === 'member')
    throw new HttpError(403, 'this is for admins of the tenant');
  return user;
}

/** Throws a 403 for an admin who would act as an owner. */
function requireRank(admin: User, { role }: Pick<User, 'role'>): void {
  if (role === 'owner' && admin.role !== 'owner')
    throw new HttpError(403, 'this is for the owner of the tenant');
}

/** A user of the tenant. */
export async function userById(db: Database, id: number): Promise<User | undefined> {
  return (await db.get<User>('SELECT * FROM users WHERE id = ?', [id])) ?? undefined;
}
