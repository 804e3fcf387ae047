import { eventToJson, type JsonEvent } from '../json.ts';
import { numbersOf, type RefusedEvent, type Sink } from './sink.ts';

/** What is put into the queue, as JSON: one event. */
export interface QueuedEvent {
  /** Names the event: the same each time that it comes. */
  readonly id: string;
  readonly source: string;
  readonly slot: string;
  readonly event: JsonEvent;
}

/** A binding to a queue, or what can be called like one. */
export interface QueueBinding {
  sendBatch(
    messages: Iterable<{ readonly body: QueuedEvent; readonly contentType: 'json' }>,
  ): Promise<unknown>;
}

/** Limits of the platform (https://developers.cloudflare.com/queues/platform/limits/), less what it adds of its own. */
const MAX_MESSAGES = 100;
const MAX_MESSAGE_BYTES = 127_000;
const MAX_BYTES = 255_000;
const MESSAGE_OVERHEAD_BYTES = 100;

/**
 * Puts each event into a Cloudflare Queue. What is too large for the queue becomes a dead letter. Queues do not keep
 * an order: events carry their LSN.
 *
 * ```ts
 * await cdc.deliver('jobs', queue(env.JOBS), { tables: ['jobs'] });
 * ```
 */
export function queue(binding: QueueBinding): Sink {
  return {
    async send(batch) {
      const { events, source, slot, stream } = batch;
      const numbers = numbersOf(batch);
      const failed: RefusedEvent[] = [];
      let bytes = 0;
      let messages: { body: QueuedEvent; contentType: 'json' }[] = [];
      const flush = async (): Promise<void> => {
        if (messages.length > 0) await binding.sendBatch(messages);
        bytes = 0;
        messages = [];
      };
      for (const [index, event] of events.entries()) {
        const id = `${source}/${slot}/${stream}/${numbers[index]}`;
        const body = { id, source, slot, event: eventToJson(event) };
        const size = new TextEncoder().encode(JSON.stringify(body)).length + MESSAGE_OVERHEAD_BYTES;
        if (size > MAX_MESSAGE_BYTES) {
          failed.push({ index, message: `a message of ${size} bytes is too large for a queue` });
          continue;
        }
        if (messages.length === MAX_MESSAGES || bytes + size > MAX_BYTES) await flush();
        messages.push({ body, contentType: 'json' });
        bytes += size;
      }
      await flush();
      return { failed };
    },
  };
}
