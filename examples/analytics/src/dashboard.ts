import { HttpError, json } from '@dotdo/example-shared/http';
import { NoQuery, parseQuery } from '@dotdo/example-shared/input';
import { HistoryQuery, PagesQuery, WindowQuery } from './input.ts';
import { siteStub } from './placement.ts';
import type { Context } from './routes.ts';

/** Minutes that sketches of are merged for one answer, at most. */
const MAX_WINDOW_MS = 86_400_000;

/** `GET /s/:site/live?publication=dashboard`, a WebSocket: `@dotdo/cdc/client` speaks it. */
export function live({ env, site, request }: Context): Promise<Response> {
  return siteStub(env, site).fetch(request);
}

/** `GET /s/:site/history?from=&to=&by=&event_type=`: events and users by day or month, of all regions. */
export async function history({ env, site, query }: Context): Promise<Response> {
  const period = parseQuery(HistoryQuery, query);
  return json({ periods: await siteStub(env, site).history(period) });
}

/** `GET /s/:site/pages?from=&to=&event_type=&limit=`: the pages with the most events. */
export async function pages({ env, site, query }: Context): Promise<Response> {
  const period = parseQuery(PagesQuery, query);
  return json({ pages: await siteStub(env, site).pages(period) });
}

/** `GET /s/:site/users?from=&to=`: about how many users there were in all regions, within a day. */
export async function siteUsers({ env, site, query }: Context): Promise<Response> {
  const { from, to } = parseQuery(WindowQuery, query);
  if (to - from > MAX_WINDOW_MS) throw new HttpError(400, 'give at most a day; /history has more');
  return json({ users: await siteStub(env, site).users(from, to) });
}

/** `GET /s/:site/status` */
export async function siteStatus({ env, site, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  return json(await siteStub(env, site).status());
}
