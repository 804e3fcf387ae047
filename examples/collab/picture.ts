/** Takes the picture of the README: `npm run picture -w examples/collab`. */
import { until } from '@dotdo/example-shared/local/app';
import { startBrowser } from '@dotdo/example-shared/local/browser';
import { Person, startLocally } from './local.ts';

const { url, harness } = await startLocally();
const chromium = await startBrowser();
try {
  const ada = await Person.found(url.origin, 'lighthouse', 'Ada Okafor');
  const bo = await ada.invite('Bo Lind');
  const cleo = await ada.invite('Cleo Marsh');
  for (const title of ['Supplies', 'Visitors’ book']) await ada.create(title);
  const page = await ada.create('The keeper’s log');
  for (const { id } of [bo, cleo]) await page.post('/members', { user: id, role: 'editor' });
  const adas = await page.open();
  const { replica } = adas;
  const heading = replica.insert(null, 'heading', 'The night of the storm', { level: 1 });
  const story = replica.insert(
    heading,
    'paragraph',
    'At midnight exactly the lamp went out. Nobody saw the ship, or heard it, until the dog began to bark.',
  );
  const next = replica.insert(story, 'heading', 'In the morning', { level: 2 });
  const ask = replica.insert(next, 'list', 'Ask the harbour master for the list of ships', { done: true });
  const oil = replica.insert(ask, 'list', 'Order oil, and a second lamp', { done: false });
  const dog = replica.insert(oil, 'list', 'Something for the dog', { done: false, indent: 1 });
  const table = replica.insert(
    dog,
    'table',
    'Hour\tWind\tSeen\n22:00\tNW 8\tnothing\n00:00\tNW 11\tthe lamp, last\n02:00\tNW 9\tlights, then none',
  );
  replica.insert(table, 'code', '.. .----. -- / --- -.- .- -.--');
  adas.changed();
  await until(() => replica.isSettled);
  const bos = await page.as(bo.token).open();
  const cleos = await page.as(cleo.token).open();
  bos.moveTo({ block: story, from: 60, to: 60 });
  cleos.moveTo({ block: oil, from: 28, to: 28 });
  for (const text of [
    'At midnight exactly the lamp went out. Nobody saw the ship, or heard it, until the dog began to bark',
    'At midnight exactly the lamp went out. Nobody saw the ship, or heard it, until the dog began to bark.',
  ]) {
    replica.nextRun();
    replica.write(story, text);
    adas.changed();
    await until(() => replica.isSettled);
  }
  const context = await chromium.open([]);
  const window = await context.newPage();
  await window.setViewportSize({ width: 1240, height: 800 });
  await window.goto(`${url.href}#${page.id}`);
  await window.locator('#sign-in').getByLabel('Workspace').fill('lighthouse');
  await window.locator('#sign-in').getByLabel('Token').fill(ada.token);
  await window.getByRole('button', { name: 'Open' }).click();
  await window.locator('.cursor').nth(1).waitFor();
  await window.getByRole('list', { name: 'All pages' }).getByText('Supplies').waitFor();
  await until(async () => (await window.getByLabel('History').getAttribute('max')) === '3');
  await window.screenshot({ path: `${import.meta.dirname}/page.png` });
  for (const client of [adas, bos, cleos]) client.close();
} finally {
  await chromium.browser.close();
  await harness.close();
}
