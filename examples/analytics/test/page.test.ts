import { testInBrowser } from '@dotdo/example-shared/local/page-test';
import type { LocalApp } from '@dotdo/example-shared/local/app';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { event, SiteClient, startLocally } from '../local.ts';

let app: LocalApp;

beforeAll(async () => {
  app = await startLocally();
});
afterAll(async () => app.harness.close());
const { complaints, openBrowser } = testInBrowser();

/** A page that shows the site's dashboard. */
async function openDashboard(site: SiteClient): Promise<{ context: BrowserContext; page: Page }> {
  const context = await openBrowser();
  const page = await context.newPage();
  await page.goto(app.url.href);
  const form = page.locator('#sign-in');
  await form.getByLabel('Site').fill(site.site);
  await form.getByLabel('Read token').fill(site.tokens.read);
  await form.getByRole('button', { name: 'Open' }).click();
  await page.getByText('live', { exact: true }).waitFor();
  return { context, page };
}

const tile = (page: Page, name: string): ReturnType<Page['getByRole']> => page.getByRole('group', { name });

it('adds a site, shows its keys once, and a visit as soon as it is reported', async () => {
  const page = await (await openBrowser()).newPage();
  await page.goto(app.url.href);
  const form = page.locator('#sign-up');
  await form.getByLabel('Site').fill('from-page');
  await form.getByRole('button', { name: 'Add' }).click();
  await page.getByText('Nothing yet').waitFor();
  await page.getByRole('button', { name: 'Keys' }).click();
  const write = await page.getByLabel('Write').inputValue();
  expect(write.split('.')).toHaveLength(3);
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'Report a visit' }).click();
  await tile(page, 'Events today').getByText('1', { exact: true }).waitFor();
  await tile(page, 'Users today').getByText('≈ 1').waitFor();
  await page.getByRole('button', { name: 'Leave' }).click();
  await page.getByRole('heading', { name: 'Add your site' }).waitFor();
  expect(complaints).toEqual([]);
});

it('draws regions, types and pages as events come in from the world, and what it missed offline', async () => {
  const site = await SiteClient.signUp(app.url, 'drawn');
  const { context, page } = await openDashboard(site);
  const users = Array.from({ length: 6 }, (_, i) => `u${i}`);
  const seen = users.map((userId) =>
    event({ userId, sessionId: userId, pageUrl: 'https://shop.example/pricing' }),
  );
  await site.report('eu', seen);
  await site.report('sa', [event({ eventType: 'sign_up', userId: 'u1', sessionId: 'x' })]);
  await tile(page, 'Events today').getByText('7', { exact: true }).waitFor();
  await tile(page, 'Users today').getByText('≈ 6').waitFor();
  const regions = page.locator('#regions');
  await regions.getByText('Europe').waitFor();
  await regions.getByText('South America').waitFor();
  expect(await page.getByRole('img', { name: 'Events a minute' }).locator('polyline').count()).toBe(2);
  expect(await page.getByRole('img', { name: 'Users a day' }).locator('rect').count()).toBe(1);
  await page.locator('#types').getByText('sign_up').waitFor();
  await page.locator('#pages').getByText('/pricing').waitFor();

  await context.setOffline(true);
  await page.getByText('offline', { exact: true }).waitFor();
  await site.report('eu', [event({ userId: 'u0', sessionId: 'u0' })]);
  expect(await tile(page, 'Events today').innerText()).toContain('7');
  await context.setOffline(false);
  await tile(page, 'Events today').getByText('8', { exact: true }).waitFor();
  // The browser itself logs that it has no network.
  expect(complaints.filter((text) => !/ERR_INTERNET_DISCONNECTED|WebSocket/.test(text))).toEqual([]);
});

it('shows hostile text as text, and does not open with another site’s token', async () => {
  const site = await SiteClient.signUp(app.url, 'hostile');
  const { page } = await openDashboard(site);
  const pageUrl = 'https://shop.example/<img src=x onerror=document.title=1>';
  await site.report(
    'eu',
    Array.from({ length: 6 }, (_, i) => event({ sessionId: `${i}`, pageUrl })),
  );
  await page.locator('#pages').getByText('/:id').waitFor();
  expect(await page.locator('#dashboard img').count()).toBe(0);
  expect(await page.title()).toBe('hostile · Analytics');
  await page.getByRole('button', { name: 'Leave' }).click();
  const other = await SiteClient.signUp(app.url, 'someone-else');
  const form = page.locator('#sign-in');
  await form.getByLabel('Site').fill('hostile');
  await form.getByLabel('Read token').fill(other.tokens.read);
  await form.getByRole('button', { name: 'Open' }).click();
  await form.getByText('this token is for another site').waitFor();
});
