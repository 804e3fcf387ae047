import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { Gate } from '../gate.ts';
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
  /**
   * True when the time has come for which the app itself had set the object's alarm; true again when the
   * platform delivers an alarm twice.
   */
  readonly isOwnDue: boolean;
  /** When the object's alarm is set to go off next. */
  readonly next: Date | undefined;
}

/** An alarm has 15 minutes; what is not begun by then waits for the next. */
const SLICE_MS = 60_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 300_000;
/** The platform tries an alarm again for two minutes; what is due for longer has been given up. */
const GIVEN_UP_MS = 300_000;
/** The platform counts an alarm's time in 64 bits of ns. */
const LATEST_MS = Date.UTC(2262, 0);
/** The row that keeps the time of the alarm that the app itself has set; no timer can have its name. */
const OWN_ALARM = '';

/**
 * Many timers over the object's one alarm. Timers are rows; the alarm is set for the earliest.
 *
 * The alarm is the app's as much as ours. An alarm that is the time of no row is one that the app has set: it
 * becomes a row too, so it goes off when it should, before other timers or after them.
 *
 * Invariant: rows change together with the alarm, in one turn, or while {@link Timers.alarm} runs, which sets
 * it at its end. So a crash leaves no row without an alarm.
 */
export class Timers {
  readonly #engine: Engine;
  readonly #gate: Gate;
  readonly #handlers = new Map<string, TimerHandler>();
  #hasTable = false;
  #running = 0;
  /**
   * The alarm as it was last set from here, and for which time: its row may have gone since, and of a time that
   * is past the platform makes the present one.
   */
  #armed: { readonly alarm: number | null; readonly next: number } | undefined;
  /** The alarm is being set from a commit: only then is it known what it was before. */
  #arming: Promise<void> | undefined;
  /** Timers that commits set, and how many ms after. */
  readonly #onCommit = new Map<string, number>();
  /** Those of them that are known to be set. */
  readonly #known = new Set<string>();
  /** Versions of the timers whose handlers are running: what is committed now, they may not see. */
  readonly #runningVersions = new Set<number>();

  constructor(engine: Engine, gate: Gate) {
    this.#engine = engine;
    this.#gate = gate;
    engine.commitHook = {
      beforeCommit: () => this.#beforeCommit(),
      rolledBack: () => this.#known.clear(),
    };
  }

  /** Names the handler of the timer `name`, and of every timer called `name:…`. */
  on(name: string, handler: TimerHandler): void {
    this.#handlers.set(name, handler);
  }

  /** Sets the timer `name`, replacing one of that name, or leaving it as it is where only an absent one is set. */
  async schedule(name: string, at: Date | number, payload: unknown, ifAbsent: boolean): Promise<void> {
    const ms = typeof at === 'number' ? at : at instanceof Date ? at.getTime() : Number.NaN;
    if (!(ms < LATEST_MS && ms > -LATEST_MS))
      throw new DoSQLError(
        'BAD_PARAMETER',
        `timer "${name}" is scheduled at ${describe(at)}: give a Date or ms, before 2262`,
      );
    if (typeof name !== 'string' || name === '')
      throw new DoSQLError('BAD_PARAMETER', `a timer's name is text, not ${describe(name)}`);
    const json = JSON.stringify(payload ?? null);
    if (json === undefined)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `the payload of timer "${name}" is ${describe(payload)}, which is no JSON`,
      );
    try {
      await this.#change(() => {
        if (!ifAbsent || !this.#isSet(name)) this.#put(name, ms, json);
      });
    } catch (error) {
      // A class without alarm() cannot set one: the timer would never run.
      this.#engine.storage.sql.exec('DELETE FROM __dosql_timer WHERE name = ?', name);
      this.#known.delete(name);
      throw error;
    }
  }

  /**
   * From now on every transaction that changes something sets the timer `name` for `delayMs` after it, as a part of
   * itself, unless it is set already. Returns the way to stop that.
   */
  onCommit(name: string, delayMs: number): () => void {
    this.#onCommit.set(name, delayMs);
    return () => this.#onCommit.delete(name);
  }

  /** Whether the timer `name` is set. */
  has(name: string): boolean {
    this.#createTable();
    return first(this.#engine.storage.sql, 'SELECT 1 FROM __dosql_timer WHERE name = ?', name) !== undefined;
  }

  /** Removes the timer `name`; returns whether there was one. */
  cancel(name: string): Promise<boolean> {
    const { sql } = this.#engine.storage;
    this.#known.delete(name);
    return this.#change(
      () => all(sql, 'DELETE FROM __dosql_timer WHERE name = ? RETURNING 1', name).length > 0,
    );
  }

  /** Sets the alarm again when it is not set for the earliest timer: the platform drops one that keeps failing. */
  async rearm(): Promise<void> {
    this.#createTable();
    const at = this.#next();
    // What has become due just now is being delivered, and the platform shows no alarm meanwhile.
    const now = this.#engine.nowMs();
    if (at !== null && (at > now || at < now - GIVEN_UP_MS)) await this.#change(() => {});
  }

  /** Runs what is due, earliest first, then sets the alarm for what comes next. */
  async alarm(info: AlarmInvocationInfo | undefined): Promise<AlarmResult> {
    this.#running++;
    let isRunning = true;
    const leave = (): void => {
      if (isRunning) this.#running--;
      isRunning = false;
    };
    try {
      return await this.#runDue(info?.scheduledTime, leave);
    } finally {
      leave();
    }
  }

  async #runDue(scheduledTime: number | undefined, leave: () => void): Promise<AlarmResult> {
    const { sql } = this.#engine.storage;
    const change = (callback: () => void): Promise<void> =>
      this.#gate.hold(() => this.#change(callback, false));
    this.#createTable();
    const started = this.#engine.nowMs();
    const ran: string[] = [];
    const failed: { name: string; error: unknown }[] = [];
    const due = await this.#gate.pass(() =>
      all<[string, number, string, number, number]>(
        sql,
        'SELECT name, at, payload, attempts, version FROM __dosql_timer WHERE at <= ? ORDER BY at, name',
        started,
      ),
    );
    let isOwnDue = scheduledTime === undefined ? due.length === 0 : !this.#isOurs(scheduledTime);
    try {
      for (const [name, at, payload, attempts, version] of due) {
        if (Date.now() - started > SLICE_MS && this.#engine.nowMs() === Date.now()) break;
        if (name === OWN_ALARM) isOwnDue = true;
        this.#known.delete(name);
        this.#runningVersions.add(version);
        try {
          if (name !== OWN_ALARM)
            await this.#handler(name)({
              name,
              payload: JSON.parse(payload) as unknown,
              at: new Date(at),
              attempt: attempts + 1,
            });
          // The handler may have scheduled the timer anew: that one stays.
          await change(() =>
            sql.exec('DELETE FROM __dosql_timer WHERE name = ? AND version = ?', name, version),
          );
          if (name !== OWN_ALARM) ran.push(name);
        } catch (error) {
          failed.push({ name, error });
          const wait = Math.min(FIRST_RETRY_MS * 2 ** attempts, MAX_RETRY_MS);
          await change(() =>
            sql.exec(
              'UPDATE __dosql_timer SET at = ?, attempts = attempts + 1 WHERE name = ? AND version = ?',
              this.#engine.nowMs() + wait,
              name,
              version,
            ),
          );
        } finally {
          this.#runningVersions.delete(version);
        }
      }
    } finally {
      await this.#gate.hold(() => {
        // Whoever has waited for this and then sets a timer must set the alarm, too.
        leave();
        return this.#change(() => {}, true);
      });
    }
    const next = await this.#engine.storage.getAlarm();
    return { ran, failed, isOwnDue, next: next === null ? undefined : new Date(next) };
  }

  #handler(name: string): TimerHandler {
    const handler = this.#handlers.get(name) ?? this.#handlers.get(name.split(':', 1)[0] as string);
    if (handler !== undefined) return handler;
    throw new DoSQLError(
      'BAD_PARAMETER',
      `timer "${name}" has no handler: call db.onTimer() before db.alarm()`,
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
      // A version is never given twice, so a timer that was set anew is not taken for the one that ran.
      'INSERT INTO __dosql_timer(name, at, payload, attempts, version) VALUES(?, ?, ?, 0, random() & 9007199254740991) ' +
        'ON CONFLICT(name) DO UPDATE SET at = excluded.at, payload = excluded.payload, attempts = 0, version = excluded.version',
      name,
      // The platform takes no alarm at the epoch or before.
      Math.max(1, Math.ceil(ms)),
      payload,
    );
  }

  #beforeCommit(): void {
    for (const [name, delayMs] of this.#onCommit) {
      if (this.#known.has(name)) continue;
      try {
        if (!this.#isSet(name)) this.#arm(name, this.#engine.nowMs() + delayMs);
        this.#known.add(name);
      } catch {
        // Storage that is full: what is committed has been written already, and the next commit tries again.
      }
    }
  }

  /** Whether the timer `name` is set, not counting one that is just being run. */
  #isSet(name: string): boolean {
    this.#createTable();
    const row = first<[number]>(
      this.#engine.storage.sql,
      'SELECT version FROM __dosql_timer WHERE name = ?',
      name,
    );
    return row !== undefined && !this.#runningVersions.has(row[0]);
  }

  /**
   * Sets the timer `name` at once, so that it is in the same transaction as what was written before. The alarm can be
   * asked for only with an await, by which the transaction may have ended: so it is set first, and one that the app
   * has set is put back when it is known.
   */
  #arm(name: string, ms: number): void {
    const { storage } = this.#engine;
    this.#put(name, ms, 'null');
    if (this.#running > 0) return;
    const next = this.#next() as number;
    const before = storage.getAlarm();
    const setting = storage.setAlarm(next);
    const alarm = storage.getAlarm();
    this.#arming = before.then(async (before) => {
      const isApps = before !== null && !this.#isOurs(before);
      if (isApps) this.#put(OWN_ALARM, before, 'null');
      const isFirst = isApps && before < next;
      if (isFirst) await storage.setAlarm(before);
      this.#armed = isFirst ? { alarm: before, next: before } : { alarm: await alarm, next };
    });
    // A class without alarm(): setting a timer by any other way tells of it.
    this.#arming.catch(() => {});
    setting.catch(() => {});
  }

  /** Whether an alarm at `ms` was set for a timer, not by the app. */
  #isOurs(ms: number): boolean {
    if (ms === this.#armed?.alarm) return true;
    const query = 'SELECT 1 FROM __dosql_timer WHERE at = ? LIMIT 1';
    return first(this.#engine.storage.sql, query, ms) !== undefined;
  }

  /** The time of the earliest timer. */
  #next(): number | null {
    return first<[number | null]>(this.#engine.storage.sql, 'SELECT min(at) FROM __dosql_timer')?.[0] ?? null;
  }

  /** Changes rows and, if it `arms`, sets the alarm for the earliest. */
  async #change<T>(callback: () => T, arms: boolean = this.#running === 0): Promise<T> {
    const { storage } = this.#engine;
    this.#createTable();
    if (this.#arming !== undefined) await this.#arming.catch(() => {});
    this.#arming = undefined;
    const set = await storage.getAlarm();
    if (set !== null && !this.#isOurs(set)) this.#put(OWN_ALARM, set, 'null');
    const result = callback();
    if (!arms) return result;
    const next = this.#next();
    if (next === set || (next === this.#armed?.next && set === this.#armed?.alarm)) return result;
    if (next === null) {
      this.#armed = undefined;
      await storage.deleteAlarm();
    } else {
      const setting = storage.setAlarm(next);
      const [alarm] = await Promise.all([storage.getAlarm(), setting]);
      this.#armed = { alarm, next };
    }
    return result;
  }
}
