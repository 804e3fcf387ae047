import { startBrowser, type TestBrowser } from '@dotdo/example-shared/local/browser';
import { HttpClient, until, type LocalApp } from '@dotdo/example-shared/local/app';
import type { BrowserContext, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFailed, onTestFinished } from 'vitest';
import { Person, startLocally, type DocumentAccess } from '../local.ts';

let app: LocalApp;
let browser: TestBrowser;
let ada: Person;
let bo: Person;
/** What the pages logged as an error, or threw. */
let complaints: string[];

beforeAll(async () => {
  app = await startLocally();
  browser = await startBrowser();
  ada = await Person.found(app.url.origin, 'acme', 'Ada Okafor');
  bo = await ada.invite('Bo Lind');
});
afterAll(async () => {
  await browser.browser.close();
  await app.harness.close();
});
beforeEach(() => {
  complaints = [];
});

/** A browser of its own, closed after the test. */
async function openBrowser(): Promise<BrowserContext> {
  const context = await browser.open(complaints);
  onTestFinished(() => context.close());
  onTestFailed(() => console.error(complaints));
  return context;
}

/** The document in a window of someone's. */
async function openPage(person: Person, { id }: DocumentAccess): Promise<Page> {
  const page = await (await openBrowser()).newPage();
  await page.goto(`${app.url.href}#${id}`);
  const form = page.locator('#sign-in');
  await form.getByLabel('Workspace').fill('acme');
  await form.getByLabel('Token').fill(person.token);
  await form.getByRole('button', { name: 'Open' }).click();
  await page.getByText('live', { exact: true }).waitFor();
  return page;
}

/** A document of Ada's that both have open. */
async function openBoth(title: string): Promise<{ first: Page; second: Page; access: DocumentAccess }> {
  const access = await ada.create(title);
  await access.post('/members', { user: bo.id, role: 'editor' });
  const first = await openPage(ada, access);
  await line(first, 0).waitFor();
  return { first, second: await openPage(bo, access), access };
}

/** The field of a block. */
function line(page: Page, index: number): Locator {
  return page.locator('#page textarea').nth(index);
}

async function shows(page: Page, texts: readonly string[]): Promise<void> {
  const read = (): Promise<string[]> =>
    page
      .locator('#page textarea')
      .evaluateAll((fields) => fields.map((field) => (field as { value?: string }).value ?? ''));
  await expect.poll(read, { timeout: 20_000 }).toEqual(texts);
}

it('starts a workspace, makes a page and finds it again', async () => {
  const page = await (await openBrowser()).newPage();
  const response = await page.goto(app.url.href);
  expect(response?.headers()['content-security-policy']).toContain("script-src 'self'");
  await page.locator('#found').getByLabel('Workspace').fill('newcomers');
  await page.locator('#found').getByLabel('Your name').fill('Nia');
  await page.getByRole('button', { name: 'Start' }).click();
  await page.getByRole('button', { name: 'New page' }).click();
  await page.getByRole('dialog').getByRole('textbox').fill('Our plan');
  await page.getByRole('button', { name: 'OK' }).click();
  await line(page, 0).fill('We sail at dawn');
  const session = await page.evaluate(() => localStorage.getItem('session'));
  const { token } = JSON.parse(session ?? '') as { token: string };
  const nia = new HttpClient(`${app.url.origin}/w/newcomers`, token);
  await until(async () => (await nia.get<{ hits: unknown[] }>('/search?q=dawn')).hits.length === 1);
  await page.getByRole('searchbox').fill('dawn');
  await page.getByRole('list', { name: 'Found' }).getByText('We sail at dawn').waitFor();
  await page.reload();
  await shows(page, ['We sail at dawn']);
  expect(complaints).toEqual([]);
});

it('is written in two windows at once, each of which sees the other', async () => {
  const { first, second } = await openBoth('Together');
  await line(first, 0).fill('Hello');
  await shows(second, ['Hello']);
  await line(first, 0).press('End');
  await line(first, 0).press('Enter');
  await line(first, 1).pressSequentially('from Ada');
  await shows(second, ['Hello', 'from Ada']);
  await line(second, 1).click();
  await line(second, 1).press('End');
  await line(second, 1).pressSequentially(' and Bo');
  await shows(first, ['Hello', 'from Ada and Bo']);
  await first.locator('.cursor', { hasText: 'Bo Lind' }).waitFor();
  // Elsewhere first: what comes then is another thing that Ada does.
  await line(first, 0).press('End');
  await line(first, 0).pressSequentially('!');
  await line(first, 1).press('Home');
  await Promise.all([first.keyboard.insertText('Greetings '), line(second, 1).pressSequentially(', both')]);
  await shows(first, ['Hello!', 'Greetings from Ada and Bo, both']);
  await shows(second, ['Hello!', 'Greetings from Ada and Bo, both']);
  // Undoing takes back what one has done oneself.
  await first.getByRole('button', { name: 'Undo' }).click();
  await shows(second, ['Hello!', 'from Ada and Bo, both']);
  expect(complaints).toEqual([]);
});

it('goes on without a network, and puts it together when there is one', async () => {
  const { first, second } = await openBoth('Tunnel');
  await line(first, 0).fill('one two');
  await shows(second, ['one two']);
  const context = second.context();
  await context.setOffline(true);
  await second.getByText('offline', { exact: true }).waitFor();
  await line(second, 0).fill('one two three');
  await line(first, 0).fill('zero one two');
  await shows(second, ['one two three']);
  await context.setOffline(false);
  await shows(first, ['zero one two three']);
  await shows(second, ['zero one two three']);
});

it('shows the past, which can be restored', async () => {
  const { first, second } = await openBoth('Past');
  await line(first, 0).fill('before');
  await shows(second, ['before']);
  await line(second, 0).fill('after');
  await shows(first, ['after']);
  const slider = first.getByLabel('History');
  await expect.poll(() => slider.getAttribute('max')).toBe('3');
  await slider.fill('2');
  await shows(first, ['before']);
  await first.getByText(/before Bo Lind wrote/).waitFor();
  expect(await line(first, 0).getAttribute('readonly')).not.toBeNull();
  await first.getByRole('button', { name: 'Back to now' }).click();
  await shows(first, ['after']);
  await slider.fill('2');
  await shows(first, ['before']);
  await first.getByRole('button', { name: 'Restore this' }).click();
  await shows(second, ['before']);
  expect(complaints).toEqual([]);
});

it('switches to a branch, shows what it changes and merges it', async () => {
  const { first, second } = await openBoth('Branch');
  await line(first, 0).fill('the fox jumps');
  await shows(second, ['the fox jumps']);
  await first.getByLabel('Branch', { exact: true }).selectOption('New branch…');
  await first.getByRole('dialog').getByRole('textbox').fill('drafts/quick');
  await first.getByRole('button', { name: 'OK' }).click();
  await first.getByText('You are on the branch “drafts/quick”').waitFor();
  await shows(first, ['the fox jumps']);
  await line(first, 0).fill('the quick fox jumps');
  await line(second, 0).fill('the fox jumps high');
  await first.getByRole('button', { name: 'Show changes' }).click();
  await first.getByRole('dialog').locator('ins').getByText('the quick fox jumps').waitFor();
  await first.getByRole('button', { name: 'Close' }).click();
  await shows(second, ['the fox jumps high']);
  await first.getByRole('button', { name: 'Merge into main' }).click();
  await shows(second, ['the quick fox jumps high']);
  await shows(first, ['the quick fox jumps high']);
  expect(complaints).toEqual([]);
});

it('lets a guest in by a link, and out when it is revoked', async () => {
  const { first } = await openBoth('For guests');
  await line(first, 0).fill('for all');
  await first.getByRole('button', { name: 'Share', exact: true }).click();
  await first.getByRole('button', { name: 'Make a link' }).click();
  const url = await first.getByLabel('Link', { exact: true }).inputValue();
  const guest = await (await openBrowser()).newPage();
  await guest.goto(url);
  await guest.locator('#join').getByLabel('Your name').fill('Gus');
  await guest.getByRole('button', { name: 'Join' }).click();
  await shows(guest, ['for all']);
  await line(guest, 0).fill('for all, and Gus');
  await shows(first, ['for all, and Gus']);
  await first.getByRole('button', { name: 'Close' }).click();
  await first.getByRole('button', { name: 'Share', exact: true }).click();
  await first.getByText('1 here by it').waitFor();
  await first.getByRole('button', { name: 'Revoke' }).click();
  await guest.getByText('the link that you came by does not hold any more').waitFor();
  // A guest asks for what only users of the workspace may have, and is told so.
  expect(complaints.filter((text) => !text.includes('403'))).toEqual([]);
});
