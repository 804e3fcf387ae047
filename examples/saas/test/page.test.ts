import sparticuz from '@sparticuz/chromium';
import { chromium, type Browser, type BrowserContext, type Locator, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFailed, onTestFinished } from 'vitest';
import { Client, startLocally, type LocalApp } from '../local.ts';

let app: LocalApp;
let browser: Browser;
/** What the page logged as an error, or threw. */
let complaints: string[];
let tenantCount = 0;

beforeAll(async () => {
  app = await startLocally();
  browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? (await sparticuz.executablePath()),
    // Made for small functions: as one process it ends with its first context, and its safeguards are off.
    args: sparticuz.args.filter((arg) => !['--single-process', '--disable-web-security'].includes(arg)),
    headless: true,
  });
});
afterAll(async () => {
  await browser.close();
  await app.harness.close();
});
beforeEach(() => {
  complaints = [];
});

/** A browser of its own, closed after the test. */
async function openBrowser(): Promise<BrowserContext> {
  const context = await browser.newContext({ locale: 'en' });
  context.setDefaultTimeout(30_000);
  onTestFinished(() => context.close());
  context.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  context.on('weberror', (error) => complaints.push(String(error.error())));
  onTestFailed(() => console.error(complaints));
  return context;
}

/** A tenant with a project, and a page that shows its board. */
async function openBoard(): Promise<{ client: Client; page: Page; context: BrowserContext }> {
  tenantCount++;
  const client = await Client.signUp(app.url, `board-${tenantCount}`, 'Ada Okafor');
  await client.post('/projects', { name: 'First', owner_id: 1 });
  const context = await openBrowser();
  const page = await openPage(context, client);
  return { client, page, context };
}

async function openPage(context: BrowserContext, { tenant, token }: Client): Promise<Page> {
  const page = await context.newPage();
  await page.goto(app.url.href);
  const form = page.locator('#sign-in');
  if (await form.isVisible()) {
    await form.getByLabel('Company').fill(tenant);
    await form.getByLabel('Token').fill(token);
    await form.getByRole('button', { name: 'Open' }).click();
  }
  await page.getByText('live', { exact: true }).waitFor();
  return page;
}

function column(page: Page, name: string): Locator {
  return page.getByRole('region', { name, exact: true });
}

async function addTask(page: Page, title: string): Promise<void> {
  await page.getByRole('button', { name: 'Add task' }).click();
  await page.getByLabel('Title').fill(title);
  await page.getByRole('button', { name: 'Save' }).click();
  await column(page, 'To do').getByRole('button', { name: title, exact: true }).waitFor();
}

it('signs a company up and takes it to its first task', async () => {
  const page = await (await openBrowser()).newPage();
  const response = await page.goto(app.url.href);
  expect(response?.headers()['content-security-policy']).toContain("script-src 'self'");
  const form = page.locator('#sign-up');
  await form.getByLabel('Company').fill('newcomer');
  await form.getByLabel('Your name').fill('Nia');
  await form.getByLabel('Your e-mail').fill('nia@newcomer.test');
  await form.getByRole('button', { name: 'Start' }).click();
  await page.getByText('Begin with a project').waitFor();
  await page.getByRole('button', { name: 'New project' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Launch');
  await page.getByRole('button', { name: 'OK', exact: true }).click();
  await addTask(page, 'The first task');
  await page.reload();
  await column(page, 'To do').getByText('The first task').waitFor();
  expect(complaints).toEqual([]);
});

it('tells why it does not let one in', async () => {
  const { client, context } = await openBoard();
  const page = await (await openBrowser()).newPage();
  await page.goto(app.url.href);
  await page.locator('#sign-up').getByLabel('Company').fill(client.tenant);
  await page.locator('#sign-up').getByLabel('Your name').fill('Eve');
  await page.locator('#sign-up').getByLabel('Your e-mail').fill('eve@else.test');
  await page.getByRole('button', { name: 'Start' }).click();
  await page.getByText('is taken').waitFor();
  await page.locator('#sign-in').getByLabel('Company').fill(client.tenant);
  await page.locator('#sign-in').getByLabel('Token').fill('guess');
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByText('give the token').waitFor();
  expect(context.pages()).toHaveLength(1);
});

it('shows what is done in another window, without a reload', async () => {
  const { client, page: first, context } = await openBoard();
  const second = await openPage(context, client);
  await addTask(first, 'Seen by both');
  await column(second, 'To do').getByText('Seen by both').waitFor();
  await second.getByText('Seen by both').hover();
  await second.getByRole('button', { name: 'Move "Seen by both" to In progress' }).click();
  await column(first, 'In progress').getByText('Seen by both').waitFor();
  await first.getByRole('button', { name: 'Seen by both', exact: true }).click();
  await first.getByLabel('Title').fill('Renamed');
  await first.getByLabel('Assignee').selectOption('Ada Okafor');
  await first.getByLabel('Label', { exact: true }).fill('press');
  await first.getByRole('button', { name: 'Save' }).click();
  await column(second, 'In progress').getByText('Renamed').waitFor();
  await column(second, 'In progress').getByTitle('Ada Okafor').waitFor();
  await second.getByRole('button', { name: 'Renamed', exact: true }).click();
  await second.getByRole('button', { name: 'Delete' }).click();
  await first.getByText('Renamed').waitFor({ state: 'detached' });
  expect(complaints).toEqual([]);
});

it('is worked by the keyboard alone, and keeps the focus when others change something', async () => {
  const { client, page } = await openBoard();
  await client.post('/tasks', { project_id: 1, title: 'By hand' });
  const card = page.getByRole('button', { name: 'By hand', exact: true });
  await card.focus();
  await client.post('/tasks', { project_id: 1, title: 'Meanwhile' });
  await page.getByText('Meanwhile').waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await column(page, 'In progress').getByText('By hand').waitFor();
  await card.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await expect
    .poll(() => card.evaluate((element) => element === element.ownerDocument.activeElement))
    .toBe(true);
  expect(complaints).toEqual([]);
});

it('shows the board as it was, and lets no one change it', async () => {
  const { client, page } = await openBoard();
  await client.post('/tasks', { project_id: 1, title: 'Old title' });
  const { lsn } = await client.get<{ lsn: number }>('/status');
  await client.patch('/tasks/1', { title: 'New title', status: 'done' });
  await column(page, 'Done').getByText('New title').waitFor();
  const slider = page.getByRole('slider', { name: 'History' });
  await slider.fill(String(lsn));
  await column(page, 'To do').getByText('Old title').waitFor();
  await page.getByText('This is the past').waitFor();
  await page.getByText('task added: Old title').waitFor();
  for (const name of ['Old title', 'Add task', 'New project'])
    expect(await page.getByRole('button', { name }).count()).toBe(0);
  // The present goes on meanwhile, and is not what is shown.
  await client.post('/tasks', { project_id: 1, title: 'Later' });
  await expect.poll(() => slider.getAttribute('max')).toBe(String(lsn + 2));
  expect(await page.getByText('Later').count()).toBe(0);
  await slider.focus();
  await page.keyboard.press('ArrowRight');
  await column(page, 'Done').getByText('New title').waitFor();
  await page.getByRole('button', { name: 'Back to now' }).click();
  await column(page, 'To do').getByText('Later').waitFor();
  expect(await page.getByText('This is the past').count()).toBe(0);
  expect(complaints).toEqual([]);
});

it('comes back by itself when the connection breaks, with what it missed', async () => {
  const { client, page } = await openBoard();
  const tenant = { name: client.tenant, webSockets: 'close' } as const;
  await app.harness.getWorker().evictDurableObject('Tenant', tenant);
  await client.post('/tasks', { project_id: 1, title: 'Missed' });
  await column(page, 'To do').getByText('Missed').waitFor();
  await page.getByText('live', { exact: true }).waitFor();
});

it('shows hostile text as text', async () => {
  const { client, page } = await openBoard();
  const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  await client.post('/users', { name: hostile, email: 'eve@hostile.test' });
  await client.post('/projects', { name: hostile, owner_id: 1 });
  await client.post('/tasks', { project_id: 1, title: hostile, label: '<b>bold</b>', assignee_id: 2 });
  const card = column(page, 'To do').getByRole('button', { name: hostile, exact: true });
  await card.waitFor();
  await card.click();
  await page.getByRole('dialog').waitFor();
  expect(await page.getByRole('textbox', { name: 'Title' }).inputValue()).toBe(hostile);
  expect(await page.locator('img, #board b, body script').count()).toBe(0);
  expect(await page.title()).toBe(`${client.tenant} · Board`);
  expect(complaints).toEqual([]);
});
