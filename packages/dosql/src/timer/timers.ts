import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { all, first } from '../sql/read.ts';
import { describe } from '../value/parameter.ts';

/** A timer that is due. */
export interface Timer<P = unknown> {
  readonly name: string;
  /** What it was scheduled with. */
  readonly payload: P;
  /** When it was scheduled for. */
  readonly at: Date;
  /** 1 the first time, more after failures. */
  readonly attempt: number;
}

/** What to do when a timer is due. Runs at least once, so it must bear running twice. */
export type TimerHandler<P = unknown> = (timer: Timer<P>) => void | Promise<void>;

/** What a call of `db.alarm()` found to do. */
export interface AlarmResult {
  /** Names of the timers whose handlers ran to their end. */
  readonly ran: readonly string[];
  /** Handlers that threw; their timers run again later. */
  readonly failed: readonly { readonly name: string; readonly error: unknown }[];
  /** True when the time has come for which the app itself had set the object's alarm. */
  readonly isOwnDue: boolean;
  /** When the object's alarm is set to go off next. */
  readonly next: Date | undefined;
}

/** An alarm has 15 minutes; what is not begun by then waits for the next. */
const SLICE_MS = 60_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 300_000;
/** The row that keeps the time at which the app's own alarm was set when a timer came before it. */
const OWN_ALARM = 'own alarm';

/**
 * Many timers over the object's one alarm. Timers are rows; the alarm is set for the earliest.
 *
 * The alarm is the app's as much as ours. One that the app set is never moved back: when a timer is due
 * earlier, the app's time becomes a row too, and the alarm is set for it again after the timer ran.
 */
export class Timers {
  readonly #engine: Engine;
  readonly #handlers = new Map<string, TimerHandler>();
  #hasTable = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Names the handler of the timer `name`, and of every timer called `name:…`. */
  on(name: string, handler: TimerHandler): void {
    this.#handlers.set(name, handler);
  }

  /** Sets the timer `name`, replacing one of that name. */
  async schedule(name: string, at: Date | number, payload: unknown): Promise<void> {
    const ms = typeof at === 'number' ? at : at instanceof Date ? at.getTime() : Number.NaN;
    if (!Number.isFinite(ms))
      throw new DoSQLError(
        'BAD_PARAMETER',
        `timer "${name}" is scheduled at ${describe(at)}: give a Date or ms since the epoch`,
      );
    if (typeof name !== 'string' || name === '')
      throw new DoSQLError('BAD_PARAMETER', `a timer's name is text, not ${describe(name)}`);
    const json = JSON.stringify(payload ?? null);
    if (json === undefined)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `the payload of timer "${name}" is ${describe(payload)}, which JSON cannot hold`,
      );
    this.#createTable();
    this.#put(name, ms, json);
    await this.#arm();
  }

  /** Whether the timer `name` is set. */
  has(name: string): boolean {
    this.#createTable();
    return first(this.#engine.storage.sql, 'SELECT 1 FROM __dosql_timer WHERE name = ?', name) !== undefined;
  }

  /** Removes the timer `name`; returns whether there was one. */
  cancel(name: string): boolean {
    this.#createTable();
    return (
      all(this.#engine.storage.sql, 'DELETE FROM __dosql_timer WHERE name = ? RETURNING 1', name).length > 0
    );
  }

  /** Runs what is due, earliest first, then sets the alarm for what comes next. */
  async alarm(): Promise<AlarmResult> {
    this.#createTable();
    const { sql } = this.#engine.storage;
    const started = this.#engine.nowMs();
    const ran: string[] = [];
    const failed: { name: string; error: unknown }[] = [];
    const due = all<[string, number, string, number, number]>(
      sql,
      'SELECT name, at, payload, attempts, version FROM __dosql_timer WHERE at <= ? ORDER BY at, name',
      started,
    );
    let isOwnDue = due.length === 0;
    try {
      for (const [name, at, payload, attempts, version] of due) {
        if (Date.now() - started > SLICE_MS && this.#engine.nowMs() === Date.now()) break;
        if (name === OWN_ALARM) isOwnDue = true;
        try {
          if (name !== OWN_ALARM)
            await this.#handler(name)({
              name,
              payload: JSON.parse(payload) as unknown,
              at: new Date(at),
              attempt: attempts + 1,
            });
          // The handler may have scheduled the timer anew: that one stays.
          sql.exec('DELETE FROM __dosql_timer WHERE name = ? AND version = ?', name, version);
          if (name !== OWN_ALARM) ran.push(name);
        } catch (error) {
          failed.push({ name, error });
          const wait = Math.min(FIRST_RETRY_MS * 2 ** attempts, MAX_RETRY_MS);
          sql.exec(
            'UPDATE __dosql_timer SET at = ?, attempts = attempts + 1 WHERE name = ? AND version = ?',
            this.#engine.nowMs() + wait,
            name,
            version,
          );
        }
      }
    } finally {
      await this.#arm();
    }
    const next = await this.#engine.storage.getAlarm();
    return { ran, failed, isOwnDue, next: next === null ? undefined : new Date(next) };
  }

  #handler(name: string): TimerHandler {
    const handler = this.#handlers.get(name) ?? this.#handlers.get(name.split(':', 1)[0] as string);
    if (handler !== undefined) return handler;
    throw new DoSQLError(
      'BAD_PARAMETER',
      `timer "${name}" has no handler: register it with db.onTimer() before db.alarm() is called`,
    );
  }

  #createTable(): void {
    if (this.#hasTable && !this.#engine.isInTransaction) return;
    this.#engine.storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS __dosql_timer(name TEXT PRIMARY KEY, at INTEGER NOT NULL, payload TEXT NOT NULL, attempts INTEGER NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID',
    );
    this.#hasTable = !this.#engine.isInTransaction;
  }

  #put(name: string, ms: number, payload: string): void {
    this.#engine.storage.sql.exec(
      'INSERT INTO __dosql_timer(name, at, payload, attempts, version) VALUES(?, ?, ?, 0, (SELECT ifnull(max(version), 0) + 1 FROM __dosql_timer)) ' +
        'ON CONFLICT(name) DO UPDATE SET at = excluded.at, payload = excluded.payload, attempts = 0, version = excluded.version',
      name,
      Math.ceil(ms),
      payload,
    );
  }

  /** Sets the object's alarm for the earliest timer, keeping one that the app has set. */
  async #arm(): Promise<void> {
    const { storage } = this.#engine;
    const row = first<[number]>(storage.sql, 'SELECT at FROM __dosql_timer ORDER BY at LIMIT 1');
    const set = await storage.getAlarm();
    if (row === undefined || (set !== null && set <= row[0])) return;
    // A later alarm that is no timer's time is the app's.
    if (set !== null && first(storage.sql, 'SELECT 1 FROM __dosql_timer WHERE at = ?', set) === undefined)
      this.#put(OWN_ALARM, set, 'null');
    // The platform takes no time before its epoch.
    await storage.setAlarm(Math.max(1, row[0]));
  }
}
