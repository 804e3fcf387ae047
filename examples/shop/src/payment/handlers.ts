import { HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { orderId, SimulatedPayment } from '../input.ts';
import { paymentId } from '../order/saga.ts';
import type { Context } from '../routes.ts';
import { readEvent, signedEvent } from './webhook.ts';

/** `POST /payments/webhook`: what the payment provider tells, signed. */
export async function postWebhook({ env, request, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const event = await readEvent(request, env.WEBHOOK_SECRET);
  const taken = await env.ORDER.getByName(event.order).paymentEvent(event);
  if (taken === 'no-payment') throw notFound('payment');
  if (taken === 'other-amount') throw new HttpError(422, 'the order is of another amount');
  return json({ taken: event.id });
}

/**
 * `POST /orders/:id/simulated-payment { outcome }`: pays without money, where that is allowed. The simulated provider
 * tells the shop as a real one would, by a signed request.
 */
export async function simulatePayment(context: Context): Promise<Response> {
  const { env, params, query, request, who } = context;
  if (env.SIMULATED_PAYMENTS === undefined) throw new HttpError(404, 'there is no such path');
  parseQuery(NoQuery, query);
  const { outcome } = parseInput(SimulatedPayment, await readJson(request));
  const asker = await who();
  const id = parseInput(orderId, params['id']);
  if (!(await env.CART.getByName(asker.id).has(id))) throw notFound('order');
  const event = await env.BANK.getByName('bank').settle(paymentId(id), outcome);
  if (event === undefined) throw new HttpError(409, 'the order waits for no payment');
  const webhook = await signedEvent(
    new URL('/payments/webhook', request.url).href,
    event,
    env.WEBHOOK_SECRET,
  );
  return postWebhook({ ...context, request: webhook });
}
