import { errorResponse, HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { findRoute, type Routes } from '@dotdo/example-shared/router';
import { buildingToken, holderFor, requireFleet } from './access.ts';
import type { Building } from './building.ts';
import type { Fleet } from './fleet.ts';
import type { Floor } from './floor.ts';
import { writeHolder } from './holder.ts';
import { isBuildingName, isFloorName, NewBuilding } from './input.ts';

export { Building } from './building.ts';
export { Fleet } from './fleet.ts';
export { Floor } from './floor.ts';

/** What wrangler.jsonc binds. */
export interface Env {
  readonly BUILDING: DurableObjectNamespace<Building>;
  readonly FLOOR: DurableObjectNamespace<Floor>;
  readonly FLEET: DurableObjectNamespace<Fleet>;
  readonly TELEMETRY_ARCHIVE: R2Bucket;
  /** Signs all tokens. */
  readonly TOKEN_SECRET: string;
}

type Handler = (request: Request, env: Env) => Promise<Response>;

/** What a holder of the fleet's token can ask. */
const FLEET_ROUTES: Routes<Handler> = [
  [/^\/buildings$/, { POST: createBuilding }],
  [/^\/fleet$/, { GET: overview }],
];

/**
 * Sends every request to the Durable Object of the building, or the floor, that it names, if it may go there.
 *
 * Invariant: a request reaches an object's `fetch` only with a token for that very building.
 */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      const url = new URL(request.url);
      const found = findRoute(FLEET_ROUTES, url.pathname, request.method);
      if (found !== undefined) {
        await requireFleet(env.TOKEN_SECRET, request);
        return await found.handler(request, env);
      }
      const { building, floor, path } = destination(url);
      const holder = await holderFor(env.TOKEN_SECRET, request, building);
      url.pathname = path;
      const inside = new Request(url, request);
      writeHolder(inside, holder);
      const object =
        floor === undefined ? env.BUILDING.getByName(building) : env.FLOOR.getByName(`${building}/${floor}`);
      return await object.fetch(inside);
    } catch (error) {
      return errorResponse(error);
    }
  },
};

/** `POST /buildings { building, title }`: makes a building, and answers the first tokens for it. */
async function createBuilding(request: Request, env: Env): Promise<Response> {
  const { building, title } = parseInput(NewBuilding, await readJson(request));
  const [operator_token, device_token] = await Promise.all([
    buildingToken(env.TOKEN_SECRET, building, 'operator', 'operator'),
    buildingToken(env.TOKEN_SECRET, building, 'device', 'gateway'),
  ]);
  if (!(await env.BUILDING.getByName(building).create(building, title)))
    throw new HttpError(409, `there is a building "${building}" already`);
  return json({ building, operator_token, device_token }, { status: 201 });
}

/** `GET /fleet`: every building, with its open alerts and what its sensors have reported last. */
async function overview(request: Request, env: Env): Promise<Response> {
  parseQuery(NoQuery, new URL(request.url).searchParams);
  return json({ buildings: await env.FLEET.getByName('fleet').overview() });
}

/** Which building, or floor of it, a request is for, and the path within it. Devices alone send to a floor. */
function destination({ pathname }: URL): { building: string; floor: string | undefined; path: string } {
  const [, building = '', rest = ''] = /^\/buildings\/([^/]+)(\/.*)?$/.exec(pathname) ?? [];
  if (!isBuildingName(building)) throw notFound('path');
  const [, floor, path] = /^\/floors\/([^/]+)(\/ingest(?:-batch)?)$/.exec(rest) ?? [];
  if (floor === undefined || path === undefined) return { building, floor: undefined, path: rest };
  if (!isFloorName(floor)) throw notFound('floor');
  return { building, floor, path };
}
