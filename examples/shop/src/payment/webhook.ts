import { verifyWebhook, WebhookError } from '@dotdo/cdc';
import { HttpError, readText } from '@dotdo/example-shared/http';
import { parseInput } from '@dotdo/example-shared/input';
import * as v from 'valibot';
import { orderId } from '../input.ts';

const MAX_BODY_BYTES = 16_384;

/** What the provider tells of a payment. */
const PaymentEvent = v.strictObject({
  /** Names the event: the same each time that it comes. */
  id: v.pipe(v.string(), v.regex(/^[\w-]{1,100}$/, 'give an id of an event')),
  type: v.picklist(['payment.succeeded', 'payment.failed', 'payment.refunded']),
  payment: v.pipe(v.string(), v.regex(/^[\w-]{1,100}$/, 'give the id of a payment')),
  order: orderId,
  amount: v.pipe(v.number('give cents'), v.safeInteger('give cents'), v.minValue(0, 'give cents')),
});
export type PaymentEvent = v.InferOutput<typeof PaymentEvent>;

/**
 * The event that a request brings, once it is sure that the provider has sent it, as Standard Webhooks says.
 *
 * @throws HttpError 401 for what it has not signed, 413, 400.
 */
export async function readEvent(request: Request, secret: string): Promise<PaymentEvent> {
  const { url, headers } = request;
  const body = await readText(request, MAX_BODY_BYTES);
  try {
    return parseInput(
      PaymentEvent,
      await verifyWebhook(new Request(url, { method: 'POST', headers, body }), secret),
    );
  } catch (error) {
    if (error instanceof WebhookError) throw new HttpError(401, error.message);
    if (error instanceof SyntaxError) throw new HttpError(400, 'the body is not JSON');
    throw error;
  }
}

/** A request as the provider sends it: for the simulated one, and for tests. */
export async function signedEvent(url: string, event: PaymentEvent, secret: string): Promise<Request> {
  const body = JSON.stringify(event);
  const seconds = Math.floor(Date.now() / 1_000);
  const bytes = Uint8Array.from(atob(secret.replace(/^whsec_/, '')), (char) => char.charCodeAt(0));
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const text = new TextEncoder().encode(`${event.id}.${seconds}.${body}`);
  const signature = new Uint8Array(await crypto.subtle.sign('HMAC', key, text));
  const headers = {
    'content-type': 'application/json',
    'webhook-id': event.id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': `v1,${btoa(String.fromCharCode(...signature))}`,
  };
  return new Request(url, { method: 'POST', headers, body });
}
