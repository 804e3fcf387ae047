import { isSigned, secretKey } from './signature.ts';
import type { WebhookPayload } from './webhook.ts';

/** How strictly to look. */
export interface VerifyOptions {
  /** How far the time of signing may be from now, in seconds; 300 by default. */
  readonly toleranceSeconds?: number | undefined;
  /** ms since the epoch; `Date.now` by default. */
  readonly nowMs?: (() => number) | undefined;
}

/** A request that is not, or not any more, what the sender signed. */
export class WebhookError extends Error {
  override readonly name: string = 'WebhookError';
}

/**
 * What a webhook has posted, once it is sure who did and when. The same payload can come again: its `id` tells.
 *
 * ```ts
 * const { id, events } = await verifyWebhook(request, env.HOOK_SECRET);
 * ```
 *
 * @throws WebhookError for a request that is unsigned, signed by another, changed since, or old.
 */
export async function verifyWebhook(
  request: Request,
  secret: string | readonly string[],
  { toleranceSeconds = 300, nowMs = Date.now }: VerifyOptions = {},
): Promise<WebhookPayload> {
  const header = (name: string): string => {
    const value = request.headers.get(`webhook-${name}`);
    if (value === null) throw new WebhookError(`the request has no header webhook-${name}`);
    return value;
  };
  const [id, time, signature] = [header('id'), header('timestamp'), header('signature')];
  const seconds = /^\d{1,12}$/.test(time) ? Number(time) : Number.NaN;
  const isNear = Math.abs(nowMs() / 1_000 - seconds) <= toleranceSeconds;
  if (!isNear) throw new WebhookError(`the request was signed more than ${toleranceSeconds} s from now`);
  const keys = await Promise.all((typeof secret === 'string' ? [secret] : secret).map(secretKey));
  const body = await request.text();
  if (!(await isSigned(keys, id, seconds, body, signature)))
    throw new WebhookError('the request is not signed with this secret');
  return JSON.parse(body) as WebhookPayload;
}
