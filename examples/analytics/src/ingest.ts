import type { InferOutput } from 'valibot';
import { HttpError, json, readJson } from '@dotdo/example-shared/http';
import { parseInput } from '@dotdo/example-shared/input';
import { createCrypto } from '@dotdo/dosql/crypto';
import { KEEP_DAYS } from './erase.ts';
import { Batch, MAX_BATCH_BYTES, NewEvent } from './input.ts';
import { regionOf, regionStub } from './placement.ts';
import { Cleaner, dateOf } from './privacy.ts';
import type { Context } from './routes.ts';

const DAY_MS = 86_400_000;
/** Clocks of visitors are off by some minutes. */
const MAX_AHEAD_MS = 5 * 60_000;
/** The oldest day that events are taken for: it stays for another day, so that every event is counted. */
const MAX_AGE_DAYS = KEEP_DAYS - 1;
/** A page of any site may report, with a write key, and can read nothing but whether that has worked. */
const ANY_ORIGIN = { 'access-control-allow-origin': '*' };

type Event = InferOutput<typeof NewEvent>;

/** Deriving the key takes longer than using it, and many requests are of the same people. */
let cleaning: { readonly key: string; readonly cleaner: Cleaner } | undefined;

/** `POST /s/:site/ingest`: one event. */
export async function ingest(context: Context): Promise<Response> {
  const event = parseInput(NewEvent, await readJson(context.request));
  requireTimely([event], () => 'timestamp');
  return keep(context, [event]);
}

/** `POST /s/:site/ingest/batch { events }`: up to 1,000 events, all or none. */
export async function ingestBatch(context: Context): Promise<Response> {
  const { events } = parseInput(Batch, await readJson(context.request, MAX_BATCH_BYTES));
  requireTimely(events, (index) => `events.${index}.timestamp`);
  return keep(context, events);
}

/** `OPTIONS` of these paths: what a browser asks before a page of another site may report. */
export function allowReports(): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...ANY_ORIGIN,
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'authorization, content-type',
      'access-control-max-age': '86400',
    },
  });
}

/** Hands events to the region that they belong to: the token's, or that of whoever sends them. */
async function keep({ env, request, site, region }: Context, events: readonly Event[]): Promise<Response> {
  const here = region ?? regionOf(request.cf as IncomingRequestCfProperties | undefined);
  const address = request.headers.get('cf-connecting-ip');
  const rows = await cleanerOf(env.HASH_KEY).clean(site, events, address, Date.now());
  const minutes = [...new Set(rows.map(([, minute]) => minute as string))];
  const kept = await regionStub(env, site, here).ingest(JSON.stringify(rows), rows.length, minutes);
  return json({ region: here, ...kept }, { status: 202, headers: ANY_ORIGIN });
}

/**
 * Refuses times that no counting could take in any more, or that have not come.
 *
 * @throws HttpError 400
 */
function requireTimely(events: readonly Event[], fieldOf: (index: number) => string): void {
  const now = Date.now();
  const from = Date.parse(dateOf(now - MAX_AGE_DAYS * DAY_MS));
  const issues = events.flatMap(({ timestamp }, index) =>
    timestamp >= from && timestamp <= now + MAX_AHEAD_MS
      ? []
      : [{ field: fieldOf(index), message: `give a time within the last ${MAX_AGE_DAYS} days` }],
  );
  if (issues.length === 0) return;
  throw new HttpError(400, issues.map(({ field, message }) => `${field}: ${message}`).join('; '), { issues });
}

function cleanerOf(key: string): Cleaner {
  if (cleaning?.key !== key) cleaning = { key, cleaner: new Cleaner(createCrypto({ key })) };
  return cleaning.cleaner;
}
