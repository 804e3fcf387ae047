import { testInBrowser } from '@dotdo/example-shared/local/page-test';
import { until, type LocalApp } from '@dotdo/example-shared/local/app';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FleetClient, reading, startLocally, type BuildingClient } from '../local.ts';
import { seeded, simulateSensors } from '../simulator/sensors.ts';

let app: LocalApp;
let fleet: FleetClient;
let count = 0;

beforeAll(async () => {
  app = await startLocally();
  fleet = await FleetClient.at(app.url);
});
afterAll(async () => app.harness.close());
const { complaints, openBrowser } = testInBrowser();

/** A page that shows the building. */
async function openPage(context: BrowserContext, { name, operator }: BuildingClient): Promise<Page> {
  const page = await context.newPage();
  await page.goto(app.url.href);
  const form = page.locator('#open-building');
  if (await form.isVisible()) {
    await form.getByLabel('Building').fill(name);
    await form.getByLabel('Token').fill(operator.token);
    await form.getByRole('button', { name: 'Open' }).click();
  }
  await page.getByText('live', { exact: true }).waitFor();
  return page;
}

/** A building with a rule for CO2, and a page that shows it. */
async function openBuilding(): Promise<{ building: BuildingClient; page: Page; context: BrowserContext }> {
  const building = await fleet.build(`house-${++count}`, `House ${count}`);
  await building.operator.post('/alerts/rules', {
    sensor_type: 'co2',
    condition: 'gt',
    threshold_value: 1000,
    severity: 'critical',
  });
  const context = await openBrowser();
  return { building, page: await openPage(context, building), context };
}

function co2(value: number, sensor_id = 'c-1'): object {
  return reading({ sensor_id, sensor_type: 'co2', value });
}

it('shows what sensors report, as they report it', async () => {
  const { building, page } = await openBuilding();
  await page.getByText('No sensor has reported yet.').waitFor();
  await building.send([reading({ value: 20 }), reading({ sensor_id: 't-2', value: 22.4 })]);
  const panel = page.getByRole('region', { name: 'temperature' });
  await panel.getByText('21.2 °C', { exact: true }).waitFor();
  await panel.getByText('20 °C to 22.4 °C').waitFor();
  await panel.getByText('2 sensors').waitFor();
  await panel.getByRole('img').waitFor();
  await page.getByLabel('Time').selectOption('last week');
  await building.send([reading({ sensor_id: 't-3', value: 30 })]);
  await panel.getByText('3 sensors').waitFor();
  expect(complaints).toEqual([]);
});

it('shows an alert in every window, has it acknowledged in one, and resolved in the other', async () => {
  const { building, page: first, context } = await openBuilding();
  const second = await openPage(context, building);
  await building.send([co2(1200)]);
  for (const page of [first, second]) await page.getByText('co2 1,200 ppm, above 1,000 ppm').waitFor();
  await first.getByRole('button', { name: 'Acknowledge c-1' }).click();
  await second.getByText('seen to by operator').waitFor();
  await second.getByRole('button', { name: 'Resolve c-1' }).click();
  for (const page of [first, second]) await page.getByText('All is well.').waitFor();
  expect(await building.operator.get('/alerts/active')).toEqual({ alerts: [] });
  expect(complaints).toEqual([]);
});

it('adds a rule, switches it off and deletes it', async () => {
  const { building, page } = await openBuilding();
  const form = page.locator('#new-rule');
  await form.getByLabel('Type').selectOption('temperature');
  await form.getByLabel('Condition').selectOption('outside of');
  await form.getByLabel('Value').fill('26');
  await form.getByLabel('to', { exact: true }).fill('18');
  await form.getByRole('button', { name: 'Add rule' }).click();
  await form.getByText('threshold_min: give it').waitFor();
  await form.getByLabel('Value').fill('18');
  await form.getByLabel('to', { exact: true }).fill('26');
  await form.getByRole('button', { name: 'Add rule' }).click();
  await page.getByText('temperature outside of 18 to 26 °C: warning').waitFor();
  await page.getByRole('checkbox', { name: 'Rule 2' }).uncheck();
  await until(async () => (await building.send([reading({ value: 40 })])).body.alerts === 0);
  await page.getByRole('checkbox', { name: 'Rule 2' }).check();
  // Of another sensor: what came before the floor had heard that the rule is off has begun an alert already.
  const other = { sensor_id: 't-2', value: 41 };
  await until(async () => (await building.send([reading(other)])).body.alerts === 1);
  await page.getByText('temperature 41 °C').waitFor();
  await page.getByRole('button', { name: 'Delete rule 2' }).click();
  await page.getByText('temperature outside of 18 to 26 °C: warning').waitFor({ state: 'detached' });
  // The browser itself logs an answer that is not success.
  expect(complaints.filter((text) => !text.includes('400'))).toEqual([]);
});

it('takes nothing that a sensor or a rule says for markup', async () => {
  const { building, page } = await openBuilding();
  await building.operator.post('/tokens', { role: 'operator', name: '<img src=x onerror=alert(1)>' });
  await building.send([{ ...co2(1200), unit: '<b>ppm</b>' }]);
  await page.getByText('co2 1,200 ppm').waitFor();
  expect(await page.locator('#room img, #room b').count()).toBe(0);
});

it('is offline when the connection breaks, and comes back with what it has missed', async () => {
  const { building, page } = await openBuilding();
  await app.harness.getWorker().evictDurableObject('Building', { name: building.name, webSockets: 'close' });
  await building.send([co2(1300, 'c-9')]);
  await page.getByText('co2 1,300 ppm').waitFor();
  await page.getByText('live', { exact: true }).waitFor();
});

it('shows the fleet to who has its token, and tells why it lets nobody else in', async () => {
  const { building } = await openBuilding();
  await building.send([co2(1200)]);
  const page = await (await openBrowser()).newPage();
  const response = await page.goto(app.url.href);
  expect(response?.headers()['content-security-policy']).toContain("script-src 'self'");
  const form = page.locator('#open-fleet');
  await form.getByLabel('Token').fill(building.operator.token);
  await form.getByRole('button', { name: 'See' }).click();
  await form.getByText('this token is for another one').waitFor();
  await form.getByLabel('Token').fill(fleet.token);
  await form.getByRole('button', { name: 'See' }).click();
  const card = page.getByRole('listitem').filter({ hasText: building.name });
  await card.getByText('1 critical').waitFor();
  await card.getByText('co2 1,200 ppm of 1').waitFor();
  await page.getByRole('button', { name: 'Leave' }).click();
  await page.getByText('Open a building').waitFor();
});

it('is what the README shows', async () => {
  const building = await fleet.build('office', 'Harbour Office');
  const random = seeded(3);
  const now = Date.now();
  const sensors = simulateSensors(
    'office',
    ['1', '2'],
    ['temperature', 'humidity', 'co2', 'power'],
    6,
    random,
  );
  for (let from = 60; from > 0; from -= 20)
    await building.send(
      sensors
        .flatMap(({ topic, at }, i) =>
          Array.from({ length: 20 }, (_, minute) => {
            const { type, value, timestamp } = at(now - (from - minute) * 60_000);
            const wave = 1 + 0.04 * Math.sin((from - minute + i * 3) / 9);
            return { sensor_id: topic.slice(7), sensor_type: type, value: value * wave, timestamp };
          }),
        )
        .map((one) => ({ ...one, sensor_id: one.sensor_id.replace('/', '.') })),
    );
  const rules = [
    { sensor_type: 'co2', condition: 'gt', threshold_value: 1000, severity: 'critical' },
    { sensor_type: 'temperature', condition: 'range_outside', threshold_min: 17, threshold_max: 27 },
    { sensor_type: 'power', condition: 'gte', threshold_value: 5000, severity: 'info' },
  ];
  for (const rule of rules) await building.operator.post('/alerts/rules', rule);
  await building.send([
    reading({ sensor_id: '2.co2-3', sensor_type: 'co2', value: 1240, timestamp: now }),
    reading({ sensor_id: '1.temperature-4', value: 28.1, timestamp: now - 30_000 }),
    reading({ sensor_id: '1.temperature-2', value: 16.2, timestamp: now }),
  ]);
  await building.operator.post('/alerts/acknowledge', { alert_id: 1 });
  const context = await openBrowser();
  const page = await openPage(context, building);
  await page.setViewportSize({ width: 1200, height: 760 });
  await page.getByRole('region', { name: 'power' }).getByRole('img').waitFor();
  await page.locator('#alert-count').getByText('3').waitFor();
  await page.locator('#charts polyline').nth(11).waitFor({ state: 'attached' });
  const picture = process.env['PICTURE'];
  const bytes = await page.screenshot(picture === undefined ? {} : { path: picture });
  expect(bytes.length).toBeLessThan(250 * 1024);
  expect(complaints).toEqual([]);
});
