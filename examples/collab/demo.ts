/**
 * Starts the app on this machine and has three people write a page together, checking every claim that it prints:
 * `npm run demo -w examples/collab`.
 */
import assert from 'node:assert/strict';
import { until } from '@dotdo/example-shared/local/app';
import { line, say, step } from '@dotdo/example-shared/local/transcript';
import type { DocumentClient } from './src/client/document-client.ts';
import { Person, startLocally, textsIn } from './local.ts';

interface Blocks {
  readonly blocks: readonly { readonly text: string }[];
}
interface Runs {
  readonly runs: readonly { readonly user_name: string; readonly kind: string; readonly lsn: number }[];
}
interface Found {
  readonly hits: readonly { readonly title: string; readonly snippet: string }[];
}

const started = performance.now();
console.log('\nOne page, three people, no word lost\n');

const { url, harness } = await startLocally();
say(`The app runs in the Workers runtime at ${url.origin}`, started);
const windows: DocumentClient[] = [];

try {
  const ada = await Person.found(url.origin, 'lighthouse', 'Ada');
  const bo = await ada.invite('Bo');
  const page = await ada.create('The keeper’s log');
  await page.post('/members', { user: bo.id, role: 'editor' });
  const adas = await page.open();
  const bos = await page.as(bo.token).open();
  windows.push(adas, bos);

  const [heading, story] = await step('Ada begins a page, and Bo has it open', async () => {
    const heading = adas.replica.insert(null, 'heading', 'The night of the storm', { level: 1 });
    const story = adas.replica.insert(heading, 'paragraph', 'The lamp went out.');
    await did(adas);
    await shows(bos, ['The night of the storm', 'The lamp went out.']);
    line(`Bo reads: ${textsIn(bos).join(' / ')}`);
    return [heading, story] as const;
  });

  await step('Both write in the same sentence at the same time', async () => {
    adas.replica.write(story, 'At midnight the lamp went out.');
    bos.replica.write(story, 'The lamp went out. Nobody saw the ship.');
    await Promise.all([did(adas), did(bos)]);
    await agree('At midnight the lamp went out. Nobody saw the ship.');
    line(`both read: ${adas.replica.textOf(story)}`);
  });

  await step('Ada undoes what she wrote; what Bo wrote stays', async () => {
    adas.replica.takeBack('undo');
    await did(adas);
    await agree('The lamp went out. Nobody saw the ship.');
    line(`both read: ${bos.replica.textOf(story)}`);
    adas.replica.takeBack('redo');
    await did(adas);
    await agree('At midnight the lamp went out. Nobody saw the ship.');
  });

  await step('Bo takes the train into a tunnel, and goes on writing', async () => {
    bos.disconnect();
    bos.replica.write(story, 'At midnight the lamp went out. Nobody saw the ship, or heard it.');
    bos.changed();
    adas.replica.write(story, 'At midnight exactly the lamp went out. Nobody saw the ship.');
    await did(adas);
    assert.equal(bos.status, 'offline');
    line(`Ada reads: ${adas.replica.textOf(story)}`);
    line(`Bo reads:  ${bos.replica.textOf(story)}`);
  });
  await step('At the other end, both sentences are one', async () => {
    bos.connect();
    await until(() => bos.replica.isSettled && bos.status === 'live');
    await agree('At midnight exactly the lamp went out. Nobody saw the ship, or heard it.');
    line(`both read: ${bos.replica.textOf(story)}`);
  });

  await step('The object falls asleep; the windows do not notice', async () => {
    await harness
      .getWorker()
      .evictDurableObject('Document', { name: `lighthouse/${page.id}`, webSockets: 'hibernate' });
    bos.replica.insert(story, 'list', 'Ask the harbour master', { done: false });
    await did(bos);
    await until(() => textsIn(adas).includes('Ask the harbour master'));
    assert.deepEqual([adas.status, bos.status], ['live', 'live']);
    line('it woke with both sockets, and Ada has what Bo wrote');
  });

  await step('A draft on a branch: main does not change', async () => {
    await page.post('/branches', { name: 'drafts/ghost' });
    const draft = await page.open({ branch: 'drafts/ghost' });
    windows.push(draft);
    draft.replica.write(heading, 'The night of the ghost ship');
    await did(draft);
    line(`the draft reads: ${textsIn(draft)[0]}`);
    line(`main reads:      ${textsIn(adas)[0]}`);
    assert.equal(textsIn(adas)[0], 'The night of the storm');
    const { updated } = await page.post<{ updated: number }>('/branches/drafts%2Fghost/merge', {});
    assert.equal(updated, 1);
    await until(() => textsIn(adas)[0] === 'The night of the ghost ship');
    line(`merged:          ${textsIn(adas)[0]}`);
  });

  await step('A guest comes by a link, and has no manners', async () => {
    const { id, token } = await page.post<{ id: number; token: string }>('/links', {
      role: 'editor',
      hours: 1,
    });
    const guest = await page.as(token).post<{ token: string }>('/join', { name: 'Mallory' });
    const mallorys = await page.as(guest.token).open();
    windows.push(mallorys);
    for (const block of mallorys.replica.blocks) mallorys.replica.remove(block.id);
    await did(mallorys);
    await until(() => textsIn(adas).length === 0);
    line('Mallory deletes it all');
    assert.equal((await page.send('DELETE', `/links/${id}`)).status, 204);
    await until(() => mallorys.status === 'ended');
    line(`Ada revokes the link, and Mallory’s window says: “${mallorys.reason}”`);
  });
  await step('The history tells who did what, and the page goes back to just before', async () => {
    const { runs } = await page.get<Runs>('/history');
    const [last] = runs;
    assert.equal(last?.kind, 'edit');
    const { blocks } = await page.get<Blocks>(`/blocks?as_of=lsn:${last?.lsn}`);
    line(`as of LSN ${last?.lsn} it had ${blocks.length} blocks; ${runs.length} things have been done to it`);
    await page.post('/restore', { to: { lsn: last?.lsn } });
    const texts = blocks.map(({ text }) => text);
    await Promise.all([shows(adas, texts), shows(bos, texts)]);
    line(`both read: ${texts[0]}, and all the rest`);
  });

  await step('It is kept as a version, in R2', async () => {
    const { id } = await page.post<{ id: number }>('/versions', { name: 'For the newspaper' });
    const version = (): Promise<Blocks & { from: string }> => page.get(`/versions/${id}`);
    await until(async () => (await version()).from === 'archive');
    assert.deepEqual(
      (await version()).blocks.map(({ text }) => text),
      textsIn(adas),
    );
    line('a Parquet file that SQL reads');
  });
  await step('The search found out by itself', async () => {
    await until(async () => (await ada.get<Found>('/search?q=ghost')).hits.length === 1);
    const { hits } = await ada.get<Found>('/search?q=harbour');
    line(`“harbour”: ${hits[0]?.title}: ${hits[0]?.snippet}`);
    const cleo = await ada.invite('Cleo');
    assert.deepEqual(await cleo.get('/search?q=harbour'), { hits: [] });
    line('Cleo, who may not read the page, finds nothing');
  });

  await step('Twenty windows write in one paragraph at the same time', async () => {
    const crowd = await Promise.all(Array.from({ length: 20 }, () => page.open()));
    windows.push(...crowd);
    const began = performance.now();
    const words: string[] = [];
    for (let round = 0; round < 10; round++) {
      for (const [i, window] of crowd.entries()) {
        words.push(`${round}.${i}`);
        window.replica.write(story, `${window.replica.textOf(story)} ${round}.${i}`);
        window.changed();
      }
      await until(() => crowd.every(({ replica }) => replica.isSettled));
    }
    const took = performance.now() - began;
    const text = adas.replica.textOf(story) ?? '';
    await until(() => words.every((word) => (adas.replica.textOf(story) ?? '').split(' ').includes(word)));
    await agree(adas.replica.textOf(story) ?? text);
    const { blocks } = await page.get<Blocks>('/blocks');
    assert.ok(
      [adas, bos, ...crowd].every(
        (window) => textsIn(window).join() === blocks.map(({ text }) => text).join(),
      ),
    );
    line(`${words.length} words, each there once, all windows alike, after ${Math.round(took)} ms`);
  });

  /** Waits until what was done in a window is answered. */
  async function did(window: DocumentClient): Promise<void> {
    window.changed();
    await until(() => window.replica.isSettled);
    window.replica.nextRun();
  }

  async function shows(window: DocumentClient, texts: readonly string[]): Promise<void> {
    await until(() => JSON.stringify(textsIn(window)) === JSON.stringify(texts));
  }

  /** Waits until both have this sentence. */
  async function agree(text: string): Promise<void> {
    await until(() => [adas, bos].every(({ replica }) => replica.textOf(story) === text));
  }
} finally {
  for (const window of windows) window.close();
  await harness.close();
}
say('All of it. Every line above was checked, and nothing is left behind.\n', started);
