import { testInBrowser } from '@dotdo/example-shared/local/page-test';
import { HttpClient, until, type LocalApp } from '@dotdo/example-shared/local/app';
import type { BrowserContext, Locator, Page, WebSocketRoute } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, startLocally, type DocumentAccess } from '../local.ts';

let app: LocalApp;
let ada: Person;
let bo: Person;

beforeAll(async () => {
  app = await startLocally();
  ada = await Person.found(app.url.origin, 'acme', 'Ada Okafor');
  bo = await ada.invite('Bo Lind');
});
afterAll(async () => app.harness.close());
const { complaints, openBrowser } = testInBrowser();

/** The document in a window of someone's, in a browser that nobody else has used. */
async function openPage(person: Person, { id }: DocumentAccess, context?: BrowserContext): Promise<Page> {
  const page = await (context ?? (await openBrowser())).newPage();
  await page.goto(`${app.url.href}#${id}`);
  const form = page.locator('#sign-in');
  if (await form.isVisible()) {
    await form.getByLabel('Workspace').fill('acme');
    await form.getByLabel('Token').fill(person.token);
    await form.getByRole('button', { name: 'Open' }).click();
  }
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

function texts(page: Page): Promise<string[]> {
  return page
    .locator('#page textarea')
    .evaluateAll((fields) => fields.map((field) => (field as { value?: string }).value ?? ''));
}

async function shows(page: Page, expected: readonly string[]): Promise<void> {
  await expect.poll(() => texts(page), { timeout: 20_000 }).toEqual(expected);
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

/** Lets the WebSockets of a browser through, or none of them, while its pages are served. */
async function socketsOf(context: BrowserContext): Promise<{ cut(): void; mend(): void; opened(): number }> {
  let isCut = false;
  let count = 0;
  const open = new Set<WebSocketRoute>();
  await context.routeWebSocket(/\/live/, (socket) => {
    count++;
    if (isCut) void socket.close();
    else open.add(socket).add(socket.connectToServer());
  });
  return {
    cut() {
      isCut = true;
      for (const socket of open) void socket.close();
      open.clear();
    },
    mend() {
      isCut = false;
    },
    opened: () => count,
  };
}

/** What a browser has kept of what is not saved. */
function kept(page: Page): Promise<string[]> {
  return page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('unsent/')));
}

it('keeps what it could not send when it is reloaded, in each window of a browser, and sends it once', async () => {
  const access = await ada.create('Kept');
  await access.post('/members', { user: bo.id, role: 'editor' });
  const context = await openBrowser();
  const sockets = await socketsOf(context);
  const first = await openPage(ada, access, context);
  await line(first, 0).fill('one two');
  await expect.poll(() => kept(first)).toEqual([]);
  const second = await openPage(ada, access, context);
  const bos = await openPage(bo, access);
  await shows(bos, ['one two']);
  sockets.cut();
  for (const page of [first, second]) await page.getByText('offline', { exact: true }).waitFor();
  await line(first, 0).fill('zero one two');
  await line(second, 0).fill('one two three');
  await line(second, 0).press('End');
  await line(second, 0).press('Enter');
  await line(second, 1).fill('four');
  await line(bos, 0).fill('one 2 two');
  await first.reload();
  await first.getByText('is not saved yet').waitFor();
  // The first window has been waiting for what the second one leaves.
  await second.reload();
  expect(await kept(first)).toHaveLength(2);
  sockets.mend();
  for (const page of [bos, first, second]) await shows(page, ['zero one 2 two three', 'four']);
  await expect.poll(() => kept(first)).toEqual([]);
  // It was Ada's doing, and can be undone.
  await first.getByRole('button', { name: 'Undo' }).click();
  await expect.poll(() => texts(bos)).not.toEqual(['zero one 2 two three', 'four']);
});

it('sends what a window that is gone has left, and tells when that may not be done any more', async () => {
  const access = await ada.create('Left');
  await access.post('/members', { user: bo.id, role: 'editor' });
  const context = await openBrowser();
  const sockets = await socketsOf(context);
  const leave = async (page: Page, text: string): Promise<void> => {
    sockets.cut();
    await page.getByText('offline', { exact: true }).waitFor();
    await line(page, 0).fill(text);
    await page.close();
    sockets.mend();
  };
  const page = await openPage(bo, access, context);
  await line(page, 0).fill('before');
  await leave(page, 'before, and after');
  const next = await openPage(bo, access, context);
  await shows(next, ['before, and after']);
  await expect.poll(() => kept(next)).toEqual([]);
  await leave(next, 'too late');
  await access.send('DELETE', `/members/${bo.id}`);
  const before = sockets.opened();
  const last = await context.newPage();
  await last.goto(`${app.url.href}#${access.id}`);
  await last.getByText('you may not open this document: what you wrote last is not saved').waitFor();
  await last.getByText('you may not open this document', { exact: true }).waitFor();
  expect(await kept(last)).toEqual([]);
  // The window's, and that for what was left: neither tries again.
  expect(sockets.opened()).toBe(before + 2);
  expect(await (await openPage(ada, access)).locator('#page textarea').first().inputValue()).toBe(
    'before, and after',
  );
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
