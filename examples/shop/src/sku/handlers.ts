import { HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import {
  HistoryQuery,
  idempotencyKey,
  PointQuery,
  Reserve,
  Restock,
  Settle,
  sku as skuName,
} from '../input.ts';
import type { Context } from '../routes.ts';
import { requireStaff } from '../who.ts';
import type { Sku, SkuAnswer } from './sku.ts';

type Refusal = NonNullable<SkuAnswer['refusal']>;

/** What a refusal is in HTTP. */
const REFUSALS: Readonly<Record<Refusal, readonly [status: number, message: string]>> = {
  'no-sku': [404, 'there is no such SKU'],
  'no-reservation': [404, 'there is no such reservation'],
  'out-of-stock': [409, 'there are not so many left'],
  'other-quantity': [422, 'this id was used with another quantity'],
  over: [409, 'this reservation is over'],
  sold: [409, 'this reservation is sold'],
  busy: [503, 'too many ask for this at once: try again'],
};

/** `GET /inventory/:sku`: the stock now, or `?as_of=` a point. */
export async function getStock({ env, params, query, who }: Context): Promise<Response> {
  await who();
  const { as_of } = parseQuery(PointQuery, query);
  return skuOf(env, params).status(as_of);
}

/** `GET /inventory/:sku/history`: what has happened to the stock, for staff. */
export async function getStockHistory({ env, params, query, who }: Context): Promise<Response> {
  requireStaff(await who());
  return skuOf(env, params).history(parseQuery(HistoryQuery, query));
}

/** `GET /inventory/:sku/live`: a WebSocket that follows the stock. */
export async function followStock({ env, params, request, who }: Context): Promise<Response> {
  await who();
  return skuOf(env, params).fetch(request);
}

/** `POST /inventory/:sku/restock { quantity }`: units come, or were found missing. */
export async function restock({ env, params, query, request, who }: Context): Promise<Response> {
  requireStaff(await who());
  parseQuery(NoQuery, query);
  const { quantity } = parseInput(Restock, await readJson(request));
  const id = parseInput(idempotencyKey, request.headers.get('idempotency-key') ?? undefined);
  const sku = parseInput(skuName, params['sku']);
  const [product] = await env.CATALOG.getByName('catalog').products([sku]);
  if (product === undefined) throw notFound('product');
  return answer(await skuOf(env, params).restock(sku, product.name, id, quantity));
}

/** `POST /inventory/:sku/reserve { id, quantity, hold_seconds? }`: holds units, for a till or an order by telephone. */
export async function reserve({ env, params, request, who }: Context): Promise<Response> {
  requireStaff(await who());
  const { id, quantity, hold_seconds } = parseInput(Reserve, await readJson(request));
  const expiresAt = new Date(Date.now() + hold_seconds * 1_000).toISOString();
  return answer(await skuOf(env, params).reserve(id, quantity, expiresAt));
}

/** `POST /inventory/:sku/confirm { id }`: sells what is held. */
export async function confirm({ env, params, request, who }: Context): Promise<Response> {
  requireStaff(await who());
  return answer(await skuOf(env, params).confirm(parseInput(Settle, await readJson(request)).id));
}

/** `POST /inventory/:sku/release { id }`: lets go of what is held. */
export async function release({ env, params, request, who }: Context): Promise<Response> {
  requireStaff(await who());
  return answer(await skuOf(env, params).release(parseInput(Settle, await readJson(request)).id));
}

function skuOf({ SKU }: Context['env'], params: Context['params']): DurableObjectStub<Sku> {
  return SKU.getByName(parseInput(skuName, params['sku']));
}

function answer(found: SkuAnswer): Response {
  if (found.refusal === undefined) return json(found);
  const [status, message] = REFUSALS[found.refusal];
  throw new HttpError(status, message, { ...found });
}
