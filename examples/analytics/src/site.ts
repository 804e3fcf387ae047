import { DurableObject } from 'cloudflare:workers';
import { createCDC, PermanentError, receiveBatch, type Batch, type Cdc } from '@dotdo/cdc';
import { DB, type Database } from '@dotdo/dosql';
import { errorResponse, HttpError, requireSameOrigin } from '@dotdo/example-shared/http';
import { historyOf, topPages, usersWithin, type Period } from './history.ts';
import { forgetRegion, mergeRegion } from './merge.ts';
import { minuteOf } from './privacy.ts';
import type { Env } from './worker.ts';

const DAY_MS = 86_400_000;
/** How long minutes are shown, in days; days are kept for ever. */
const MINUTES_KEEP_DAYS = 7;
/** Days become Parquet files a month after their own is over: until then late events can change them. */
const DAYS_TIER = {
  column: 'date',
  hotFor: '31d',
  partition: 'month',
  sortBy: ['event_type', 'region'],
} as const;

/**
 * One site, as all of its regions have counted it: what dashboards see. It has never been told of a person.
 *
 * Days of past months lie in R2. Without R2 all goes on but for questions about them.
 */
export class Site extends DurableObject<Env> {
  /** Days whose minutes have a timer. */
  readonly #dated = new Set<string>();
  #opened: Promise<{ readonly db: Database; readonly cdc: Cdc }> | undefined;

  /** Signs the site up; false when it is there already. */
  async signUp(): Promise<boolean> {
    const { storage, id } = this.ctx;
    if (storage.kv.get('name') !== undefined || id.name === undefined) return false;
    storage.kv.put('name', id.name);
    await this.#open();
    return true;
  }

  /** Takes what a region has counted, each batch once. */
  async receiveChanges(batch: Batch): Promise<void> {
    const { db } = await this.#open();
    const [site, region] = batch.source.split('/');
    if (site !== db.name || region === undefined)
      throw new PermanentError(`${batch.source} is of another site`);
    const sinceMinute = minuteOf(Date.now() - MINUTES_KEEP_DAYS * DAY_MS);
    let dates: readonly string[] = [];
    await receiveBatch(db, batch, async (events, tx) => {
      const shown = await mergeRegion(tx, region, events, sinceMinute);
      dates = [...shown].filter((date) => !this.#dated.has(date));
      for (const date of dates) await deleteMinutesLater(db, date);
    });
    // They are set now: had the transaction been undone, the timers would have gone with it.
    for (const date of dates) this.#dated.add(date);
  }

  /** Forgets what a region has told of a day and those after it: it is about to tell what there is of them. */
  async forget(region: string, since: string): Promise<void> {
    const { db } = await this.#open();
    await db.transaction((tx) => forgetRegion(tx, region, since));
  }

  /** `GET /s/:site/history` */
  async history(period: Period & { by: 'day' | 'month' }): Promise<object[]> {
    return historyOf((await this.#open()).db, period);
  }

  /** `GET /s/:site/pages` */
  async pages(period: Required<Period> & { limit: number }): Promise<object[]> {
    return topPages((await this.#open()).db, period);
  }

  /** `GET /s/:site/users` */
  async users(fromMs: number, toMs: number): Promise<number> {
    return usersWithin((await this.#open()).db, minuteOf(fromMs), minuteOf(toMs));
  }

  /** `GET /s/:site/status` */
  async status(): Promise<object> {
    const { db } = await this.#open();
    const [days] = await db.tierStatus();
    const cold = days && {
      rows: days.coldRows,
      files: days.files,
      waiting: days.waiting.files,
      problem: days.problem,
    };
    return { site: db.name, lsn: Number(db.lsn()), size_bytes: db.size, cold };
  }

  /** `GET /s/:site/live`, a WebSocket; the Worker has seen its token. */
  override async fetch(request: Request): Promise<Response> {
    try {
      return await (await this.#open()).cdc.fetch(request);
    } catch (error) {
      return errorResponse(error);
    }
  }

  override async alarm(): Promise<void> {
    await (await this.#open()).db.alarm();
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    (await this.#open()).cdc.webSocketMessage(socket, message);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    (await this.#open()).cdc.webSocketClose(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    (await this.#open()).cdc.webSocketError(socket);
  }

  /** Opens the site once while the object is awake. What fails is tried again when it is asked for again. */
  #open(): Promise<{ readonly db: Database; readonly cdc: Cdc }> {
    return (this.#opened ??= this.#wake().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    }));
  }

  async #wake(): Promise<{ readonly db: Database; readonly cdc: Cdc }> {
    const { ctx, env } = this;
    const name = ctx.storage.kv.get<string>('name');
    if (name === undefined) throw new HttpError(404, 'there is no such site');
    const db = await DB(name, {
      storage: { hot: ctx.storage, cold: env.ARCHIVE, coldPrefix: `sites/${name}` },
      migrations: { folder: '.do/migrations/analytics/site' },
      tiers: { days: DAYS_TIER },
    });
    const authorize = (request: Request): true => {
      requireSameOrigin(request);
      return true;
    };
    const cdc = createCDC(db, { live: { state: ctx, authorize } });
    cdc.publication('dashboard', {
      tables: {
        global_metrics: true,
        minutes: { columns: ['region', 'minute', 'event_type', 'events', 'sessions', 'users'] },
        visits: true,
      },
    });
    db.onTimer<{ before: string }>('minutes', async ({ payload: { before } }) => {
      await db.purge('minutes', { before, column: 'minute' });
    });
    return { db, cdc };
  }
}

/** Has the minutes of a day be deleted when they are no longer shown. */
async function deleteMinutesLater(db: Database, date: string): Promise<void> {
  const at = Date.parse(date) + (MINUTES_KEEP_DAYS + 1) * DAY_MS;
  await db.schedule(`minutes:${date}`, at, { before: new Date(Date.parse(date) + DAY_MS).toISOString() });
}
