import type { TestHarness } from 'wrangler';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readUntil } from '../support/read-until.ts';
import { startServer } from './server.ts';

let harness: TestHarness | undefined;
let base = '';

beforeAll(async () => {
  const server = await startServer();
  ({ harness } = server);
  base = `${server.origin}/v1/stream`;
});

afterAll(() => harness?.close());

async function waiting(): Promise<number> {
  const response = await fetch(new URL('/waiting', base));
  return Number(await response.text());
}

async function untilWaiting(count: number): Promise<void> {
  let found = -1;
  for (let i = 0; i < 400 && found !== count; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    found = await waiting();
  }
  expect(found).toBe(count);
}

// workerd tells of a connection that was cut when something is next written to it.
it('a connection that is cut leaves no reader behind for longer than to the next comment, and those that stay get what comes', async () => {
  const stream = `${base}/cut`;
  await fetch(stream, { method: 'PUT', headers: { 'content-type': 'text/plain' } });
  const cut = new AbortController();
  const events = async (signal: AbortSignal | null): Promise<ReadableStreamDefaultReader<Uint8Array>> => {
    const response = await fetch(`${stream}?offset=-1&live=sse`, { signal });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    return reader;
  };
  const going = await Promise.all(Array.from({ length: 20 }, () => events(cut.signal)));
  const staying = await Promise.all(Array.from({ length: 5 }, () => events(null)));
  await untilWaiting(25);
  const reads = going.map((reader) => expect(readUntil(reader, 'never')).rejects.toThrow());
  cut.abort();
  await Promise.all(reads);
  await untilWaiting(5);
  const received = staying.map((reader) => readUntil(reader, 'news'));
  await fetch(stream, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'news' });
  for (const text of await Promise.all(received)) expect(text).toContain('event: data\ndata:news\n');
  await Promise.all(staying.map((reader) => reader.cancel()));
  await untilWaiting(0);
});

it('a long poll that is cut is over when its time is', async () => {
  const stream = `${base}/polled`;
  await fetch(stream, { method: 'PUT', headers: { 'content-type': 'text/plain' } });
  const cut = new AbortController();
  const poll = fetch(`${stream}?offset=now&live=long-poll`, { signal: cut.signal });
  await untilWaiting(1);
  cut.abort();
  await expect(poll).rejects.toThrow();
  await untilWaiting(0);
});
