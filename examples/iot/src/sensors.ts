import type { Database, Transaction } from '@dotdo/dosql';
import { HttpError, json } from '@dotdo/example-shared/http';
import { NoQuery, parseQuery } from '@dotdo/example-shared/input';
import { UNITS, type Reading } from './input.ts';
import type { Context } from './routes.ts';

/** What one object bears; a larger building has an object for each floor. */
const MAX_SENSORS = 10_000;

/** What measures, as the table has it. */
export interface Sensor {
  readonly sensor_id: string;
  readonly sensor_type: string;
  readonly unit: string;
  readonly since: number;
}

/**
 * The sensors of one object, held in memory while it is awake: every reading is compared with its sensor's type.
 *
 * Invariant: only the intake writes the table, one transaction after another.
 */
export class SensorRegister {
  #known: Map<string, Sensor> | undefined;

  /** What is kept of the sensors in the database. */
  async load(tx: Transaction): Promise<void> {
    if (this.#known !== undefined) return;
    const sensors = await tx.query<Sensor>('SELECT * FROM sensors');
    this.#known = new Map(sensors.map((sensor) => [sensor.sensor_id, sensor]));
  }

  /**
   * The sensors that readings name for the first time.
   *
   * @param alsoNew those that the same transaction is going to register already.
   * @throws HttpError 422 for a reading of another type or unit than its sensor has, and for too many sensors.
   */
  newAmong(
    readings: readonly Reading[],
    alsoNew: ReadonlyMap<string, Sensor>,
    now: number,
  ): Map<string, Sensor> {
    const found = new Map<string, Sensor>();
    for (const [index, { sensor_id, sensor_type, unit }] of readings.entries()) {
      const sensor = this.#known?.get(sensor_id) ?? alsoNew.get(sensor_id) ?? found.get(sensor_id);
      if (sensor === undefined)
        found.set(sensor_id, { sensor_id, sensor_type, unit: unit ?? UNITS[sensor_type], since: now });
      else if (sensor.sensor_type !== sensor_type || (unit !== undefined && unit !== sensor.unit))
        throw new HttpError(
          422,
          `reading ${index}: "${sensor_id}" measures ${sensor.sensor_type} in ${sensor.unit}`,
        );
    }
    if ((this.#known?.size ?? 0) + alsoNew.size + found.size > MAX_SENSORS)
      throw new HttpError(422, `there are ${MAX_SENSORS} sensors already: give the building floors`);
    return found;
  }

  /** Registers new sensors in the database; {@link add} follows once that is committed. */
  async register(tx: Transaction, sensors: ReadonlyMap<string, Sensor>): Promise<void> {
    if (sensors.size === 0) return;
    await tx.run(
      `INSERT INTO sensors (sensor_id, sensor_type, unit, since)
       SELECT value ->> 'sensor_id', value ->> 'sensor_type', value ->> 'unit', value ->> 'since' FROM json_each(?)`,
      [JSON.stringify([...sensors.values()])],
    );
  }

  add(sensors: ReadonlyMap<string, Sensor>): void {
    for (const [id, sensor] of sensors) this.#known?.set(id, sensor);
  }
}

/** The sensors of one object. */
export function sensorsOf(db: Database): Promise<Sensor[]> {
  return db.query<Sensor>('SELECT * FROM sensors ORDER BY sensor_id');
}

/** `GET /sensors`: the building's, and those of its floors. */
export async function listSensors({ db, floors, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const [own, others] = await Promise.all([sensorsOf(db), floors.ask((floor) => floor.sensors())]);
  const sensors = [
    ...own.map((sensor) => ({ floor: '', ...sensor })),
    ...others.answers.flatMap(({ floor, value }) => value.map((sensor) => ({ floor, ...sensor }))),
  ];
  return json({ sensors, unreachable_floors: others.unreachable });
}
