import { isDeepStrictEqual } from 'node:util';
import { until } from '@dotdo/example-shared/local/app';
import { expect, it } from 'vitest';
import type { DocumentClient } from '../src/client/document-client.ts';
import { textsIn } from '../local.ts';
import { startWithPeople } from './people.ts';

const { ada, bo, windows } = await startWithPeople();

/** Two windows on a new document with one block. */
async function pair(
  text: string,
): Promise<{ a: DocumentClient; b: DocumentClient; id: string; refused: string[] }> {
  const adas = await ada.create('Undo');
  await adas.post('/members', { user: bo.id, role: 'editor' });
  const refused: string[] = [];
  const a = await adas.open({ onRefused: (reason) => refused.push(reason) });
  const b = await bo.document(adas.id).open();
  windows.push(a, b);
  const id = a.replica.insert(null, 'paragraph', text);
  await did(a);
  await shows(b, [text]);
  return { a, b, id, refused };
}

/**
 * Sends what was done as one run and waits until it is answered, and until the other window has it: what one writes over
 * a text that others have changed unseen is another thing.
 */
async function did(window: DocumentClient): Promise<void> {
  window.changed();
  await until(() => window.replica.isSettled);
  window.replica.nextRun();
  await until(() => windows.every((other) => isDeepStrictEqual(textsIn(other), textsIn(window))));
}

async function write(window: DocumentClient, id: string, text: string): Promise<void> {
  window.replica.write(id, text);
  await did(window);
}

async function takeBack(window: DocumentClient, what: 'undo' | 'redo'): Promise<void> {
  window.replica.takeBack(what);
  await did(window);
}

async function shows(window: DocumentClient, texts: readonly string[]): Promise<void> {
  await expect.poll(() => textsIn(window), { timeout: 10_000 }).toEqual(texts);
}

it('takes back what one has written, not what others have', async () => {
  const { a, b, id } = await pair('one two three');
  await write(a, id, 'one 2 three');
  await write(b, id, 'one 2 three four');
  await write(a, id, 'zero one 2 three four');
  await takeBack(a, 'undo');
  await shows(a, ['one 2 three four']);
  await takeBack(a, 'undo');
  await shows(a, ['one two three four']);
  await shows(b, ['one two three four']);
  await takeBack(b, 'undo');
  await shows(a, ['one two three']);
});

it('does again what was undone, until something else is done', async () => {
  const { a, b, id, refused } = await pair('start');
  await write(a, id, 'start again');
  await write(a, id, 'start again now');
  await takeBack(a, 'undo');
  await takeBack(a, 'undo');
  await shows(b, ['start']);
  await takeBack(a, 'redo');
  await shows(b, ['start again']);
  await takeBack(a, 'redo');
  await shows(b, ['start again now']);
  await takeBack(a, 'undo');
  await shows(b, ['start again']);
  await write(a, id, 'start anew');
  await takeBack(a, 'redo');
  expect(refused).toEqual(['there is nothing to redo']);
  await shows(b, ['start anew']);
});

it('brings back what was deleted, where it was, and takes out what was put in', async () => {
  const { a, b, id } = await pair('first');
  const second = a.replica.insert(id, 'list', 'second', { indent: 1 });
  const third = a.replica.insert(second, 'paragraph', 'third');
  await did(a);
  a.replica.remove(second);
  await did(a);
  await shows(b, ['first', 'third']);
  await takeBack(a, 'undo');
  await shows(b, ['first', 'second', 'third']);
  expect(b.replica.blocks[1]).toMatchObject({ id: second, kind: 'list', properties: { indent: 1 } });
  await takeBack(a, 'undo');
  await shows(b, ['first']);
  await takeBack(a, 'redo');
  await shows(b, ['first', 'second', 'third']);
  expect(b.replica.blocks.map((block) => block.id)).toEqual([id, second, third]);
});

it('leaves a block in which others have written, without what one has', async () => {
  const { a, b, id } = await pair('Title');
  const mine = a.replica.insert(id, 'paragraph', 'mine ');
  await did(a);
  await shows(b, ['Title', 'mine ']);
  await write(b, mine, 'mine and hers');
  await shows(a, ['Title', 'mine and hers']);
  await takeBack(a, 'undo');
  await shows(b, ['Title', 'and hers']);
});

it('undoes kinds, properties and places, each by itself', async () => {
  const { a, b, id } = await pair('a');
  const other = a.replica.insert(id, 'paragraph', 'b');
  await did(a);
  a.replica.set(id, { kind: 'heading', properties: { level: 2 } });
  await did(a);
  b.replica.set(id, { properties: { indent: 3 } });
  await did(b);
  a.replica.move(id, other);
  await did(a);
  await shows(b, ['b', 'a']);
  await takeBack(a, 'undo');
  await shows(b, ['a', 'b']);
  await takeBack(a, 'undo');
  await until(() => b.replica.blocks[0]?.kind === 'paragraph');
  expect(b.replica.blocks[0]?.properties).toEqual({ indent: 3 });
});

it('has nothing to undo in the beginning, and passes over what has gone', async () => {
  const { a, b, id, refused } = await pair('x');
  const more = a.replica.insert(id, 'paragraph', 'y');
  await did(a);
  await write(a, more, 'yes');
  await until(() => textsIn(b).includes('yes'));
  b.replica.remove(more);
  await did(b);
  await shows(a, ['x']);
  await takeBack(a, 'undo');
  await shows(b, []);
  await takeBack(a, 'undo');
  expect(refused).toEqual(['there is nothing to undo']);
});

it('undoes each thing by itself, also where they were done faster than they are answered', async () => {
  const { a, b, id } = await pair('one');
  const other = a.replica.insert(id, 'paragraph', 'two');
  await did(a);
  a.replica.write(id, 'one!');
  a.replica.nextRun();
  a.replica.write(other, 'two!');
  a.replica.nextRun();
  a.replica.set(other, { kind: 'list' });
  await did(a);
  await takeBack(a, 'undo');
  await until(() => b.replica.blocks[1]?.kind === 'paragraph');
  await shows(b, ['one!', 'two!']);
  await takeBack(a, 'undo');
  await shows(b, ['one!', 'two']);
  await takeBack(a, 'undo');
  await shows(b, ['one', 'two']);
});
