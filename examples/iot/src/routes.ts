import type { Cdc } from '@dotdo/cdc';
import type { Database } from '@dotdo/dosql';
import { HttpError } from '@dotdo/example-shared/http';
import { findRoute, requireRoute, type Routes } from '@dotdo/example-shared/router';
import type { Holder } from './access.ts';
import { acknowledge, listActive, listHistory, resolve } from './alerts.ts';
import { createFloor, listFloors, type Floors } from './floors.ts';
import { DEVICE_ROUTES } from './ingest.ts';
import { historical, realtime, series } from './queries.ts';
import { createRule, deleteRule, listRules, updateRule } from './rules.ts';
import { listSensors } from './sensors.ts';
import { status } from './status.ts';
import type { Telemetry } from './telemetry.ts';
import { createToken } from './tokens.ts';
import type { Env } from './worker.ts';

/** What a handler works with. */
export interface Context {
  readonly env: Env;
  readonly db: Database;
  readonly cdc: Cdc;
  readonly telemetry: Telemetry;
  readonly floors: Floors;
  readonly now: () => number;
  /** Whose token the request carries. */
  readonly holder: Holder;
  readonly request: Request;
  readonly query: URLSearchParams;
  /** The row that the path names; 0, which no row has, on a path that names none. */
  readonly id: number;
}

type Handler = (context: Context) => Response | Promise<Response>;

/** What an operator of the building can ask of it. */
const OPERATOR_ROUTES: Routes<Handler> = [
  [/^\/realtime$/, { GET: realtime }],
  [/^\/query$/, { GET: series }],
  [/^\/historical$/, { GET: historical }],
  [/^\/sensors$/, { GET: listSensors }],
  [/^\/alerts\/active$/, { GET: listActive }],
  [/^\/alerts\/acknowledge$/, { POST: acknowledge }],
  [/^\/alerts\/resolve$/, { POST: resolve }],
  [/^\/alerts\/history$/, { GET: listHistory }],
  [/^\/alerts\/rules$/, { GET: listRules, POST: createRule }],
  [/^\/alerts\/rules\/(?<id>\d{1,15})$/, { PATCH: updateRule, DELETE: deleteRule }],
  [/^\/alerts\/ws$/, { GET: ({ cdc, request }) => cdc.fetch(request) }],
  [/^\/floors$/, { GET: listFloors, POST: createFloor }],
  [/^\/tokens$/, { POST: createToken }],
  [/^\/status$/, { GET: status }],
];

/**
 * Answers a request out of the building's database.
 *
 * @throws HttpError 403 for what the holder's role does not allow, 404 for a path that is none, 405 for a method that
 * it does not take.
 */
export async function route(context: Omit<Context, 'query' | 'id'>): Promise<Response> {
  const { request, holder, telemetry } = context;
  const { pathname, searchParams: query } = new URL(request.url);
  const device = findRoute(DEVICE_ROUTES, pathname, request.method);
  if (device !== undefined) {
    if (holder.role !== 'device') throw new HttpError(403, 'this is for devices');
    return device.handler(telemetry.intake, request);
  }
  const { handler, params } = requireRoute(OPERATOR_ROUTES, pathname, request.method);
  if (holder.role !== 'operator') throw new HttpError(403, 'this is for operators');
  return handler({ ...context, query, id: Number(params['id'] ?? 0) });
}
