/**
 * Starts the app on this machine, in a world whose time and bucket can be set, lets two buildings report for twelve days
 * and checks every claim that it prints: `npm run demo -w examples/iot`.
 */
import assert from 'node:assert/strict';
import { until } from '@dotdo/example-shared/local/app';
import { line, say, step, table } from '@dotdo/example-shared/local/transcript';
import { FleetClient, type BuildingClient } from './local.ts';
import type { FleetBuilding } from './src/fleet.ts';
import { Gateway, type Weather } from './simulator/gateway.ts';
import { seeded, simulateSensors } from './simulator/sensors.ts';
import { World } from './simulator/world.ts';

interface Row {
  readonly floor: string;
  readonly sensor_type: string;
  readonly time: number;
  readonly min_value: number;
  readonly max_value: number;
  readonly avg_value: number;
  readonly reading_count: number;
}
interface Alert {
  readonly id: number;
  readonly floor: string;
  readonly sensor_id: string;
  readonly severity: string;
  readonly status: string;
  readonly trigger_value: number;
}
interface Status {
  readonly late_readings: number;
  readonly archive: {
    readonly cold_rows: number;
    readonly waiting_files: number;
    readonly problem: string | null;
  };
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const TYPES = ['temperature', 'humidity', 'co2', 'occupancy'] as const;
const DAYS = 12;

const started = performance.now();
console.log('\nTwo buildings, twelve days, and an archive that goes away\n');
const random = seeded(7);
const world = await World.start();
say(`The app runs in the Workers runtime at ${world.app.url.origin}, with a bucket`, started);

try {
  const fleet = await FleetClient.at(world.app.url);
  const office = await step('The fleet gets an office', async () => fleet.build('office', 'Harbour Office'));
  const sensors = simulateSensors('office', ['1', '2', '3'], TYPES, 5, random);

  let lost = 0;
  const storm: Weather = () => {
    const dice = random();
    if (dice < 0.6) return 'fine';
    lost++;
    return dice < 0.8 ? 'request lost' : 'answer lost';
  };
  const gateway = new Gateway(office, [], storm);
  let published = 0;
  /** Every sensor publishes at these times. */
  const publish = (times: readonly number[], to = gateway, these = sensors): void => {
    for (const timestamp of times)
      for (const sensor of these) {
        to.publish(sensor.topic, sensor.at(timestamp));
        published++;
      }
  };

  await step(
    `${sensors.length} sensors publish each minute of an hour; the network loses four requests of ten`,
    async () => {
      publish(minutesBefore(world.noon, 60));
      await gateway.sendAll();
      line(`${lost} requests or answers were lost, ${count(gateway.redelivered)} messages sent again`);
      assert.ok(gateway.duplicates > 0);
      line(`the building had ${count(gateway.duplicates)} of them already, and stored each reading once:`);
      const minutes = await rows(office, '/query?by=type&hours=2');
      assert.equal(
        minutes.reduce((sum, { reading_count }) => sum + reading_count, 0),
        published,
      );
      line(`${count(published)} published, ${count(published)} in the minutes' counts`);
    },
  );

  await step('An operator opens the page, and says what is worth a call', async () => {
    await office.operator.post('/alerts/rules', {
      sensor_type: 'co2',
      condition: 'gt',
      threshold_value: 1400,
      severity: 'critical',
    });
    await office.operator.post('/alerts/rules', {
      sensor_type: 'temperature',
      condition: 'range_outside',
      threshold_min: 16,
      threshold_max: 28,
    });
  });
  const live = office.live();
  const alerts = live.query<Alert>({ table: 'alerts' });
  await until(() => alerts.status === 'live');

  await step('A meeting goes on behind closed windows', async () => {
    const sent = performance.now();
    const room = { sensor_id: '2.co2-3', sensor_type: 'co2', value: 1612, timestamp: world.noon };
    await office.send([room, { ...room, value: 1640, timestamp: world.noon + MINUTE_MS }]);
    await until(() => alerts.rows.size > 0);
    const ms = Math.round(performance.now() - sent);
    const [alert] = alerts.rows.values();
    assert.deepEqual([alert?.severity, alert?.sensor_id, alerts.rows.size], ['critical', '2.co2-3', 1]);
    line(
      `${alert?.severity}: ${alert?.sensor_id} at ${alert?.trigger_value} ppm, on the page ${ms} ms after it was sent`,
    );
    line('the next minute is within the cooldown: one alert, not two');
    published += 2;
    await office.operator.post('/alerts/acknowledge', { alert_id: alert?.id });
    await until(() => alerts.rows.values().next().value?.status === 'ACKNOWLEDGED');
    await office.operator.post('/alerts/resolve', { alert_id: alert?.id, reason: 'aired' });
    await until(() => alerts.rows.values().next().value?.status === 'RESOLVED');
    line('acknowledged, aired, resolved; the page has seen each');
  });

  await step(`${DAYS} days pass; every sensor reports every hour`, async () => {
    const calm = new Gateway(office);
    for (let day = 1; day <= DAYS; day++) {
      await world.goTo(day);
      publish(timesBefore(world.noon + day * DAY_MS, 24, HOUR_MS).slice(day === 1 ? 2 : 0), calm);
      await calm.sendAll();
      if (day % 4 === 0) await world.alarm(office);
    }
    const { archive } = await status(office);
    const files = await world.files(office);
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    assert.equal(archive.waiting_files, 0);
    assert.ok(archive.cold_rows > published / 2);
    line(
      `${count(archive.cold_rows)} rows have gone to R2: ${files.length} files, ${count(Math.round(bytes / 1000))} kB`,
    );
  });
  const days = await step('One query over all days, in the object and in R2', async () => {
    const days = await rows(office, historical('type=co2&by=type'));
    assert.equal(days.length, DAYS + 1);
    const all = await rows(office, historical('by=type'));
    assert.equal(
      all.reduce((sum, { reading_count }) => sum + reading_count, 0),
      published,
    );
    return days;
  });
  table(
    ['co2 by day', 'readings', 'least', 'mean', 'most'],
    [...days.slice(0, 2), ...days.slice(-2)].map(
      ({ time, reading_count, min_value, avg_value, max_value }) => [
        new Date(time).toISOString().slice(0, 10),
        count(reading_count),
        min_value.toFixed(0),
        avg_value.toFixed(0),
        max_value.toFixed(0),
      ],
    ),
  );

  await world.bucket('down');
  await step('R2 goes away. Readings come all the same', async () => {
    const calm = new Gateway(office);
    for (const day of [DAYS + 1, DAYS + 2, DAYS + 3]) {
      await world.goTo(day);
      publish(timesBefore(world.noon + day * DAY_MS, 23, HOUR_MS), calm);
      await calm.sendAll();
      await world.alarm(office);
    }
    const today = await rows(office, `/query?by=type&hours=24&granularity=hour&type=co2`);
    assert.equal(
      today.reduce((sum, { reading_count }) => sum + reading_count, 0),
      23 * 15,
    );
    const { archive } = await status(office);
    assert.ok(archive.waiting_files > 0 && archive.problem !== null);
    line(
      `the last day is there to read; ${archive.waiting_files} files wait in the object, and the status says why`,
    );
  });
  await step('A sensor that was offline for nine days sends what it has', async () => {
    const late = timesBefore(world.noon + 6 * DAY_MS - 5 * MINUTE_MS, 20, 10 * MINUTE_MS).map(
      (timestamp) => ({
        sensor_id: '1.co2-1',
        sensor_type: 'co2',
        value: 3000,
        timestamp,
      }),
    );
    const { body } = await office.send(late);
    assert.deepEqual([body.accepted, body.late], [0, 20]);
    published += 20;
    line('20 readings are taken, and put aside: they belong to a day that is in R2');
  });
  await world.bucket('up');
  await step('R2 comes back', async () => {
    await world.evict(office);
    await world.goTo(DAYS + 4);
    await world.alarm(office);
    const { archive, late_readings } = await status(office);
    assert.deepEqual([archive.waiting_files, archive.problem, late_readings], [0, null, 0]);
    const all = await rows(office, historical('by=type'));
    assert.equal(
      all.reduce((sum, { reading_count }) => sum + reading_count, 0),
      published,
    );
    const sixth = (await rows(office, historical('type=co2&by=type'))).find(
      ({ time }) => time === world.noon + 6 * DAY_MS - 12 * HOUR_MS,
    );
    assert.equal(sixth?.max_value, 3000);
    line(`nothing waits any more; all ${count(published)} readings are there, once each`);
    line(`the sixth day has been corrected: most co2 ${sixth?.max_value} ppm`);
  });

  await step('The fleet gets a hospital, an object for each of its four floors', async () => {
    const hospital = await fleet.build('hospital', 'St. Mary’s');
    const floors = ['1', '2', '3', '4'];
    await hospital.operator.post('/alerts/rules', {
      sensor_type: 'temperature',
      condition: 'lt',
      threshold_value: 10,
      severity: 'critical',
    });
    for (const floor of floors) await hospital.operator.post('/floors', { floor });
    const gateway = new Gateway(hospital, floors);
    const sensors = simulateSensors('hospital', floors, TYPES, 50, random);
    const now = world.noon + (DAYS + 4) * DAY_MS;
    const before = published;
    const sent = performance.now();
    publish(minutesBefore(now, 15), gateway, sensors);
    await gateway.sendAll();
    const seconds = (performance.now() - sent) / 1000;
    const own = published - before;
    line(`${count(own)} readings of ${sensors.length} sensors in ${seconds.toFixed(1)} s`);
    const minutes = await rows(hospital, '/realtime?by=type&minutes=20');
    assert.equal(
      minutes.reduce((sum, { reading_count }) => sum + reading_count, 0),
      own,
    );
    const one = await rows(hospital, '/realtime?sensor_id=co2-7&minutes=20');
    assert.deepEqual(new Set(one.map(({ floor }) => floor)), new Set(floors));
    line(`one query over the building: ${count(own)} readings on ${floors.length} floors`);
    await world.alarmOf('hospital');
    await hospital.send([{ sensor_id: 'fridge', sensor_type: 'temperature', value: 4, timestamp: now }], '3');
    const active = async (): Promise<Alert[]> =>
      (await hospital.operator.get<{ alerts: Alert[] }>('/alerts/active')).alerts;
    await until(async () => {
      await world.alarmOf('hospital/3');
      return (await active()).length > 0;
    });
    const alerts = await active();
    assert.deepEqual(
      alerts.map(({ floor, sensor_id }) => [floor, sensor_id]),
      [['3', 'fridge']],
    );
    line(
      `floor ${alerts[0]?.floor} raises an alert, the building has it: ${alerts[0]?.sensor_id} is at ${alerts[0]?.trigger_value} °C`,
    );
  });
  const overview = await step('The fleet sees both, told by their streams', async () => {
    await until(async () => {
      for (const name of ['hospital/1', 'hospital/2', 'hospital/3', 'hospital/4', 'hospital', 'office'])
        await world.alarmOf(name);
      const [first] = await fleet.overview();
      return first?.alerts.critical === 1 && heardOf(first) === 801;
    });
    return fleet.overview();
  });
  assert.deepEqual(
    overview.map(({ name, alerts }) => [name, alerts.critical]),
    [
      ['hospital', 1],
      ['office', 0],
    ],
  );
  table(
    ['building', 'critical', 'sensors last heard'],
    overview.map(({ title, alerts, summaries }) => [
      title,
      String(alerts.critical),
      String(heardOf({ summaries })),
    ]),
  );
  await step('No token opens another building', async () => {
    const stranger = await fleet.build('garage');
    const path = `${world.app.url.origin}/buildings/office`;
    for (const [who, token, where, expected] of [
      ['the operator of the garage', stranger.operator.token, '/status', 403],
      ['a gateway of the office itself', office.device.token, '/status', 403],
      ['nobody', '', '/status', 401],
    ] as const) {
      const { status } = await fetch(path + where, { headers: { authorization: `Bearer ${token}` } });
      assert.equal(status, expected);
      line(`${who}: ${status}`);
    }
  });
  live.close();
} finally {
  await world.app.harness.close();
}
say('All of it. Every line above was checked, and nothing is left behind.\n', started);

async function rows({ operator }: BuildingClient, path: string): Promise<Row[]> {
  return (await operator.get<{ data: Row[] }>(path)).data;
}

function status({ operator }: BuildingClient): Promise<Status> {
  return operator.get<Status>('/status');
}

/** How many sensors have reported in their newest minutes. */
function heardOf({ summaries }: Pick<FleetBuilding, 'summaries'>): number {
  return summaries.reduce((sum, { sensor_count }) => sum + sensor_count, 0);
}

function historical(selection: string): string {
  return `/historical?start=${world.noon - 2 * DAY_MS}&end=${world.noon + 99 * DAY_MS}&${selection}`;
}

/** Times a minute apart, up to one. */
function minutesBefore(end: number, length: number): number[] {
  return timesBefore(end, length, MINUTE_MS);
}

function timesBefore(end: number, length: number, everyMs: number): number[] {
  return Array.from({ length }, (_, i) => end - (length - i) * everyMs);
}

function count(value: number): string {
  return value.toLocaleString('en');
}
