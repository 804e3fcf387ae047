import sparticuz from '@sparticuz/chromium';
import { build } from 'esbuild';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createTestHarness } from 'wrangler';

// Otherwise the runtime asks the network where on earth it is.
process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
process.env['WRANGLER_LOG'] ??= 'warn';

const harness = createTestHarness({
  root: import.meta.dirname,
  workers: [{ configPath: './wrangler.jsonc' }],
});

let origin: string;
let browser: Browser;
let client: string;

beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [`${import.meta.dirname}/../../../cdc/src/client/index.ts`],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
  });
  client = outputFiles[0]?.text ?? '';
  origin = (await harness.listen()).url.origin;
  browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? (await sparticuz.executablePath()),
    // Made for small functions: as one process it ends with its first context, and its safeguards are off.
    args: sparticuz.args.filter((arg) => !['--single-process', '--disable-web-security'].includes(arg)),
    headless: true,
  });
});
afterAll(async () => {
  await browser.close();
  await harness.close();
});

/** A browser of its own, closed after the test. */
async function openBrowser(): Promise<BrowserContext> {
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  await context.route('**/client.js', (route) =>
    route.fulfill({ contentType: 'text/javascript', body: client }),
  );
  return context;
}

async function openPage(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  await reaches(page, 'live');
  return page;
}

async function reaches(page: Page, status: string): Promise<void> {
  await expect.poll(() => page.locator('#status').innerText(), { timeout: 20_000 }).toBe(status);
}

async function shows(page: Page, titles: readonly string[]): Promise<void> {
  await expect.poll(() => page.locator('li').allInnerTexts(), { timeout: 20_000 }).toEqual(titles);
}

async function write(sql: string): Promise<void> {
  const { ok } = await fetch(origin, { method: 'POST', body: `DELETE FROM words; ${sql}` });
  expect(ok).toBe(true);
}

it('shows the same rows in two windows as they change', async () => {
  await write("DELETE FROM tasks; INSERT INTO tasks(id, title) VALUES (1, 'one')");
  const windows = [await openPage(await openBrowser()), await openPage(await openBrowser())];
  await write(
    "INSERT INTO tasks(id, title) VALUES (2, '<b>two</b>'); UPDATE tasks SET title = '漢' WHERE id = 1",
  );
  for (const page of windows) await shows(page, ['漢', '<b>two</b>']);
  await write("UPDATE tasks SET status = 'done' WHERE id = 1");
  for (const page of windows) await shows(page, ['<b>two</b>']);
});

it('keeps its rows without a network, and catches up when there is one again', async () => {
  await write("DELETE FROM tasks; INSERT INTO tasks(id, title) VALUES (1, 'one')");
  const context = await openBrowser();
  const page = await openPage(context);
  await context.setOffline(true);
  await reaches(page, 'offline');
  await shows(page, ['one']);
  await write("INSERT INTO tasks(id, title) VALUES (2, 'missed'); DELETE FROM tasks WHERE id = 1");
  await shows(page, ['one']);
  await context.setOffline(false);
  await shows(page, ['missed']);
  await reaches(page, 'live');
});

it('comes back when the server drops it, and shows what it has kept when it is loaded again', async () => {
  await write("DELETE FROM tasks; INSERT INTO tasks(id, title) VALUES (1, 'one')");
  const context = await openBrowser();
  const page = await openPage(context);
  await harness.getWorker().evictDurableObject('LiveObject', { name: 'one', webSockets: 'close' });
  await write("INSERT INTO tasks(id, title) VALUES (2, 'two')");
  await shows(page, ['one', 'two']);
  await expect
    .poll(() => page.evaluate(() => JSON.stringify(Object.values(localStorage))), { timeout: 5_000 })
    .toContain('two');
  // The next page gets no connection at all.
  await context.routeWebSocket(/live/, (socket) => socket.close());
  await page.reload();
  await shows(page, ['one', 'two']);
});
