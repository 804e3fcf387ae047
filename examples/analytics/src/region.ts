import { DurableObject } from 'cloudflare:workers';
import { createCDC, type Delivery } from '@dotdo/cdc';
import { DB, type Database, type Transaction } from '@dotdo/dosql';
import { ALL, beginAgainIfBehind, publishAggregates } from './aggregates.ts';
import { countMinutes } from './count.ts';
import { erasePerson, eraseUntil, KEEP_DAYS, recount, type Erased } from './erase.ts';
import { siteStub } from './placement.ts';
import { minuteOf, RAW_COLUMNS } from './privacy.ts';
import { ACTIVE_MS, endSessions } from './sessions.ts';
import { Tallies } from './tally.ts';
import type { Env } from './worker.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** How long after an event its minute is counted, in ms: what comes meanwhile is counted along. */
const COUNT_AFTER_MS = 500;
/** Minutes that are counted in one transaction. */
const MINUTES_AT_ONCE = 100;
/** How often sessions are looked at that may have ended, in ms. */
const SESSIONS_EVERY_MS = 5 * MINUTE_MS;
/** An erasure that was cut off is made good by then; one that goes on is over. */
const RECOUNT_AFTER_MS = MINUTE_MS;

/** What was made of events that were sent. */
export interface Ingested {
  readonly accepted: number;
  /** Events that had come before. */
  readonly duplicates: number;
}

/**
 * What happens on one site in one region: its raw events, which nothing takes out of here, and what is counted of
 * them, which goes to the site's object.
 *
 * Taking events is one insert. Counting comes a moment later, from the alarm, so that a minute that gets a thousand
 * events in that moment is counted once.
 */
export class Region extends DurableObject<Env> {
  #db!: Database;
  #delivery!: Delivery;
  /**
   * Minutes that are known to be marked for counting, with a timer that is set. Counting begins with a new set: what
   * was called before it is ahead of it, and what is called after it finds nothing marked and marks anew.
   */
  #marked = new Set<string>();
  readonly #tallies = new Tallies();
  /** Persons that are being erased. */
  #erasures = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(() => this.#open());
  }

  async #open(): Promise<void> {
    const { storage, id } = this.ctx;
    // An alarm does not tell the name.
    const name = storage.kv.get<string>('name') ?? id.name;
    if (name === undefined) throw new Error('a region is opened by its name first');
    storage.kv.put('name', name);
    const [site = ''] = name.split('/');
    this.#db = await DB(name, {
      storage,
      migrations: { folder: '.do/migrations/analytics/region' },
      // Nobody asks for a region's past, and that of raw events is to be as short as can be.
      history: { keep: '1h' },
    });
    this.#db.onTimer('count', () => this.#count());
    this.#db.onTimer('sessions', () => endSessions(this.#db, Date.now()));
    this.#db.onTimer<{ date: string }>('erase', ({ payload }) => eraseUntil(this.#db, payload.date));
    this.#db.onTimer<{ minutes: string[] }>('recount', ({ payload }) =>
      recount(this.#db, payload.minutes, this.#tallies),
    );
    this.#delivery = await publishAggregates(createCDC(this.#db), () => siteStub(this.env, site));
  }

  override async alarm(): Promise<void> {
    await this.#db.alarm();
    await beginAgainIfBehind(this.#delivery, () => this.#forget()).catch((error: unknown) => {
      // The site is still away. The delivery fails meanwhile, and with it comes the next alarm.
      console.error(error);
    });
  }

  /**
   * Keeps events, once each: `rows` is JSON, a list of lists in the order of `RAW_COLUMNS`, of `minutes`. When this
   * returns they will be counted, whatever becomes of the object.
   */
  async ingest(rows: string, count: number, minutes: readonly string[]): Promise<Ingested> {
    const marked = this.#marked;
    const accepted = minutes.every((minute) => marked.has(minute))
      ? await insert(this.#db, rows)
      : await this.#db.transaction(async (tx) => {
          const accepted = await insert(tx, rows);
          await tx.run('INSERT OR IGNORE INTO dirty_minutes SELECT value FROM json_each(?)', [
            JSON.stringify(minutes),
          ]);
          await this.#db.schedule('count', Date.now() + COUNT_AFTER_MS);
          return accepted;
        });
    for (const minute of minutes) marked.add(minute);
    return { accepted, duplicates: count - accepted };
  }

  /** Events, sessions and users of the last minutes and who is there, as `GET …/realtime` answers it. */
  async realtime(): Promise<object> {
    const now = Date.now();
    const minutes = await this.#db.query(
      `SELECT minute, event_type, events, sessions, users FROM minute_aggregates
        WHERE minute >= ? AND page_path = ? ORDER BY minute DESC, events DESC`,
      [minuteOf(now - 5 * MINUTE_MS), ALL],
    );
    const sessions = await this.#db.get<{ active: number }>(
      'SELECT count(*) AS active FROM active_sessions WHERE last_seen > ?',
      [now - ACTIVE_MS],
    );
    return { active_sessions: sessions?.active ?? 0, minutes };
  }

  /** Events by type since some time, as `GET …/query` answers it. */
  async query(sinceMs: number, eventType: string | undefined): Promise<object> {
    const metrics = await this.#db.query(
      `SELECT event_type, sum(events) AS events FROM minute_aggregates
        WHERE minute >= ?1 AND page_path = ?2 AND iif(?3 IS NULL, event_type <> ?2, event_type = ?3)
        GROUP BY event_type ORDER BY events DESC`,
      [minuteOf(sinceMs), ALL, eventType ?? null],
    );
    return { metrics };
  }

  /** Exactly how many users there were in a window: the region has their hashes, and tells how many differ. */
  async users(fromMs: number, toMs: number): Promise<number> {
    const row = await this.#db.get<{ users: number }>(
      `SELECT count(DISTINCT coalesce(user_hash, session_hash)) AS users FROM raw_events
        WHERE minute >= ? AND minute <= ? AND at >= ? AND at < ?`,
      [minuteOf(fromMs), minuteOf(toMs), fromMs, toMs],
    );
    return row?.users ?? 0;
  }

  /** How far the site's object is behind, and what there is here. */
  async status(): Promise<object> {
    const { lag, failures, error, retryAt, deadLetters } = await this.#delivery.status();
    const { changes, seconds } = lag;
    return {
      uncounted_minutes: (await this.#db.get<{ n: number }>('SELECT count(*) AS n FROM dirty_minutes'))?.n,
      delivery: { changes, seconds, failures, error, retry_at: retryAt, dead_letters: deadLetters },
      size_bytes: this.#db.size,
    };
  }

  /** Erases a person, known by a hash of their id. */
  async erase(userHash: string): Promise<Erased> {
    const timer = `recount:${crypto.randomUUID()}`;
    this.#erasures++;
    try {
      const erased = await erasePerson(this.#db, userHash, this.#tallies, (minutes) =>
        this.#db.schedule(timer, Date.now() + RECOUNT_AFTER_MS, { minutes }),
      );
      await this.#db.cancel(timer);
      return erased;
    } finally {
      this.#erasures--;
    }
  }

  /** Has the site forget the days that are still here, and can be told anew. */
  async #forget(): Promise<void> {
    const [site = '', region = ''] = this.#db.name.split('/');
    const oldest = await this.#db.get<{ date: string | null }>(
      'SELECT min(date) AS date FROM daily_aggregates',
    );
    if (typeof oldest?.date === 'string') await siteStub(this.env, site).forget(region, oldest.date);
  }

  /** Counts what is marked, the newest minutes first. */
  async #count(): Promise<void> {
    // What a person does while they are being erased is erased, too: it is not counted before, and stays marked.
    if (this.#erasures > 0) return this.#db.schedule('count', Date.now() + COUNT_AFTER_MS);
    this.#marked = new Set();
    const nowMs = Date.now();
    try {
      await this.#db.transaction((tx) => this.#countIn(tx, nowMs));
    } catch (error) {
      this.#tallies.clear();
      throw error;
    }
  }

  async #countIn(tx: Transaction, nowMs: number): Promise<void> {
    const marked = await tx.query<{ minute: string }>(
      'SELECT minute FROM dirty_minutes ORDER BY minute DESC LIMIT ?',
      [MINUTES_AT_ONCE],
    );
    const minutes = marked.map(({ minute }) => minute);
    const { events, newDates } = await countMinutes(tx, minutes, this.#tallies, nowMs);
    await tx.run('DELETE FROM dirty_minutes WHERE minute IN (SELECT value FROM json_each(?))', [
      JSON.stringify(minutes),
    ]);
    if (minutes.length === MINUTES_AT_ONCE) await this.#db.schedule('count', nowMs);
    // Each day has a timer of its own: an object with nothing to erase sleeps.
    for (const date of newDates)
      await this.#db.schedule(`erase:${date}`, Date.parse(date) + (KEEP_DAYS + 1) * DAY_MS, { date });
    if (events === 0) return;
    const next = Math.ceil((nowMs + ACTIVE_MS) / SESSIONS_EVERY_MS) * SESSIONS_EVERY_MS;
    await this.#db.schedule(`sessions:${next}`, next);
  }
}

/** Inserts the events that are new; returns how many. */
async function insert(db: Pick<Database, 'run'>, rows: string): Promise<number> {
  const { changes } = await db.run(
    `INSERT INTO raw_events(${RAW_COLUMNS})
     SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8,
            value->>9, value->>10
       FROM json_each(?) WHERE true
     ON CONFLICT DO NOTHING`,
    [rows],
  );
  return changes;
}
