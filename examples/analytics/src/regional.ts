import { json } from '@dotdo/example-shared/http';
import { NoQuery, parseQuery } from '@dotdo/example-shared/input';
import { RegionQuery, WindowQuery } from './input.ts';
import { regionStub } from './placement.ts';
import type { Region } from './region.ts';
import type { Context } from './routes.ts';

const RANGES_MS = { hour: 3_600_000, day: 86_400_000, week: 604_800_000 } as const;

/** `GET /s/:site/regions/:region/realtime`: the last five minutes, and how many sessions are active. */
export async function realtime(context: Context): Promise<Response> {
  parseQuery(NoQuery, context.query);
  return json({ region: context.region, ...(await objectOf(context).realtime()) });
}

/** `GET /s/:site/regions/:region/query?range=&event_type=`: events by type, the most frequent first. */
export async function queryRegion(context: Context): Promise<Response> {
  const { range, event_type } = parseQuery(RegionQuery, context.query);
  const answer = await objectOf(context).query(Date.now() - RANGES_MS[range], event_type);
  return json({ region: context.region, range, ...answer });
}

/** `GET /s/:site/regions/:region/users?from=&to=`: exactly how many users there were. */
export async function regionUsers(context: Context): Promise<Response> {
  const { from, to } = parseQuery(WindowQuery, context.query);
  return json({ region: context.region, users: await objectOf(context).users(from, to) });
}

/** `GET /s/:site/regions/:region/status`: whether the site's object is behind. */
export async function regionStatus(context: Context): Promise<Response> {
  parseQuery(NoQuery, context.query);
  return json({ region: context.region, ...(await objectOf(context).status()) });
}

function objectOf({ env, site, region = 'eu' }: Context): DurableObjectStub<Region> {
  return regionStub(env, site, region);
}
