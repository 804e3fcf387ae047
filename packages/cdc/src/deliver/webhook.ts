import { toDebezium, type DebeziumEvent } from '../debezium.ts';
import { eventToJson, type JsonEvent } from '../json.ts';
import { secretBytes, secretKey, sign } from './signature.ts';
import { PermanentError, RetryLaterError, type Batch, type Sink } from './sink.ts';
import { within } from './within.ts';

/** How to post batches. */
export interface WebhookOptions {
  /**
   * Signs what is posted, as Standard Webhooks says: `whsec_` and base64 of 24 to 64 random bytes. Several sign all,
   * while one takes the place of another.
   */
  readonly secret?: string | readonly string[] | undefined;
  /** Sent along. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** How long an answer may take, in ms; 10 s by default. */
  readonly timeoutMs?: number | undefined;
  /** Ours, or Debezium's. */
  readonly envelope?: 'dosql' | 'debezium' | undefined;
  /**
   * Whether an answer of this status means that the batch will never be taken. By default those of 400 to 499 that
   * speak of the content; not 401, 403, 404, 405, 407, 408, 410, 421, 423, 425, 426, 429 and 451, which speak of the
   * address, the sender or the moment.
   */
  readonly isPermanent?: ((status: number) => boolean) | undefined;
  /** Also posts to http addresses of other machines. */
  readonly allowInsecure?: boolean | undefined;
  /** What posts; the global `fetch` by default. */
  readonly fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /** ms since the epoch; `Date.now` by default. */
  readonly nowMs?: (() => number) | undefined;
}

/** What a webhook posts, as JSON. */
export interface WebhookPayload {
  /** The batch's id, by which a receiver knows one that comes again. */
  readonly id: string;
  readonly source: string;
  readonly slot: string;
  readonly stream: string;
  readonly sequence: number;
  readonly erased?: readonly number[];
  readonly isReplay?: true;
  readonly events: readonly (JsonEvent | DebeziumEvent)[];
}

const PASSING: ReadonlySet<number> = new Set([
  401, 403, 404, 405, 407, 408, 410, 421, 423, 425, 426, 429, 451,
]);

/**
 * Posts batches as JSON to a URL, signed as Standard Webhooks says (https://www.standardwebhooks.com). Any 2xx answer
 * takes a batch. Redirections are not followed. `Retry-After` is heeded.
 *
 * ```ts
 * await cdc.deliver('crm', webhook('https://crm.example/hook', { secret: env.HOOK_SECRET }), { publication: 'public' });
 * ```
 *
 * @throws TypeError for a URL that is not https (or http to this machine), and for a secret that is none.
 */
export function webhook(url: string, options: WebhookOptions = {}): Sink {
  const address = checkedUrl(url, options.allowInsecure === true);
  const { secret = [], timeoutMs = 10_000, isPermanent = speaksOfContent, nowMs = Date.now } = options;
  const secrets = typeof secret === 'string' ? [secret] : secret;
  secrets.forEach(secretBytes);
  const post = options.fetch ?? ((to, init) => fetch(to, init));
  let keys: Promise<CryptoKey[]> | undefined;
  return {
    async send(batch, { signal }) {
      const body = JSON.stringify(payloadOf(batch, options.envelope));
      const headers = new Headers(options.headers);
      headers.set('content-type', 'application/json');
      headers.set('webhook-id', batch.id);
      const seconds = Math.floor(nowMs() / 1_000);
      headers.set('webhook-timestamp', String(seconds));
      keys ??= Promise.all(secrets.map(secretKey));
      if (secrets.length > 0)
        headers.set('webhook-signature', await sign(await keys, batch.id, seconds, body));
      // Its timer ends with the answer: one that ran on would keep the object awake.
      const response = await within(timeoutMs, async (limit) => {
        const answer = await post(address, {
          method: 'POST',
          headers,
          body,
          redirect: 'manual',
          signal: AbortSignal.any([signal, limit]),
        });
        await answer.body?.cancel();
        return answer;
      });
      if (response.ok) return;
      const message = `${new URL(address).host} answered ${response.status}`;
      if (isPermanent(response.status)) throw new PermanentError(message);
      throw new RetryLaterError(message, retryAfterMs(response.headers.get('retry-after'), nowMs()));
    },
  };
}

function checkedUrl(url: string, allowInsecure: boolean): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(parsed?.hostname ?? '');
  if (parsed?.protocol === 'https:') return parsed.href;
  if (parsed?.protocol === 'http:' && (isLocal || allowInsecure)) return parsed.href;
  throw new TypeError(`a webhook's URL begins with https://, which ${JSON.stringify(url)} does not`);
}

function speaksOfContent(status: number): boolean {
  return status >= 400 && status < 500 && !PASSING.has(status);
}

function payloadOf(batch: Batch, envelope: WebhookOptions['envelope']): WebhookPayload {
  const { id, source, slot, stream, sequence, erased, isReplay } = batch;
  const events =
    envelope === 'debezium'
      ? batch.events
          .map((event) => toDebezium(event, { name: source }))
          .filter((event): event is DebeziumEvent => event !== null)
      : batch.events.map(eventToJson);
  return {
    id,
    source,
    slot,
    stream,
    sequence,
    ...(erased === undefined ? {} : { erased }),
    ...(isReplay === undefined ? {} : { isReplay }),
    events,
  };
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
