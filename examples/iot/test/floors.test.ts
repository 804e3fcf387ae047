import { until, type LocalApp } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FleetClient, reading, startLocally, type BuildingClient } from '../local.ts';

interface Row {
  readonly floor: string;
  readonly sensor_id: string;
  readonly sensor_type: string;
  readonly min_value: number;
  readonly max_value: number;
  readonly avg_value: number;
  readonly reading_count: number;
}
interface Alert {
  readonly id: number;
  readonly floor: string;
  readonly sensor_id: string;
  readonly status: string;
}

let app: LocalApp;
let fleet: FleetClient;
let count = 0;

beforeAll(async () => {
  app = await startLocally();
  fleet = await FleetClient.at(app.url);
});
afterAll(async () => app.harness.close());

/** A building with these floors. */
async function build(...floors: string[]): Promise<BuildingClient> {
  const building = await fleet.build(`campus-${++count}`, `Campus ${count}`);
  for (const floor of floors) await building.operator.post('/floors', { floor });
  return building;
}

async function rows({ operator }: BuildingClient, query: string): Promise<Row[]> {
  return (await operator.get<{ data: Row[] }>(query)).data;
}

async function active({ operator }: BuildingClient): Promise<Alert[]> {
  return (await operator.get<{ alerts: Alert[] }>('/alerts/active')).alerts;
}

function evict(className: string, name: string): Promise<void> {
  return app.harness.getWorker().evictDurableObject(className, { name });
}

/** Waits until a floor raises an alert by a rule that the building has been given. */
async function untilFloorKnowsRule(
  building: BuildingClient,
  floor: string,
  sensor_id: string,
): Promise<void> {
  let timestamp = Date.now() - 60_000;
  await until(async () => {
    const { body } = await building.send([reading({ sensor_id, value: 40, timestamp: ++timestamp })], floor);
    return body.alerts === 1;
  });
}

describe('a building with floors', () => {
  it('answers one query over all of them, and its own', async () => {
    const building = await build('1', '2');
    const timestamp = Date.now();
    await building.send([reading({ value: 10, timestamp })]);
    await building.send(
      [reading({ value: 20, timestamp }), reading({ sensor_id: 't-9', value: 50, timestamp })],
      '1',
    );
    await building.send([reading({ value: 30, timestamp })], '2');
    const bySensor = await rows(building, '/realtime');
    expect(bySensor.map(({ floor, sensor_id, avg_value }) => [floor, sensor_id, avg_value])).toEqual([
      ['', 't-1', 10],
      ['1', 't-1', 20],
      ['2', 't-1', 30],
      ['1', 't-9', 50],
    ]);
    const start = timestamp - 86_400_000;
    for (const query of [
      '/realtime?by=type',
      '/query?by=type&granularity=hour',
      `/historical?by=type&start=${start}&end=${timestamp + 1}`,
    ])
      expect(await rows(building, query)).toMatchObject([
        { floor: '', sensor_id: '', min_value: 10, max_value: 50, avg_value: 27.5, reading_count: 4 },
      ]);
    expect(await rows(building, '/realtime?sensor_id=t-9')).toHaveLength(1);
    const { sensors } = await building.operator.get<{ sensors: { floor: string }[] }>('/sensors');
    expect(sensors.map(({ floor }) => floor)).toEqual(['', '1', '1', '2']);
    expect(await building.operator.get('/status')).toMatchObject({
      sensors: 1,
      floors: [
        { floor: '1', sensors: 2 },
        { floor: '2', sensors: 1 },
      ],
      unreachable_floors: [],
    });
  });

  it('gives its floors its rules, has their alerts once each, and manages them', async () => {
    const building = await build('1', '2');
    const rule = { sensor_type: 'temperature', condition: 'gt', threshold_value: 30, cooldown_seconds: 3600 };
    const { id } = await building.operator.post<{ id: number }>('/alerts/rules', rule);
    await untilFloorKnowsRule(building, '1', 'hot');
    await evict('Floor', `${building.name}/1`);
    await evict('Building', building.name);
    await untilFloorKnowsRule(building, '2', 'hot');
    await until(async () => (await active(building)).length === 2);
    const [first, second] = (await active(building)).sort((a, b) => a.floor.localeCompare(b.floor));
    expect([first, second]).toMatchObject([
      { floor: '1', sensor_id: 'hot' },
      { floor: '2', sensor_id: 'hot' },
    ]);
    await building.operator.post('/alerts/resolve', { alert_id: first?.id });
    expect(await active(building)).toEqual([second]);
    await building.operator.patch(`/alerts/rules/${id}`, { enabled: false });
    await building.operator.post('/floors', { floor: '3' });
    await building.operator.patch(`/alerts/rules/${id}`, { enabled: true });
    await untilFloorKnowsRule(building, '3', 'new');
    await until(async () => (await active(building)).length === 2);
  });

  it('knows no floor that was not added, and a floor only its building', async () => {
    const [building, other] = [await build('1'), await build('1')];
    expect((await building.send([reading()], '2')).status).toBe(404);
    expect((await building.send([reading()], 'x'.repeat(40))).status).toBe(404);
    const { status } = await building.operator.send('POST', '/floors/1/ingest', reading());
    expect(status).toBe(403);
    await building.send([reading()], '1');
    expect(await rows(other, '/realtime')).toEqual([]);
    expect((await building.operator.send('POST', '/floors', { floor: '1' })).status).toBe(201);
    expect(await building.operator.get('/floors')).toEqual({ floors: ['1'] });
    expect(await rows(building, '/realtime')).toHaveLength(1);
  });
});

describe('the fleet', () => {
  it('is told of every building by its stream', async () => {
    const building = await build('1');
    await building.operator.post('/alerts/rules', {
      sensor_type: 'co2',
      condition: 'gte',
      threshold_value: 1000,
      severity: 'critical',
    });
    const own = async (): Promise<object | undefined> =>
      (await fleet.overview()).find(({ name }) => name === building.name);
    await until(async () => (await own()) !== undefined);
    expect(await own()).toMatchObject({ title: `Campus ${count}`, alerts: { critical: 0 }, summaries: [] });
    await building.send([
      reading({ value: 20 }),
      reading({ sensor_id: 'c-1', sensor_type: 'co2', value: 1200 }),
    ]);
    await building.send([reading({ value: 30 })], '1');
    await until(async () => JSON.stringify(await own()).includes('"sensor_count":2'));
    await until(async () => JSON.stringify(await own()).includes('"critical":1'));
    expect(await own()).toMatchObject({
      alerts: { critical: 1, warning: 0, info: 0 },
      summaries: [
        { sensor_type: 'co2', sensor_count: 1, mean_value: 1200 },
        { sensor_type: 'temperature', sensor_count: 2, min_value: 20, max_value: 30, mean_value: 25 },
      ],
    });
    await evict('Fleet', 'fleet');
    await building.operator.post('/alerts/resolve', { alert_id: 1 });
    await until(async () => JSON.stringify(await own()).includes('"critical":0'));
  });
});
