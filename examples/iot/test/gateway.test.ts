import { afterAll, beforeAll, expect, it } from 'vitest';
import { FleetClient, type BuildingClient } from '../local.ts';
import { Gateway, type Weather } from '../simulator/gateway.ts';
import { seeded, simulateSensors } from '../simulator/sensors.ts';
import { World } from '../simulator/world.ts';

let world: World;
let fleet: FleetClient;

beforeAll(async () => {
  world = await World.start();
  fleet = await FleetClient.at(world.app.url);
});
afterAll(async () => world.app.harness.close());

interface Row {
  readonly floor: string;
  readonly reading_count: number;
}

async function counts({ operator }: BuildingClient): Promise<Record<string, number>> {
  const { data } = await operator.get<{ data: Row[] }>('/query?hours=2&granularity=hour');
  const sums: Record<string, number> = {};
  for (const { floor, reading_count } of data) sums[floor] = (sums[floor] ?? 0) + reading_count;
  return sums;
}

it('every reading arrives, and counts once, however much is lost and whenever the objects crash', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 100_000);
  console.log(`SEED=${seed}`);
  const random = seeded(seed);
  const building = await fleet.build('stormy');
  await building.operator.post('/floors', { floor: '2' });
  const weather: Weather = () => {
    const dice = random();
    return dice < 0.5 ? 'fine' : dice < 0.7 ? 'request lost' : 'answer lost';
  };
  const gateway = new Gateway(building, ['2'], weather);
  const sensors = simulateSensors('stormy', ['1', '2'], ['temperature', 'co2', 'power'], 10, random);
  const now = world.noon;
  let published = 0;
  for (let minute = 15; minute > 0; minute--) {
    for (const { topic, at } of sensors) gateway.publish(topic, at(now - minute * 60_000));
    published += sensors.length;
    const sending = gateway.send();
    if (random() < 0.3) await world.crash('stormy');
    if (random() < 0.3) await world.crash('stormy/2');
    await sending;
  }
  await gateway.sendAll();
  expect(gateway.redelivered).toBeGreaterThan(0);
  expect(gateway.duplicates).toBeGreaterThan(0);
  expect(await counts(building)).toEqual({ '': published / 2, '2': published / 2 });
});

it('takes a topic of its own building only', () => {
  const gateway = new Gateway({ name: 'mine' } as BuildingClient);
  expect(() => gateway.publish('other/1/t-1', { type: 'co2', value: 1, timestamp: 1 })).toThrow(
    'another building',
  );
});
