import { until } from '@dotdo/example-shared/local/app';
import { describe, expect, it } from 'vitest';
import type { ClientOptions, DocumentClient } from '../src/client/document-client.ts';
import type { Unsent } from '../src/client/replica.ts';
import { textsIn, type DocumentAccess } from '../local.ts';
import { startWithPeople } from './people.ts';

const { ada, bo, windows } = await startWithPeople();

/** What outlasts a window, as the browser's storage does. */
class Shelf {
  kept: string | undefined;
  readonly told: string[] = [];

  get options(): Pick<ClientOptions, 'keep' | 'onRefused' | 'unsent'> {
    return {
      keep: (unsent) => (this.kept = unsent && JSON.stringify(unsent)),
      onRefused: (reason) => this.told.push(reason),
      ...(this.kept === undefined ? {} : { unsent: JSON.parse(this.kept) as Unsent }),
    };
  }
}

/** A document with one block, which Ada and Bo may edit. */
async function shared(): Promise<{ adas: DocumentAccess; bos: DocumentAccess; id: string }> {
  const adas = await ada.create('Kept');
  await adas.post('/members', { user: bo.id, role: 'editor' });
  const window = await adas.open();
  const id = window.replica.insert(null, 'paragraph', 'start');
  window.changed();
  await until(() => window.replica.isSettled);
  window.close();
  return { adas, bos: bo.document(adas.id), id };
}

function open(access: DocumentAccess, shelf: Shelf): Promise<DocumentClient> {
  return opened(access.window(shelf.options));
}

async function opened(window: DocumentClient): Promise<DocumentClient> {
  windows.push(window);
  await until(() => window.status === 'live' || window.status === 'ended');
  return window;
}

function write(window: DocumentClient, id: string, text: string): void {
  window.replica.write(id, text);
  window.changed();
}

async function textsOf(access: DocumentAccess): Promise<string[]> {
  return (await access.get<{ blocks: { text: string }[] }>('/blocks')).blocks.map(({ text }) => text);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

it('is sent once by whoever goes on, at whatever moment the window went', async () => {
  const { adas, bos, id } = await shared();
  const shelf = new Shelf();
  const other = await opened(bos.window());
  const words: string[] = [];
  // Before the message is sent, while it is on its way, and when it is answered.
  for (const [round, ms] of [0, 1, 3, 6, 10, 15, 20, 25, 26, 27, 28, 30, 34, 40, 60, 0, 2, 27].entries()) {
    const window = await open(adas, shelf);
    const { replica } = window;
    write(window, id, `${replica.textOf(id)} w${round}`);
    replica.nextRun();
    replica.insert(round % 2 === 0 ? id : null, 'list', `b${round}`);
    window.changed();
    words.push(`w${round}`, `b${round}`);
    write(other, id, `o${round} ${other.replica.textOf(id)}`);
    words.push(`o${round}`);
    await pause(ms);
    window.close();
  }
  const last = await open(adas, shelf);
  last.finish();
  await last.closed;
  expect(shelf.kept).toBeUndefined();
  await until(() => other.replica.isSettled);
  const found = (await textsOf(adas)).join(' ').split(' ');
  expect(found.toSorted()).toEqual(['start', ...words].toSorted());
  expect(textsIn(other)).toEqual(await textsOf(adas));
});

it('is undone like anything else that one has done', async () => {
  const { adas, id } = await shared();
  const shelf = new Shelf();
  const window = await open(adas, shelf);
  window.disconnect();
  write(window, id, 'start, one');
  window.replica.nextRun();
  window.replica.insert(id, 'list', 'two');
  window.changed();
  window.close();
  const next = await open(adas, shelf);
  await until(() => next.replica.isSettled);
  expect(textsIn(next)).toEqual(['start, one', 'two']);
  for (const texts of [['start, one'], ['start']]) {
    next.replica.takeBack('undo');
    next.changed();
    await until(() => next.replica.isSettled);
    expect(textsIn(next)).toEqual(texts);
  }
});

describe('what will not be done', () => {
  /** Bo's window with an edit that is not sent. */
  async function offline(): Promise<{ adas: DocumentAccess; bos: DocumentAccess; id: string; shelf: Shelf }> {
    const { adas, bos, id } = await shared();
    const shelf = new Shelf();
    const window = await open(bos, shelf);
    window.disconnect();
    write(window, id, 'start, and Bo');
    window.close();
    return { adas, bos, id, shelf };
  }

  it('is told to one who may not open the document any more, and let go', async () => {
    const { adas, bos, shelf } = await offline();
    await adas.send('DELETE', `/members/${bo.id}`);
    const window = await open(bos, shelf);
    expect(window).toMatchObject({ status: 'ended', reason: 'you may not open this document' });
    expect(shelf.told).toEqual(['you may not open this document: what you wrote last is not saved']);
    expect(shelf.kept).toBeUndefined();
    expect(await textsOf(adas)).toEqual(['start']);
  });

  it('is told to one who may only look now, who goes on looking', async () => {
    const { adas, bos, id, shelf } = await offline();
    await adas.patch(`/members/${bo.id}`, { role: 'viewer' });
    const window = await open(bos, shelf);
    expect(window.status).toBe('live');
    expect(shelf.told).toEqual(['you may only look now: what you wrote last is not saved']);
    expect(shelf.kept).toBeUndefined();
    const adas1 = await opened(adas.window());
    write(adas1, id, 'Start');
    await until(() => window.replica.textOf(id)?.startsWith('Start') === true);
    expect(await textsOf(adas)).toEqual(['Start']);
    const again = await open(bos, shelf);
    expect(textsIn(again)).toEqual(['Start']);
    // A window that is to finish does not wait for what cannot come.
    window.finish();
    await window.closed;
  });

  it('is kept for one whose token is over, until there is another', async () => {
    const { adas, bos, shelf } = await offline();
    const window = await open(bos.as('old'), shelf);
    expect(window).toMatchObject({ status: 'ended', reason: expect.stringContaining('give a token') });
    expect(shelf.told).toEqual([]);
    const next = await open(bos, shelf);
    await until(() => next.replica.isSettled);
    expect(await textsOf(adas)).toEqual(['start, and Bo']);
  });

  it('is taken out when the server cannot read it, and what comes after it is done', async () => {
    const { adas, id } = await shared();
    const shelf = new Shelf();
    const window = await open(adas, shelf);
    window.replica.set(id, { kind: 'image', properties: { url: 'http://example.com/a.png' } });
    window.replica.nextRun();
    window.changed();
    write(window, id, 'start again');
    await until(() => window.status === 'live' && window.replica.isSettled);
    expect(shelf.told).toHaveLength(1);
    expect(shelf.told[0]).toContain('https://');
    expect(window.replica.blocks).toMatchObject([{ kind: 'paragraph', text: 'start again' }]);
    expect(await textsOf(adas)).toEqual(['start again']);
  });
});
