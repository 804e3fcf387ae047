import { testInBrowser } from '@dotdo/example-shared/local/page-test';
import type { LocalApp } from '@dotdo/example-shared/local/app';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Client, STAFF_KEY, startLocally, type Stock } from '../local.ts';

let app: LocalApp;
let staff: Client;

beforeAll(async () => {
  app = await startLocally();
  staff = await Client.staff(app.url);
  await staff.put('/products/moon-lamp', { name: 'Moon lamp', category: 'sale', price: 3_900 });
  await staff.restock('moon-lamp', 9);
});
afterAll(async () => app.harness.close());
const { complaints, openBrowser } = testInBrowser();

/** A browser of its own at the shop's door. */
async function atTheDoor(): Promise<Page> {
  const page = await (await openBrowser()).newPage();
  const response = await page.goto(app.url.href);
  expect(response?.headers()['content-security-policy']).toContain("script-src 'self'");
  return page;
}

async function join(name: string): Promise<Page> {
  const page = await atTheDoor();
  const form = page.locator('#join');
  await form.getByLabel('Your name').fill(name);
  await form.getByRole('button', { name: 'Join the sale' }).click();
  await page.getByText('live', { exact: true }).waitFor();
  return page;
}

const shows = (page: Page, text: string): Promise<void> =>
  page.locator('#bar').and(page.getByLabel(text)).waitFor({ state: 'attached' });

it('sells to one while the other watches', async () => {
  const [buyer, watcher] = [await join('Ada'), await join('Bo')];
  await shows(watcher, '0 sold, 0 reserved, 9 available');
  await buyer.getByRole('button', { name: 'Buy one' }).click();
  await shows(watcher, '0 sold, 1 reserved, 8 available');
  await watcher.locator('#feed').getByText('1 held').waitFor();
  await buyer.getByRole('button', { name: 'Pay' }).click();
  await shows(watcher, '1 sold, 0 reserved, 8 available');
  await buyer.getByText('processing').waitFor();
  await buyer.getByRole('button', { name: 'Cancel' }).click();
  await shows(watcher, '0 sold, 0 reserved, 9 available');
  await buyer.getByText('refunded').waitFor();
  expect(complaints).toEqual([]);
});

it('bears a crowd, and sells no more than there is', async () => {
  const page = await join('Cleo');
  await page.getByLabel('Buyers').fill('12');
  await page.getByRole('button', { name: 'Let them in' }).click();
  await page.locator('#tally').getByText('in the queue').waitFor();
  await expect
    .poll(() => page.locator('#tally dd').allInnerTexts(), { timeout: 50_000 })
    .toSatisfy((counts: string[]) => {
      const [paid, cancelled, left, late, waiting] = counts.map(Number);
      return waiting === 0 && (paid ?? 0) + (cancelled ?? 0) + (left ?? 0) + (late ?? 0) === 12;
    });
  const { available, reserved, sold, stocked } = await staff.get<Stock>('/inventory/moon-lamp');
  expect([available + reserved + sold, stocked]).toEqual([9, 9]);
  await shows(page, `${sold} sold, ${reserved} reserved, ${available} available`);
  const counts = (await page.locator('#tally dd').allInnerTexts()).map(Number);
  expect([counts[0], counts[2]]).toEqual([sold, reserved]);
});

it('lets the staff put something on sale, and nobody else', async () => {
  const page = await atTheDoor();
  const form = page.locator('#staff');
  await form.getByLabel('Your name').fill('Sam');
  await form.getByLabel('Key of the shop').fill('guess');
  await form.getByRole('button', { name: 'Open' }).click();
  await page.getByText('this is not the key').waitFor();
  await form.getByLabel('Key of the shop').fill(STAFF_KEY);
  await form.getByRole('button', { name: 'Open' }).click();
  await page.getByText('live', { exact: true }).waitFor();
  await page.getByLabel('SKU').fill('sun-lamp');
  await page.getByLabel('Name', { exact: true }).fill('<b>Sun</b> lamp');
  await page.getByLabel('Units more').fill('7');
  await page.getByRole('button', { name: 'Put on sale' }).click();
  await shows(page, '0 sold, 0 reserved, 7 available');
  // What someone wrote is text, never markup.
  await page.getByRole('heading', { name: '<b>Sun</b> lamp' }).waitFor();
  await page.getByLabel('Product').selectOption('Moon lamp');
  await page.getByRole('heading', { name: 'Moon lamp' }).waitFor();
});
