import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { FleetClient, reading, type BuildingClient } from '../local.ts';
import { World } from '../simulator/world.ts';

interface Row {
  readonly time: number;
  readonly sensor_id: string;
  readonly avg_value: number;
  readonly reading_count: number;
}
interface Status {
  readonly late_readings: number;
  readonly archive: {
    readonly cold_rows: number;
    readonly files: number;
    readonly waiting_files: number;
    readonly problem: string | null;
  };
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

let world: World;
let fleet: FleetClient;
let noon: number;
let count = 0;

beforeAll(async () => {
  world = await World.start();
  fleet = await FleetClient.at(world.app.url);
  noon = world.noon;
});
afterAll(async () => world.app.harness.close());
beforeEach(async () => {
  await world.goTo(0);
  await world.bucket('up');
});

function build(): Promise<BuildingClient> {
  return fleet.build(`plant-${++count}`);
}

/** Readings of two sensors, a minute apart, from noon of a day: 10, 11, 12 and so on. */
async function send(building: BuildingClient, day: number, minutes = 3): Promise<void> {
  const readings = Array.from({ length: minutes }, (_, i) =>
    ['t-1', 't-2'].map((sensor_id) =>
      reading({ sensor_id, value: 10 + i, timestamp: noon + day * DAY_MS - i * MINUTE_MS }),
    ),
  ).flat();
  const { status, body } = await building.send(readings);
  expect([status, body.accepted]).toEqual([200, readings.length]);
}

async function days(building: BuildingClient, by = 'by=type'): Promise<Row[]> {
  const end = noon + 1_000 * DAY_MS;
  const path = `/historical?start=${noon - 50 * DAY_MS}&end=${end}&${by}`;
  return (await building.operator.get<{ data: Row[] }>(path)).data;
}

async function hours(building: BuildingClient): Promise<Row[]> {
  return (await building.operator.get<{ data: Row[] }>('/query?hours=720&granularity=hour&by=type')).data;
}

function status(building: BuildingClient): Promise<Status> {
  return building.operator.get<Status>('/status');
}

const counts = (rows: readonly Row[]): number[] => rows.map(({ reading_count }) => reading_count);

it('moves what is old to R2, table by table, and answers the same all the while', async () => {
  const building = await build();
  await send(building, 0);
  await world.goTo(1);
  await send(building, 1);
  const before = await days(building, 'sensor_id=t-1');
  expect(counts(before)).toEqual([3, 3]);

  await world.goTo(3);
  await world.alarm(building);
  expect((await status(building)).archive).toMatchObject({ cold_rows: 12, waiting_files: 0, problem: null });
  expect(await world.files(building)).toHaveLength(2);
  expect(await days(building, 'sensor_id=t-1')).toEqual(before);
  expect(await days(building, 'sensor_id=t-1&type=co2')).toEqual([]);

  await world.goTo(10);
  await world.alarm(building);
  const { archive } = await status(building);
  expect(archive.cold_rows).toBe(24);
  const minutes = await building.operator.get<{ data: Row[] }>('/query?hours=720&sensor_id=t-2');
  expect(counts(minutes.data)).toEqual([1, 1, 1, 1, 1, 1]);

  await world.goTo(75);
  await world.alarm(building);
  // The hours have gone, too: noon of each day, and the two minutes before it.
  expect((await status(building)).archive.cold_rows).toBe(32);
  expect(await days(building, 'sensor_id=t-1')).toEqual(before);

  await world.goTo(740);
  await world.alarm(building);
  const cold = await status(building);
  expect(cold.archive.cold_rows).toBe(8);
  // The readings have expired; what they came to by day is there.
  expect(await days(building, 'sensor_id=t-1')).toEqual(before);
});

it('cuts the archive by type and day: readings, minutes and hours', async () => {
  const building = await build();
  for (const day of [0, 1]) {
    await world.goTo(day);
    await send(building, day);
    const co2 = reading({
      sensor_id: 'c-1',
      sensor_type: 'co2',
      value: 400,
      timestamp: noon + day * DAY_MS,
    });
    expect((await building.send([co2])).status).toBe(200);
  }
  const before = [await days(building), await hours(building)];
  const folders = async (): Promise<string[]> =>
    (await world.files(building)).map(
      ({ key }) => /tables\/(\w+)-\d+\/data\/(.*)\/[\w-]+\.parquet$/.exec(key)?.slice(1).join(' ') ?? key,
    );
  const date = (day: number): string => new Date(noon + day * DAY_MS).toISOString().slice(0, 10);
  const of = (table: string): string[] =>
    ['co2', 'temperature'].flatMap((type) =>
      [0, 1].map((day) => `${table} sensor_type=${type}/day=${date(day)}`),
    );
  await world.goTo(3);
  await world.alarm(building);
  expect(await folders()).toEqual(of('readings'));
  expect([await days(building), await hours(building)]).toEqual(before);
  expect(counts(await days(building, 'type=co2'))).toEqual([1, 1]);

  await world.goTo(40);
  await world.alarm(building);
  expect((await folders()).toSorted()).toEqual(
    [...of('hourly_aggregates'), ...of('minute_aggregates'), ...of('readings')].toSorted(),
  );
  expect(await days(building)).toEqual(before[0]);
});

it('stores a late reading where it belongs, once, and corrects its minute and hour', async () => {
  const building = await build();
  await send(building, 0);
  await world.goTo(3);
  await world.alarm(building);
  const late = [
    reading({ value: 40, timestamp: noon + MINUTE_MS }),
    // This one has come on time, and is in R2.
    reading({ value: 99, timestamp: noon }),
  ];
  expect((await building.send(late)).body).toEqual({ accepted: 0, duplicates: 0, late: 2, alerts: 0 });
  expect((await building.send(late)).body).toMatchObject({ late: 2 });
  expect((await status(building)).late_readings).toBe(2);
  await world.alarm(building);
  expect((await building.send(late)).body).toMatchObject({ late: 2 });
  await world.alarm(building);
  expect((await status(building)).late_readings).toBe(0);
  const [day] = await days(building);
  expect(day).toMatchObject({ reading_count: 7, max_value: 40, avg_value: (2 * 33 + 40) / 7 });
  expect(await hours(building)).toMatchObject([{ reading_count: 4 }, { reading_count: 3, max_value: 40 }]);
  await world.goTo(5);
  await world.alarm(building);
  expect(await days(building)).toEqual([day]);
});

it('works on while R2 is away for the whole run: files wait, and the status says so', async () => {
  await world.bucket('down');
  const building = await build();
  for (let day = 0; day < 6; day++) {
    await world.goTo(day);
    await send(building, day);
    await world.alarm(building);
  }
  const { archive } = await status(building);
  expect(archive.problem).toContain('not taken by the cold store');
  expect(archive.waiting_files).toBeGreaterThan(0);
  expect(archive.waiting_files).toBe(archive.files);
  // All readings are there, the old ones in files that the object holds.
  expect(counts(await days(building))).toEqual([6, 6, 6, 6, 6, 6]);
  expect((await building.send([reading({ timestamp: noon + MINUTE_MS })])).body.late).toBe(1);
  await world.evict(building);
  await world.alarm(building);
  expect(counts(await days(building))).toEqual([7, 6, 6, 6, 6, 6]);
  expect(await world.files(building)).toEqual([]);

  await world.bucket('up');
  await world.goTo(6);
  await world.alarm(building);
  expect((await status(building)).archive).toMatchObject({ waiting_files: 0, problem: null });
  expect((await world.files(building)).length).toBeGreaterThan(0);
  expect(counts(await days(building))).toEqual([7, 6, 6, 6, 6, 6]);
});

it.each(['down', 'silent'] as const)(
  'takes readings when what is old is in R2 and that is %s; what comes late waits',
  async (state) => {
    const building = await build();
    await send(building, 0);
    await world.goTo(3);
    await world.alarm(building);
    await world.bucket(state);
    await world.evict(building);
    await send(building, 3);
    // Between two readings that are in R2: whether it is there already, only R2 knows.
    const late = reading({ timestamp: noon - MINUTE_MS / 2 });
    expect((await building.send([late])).body.late).toBe(1);
    const going = world.alarm(building);
    // The alarm is about R2 just now, and holds nobody up.
    await building.send([reading({ timestamp: noon + 3 * DAY_MS + MINUTE_MS })]);
    expect(counts(await hours(building))).toEqual([4, 2, 4, 3]);
    expect((await status(building)).late_readings).toBe(1);
    if (state === 'down') {
      await going;
      const { status: code, body } = await building.operator.send<{ error: string }>(
        'GET',
        `/historical?start=${noon - DAY_MS}&end=${noon + DAY_MS}`,
      );
      expect([code, body.error]).toEqual([503, expect.stringContaining('archive')]);
      expect(
        (
          await building.operator.send(
            'GET',
            `/historical?start=${noon + 2 * DAY_MS}&end=${noon + 9 * DAY_MS}`,
          )
        ).status,
      ).toBe(200);
    }
    await world.bucket('up');
    await going;
    // Awake, the object leaves a bucket that has failed alone for half a minute; evicted, it knows nothing of that.
    await world.evict(building);
    await world.goTo(4);
    await world.alarm(building);
    expect((await status(building)).late_readings).toBe(0);
    expect(counts(await days(building))).toEqual([7, 7]);
  },
);

it('keeps resolved alerts for a day, then in the history', async () => {
  const building = await build();
  await building.operator.post('/alerts/rules', {
    sensor_type: 'temperature',
    condition: 'gt',
    threshold_value: 30,
  });
  await building.send([
    reading({ value: 31, timestamp: noon }),
    reading({ sensor_id: 't-2', value: 31, timestamp: noon }),
  ]);
  await building.operator.post('/alerts/resolve', { alert_id: 1, reason: 'aired' });
  const path = `/alerts/history?start=${noon - DAY_MS}&end=${noon + 100 * DAY_MS}`;
  expect(await building.operator.get(path)).toEqual({ alerts: [] });
  await world.goTo(2);
  await world.alarm(building);
  const [past] = (await building.operator.get<{ alerts: object[] }>(path)).alerts;
  expect(past).toMatchObject({ id: 1, sensor_id: 't-1', resolved_reason: 'aired' });
  expect(await building.operator.get('/alerts/active')).toMatchObject({ alerts: [{ id: 2 }] });
  await world.goTo(75);
  await world.alarm(building);
  expect((await building.operator.get<{ alerts: object[] }>(path)).alerts).toEqual([past]);
});
