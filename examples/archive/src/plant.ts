import { DurableObject } from 'cloudflare:workers';
import { DB, type Database } from '@dotdo/dosql';
import { A_DAY_OF_READINGS, BY_MONTH, MIGRATIONS, OF_ONE_DAY, TIER } from './readings.ts';

/** What the Worker is given. */
export interface Env {
  readonly PLANT: DurableObjectNamespace<Plant>;
  readonly ARCHIVE: R2Bucket;
  /** When the simulated time begins, in ms since the epoch; without it time is the real one. */
  readonly STARTS_AT?: string;
}

/** A row of {@link BY_MONTH}. */
export interface Month {
  readonly month: string;
  readonly readings: number;
  readonly mean: number;
  readonly hottest: number;
}

const DAY_MS = 86_400_000;

/** The readings of one plant: those of the last day in the object, all others in its folder of the bucket. */
export class Plant extends DurableObject<Env> {
  db!: Database;
  readonly #folder: string;
  #now: number | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#folder = `plants/${ctx.id.toString()}`;
    void ctx.blockConcurrencyWhile(() => this.open());
  }

  async open(): Promise<void> {
    const { storage } = this.ctx;
    const now = storage.kv.get<number>('now') ?? this.env.STARTS_AT;
    this.#now = now === undefined ? undefined : Number(now);
    this.db = await DB('plant', {
      storage: { hot: storage, cold: this.env.ARCHIVE, coldPrefix: this.#folder },
      migrations: MIGRATIONS,
      ...(this.#now === undefined ? {} : { clock: () => this.#now as number }),
    });
  }

  override async alarm(): Promise<void> {
    await this.db.alarm();
  }

  /** From now on, and for all that is old already. An app that always wants it says `tiers: { readings: TIER }` to DB. */
  async tier() {
    await this.db.tier('readings', TIER);
    return this.db.tierPass();
  }

  /** The year by month, as it is now or as it was. */
  byMonth(asOf?: bigint): Promise<Month[]> {
    const at = asOf === undefined ? this.db : this.db.asOf({ lsn: asOf });
    return at.query<Month>(BY_MONTH);
  }

  explainByMonth() {
    return this.db.explain(BY_MONTH);
  }

  /** What reading one sensor's day takes. */
  explainDay(sensor: string, day: string) {
    return this.db.explain(OF_ONE_DAY, [sensor, day, `${day}T24`]);
  }

  /** Corrects one reading, however old; answers with the LSN before that. */
  async correct(sensor: string, at: string, temperature: number) {
    const before = this.db.lsn();
    const sql = 'UPDATE readings SET temperature = ? WHERE sensor = ? AND at = ?';
    const { changes } = await this.db.run(sql, [temperature, sensor, at]);
    return { changes, before: String(before) };
  }

  /** What is where. */
  async storage() {
    const [tiered] = await this.db.tierStatus();
    const { objects } = await this.env.ARCHIVE.list({ prefix: this.#folder });
    return {
      hotBytes: this.db.size,
      coldRows: tiered?.coldRows ?? 0,
      waiting: tiered?.waiting.files ?? 0,
      files: objects.map(({ key, size }) => ({ path: key.slice(this.#folder.length + 1), size })),
    };
  }

  /** Lets simulated days pass: their readings come in, and each night the alarm runs for as long as anything is due. */
  async simulate(days: number, everySeconds: number): Promise<{ readings: number }> {
    let readings = 0;
    for (let day = 0; day < days; day++) {
      if (this.#now === undefined) throw new Error('STARTS_AT is not set: time is the real one');
      const began = this.#now;
      this.#now += DAY_MS;
      this.ctx.storage.kv.put('now', this.#now);
      readings += (await this.db.run(A_DAY_OF_READINGS, [began / 1_000, everySeconds])).changes;
      for (let next = 0; next <= this.#now;) {
        // The platform takes an alarm away when it goes off.
        await this.ctx.storage.deleteAlarm();
        next = (await this.db.alarm()).next?.getTime() ?? Number.POSITIVE_INFINITY;
      }
    }
    return { readings };
  }
}
