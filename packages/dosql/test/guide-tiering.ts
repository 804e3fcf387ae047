import { DurableObject } from 'cloudflare:workers';
import { createCDC, DB, DoSQLError, restore, type Database } from '@dotdo/dosql';
import {
  createDOBackend,
  createResilientBackend,
  createR2Backend,
  createTieredBackend,
} from '@dotdo/dosql/fsx';

export interface Env {
  readonly PLANT: DurableObjectNamespace<Plant>;
  readonly TELEMETRY: R2Bucket;
  readonly LAKE: R2Bucket;
}

export interface Reading {
  readonly sensor: string;
  readonly at: string;
  readonly value: number;
}

export class Plant extends DurableObject<Env> {
  db!: Database;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(() => this.open());
  }

  async open() {
    const { ctx, env } = this;
    this.db = await DB('plant', {
      storage: { hot: ctx.storage, cold: env.TELEMETRY, coldPrefix: `plants/${ctx.id.toString()}` },
      migrations: [
        {
          name: '001_readings',
          sql: `
            CREATE TABLE readings(
              id INTEGER PRIMARY KEY,
              sensor TEXT NOT NULL,
              at TEXT NOT NULL,
              value REAL NOT NULL
            );
            CREATE INDEX readings_at ON readings(at);
            CREATE TABLE sensors(sensor TEXT PRIMARY KEY, hall TEXT NOT NULL);
            CREATE TABLE hours(sensor TEXT, hour TEXT, readings INTEGER, total REAL);
          `,
        },
      ],
      tiers: {
        readings: { column: 'at', hotFor: '24h', sortBy: ['sensor'] },
      },
      buckets: { lake: env.LAKE, reports: { bucket: env.LAKE, prefix: `reports/${ctx.id.toString()}` } },
      fetch: { allow: ['files.example'] },
    });
  }

  override async alarm() {
    await this.db.alarm(); // passes run here
  }

  async record({ sensor, at, value }: Reading) {
    const { db } = this;
    await db.run('INSERT INTO readings(sensor, at, value) VALUES (?, ?, ?)', [sensor, at, value]);
  }

  days() {
    return this.db.query<{ day: string; readings: number; mean: number }>(
      `SELECT substr(at, 1, 10) AS day, count(*) AS readings, avg(value) AS mean
         FROM readings GROUP BY day ORDER BY day`,
    );
  }

  inHall(hall: string, from: string, to: string) {
    return this.db.query<Reading>(
      `SELECT r.sensor, r.at, r.value
         FROM readings AS r JOIN sensors AS s ON s.sensor = r.sensor
        WHERE s.hall = ? AND r.at >= ? AND r.at < ?
        ORDER BY r.at`,
      [hall, from, to],
    );
  }

  planOf(sensor: string, from: string, to: string) {
    return this.db.explain('SELECT max(value) FROM readings WHERE sensor = ? AND at >= ? AND at < ?', [
      sensor,
      from,
      to,
    ]);
  }

  async correct(sensor: string, at: string, value: number) {
    const before = this.db.lsn();
    await this.db.run('UPDATE readings SET value = ? WHERE sensor = ? AND at = ?', [value, sensor, at]);
    return before; // the point to read at, to see what it was
  }

  asItWas(lsn: bigint, sensor: string, at: string) {
    return this.db.query<{ value: number }>(
      'SELECT value FROM readings FOR SYSTEM_TIME AS OF LSN ? WHERE sensor = ? AND at = ?',
      [lsn, sensor, at],
    );
  }

  async recalibrate(sensor: string, by: number) {
    const draft = await this.db.branch('calibration');
    await draft.run('UPDATE readings SET value = value + ? WHERE sensor = ?', [by, sensor]);
    const changes = await this.db.diff('main', 'calibration');
    await this.db.merge('calibration');
    await this.db.dropBranch('calibration');
    return changes.length;
  }

  async copyAll(take: (row: unknown) => void) {
    const options = { tables: ['readings'], snapshot: 'only' } as const;
    for await (const event of createCDC(this.db).subscribe(0n, options))
      if ('after' in event) take(event.after);
  }

  async cutBySensor() {
    await this.db.tier('readings', { column: 'at', hotFor: '24h', partitionBy: ['sensor'] });
  }

  async keepTwoYears() {
    await this.db.tier('readings', {
      column: 'at',
      hotFor: '24h',
      sortBy: ['sensor'],
      expireAfter: '730d',
      rollup: {
        into: 'hours',
        select: `SELECT sensor, substr(at, 1, 13) AS hour, count(*) AS readings, sum(value) AS total
                   FROM readings GROUP BY sensor, hour`,
      },
    });
  }

  async moveNow() {
    const { rows, files, moved } = await this.db.tierPass('readings');
    return { rows, files, moved };
  }

  async waiting() {
    const [readings] = await this.db.tierStatus();
    return readings === undefined
      ? 'nothing is tiered'
      : (readings.problem ?? `${readings.waiting.files} files`);
  }

  async meanAsOf(at: Date) {
    const { timestamp, archived } = await this.db.earliest();
    if (at < (archived?.timestamp ?? timestamp)) return null;
    return this.db.asOf(at).get<{ mean: number }>('SELECT avg(value) AS mean FROM readings');
  }

  async compare(at: Date) {
    await this.db.recall(at);
    return this.db.transaction(async (tx) => {
      const before = await tx.asOf(at).get<{ n: number }>('SELECT count(*) AS n FROM readings');
      const now = await tx.get<{ n: number }>('SELECT count(*) AS n FROM readings');
      return { before: before?.n, now: now?.n };
    });
  }

  async backUp() {
    const { lsn, files, bytes } = await this.db.backup();
    return { lsn, files, bytes };
  }

  async openTo(catalog: string, token: () => string) {
    await this.db.tier('readings', {
      column: 'at',
      hotFor: '24h',
      sortBy: ['sensor'],
      iceberg: {
        location: `s3://telemetry/plants/${this.ctx.id.toString()}`,
        catalog: { uri: catalog, namespace: 'events', table: `readings_${this.ctx.id.toString()}`, token },
      },
    });
  }

  async hotAgain() {
    await this.db.tier('readings', null);
  }

  sync(sql: string) {
    try {
      return this.db.sql.exec(sql).toArray();
    } catch (error) {
      if (DoSQLError.from(error)?.code !== 'WAITS') throw error;
      return this.db.query(sql);
    }
  }

  sales(year: number) {
    return this.db.query<{ region: string; month: string; total: number }>(
      `SELECT region, date_trunc('month', day) AS month, sum(price * quantity) AS total
         FROM 'r2://lake/sales/**/*.parquet'
        WHERE year = ?
        GROUP BY region, month
        ORDER BY region, month`,
      [year],
    );
  }

  async mapSensors() {
    await this.db.run(
      `INSERT INTO sensors SELECT sensor, hall FROM 'r2://lake/plans/*.csv' WHERE hall IS NOT NULL`,
    );
  }

  parts() {
    return this.db.query(`SELECT id, name FROM 'https://files.example/ranged/parts.csv' WHERE id < 3`);
  }

  addresses() {
    return this.db.query("SELECT zip FROM 'r2://lake/addresses.csv'", [], {
      files: { types: { zip: 'text' } },
    });
  }

  async report(month: string) {
    const { rows } = await this.db.copy(
      'SELECT sensor, at, value FROM readings WHERE at >= ? AND at < ?',
      `r2://reports/${month}.parquet`,
      { params: [`${month}-01`, `${month}-32`], sortBy: ['sensor', 'at'] },
    );
    return rows;
  }

  async arrow() {
    const stream = await this.db.arrow('SELECT sensor, avg(value) AS mean FROM readings GROUP BY sensor');
    return new Response(stream, { headers: { 'content-type': 'application/vnd.apache.arrow.stream' } });
  }
}

/** Where cold rows go when R2 is tried again for some time before it counts as down. */
export function patientStorage(storage: DurableObjectStorage, bucket: R2Bucket, prefix: string) {
  const cold = createResilientBackend(createR2Backend(bucket, { prefix }));
  return createTieredBackend(createDOBackend(storage), cold);
}

/** Makes a plant anew in the storage of an object that holds nothing; gives the LSN of its state. */
export async function recover(storage: DurableObjectStorage, bucket: R2Bucket, prefix: string, at?: Date) {
  const { lsn } = await restore({ storage, from: { bucket, prefix }, at });
  return lsn;
}
