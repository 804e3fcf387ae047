import { testInBrowser } from '@dotdo/example-shared/local/page-test';
import type { BrowserContext, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type LocalApp } from '@dotdo/example-shared/local/app';
import { Client, startLocally } from '../local.ts';

let app: LocalApp;
let tenantCount = 0;

beforeAll(async () => {
  app = await startLocally();
});
afterAll(async () => app.harness.close());
const { complaints, openBrowser } = testInBrowser();

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

/** Makes a branch on the page, which then shows it. */
async function makeBranch(page: Page, name: string): Promise<void> {
  await page.getByLabel('Branch', { exact: true }).selectOption('New branch…');
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByRole('button', { name: 'OK', exact: true }).click();
  await page.getByText(`You are on the branch “${name}”`).waitFor();
  // It closes when the branch has been read.
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
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
  await expect.poll(() => slider.getAttribute('max')).toBe(String(lsn + 1));
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

it('sets the board back to the moment that the slider shows, and takes that back', async () => {
  const { client, page, context } = await openBoard();
  await client.post('/tasks', { project_id: 1, title: 'Right' });
  const { lsn } = await client.get<{ lsn: number }>('/status');
  const other = await openPage(context, client);
  await client.patch('/tasks/1', { title: 'Wrong', status: 'done' });
  const slider = page.getByRole('slider', { name: 'History' });
  await expect.poll(() => slider.getAttribute('max')).toBe(String(lsn + 1));
  const restore = page.getByRole('button', { name: 'Restore this' });
  expect(await restore.isVisible()).toBe(false);
  await slider.fill(String(lsn));
  await column(page, 'To do').getByText('Right').waitFor();
  await restore.click();
  await page.getByText('The board is as it was: 1 row restored.').waitFor();
  for (const board of [page, other]) await column(board, 'To do').getByText('Right').waitFor();
  expect(await page.getByText('This is the past').count()).toBe(0);
  // The history goes on: there is a moment after the mistake.
  await expect.poll(() => slider.getAttribute('max')).toBe(String(lsn + 2));
  await page.keyboard.press('Enter');
  await page.getByText('Undone: 1 row as before.').waitFor();
  for (const board of [page, other]) await column(board, 'Done').getByText('Wrong').waitFor();
  expect(await page.getByRole('button', { name: 'Undo' }).isVisible()).toBe(false);
  const { id } = await client.post<{ id: number }>('/users', { name: 'Mo', email: 'mo@back.test' });
  const { token } = await client.post<{ token: string }>(`/users/${id}/tokens`, {});
  const member = await openPage(await openBrowser(), new Client(app.url, client.tenant, token));
  await member.getByRole('slider', { name: 'History' }).fill(String(lsn));
  await column(member, 'To do').getByText('Right').waitFor();
  expect(await member.getByRole('button', { name: 'Restore this' }).isVisible()).toBe(false);
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

it('keeps the board without a network, and catches up when there is one again', async () => {
  const { client, page, context } = await openBoard();
  await addTask(page, 'Stays');
  await context.setOffline(true);
  await page.getByText('offline', { exact: true }).waitFor();
  await client.post('/tasks', { project_id: 1, title: 'Missed' });
  await column(page, 'To do').getByText('Stays').waitFor();
  expect(await page.getByText('Missed').count()).toBe(0);
  await context.setOffline(false);
  await column(page, 'To do').getByText('Missed').waitFor();
  await page.getByText('live', { exact: true }).waitFor();
});

it('tells why it is offline when the server does not let it in any more', async () => {
  const { client, page } = await openBoard();
  await page.routeWebSocket(/live/, (socket) => socket.close());
  await page.route('**/status', (route) =>
    route.fulfill({ status: 401, json: { error: 'no longer valid' } }),
  );
  const tenant = { name: client.tenant, webSockets: 'close' } as const;
  await app.harness.getWorker().evictDurableObject('Tenant', tenant);
  await page.getByText('offline', { exact: true }).waitFor();
  await page.getByText('no longer valid').waitFor();
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

it('tries a bulk edit on a branch, and merges it where both sides agree', async () => {
  const { client, page, context } = await openBoard();
  for (const title of ['One', 'Two', 'Three']) await client.post('/tasks', { project_id: 1, title });
  const other = await openPage(context, client);
  await makeBranch(page, 'spring/cleaning');
  await page.getByRole('button', { name: 'Bulk edit' }).click();
  await page.getByLabel('In column').selectOption('To do');
  await page.getByLabel('Move to').selectOption('Done');
  await page.getByLabel('Assign to').selectOption('Ada Okafor');
  await page.getByRole('button', { name: 'Change them' }).click();
  await page.getByText('3 tasks changed.').waitFor();
  await page.getByRole('button', { name: 'Two', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Two').waitFor({ state: 'detached' });
  await addTask(page, 'Four');
  expect(await column(page, 'Done').getByRole('listitem').count()).toBe(2);
  // Nothing of it is seen by the others, who go on.
  await client.patch('/tasks/1', { status: 'review' });
  await client.patch('/tasks/3', { title: 'Third' });
  await column(other, 'To do').getByText('Third').waitFor();
  expect(await column(other, 'Done').getByRole('listitem').count()).toBe(0);

  await page.getByRole('button', { name: 'Show changes' }).click();
  const review = page.getByRole('dialog');
  const lineOf = (title: string, name: string): Locator =>
    review.getByRole('region', { name: title, exact: true }).getByRole('row', { name });
  expect(await lineOf('One', 'Status').innerText()).toMatch(/To do → Done/);
  expect(await lineOf('One', 'Assignee').innerText()).toMatch(/– → Ada Okafor/);
  expect(await review.getByText('removed').count()).toBe(1);
  expect(await lineOf('Four', 'Title').innerText()).toMatch(/Four/);
  await review.getByRole('button', { name: 'Close' }).click();

  await page.getByRole('button', { name: 'Merge into main' }).click();
  await review.getByRole('heading', { name: 'Changed on main too' }).waitFor();
  expect(await review.getByRole('region').count()).toBe(1);
  expect(await lineOf('One', 'Status').innerText()).toMatch(/main: Review[^]*branch: Done/);
  await review.getByLabel('branch: Done').check();
  await review.getByRole('button', { name: 'Merge again' }).click();
  const merged = page.getByText('“spring/cleaning” is merged: 1 added, 2 changed, 1 deleted.');
  await merged.waitFor();
  for (const board of [page, other]) {
    await column(board, 'Done').getByText('One', { exact: true }).waitFor();
    await column(board, 'Done').getByText('Third').waitFor();
    await column(board, 'To do').getByText('Four').waitFor();
    await board.getByText('Two').waitFor({ state: 'detached' });
  }
  // What others change does not take a message away; what one does next does.
  await client.post('/tasks', { project_id: 1, title: 'Five' });
  await column(page, 'To do').getByText('Five').waitFor();
  expect(await merged.isVisible()).toBe(true);
  await addTask(page, 'Six');
  expect(await merged.isVisible()).toBe(false);
  // The browser itself logs an answer of 409.
  expect(complaints.filter((text) => !text.includes('409'))).toEqual([]);
});

it('drops a branch with all that was tried on it', async () => {
  const { client, page } = await openBoard();
  await client.post('/tasks', { project_id: 1, title: 'Steady' });
  await makeBranch(page, 'trial');
  await page.getByText('Steady').hover();
  await page.getByRole('button', { name: 'Move "Steady" to In progress' }).click();
  await column(page, 'In progress').getByText('Steady').waitFor();
  await page.getByLabel('Branch', { exact: true }).selectOption('main');
  await column(page, 'To do').getByText('Steady').waitFor();
  await page.getByLabel('Branch', { exact: true }).selectOption('trial');
  await column(page, 'In progress').getByText('Steady').waitFor();
  await page.getByRole('button', { name: 'Drop', exact: true }).click();
  await page.getByRole('button', { name: 'Drop it' }).click();
  await column(page, 'To do').getByText('Steady').waitFor();
  expect(await page.getByText('You are on the branch').isVisible()).toBe(false);
  expect(await client.get('/branches')).toEqual({ branches: [] });
  // One that someone else drops is told of when it is asked for.
  await makeBranch(page, 'short lived');
  await page.getByLabel('Branch', { exact: true }).selectOption('main');
  await client.send('DELETE', '/branches/short%20lived');
  await page.getByLabel('Branch', { exact: true }).selectOption('short lived');
  await page.getByText('there is no such branch').waitFor();
  await column(page, 'To do').getByText('Steady').waitFor();
  expect(await page.getByLabel('Branch', { exact: true }).innerText()).not.toContain('short lived');
  const { id } = await client.post<{ id: number }>('/users', { name: 'Mo', email: 'mo@trial.test' });
  const { token } = await client.post<{ token: string }>(`/users/${id}/tokens`, {});
  const member = await openPage(await openBrowser(), new Client(app.url, client.tenant, token));
  await column(member, 'To do').getByText('Steady').waitFor();
  expect(await member.getByLabel('Branch', { exact: true }).isVisible()).toBe(false);
  // The browser itself logs an answer of 404.
  expect(complaints.filter((text) => !text.includes('404'))).toEqual([]);
});
