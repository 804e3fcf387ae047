import type { LocalApp } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FleetClient, reading, startLocally, type BuildingClient } from '../local.ts';

interface Row {
  readonly sensor_id: string;
  readonly time: number;
  readonly min_value: number;
  readonly max_value: number;
  readonly avg_value: number;
  readonly reading_count: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

let app: LocalApp;
let fleet: FleetClient;
let count = 0;

beforeAll(async () => {
  app = await startLocally();
  fleet = await FleetClient.at(app.url);
});
afterAll(async () => app.harness.close());

function build(): Promise<BuildingClient> {
  return fleet.build(`house-${++count}`);
}

/** The middle of a minute, so many minutes ago: no test crosses the end of one. */
function minutesAgo(minutes: number): number {
  return Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - minutes * MINUTE_MS;
}

async function rows(building: BuildingClient, query = 'hours=720'): Promise<Row[]> {
  return (await building.operator.get<{ data: Row[] }>(`/query?${query}`)).data;
}

describe('ingest', () => {
  it('stores a reading once, however often it comes', async () => {
    const building = await build();
    const one = reading();
    expect(await building.device.post('/ingest', one)).toEqual({
      accepted: 1,
      duplicates: 0,
      late: 0,
      alerts: 0,
    });
    expect(await building.device.post('/ingest', one)).toMatchObject({ accepted: 0, duplicates: 1 });
    const other = reading({ sensor_id: 't-2' });
    const batch = [one, other, other, one];
    expect((await building.send(batch)).body).toMatchObject({ accepted: 1, duplicates: 3 });
    const data = await rows(building);
    expect(data.map(({ sensor_id, reading_count }) => [sensor_id, reading_count])).toEqual([
      ['t-1', 1],
      ['t-2', 1],
    ]);
  });

  it('keeps the first value of readings that differ', async () => {
    const building = await build();
    const timestamp = minutesAgo(0);
    await building.send([reading({ timestamp, value: 1 }), reading({ timestamp, value: 2 })]);
    await building.send([reading({ timestamp, value: 3 })]);
    expect(await rows(building)).toMatchObject([{ min_value: 1, max_value: 1, reading_count: 1 }]);
  });

  it('counts each reading once when many send the same at the same time', async () => {
    const building = await build();
    const timestamp = minutesAgo(1);
    const batch = Array.from({ length: 50 }, (_, i) => reading({ timestamp: timestamp + i, value: i }));
    const answers = await Promise.all(Array.from({ length: 12 }, () => building.send(batch)));
    const sum = (name: 'accepted' | 'duplicates'): number =>
      answers.reduce((total, { body }) => total + body[name], 0);
    expect([sum('accepted'), sum('duplicates')]).toEqual([50, 550]);
    expect(await rows(building)).toMatchObject([
      { min_value: 0, max_value: 49, avg_value: 24.5, reading_count: 50 },
    ]);
  });

  it('sums readings up by minute and by hour, also those that come out of order', async () => {
    const building = await build();
    const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 2 * HOUR_MS;
    const at = (ms: number, value: number): object => reading({ timestamp: hour + ms, value });
    await building.send([at(HOUR_MS - 1, 5), at(MINUTE_MS, 30)]);
    await building.send([at(0, 10), at(MINUTE_MS - 1, 20)]);
    await building.send([at(1, -4)]);
    const minutes = await rows(building);
    expect(minutes.map(({ time, reading_count }) => [(time - hour) / MINUTE_MS, reading_count])).toEqual([
      [0, 3],
      [1, 1],
      [59, 1],
    ]);
    expect(minutes[0]).toMatchObject({ min_value: -4, max_value: 20, avg_value: 26 / 3 });
    expect(await rows(building, 'hours=720&granularity=hour')).toMatchObject([
      { time: hour, min_value: -4, max_value: 30, avg_value: 61 / 5, reading_count: 5 },
    ]);
  });

  it('takes a large batch, and all of it or nothing', async () => {
    const building = await build();
    const timestamp = minutesAgo(30);
    const batch = Array.from({ length: 1_000 }, (_, i) =>
      reading({ sensor_id: `t-${i % 100}`, timestamp: timestamp + i }),
    );
    expect((await building.send(batch)).body).toMatchObject({ accepted: 1_000 });
    const bad = batch.map((one, i) => ({ ...one, timestamp: timestamp + 10_000 + i }));
    bad[999] = { ...bad[999], sensor_type: 'humidity' } as never;
    const { status, body } = await building.send(bad);
    expect([status, body.error]).toEqual([422, 'reading 999: "t-99" measures temperature in °C']);
    const counts = await rows(building, 'hours=1&by=type');
    expect(counts.reduce((sum, { reading_count }) => sum + reading_count, 0)).toBe(1_000);
  });

  it('refuses one of several requests that come together, and takes the others', async () => {
    const building = await build();
    await building.send([reading()]);
    const timestamp = minutesAgo(2);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        building.send([reading({ timestamp: timestamp + i, sensor_type: i === 7 ? 'co2' : 'temperature' })]),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map((_, i) => (i === 7 ? 422 : 200)));
    expect(await rows(building, `hours=1`)).toMatchObject([{ reading_count: 19 }, { reading_count: 1 }]);
  });

  it('names the field that is wrong', async () => {
    const building = await build();
    const refused = async (readings: unknown): Promise<unknown> =>
      (await building.device.send<{ error: string }>('POST', '/ingest-batch', readings)).body.error;
    expect(await refused([reading({ value: 'warm' as never })])).toBe('0.value: give a number');
    expect(await refused('[{"sensor_id":"a","sensor_type":"co2","value":1e999,"timestamp":1}]')).toBe(
      '0.value: give a number',
    );
    expect(await refused([reading(), reading({ sensor_type: 'noise' as never })])).toContain(
      '1.sensor_type: give temperature',
    );
    expect(await refused([{ ...reading(), floor: '3' }])).toBe('0.floor: unknown field');
    expect(await refused([reading({ quality: 101 })])).toBe('0.quality: give a whole number from 0 to 100');
    expect(await refused([reading({ timestamp: 1.5 })])).toBe('0.timestamp: give ms since the epoch');
    expect(await refused([reading({ timestamp: Date.now() + HOUR_MS })])).toContain(
      '0.timestamp: give a time',
    );
    expect(await refused([reading({ timestamp: Date.now() - 31 * 24 * HOUR_MS })])).toContain('0.timestamp');
    expect(await refused([])).toContain('give at least 1 reading');
    expect(await refused(Array.from({ length: 1_001 }, () => reading()))).toContain('give at most 1000');
    expect(await refused('{')).toBe('the body is not JSON');
    expect(await refused({ readings: [] })).toContain('give an array of readings');
    expect((await building.device.send('POST', '/ingest', ' '.repeat(70_000))).status).toBe(413);
    expect((await building.device.send('POST', '/ingest-batch', ' '.repeat(300_000))).status).toBe(413);
    expect(await rows(building)).toEqual([]);
  });
});
