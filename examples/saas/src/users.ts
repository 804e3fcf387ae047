import { json, notFound, readJson } from './http.ts';
import { rowsAt } from './history.ts';
import { NewUser, parseInput, parseQuery, PointQuery } from './input.ts';
import type { Context } from './routes.ts';

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

/** `POST /users { email, name, role? }` */
export async function createUser({ db, request }: Context): Promise<Response> {
  const user = parseInput(NewUser, await readJson(request));
  const [created] = await db.query(
    'INSERT INTO users (email, name, role) VALUES (:email, :name, :role) RETURNING *',
    user,
  );
  return json(created, { status: 201 });
}
