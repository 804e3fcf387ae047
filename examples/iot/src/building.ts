import { DurableObject } from 'cloudflare:workers';
import { receive, type Batch, type Cdc, type ChangeEvent } from '@dotdo/cdc';
import type { Database, Transaction } from '@dotdo/dosql';
import { errorResponse, HttpError } from '@dotdo/example-shared/http';
import { openTelemetryDatabase } from './database.ts';
import { Floors } from './floors.ts';
import { readHolder } from './holder.ts';
import { keepHouseByTimer, moveResolved, scheduleHousekeeping } from './housekeeping.ts';
import { route } from './routes.ts';
import { openStreams, tellFleet } from './streams.ts';
import { startTelemetry, type Telemetry } from './telemetry.ts';
import type { Env } from './worker.ts';

/** What is open of a building while its object is awake. */
interface Opened {
  readonly db: Database;
  readonly cdc: Cdc;
  readonly telemetry: Telemetry;
  readonly floors: Floors;
}

/**
 * One building: its readings, rules and alerts, and the pages that follow them. Where it has floors with objects of their
 * own, it asks them, and manages the alerts that they raise.
 *
 * Invariant: only a building that the fleet has made has a database, so a wrong name leaves nothing behind.
 */
export class Building extends DurableObject<Env> {
  #opened: Promise<Opened> | undefined;
  #cdc: Cdc | undefined;

  /** Makes the building; false when there is one already. */
  async create(name: string, title: string): Promise<boolean> {
    if (this.#name !== undefined) return false;
    const { db } = await this.#open(name);
    return db.transaction(async (tx) => {
      if (this.#name !== undefined) return false;
      await tx.run('INSERT INTO building (name, title) VALUES (?, ?)', [name, title]);
      await scheduleHousekeeping(db, this.now());
      this.ctx.storage.kv.put('name', name);
      return true;
    });
  }

  /** Answers a request for this building; the Worker has seen its token. */
  override async fetch(request: Request): Promise<Response> {
    try {
      const opened = await this.#openOwn();
      if (opened === undefined) throw new HttpError(404, 'there is no such building');
      const now = (): number => this.now();
      return await route({ ...opened, env: this.env, now, holder: readHolder(request), request });
    } catch (error) {
      return errorResponse(error);
    }
  }

  /** Takes what the stream of a floor tells: a floor raises alerts, the building has them from then on. */
  async receiveChanges(batch: Batch): Promise<void> {
    const opened = await this.#openOwn();
    if (opened === undefined) throw new Error('there is no such building');
    const floor = batch.source.slice(batch.source.indexOf('/') + 1);
    await receive(opened.db, batch, (event, tx: Transaction) => takeFromFloor(event, floor, tx));
  }

  /** Runs what the database has scheduled, from passes over old rows to the delivery of changes. */
  override async alarm(): Promise<void> {
    await (await this.#openOwn())?.db.alarm();
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    (await this.#openOwn())?.cdc.webSocketMessage(socket, message);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    (await this.#openOwn())?.cdc.webSocketClose(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    (await this.#openOwn())?.cdc.webSocketError(socket);
  }

  /** ms since the epoch. */
  protected now(): number {
    return Date.now();
  }

  /** The clock of the database, where that is not SQLite's own. */
  protected get clock(): (() => number) | undefined {
    return undefined;
  }

  /** Kept in the object's own storage: written by the transaction that makes the building. */
  get #name(): string | undefined {
    return this.ctx.storage.kv.get<string>('name');
  }

  async #openOwn(): Promise<Opened | undefined> {
    const name = this.#name;
    return name === undefined ? undefined : this.#open(name);
  }

  /** Opens the building once while the object is awake. What fails is tried again when it is asked for again. */
  #open(name: string): Promise<Opened> {
    return (this.#opened ??= this.#wake(name).catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    }));
  }

  /** Whatever wakes the object: its timers and streams are named before anything is written. */
  async #wake(name: string): Promise<Opened> {
    const { ctx, env, clock } = this;
    const now = (): number => this.now();
    const db = await openTelemetryDatabase(name, ctx, env.TELEMETRY_ARCHIVE, clock);
    this.#cdc ??= openStreams(db, ctx);
    const telemetry = startTelemetry(db, now);
    keepHouseByTimer(db, now, (before) => moveResolved(db, before));
    const floors = new Floors(db, now, (floor) => env.FLOOR.getByName(`${name}/${floor}`));
    await tellFleet(this.#cdc, env);
    return { db, cdc: this.#cdc, telemetry, floors };
  }
}

/** Applies one change of a floor, under the floor's name. */
async function takeFromFloor(event: ChangeEvent, floor: string, tx: Transaction): Promise<void> {
  if (!('key' in event) || event.after === null) return;
  const { after, op, table } = event;
  if (table === 'alerts' && op === 'insert')
    await tx.run(
      `INSERT INTO alerts (floor, floor_alert_id, rule_id, sensor_id, sensor_type, condition, threshold_value, trigger_value,
         severity, triggered_at)
       VALUES (:floor, :id, :rule_id, :sensor_id, :sensor_type, :condition, :threshold_value, :trigger_value,
         :severity, :triggered_at)
       ON CONFLICT (floor, floor_alert_id) DO NOTHING`,
      { ...pick(after, ALERT_COLUMNS), floor },
    );
  if (table === 'summaries')
    await tx.run(
      `INSERT OR REPLACE INTO summaries (floor, sensor_type, minute, sensor_count, min_value, max_value, mean_value)
       VALUES (:floor, :sensor_type, :minute, :sensor_count, :min_value, :max_value, :mean_value)`,
      { ...pick(after, SUMMARY_COLUMNS), floor },
    );
}

const ALERT_COLUMNS = [
  'id',
  'rule_id',
  'sensor_id',
  'sensor_type',
  'condition',
  'threshold_value',
  'trigger_value',
  'severity',
  'triggered_at',
] as const;
const SUMMARY_COLUMNS = [
  'sensor_type',
  'minute',
  'sensor_count',
  'min_value',
  'max_value',
  'mean_value',
] as const;

function pick<T>(row: Readonly<Record<string, T>>, columns: readonly string[]): Record<string, T> {
  return Object.fromEntries(columns.map((column) => [column, row[column] as T]));
}
