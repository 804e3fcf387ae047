import { readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { CartItem, Checkout, idempotencyKey, sku as skuName } from '../input.ts';
import type { Context } from '../routes.ts';
import { requireCustomer } from '../who.ts';
import type { Cart } from './cart.ts';

/** `GET /cart` */
export async function getCart(context: Context): Promise<Response> {
  const { cart, customer } = await cartOf(context);
  return cart.list(customer);
}

/** `PUT /cart/items/:sku { quantity }` */
export async function putCartItem(context: Context): Promise<Response> {
  return put(context, false);
}

/** `PUT /cart/saved/:sku { quantity }`: saves it for later. */
export async function putSavedItem(context: Context): Promise<Response> {
  return put(context, true);
}

/** `DELETE /cart/items/:sku`, `DELETE /cart/saved/:sku` */
export async function deleteCartItem(context: Context): Promise<Response> {
  const { cart, customer } = await cartOf(context);
  return cart.remove(customer, parseInput(skuName, context.params['sku']));
}

/** `POST /checkout { items?, shipping_address? }`: an order of these items, or of the cart. */
export async function postCheckout(context: Context): Promise<Response> {
  const { cart, customer } = await cartOf(context);
  const checkout = parseInput(Checkout, await readJson(context.request));
  const key = parseInput(idempotencyKey, context.request.headers.get('idempotency-key') ?? undefined);
  return cart.checkout(customer, key, checkout);
}

async function put(context: Context, isSaved: boolean): Promise<Response> {
  const { cart, customer } = await cartOf(context);
  const { quantity } = parseInput(CartItem, await readJson(context.request));
  return cart.put(customer, parseInput(skuName, context.params['sku']), quantity, isSaved);
}

/** The cart of whoever asks: there is no way to name another's. */
async function cartOf({
  env,
  query,
  who,
}: Context): Promise<{ cart: DurableObjectStub<Cart>; customer: string }> {
  const asker = await who();
  requireCustomer(asker);
  parseQuery(NoQuery, query);
  return { cart: env.CART.getByName(asker.id), customer: asker.id };
}
