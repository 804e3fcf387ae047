import { json, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { buildingToken } from './access.ts';
import { NewToken } from './input.ts';
import type { Context } from './routes.ts';

/** `POST /tokens { role, name }`: a token for another operator of the building, or for a device. */
export async function createToken({ db, env, request, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const { role, name } = parseInput(NewToken, await readJson(request));
  return json({ token: await buildingToken(env.TOKEN_SECRET, db.name, role, name) }, { status: 201 });
}
