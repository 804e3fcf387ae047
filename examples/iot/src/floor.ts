import { DurableObject } from 'cloudflare:workers';
import { createCDC } from '@dotdo/cdc';
import type { Database } from '@dotdo/dosql';
import { errorResponse, HttpError } from '@dotdo/example-shared/http';
import { openTelemetryDatabase } from './database.ts';
import { readHolder } from './holder.ts';
import { forgetRaised, keepHouseByTimer, scheduleHousekeeping } from './housekeeping.ts';
import { routeDevice } from './ingest.ts';
import type { Rule } from './rules.ts';
import { sensorsOf, type Sensor } from './sensors.ts';
import { readSeries, type SeriesRequest, type SeriesRow } from './series.ts';
import { telemetryStatus, type TelemetryStatus } from './status.ts';
import { tellBuilding } from './streams.ts';
import { startTelemetry, type Telemetry } from './telemetry.ts';
import type { Env } from './worker.ts';

/**
 * One floor of a large building: its readings, and the alerts that they raise. It has the building's rules, and its
 * building has its alerts; it is asked by nobody else.
 *
 * Invariant: only a floor that its building has added has a database.
 */
export class Floor extends DurableObject<Env> {
  #opened: Promise<Telemetry> | undefined;

  /** Makes the floor of a building; what is there stays as it is. */
  async open(building: string, floor: string): Promise<void> {
    if (this.#building !== undefined) return;
    const { db } = await this.#open(building, `${building}/${floor}`);
    await db.transaction(async () => {
      await scheduleHousekeeping(db, this.now());
      this.ctx.storage.kv.put('building', building);
      this.ctx.storage.kv.put('name', `${building}/${floor}`);
    });
  }

  /** Answers a device of the building; the Worker has seen its token. */
  override async fetch(request: Request): Promise<Response> {
    try {
      if (readHolder(request).role !== 'device') throw new HttpError(403, 'this is for devices');
      const opened = await this.#openOwn();
      if (opened === undefined) throw new HttpError(404, 'there is no such floor');
      return await routeDevice(opened.intake, request);
    } catch (error) {
      return errorResponse(error);
    }
  }

  /** Rows for a query over the whole building. */
  async series(requests: readonly SeriesRequest[]): Promise<SeriesRow[]> {
    const { db } = await this.#require();
    return (await Promise.all(requests.map((request) => readSeries(db, request)))).flat();
  }

  async sensors(): Promise<Sensor[]> {
    return sensorsOf((await this.#require()).db);
  }

  async status(): Promise<TelemetryStatus> {
    return telemetryStatus((await this.#require()).db);
  }

  /** Has the building's rules from now on, under their ids, in the place of those that it had. */
  async setRules(rules: readonly Rule[]): Promise<void> {
    const { db, intake } = await this.#require();
    await db.transaction(async (tx) => {
      await tx.run('DELETE FROM alert_rules');
      await tx.run(
        `INSERT INTO alert_rules
           (id, sensor_id, sensor_type, condition, threshold_value, threshold_min, threshold_max, severity,
            cooldown_seconds, enabled)
         SELECT value ->> 'id', value ->> 'sensor_id', value ->> 'sensor_type', value ->> 'condition',
                value ->> 'threshold_value', value ->> 'threshold_min', value ->> 'threshold_max', value ->> 'severity',
                value ->> 'cooldown_seconds', value ->> 'enabled'
           FROM json_each(?)`,
        [JSON.stringify(rules)],
      );
      intake.forgetRules();
    });
  }

  /** Runs what the database has scheduled, from passes over old rows to telling the building. */
  override async alarm(): Promise<void> {
    await (await this.#openOwn())?.db.alarm();
  }

  /** ms since the epoch. */
  protected now(): number {
    return Date.now();
  }

  /** The clock of the database, where that is not SQLite's own. */
  protected get clock(): (() => number) | undefined {
    return undefined;
  }

  get #building(): string | undefined {
    return this.ctx.storage.kv.get<string>('building');
  }

  async #require(): Promise<Telemetry> {
    const opened = await this.#openOwn();
    if (opened === undefined) throw new Error('there is no such floor');
    return opened;
  }

  async #openOwn(): Promise<Telemetry | undefined> {
    const building = this.#building;
    const name = this.ctx.storage.kv.get<string>('name');
    return building === undefined || name === undefined ? undefined : this.#open(building, name);
  }

  /** Opens the floor once while the object is awake. What fails is tried again when it is asked for again. */
  #open(building: string, name: string): Promise<Telemetry> {
    return (this.#opened ??= this.#wake(building, name).catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    }));
  }

  /** Whatever wakes the object: its timers and streams are named before anything is written. */
  async #wake(building: string, name: string): Promise<Telemetry> {
    const now = (): number => this.now();
    const db: Database = await openTelemetryDatabase(name, this.ctx, this.env.TELEMETRY_ARCHIVE, this.clock);
    const telemetry = startTelemetry(db, now);
    keepHouseByTimer(db, now, (before) => forgetRaised(db, before));
    await tellBuilding(createCDC(db), this.env, building);
    return telemetry;
  }
}
