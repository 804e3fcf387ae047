import { webhook, type Cdc, type Delivery } from '@dotdo/cdc';
import { json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { LocalWebhook, Webhook } from './input.ts';
import type { Context } from './routes.ts';
import { BOARD } from './streams.ts';
import { requireAdmin } from './users.ts';

/** Names the delivery, and its settings in the object's own storage: in a table the secret would be in the history. */
const NAME = 'webhook';

/** `PUT /webhook { url, secret }`: posts every change of the board there from now on, signed with the secret. */
export async function putWebhook(context: Context): Promise<Response> {
  await requireAdmin(context);
  const { ctx, env, request, query } = context;
  parseQuery(NoQuery, query);
  const schema = env.LOCAL_WEBHOOKS === undefined ? Webhook : LocalWebhook;
  ctx.storage.kv.put(NAME, parseInput(schema, await readJson(request)));
  return getWebhook(context);
}

/** `GET /webhook`: where it posts to, how far it is behind, and what the receiver has refused for good. */
export async function getWebhook(context: Context): Promise<Response> {
  const delivery = await openDelivery(context);
  const { lag, failures, error, retryAt } = await delivery.status();
  const letters = await context.cdc.deadLetters(NAME);
  return json({
    url: settings(context.ctx)?.url,
    lag,
    failures,
    error,
    retry_at: retryAt,
    dead_letters: letters.map(({ id, at, error, event }) => ({ id, at, error, event })),
  });
}

/** `POST /webhook/replay`: posts again what was refused for good. */
export async function replayWebhook(context: Context): Promise<Response> {
  await openDelivery(context);
  return json(await context.cdc.replay(NAME));
}

/** `DELETE /webhook` */
export async function deleteWebhook(context: Context): Promise<Response> {
  const delivery = await openDelivery(context);
  context.ctx.storage.kv.delete(NAME);
  await delivery.drop();
  return new Response(null, { status: 204 });
}

/** Goes on posting to the tenant's webhook, if it has one. Called whenever the object wakes. */
export async function startWebhook(ctx: DurableObjectState, cdc: Cdc): Promise<Delivery | undefined> {
  const { url, secret } = settings(ctx) ?? {};
  return url === undefined ? undefined : cdc.deliver(NAME, webhook(url, { secret }), { publication: BOARD });
}

/** The tenant's delivery, for an admin. */
async function openDelivery(context: Context): Promise<Delivery> {
  await requireAdmin(context);
  parseQuery(NoQuery, context.query);
  const delivery = await startWebhook(context.ctx, context.cdc);
  if (delivery === undefined) throw notFound('webhook');
  return delivery;
}

function settings({ storage }: DurableObjectState): Webhook | undefined {
  return storage.kv.get<Webhook>(NAME);
}
