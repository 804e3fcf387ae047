import type { Database } from '@dotdo/dosql';
import { HttpError } from '@dotdo/example-shared/http';
import { aggregate } from './aggregate.ts';
import { breachesIn, raiseAlerts } from './breaches.ts';
import type { Reading } from './input.ts';
import { scheduleLate } from './late.ts';
import { keyOf, putAside, store } from './readings.ts';
import { allRules, RuleBook } from './rules.ts';
import { SensorRegister, type Sensor } from './sensors.ts';
import { Summaries } from './summary.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, startOf } from './time.ts';

/** How many readings may wait for their turn; a sender of more is asked to come again. */
const MAX_WAITING = 20_000;
/** How many readings one transaction stores, if no single request has more. */
const MAX_TOGETHER = 2_000;
/** How far ahead of ours a sensor's clock may be. */
const MAX_AHEAD_MS = 5 * MINUTE_MS;
/** How late a reading may come. */
const MAX_LATE_MS = 30 * DAY_MS;
/** What was measured earlier is no news: it raises no alert. */
const ALERT_WITHIN_MS = HOUR_MS;

/** What became of a request's readings. */
export interface Receipt {
  /** Stored, once each. */
  readonly accepted: number;
  /** Had come before. */
  readonly duplicates: number;
  /** Put aside, to be stored where their day lies. */
  readonly late: number;
  /** Alerts that they raised. */
  readonly alerts: number;
}

interface Waiting {
  readonly readings: readonly Reading[];
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Stores readings. Requests that come while a transaction is being committed are stored together by the next one: each
 * is answered when its readings are committed, and a hundred single readings cost little more than one.
 */
export class Intake {
  readonly #db: Database;
  readonly #now: () => number;
  readonly #summaries: Summaries;
  readonly #sensors = new SensorRegister();
  #rules: RuleBook | undefined;
  #waiting: Waiting[] = [];
  #waitingCount = 0;
  #isRunning = false;

  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
    this.#summaries = new Summaries(db, now);
  }

  /**
   * Stores readings, and resolves when they are committed.
   *
   * @throws HttpError 400 for a time that is too far off, 422 for a sensor of another type, 503 when too many wait.
   */
  async add(readings: readonly Reading[]): Promise<Receipt> {
    const now = this.#now();
    const off = readings.findIndex(
      ({ timestamp }) => timestamp > now + MAX_AHEAD_MS || timestamp < now - MAX_LATE_MS,
    );
    if (off !== -1) throw timeIsOff(off);
    if (this.#waitingCount + readings.length > MAX_WAITING)
      throw new HttpError(503, 'too many readings wait: send these again', {}, { 'retry-after': '1' });
    this.#waitingCount += readings.length;
    return new Promise<Receipt>((resolve, reject) => {
      this.#waiting.push({ readings, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  /** The rules have changed: they are read again when the next readings come. */
  forgetRules(): void {
    this.#rules = undefined;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      // Those who have come at the same time, or while the last transaction ran, are heard before the next begins.
      await scheduler.wait(0);
      const requests = this.#take();
      try {
        const outcomes = await this.#store(requests);
        requests.forEach((request, i) => {
          const outcome = outcomes[i];
          if (outcome instanceof HttpError) request.reject(outcome);
          else request.resolve(outcome as Receipt);
        });
      } catch (error) {
        this.#summaries.forget();
        for (const { reject } of requests) reject(error);
      }
    }
    this.#isRunning = false;
  }

  /** The requests that come next, for one transaction. */
  #take(): Waiting[] {
    let count = 0;
    const after = this.#waiting.findIndex(
      ({ readings }, i) => (count += readings.length) > MAX_TOGETHER && i > 0,
    );
    const taken = this.#waiting.splice(0, after === -1 ? this.#waiting.length : after);
    for (const { readings } of taken) this.#waitingCount -= readings.length;
    return taken;
  }

  /** Stores all readings of these requests in one transaction; what each came to, or why it was refused. */
  async #store(requests: readonly Waiting[]): Promise<(Receipt | HttpError)[]> {
    const now = this.#now();
    const newSensors = new Map<string, Sensor>();
    const outcomes = await this.#db.transaction(async (tx) => {
      await this.#sensors.load(tx);
      const rules = (this.#rules ??= new RuleBook(await allRules(tx)));
      const sorted = requests.map((request) => this.#sort(request.readings, newSensors, now));
      const late = sorted.flatMap((one) => (one instanceof HttpError ? [] : one.late));
      const onTime = sorted.flatMap((one) => (one instanceof HttpError ? [] : one.onTime));
      await this.#sensors.register(tx, newSensors);
      if (late.length > 0) {
        await putAside(tx, late);
        await scheduleLate(this.#db, now);
      }
      const stored = onTime.length > 0 ? await store(tx, onTime) : new Set<string>();
      // The first of several with one key is the one that is stored.
      const isNew = stored.size === onTime.length ? () => true : (one: Reading) => stored.delete(keyOf(one));
      const fresh = sorted.map((one) => (one instanceof HttpError ? [] : one.onTime.filter(isNew)));
      const all = fresh.flat();
      await aggregate(tx, all);
      const news = all.filter(({ timestamp }) => timestamp > now - ALERT_WITHIN_MS);
      const raised = await raiseAlerts(tx, breachesIn(rules, news));
      if (all.length > 0) await this.#summaries.writeSoon();
      return sorted.map((one, i): Receipt | HttpError => {
        if (one instanceof HttpError) return one;
        const accepted = fresh[i] ?? [];
        return {
          accepted: accepted.length,
          duplicates: one.onTime.length - accepted.length,
          late: one.late.length,
          alerts: raised.length === 0 ? 0 : raisedBy(accepted, raised),
        };
      });
    });
    this.#sensors.add(newSensors);
    return outcomes;
  }

  /** What of a request is stored at once, and what may lie in R2 already; or why the request is refused. */
  #sort(
    readings: readonly Reading[],
    newSensors: Map<string, Sensor>,
    now: number,
  ): { onTime: Reading[]; late: Reading[] } | HttpError {
    try {
      for (const [id, sensor] of this.#sensors.newAmong(readings, newSensors, now))
        newSensors.set(id, sensor);
    } catch (error) {
      if (error instanceof HttpError) return error;
      throw error;
    }
    const from = firstHotMs(now);
    return {
      onTime: readings.filter(({ timestamp }) => timestamp >= from),
      late: readings.filter(({ timestamp }) => timestamp < from),
    };
  }
}

/**
 * Readings from here on are hot: a day leaves 24 hours after it is over. A minute earlier than that they count as late,
 * so that a pass that runs just now does not matter.
 */
function firstHotMs(now: number): number {
  return startOf(now - DAY_MS + MINUTE_MS, DAY_MS);
}

function raisedBy(readings: readonly Reading[], raised: Awaited<ReturnType<typeof raiseAlerts>>): number {
  const own = new Set<unknown>(readings);
  return raised.filter(({ reading }) => own.has(reading)).length;
}

function timeIsOff(index: number): HttpError {
  const message = 'give a time of the last 30 days, at most 5 minutes ahead';
  return new HttpError(400, `${index}.timestamp: ${message}`, {
    issues: [{ field: `${index}.timestamp`, message }],
  });
}
