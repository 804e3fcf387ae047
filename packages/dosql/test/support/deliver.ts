import {
  createCDC,
  type Batch,
  type Cdc,
  type ChangeEvent,
  type SendContext,
  type Sink,
  type SinkResult,
} from '@dotdo/cdc';
import type { AlarmResult, Database } from '../../src/index.ts';
import { withDatabase } from './database.ts';

/** Far enough ahead for no alarm to go off by itself while a test runs. */
const FUTURE = Date.UTC(2100, 0);

/** A sink that keeps what it takes, and answers as it is told. */
export class Recorder implements Sink {
  /** Every batch that came, also those that were not taken. */
  readonly seen: { batch: Batch; attempt: number }[] = [];
  /** Every event that was taken. */
  readonly taken: ChangeEvent[] = [];
  answer: (batch: Batch, context: SendContext) => SinkResult | void | Promise<SinkResult | void> = () => {};

  async send(batch: Batch, context: SendContext): Promise<SinkResult | void> {
    this.seen.push({ batch, attempt: context.attempt });
    const result = await this.answer(batch, context);
    const failed = new Set(result?.failed?.map(({ index }) => index));
    this.taken.push(...batch.events.filter((_, i) => !failed.has(i)));
    return result;
  }

  get ids(): string[] {
    return this.seen.map(({ batch }) => batch.id);
  }
}

/** A database whose time stands still until it is told to go on. */
export interface DeliveryBench {
  readonly db: Database;
  readonly cdc: Cdc;
  readonly state: DurableObjectState;
  readonly sink: Recorder;
  /** ms that have gone by. */
  now: number;
  /** Runs the alarm if it is set and due; null when it is not. */
  readonly alarm: () => Promise<AlarmResult | null>;
  /** Goes on to the alarm and runs it, until none is set or so many have run; returns when they ran. */
  readonly alarms: (most?: number) => Promise<number[]>;
  /** When the alarm is set, in ms; null when it is not. */
  readonly next: () => Promise<number | null>;
}

/** A database with a clock of its own, and a sink to deliver to. */
export function deliveryBench<T>(use: (bench: DeliveryBench) => Promise<T>): Promise<T> {
  let now = FUTURE;
  return withDatabase(
    async (db, state) => {
      await db.cancel('dosql:trim');
      const next = async (): Promise<number | null> => {
        const at = await state.storage.getAlarm();
        return at === null ? null : at - FUTURE;
      };
      const alarm = async (): Promise<AlarmResult | null> => {
        const at = await state.storage.getAlarm();
        if (at === null || at > now) return null;
        // As the platform does: an alarm that goes off is set no more.
        await state.storage.deleteAlarm();
        return db.alarm({ isRetry: false, retryCount: 0, scheduledTime: at });
      };
      const alarms = async (most: number = 1_000): Promise<number[]> => {
        const ran: number[] = [];
        for (;;) {
          const at = await next();
          if (at === null || ran.length === most) return ran;
          now = Math.max(now, FUTURE + at);
          ran.push(now - FUTURE);
          const result = await alarm();
          for (const { error } of result?.failed ?? []) throw error;
        }
      };
      return use({
        db,
        cdc: createCDC(db),
        state,
        sink: new Recorder(),
        get now() {
          return now - FUTURE;
        },
        set now(ms: number) {
          now = FUTURE + ms;
        },
        alarm,
        alarms,
        next,
      });
    },
    { clock: () => now },
  );
}

/** `id` and `x` of the rows that changes leave, as text. */
export function shortly(events: readonly ChangeEvent[]): string[] {
  return events.map((event) => {
    if (!('key' in event)) return event.op;
    return `${event.op} ${Object.values(event.key).join()}=${String(event.after?.['x'] ?? '')}`;
  });
}
