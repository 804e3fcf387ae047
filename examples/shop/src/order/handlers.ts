import { notFound } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { orderId, OrdersQuery, PointQuery } from '../input.ts';
import type { Context } from '../routes.ts';
import { requireCustomer, requireStaff } from '../who.ts';
import type { Asker, Order } from './order.ts';

/** `GET /orders`: the customer's own, newest first. */
export async function listOrders({ env, query, who }: Context): Promise<Response> {
  const asker = await who();
  requireCustomer(asker);
  return env.CART.getByName(asker.id).orders(asker.id, parseQuery(OrdersQuery, query).limit);
}

/** `GET /orders/:id`: now, or `?as_of=` a point. */
export async function getOrder(context: Context): Promise<Response> {
  const { as_of } = parseQuery(PointQuery, context.query);
  const { order, asker } = await visible(context);
  return order.view(asker, as_of);
}

/** `GET /orders/:id/history`: every status that it has had. */
export async function getOrderHistory(context: Context): Promise<Response> {
  const { order, asker } = await commanded(context);
  return order.history(asker);
}

/** `POST /orders/:id/cancel` */
export async function cancelOrder(context: Context): Promise<Response> {
  const { order, asker } = await commanded(context);
  return order.cancel(asker);
}

/** `POST /orders/:id/ship`: for staff. */
export async function shipOrder(context: Context): Promise<Response> {
  requireStaff(await context.who());
  const { order, asker } = await commanded(context);
  return order.progress(asker, 'SHIPPED');
}

/** `POST /orders/:id/deliver`: for staff. */
export async function deliverOrder(context: Context): Promise<Response> {
  requireStaff(await context.who());
  const { order, asker } = await commanded(context);
  return order.progress(asker, 'DELIVERED');
}

/** `POST /orders/:id/refund`: for staff. */
export async function refundOrder(context: Context): Promise<Response> {
  requireStaff(await context.who());
  const { order, asker } = await commanded(context);
  return order.refund(asker);
}

async function commanded(context: Context): Promise<{ order: DurableObjectStub<Order>; asker: Asker }> {
  parseQuery(NoQuery, context.query);
  return visible(context);
}

/** The order that the path names, for staff and for its customer: another's is as one that there is not. */
async function visible({
  env,
  params,
  who,
}: Context): Promise<{ order: DurableObjectStub<Order>; asker: Asker }> {
  const asker = await who();
  const id = parseInput(orderId, params['id']);
  if (!asker.isStaff && !(await env.CART.getByName(asker.id).has(id))) throw notFound('order');
  return { order: env.ORDER.getByName(id), asker };
}
