import { describe, expect, it } from 'vitest';
import type { ReadOnlyStream, StreamDatabase } from '@dotdo/cdc';
import { readUntil } from './support/read-until.ts';
import { readAll, streamBench, withStreams, type StreamBench } from './support/streams.ts';
import { withDatabase } from './support/database.ts';

const LIVE = { query: 'offset=now&live=long-poll' };

/** Waits until `condition` holds. */
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await scheduler.wait(5);
  expect(condition()).toBe(true);
}

async function sse(
  bench: StreamBench,
  path: string,
  offset: string,
): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await bench.send('GET', path, { query: `offset=${offset}&live=sse` });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  return (response.body as ReadableStream<Uint8Array>).getReader();
}

describe('readers that wait', () => {
  it('are woken by an append to their stream and by nothing else, thousands by a few queries', async () => {
    await withDatabase(async (db) => {
      let queries = 0;
      const counted: StreamDatabase = {
        query: (sql, params) => (queries++, db.query(sql, params)),
        get: (sql, params) => (queries++, db.get(sql, params)),
        transaction: (callback) => db.transaction(callback),
      };
      const { send, streams } = streamBench(db, {
        database: counted,
        onCommit: (listener: () => void) => db.backend.onCommit(listener),
      });
      await send('PUT', 'a');
      await send('PUT', 'b');
      const readers = Array.from({ length: 3_000 }, () => send('GET', 'a', LIVE));
      await until(() => streams.waiting === 3_000);
      await scheduler.wait(20);
      queries = 0;
      await send('POST', 'b', { body: '1' });
      await db.exec('CREATE TABLE t(x)');
      await db.run('INSERT INTO t VALUES (1)');
      await scheduler.wait(20);
      expect(streams.waiting).toBe(3_000);
      expect(queries).toBe(0);
      await send('POST', 'a', { body: '"news"' });
      const answers = await Promise.all(readers);
      expect(new Set(await Promise.all(answers.map((answer) => answer.text())))).toEqual(
        new Set(['["news"]']),
      );
      expect(streams.waiting).toBe(0);
      expect(queries).toBeLessThan(100);
    });
  });

  it('are told of an append in a transaction of the app, when that is committed', async () => {
    await withStreams(async ({ db, send, streams }) => {
      await send('PUT', 'a');
      const reader = send('GET', 'a', LIVE);
      await until(() => streams.waiting === 1);
      const undone = db.transaction(async (tx) => {
        await streams.append('a', '"undone"', { transaction: tx });
        throw new Error('undone');
      });
      await expect(undone).rejects.toThrow('undone');
      await db.transaction(async (tx) => {
        await streams.append('a', '"kept"', { transaction: tx });
        await scheduler.wait(10);
        expect(streams.waiting).toBe(1);
      });
      expect(await (await reader).json()).toEqual(['kept']);
    });
  });

  it('leave nothing when they go: a long poll by its signal, events by their stream', async () => {
    await withStreams(async (bench) => {
      const { send, streams } = bench;
      await send('PUT', 'a');
      const stop = new AbortController();
      const polls = [1, 2, 3].map(() => send('GET', 'a', { ...LIVE, signal: stop.signal }));
      const events = await Promise.all([1, 2, 3].map(() => sse(bench, 'a', '-1')));
      for (const reader of events) await readUntil(reader, 'upToDate');
      const pending = events.map((reader) => reader.read());
      await until(() => streams.waiting === 6);
      stop.abort();
      await until(() => streams.waiting === 3);
      for (const answer of await Promise.all(polls)) expect(answer.status).toBe(204);
      for (const reader of events) await reader.cancel();
      await until(() => streams.waiting === 0);
      await Promise.all(pending);
    });
  });

  it('end when the stream is deleted', async () => {
    await withStreams(async (bench) => {
      const { send } = bench;
      await send('PUT', 'a');
      const poll = send('GET', 'a', LIVE);
      const reader = await sse(bench, 'a', 'now');
      await readUntil(reader, 'upToDate');
      const end = reader.read();
      await until(() => bench.streams.waiting === 2);
      await send('DELETE', 'a');
      expect((await poll).status).toBe(404);
      expect((await end).done).toBe(true);
    });
  });

  it('are kept company, and sent away after a while, with all that came and nothing twice', async () => {
    await withStreams(
      async (bench) => {
        const { send } = bench;
        await send('PUT', 'a', { body: '[" lead", "x"]' });
        const reader = await sse(bench, 'a', '-1');
        expect(await readUntil(reader, ': keep-alive\n\n')).toContain('event: data\ndata:[" lead","x"]\n\n');
        await send('POST', 'a', { body: '"late"' });
        expect(await readUntil(reader, 'control')).toContain('event: data\ndata:["late"]\n\n');
        for (let done = false; !done;) ({ done } = await reader.read());
        expect(bench.streams.waiting).toBe(0);
        expect((await send('GET', 'a', LIVE)).status).toBe(204);
      },
      { keepAliveMs: 40, sseMs: 300, longPollMs: 50 },
    );
  });

  it('of text get each line as it is, also one that begins with a space', async () => {
    await withStreams(async (bench) => {
      const text = ' a\n  b\r\n\r\nevent: control\ndata: {}';
      await bench.send('PUT', 'a', { body: text, type: 'text/plain' });
      const received = await readUntil(await sse(bench, 'a', '-1'), 'upToDate');
      const [data] = received.split('\n\n');
      const lines = (data as string).split('\n').slice(1);
      expect(lines.map((line) => line.replace(/^data: ?/, '')).join('\n')).toBe(
        text.replaceAll('\r\n', '\n'),
      );
    });
  });
});

/** A stream of numbers, of which clients see the even ones. */
class Numbers implements ReadOnlyStream {
  readonly contentType = 'application/json';
  readonly firstKept: number;
  count = 0;
  reads = 0;
  waiting = 0;
  readonly #listeners = new Set<() => void>();

  constructor(firstKept = 0) {
    this.firstKept = firstKept;
  }

  add(count: number): void {
    this.count += count;
    for (const listener of this.#listeners) listener();
  }

  tail(): string {
    return offsetOf(this.count);
  }

  async read(
    offset: string,
    limit: number,
  ): Promise<{ messages: string[]; next: string; upToDate: boolean }> {
    this.reads++;
    const from = offset === '-1' ? 0 : Number(offset);
    if (!Number.isInteger(from)) throw Object.assign(new Error('no offset'), { code: 'BAD_PARAMETER' });
    if (from < this.firstKept) throw Object.assign(new Error('it was trimmed'), { code: 'LSN_EXPIRED' });
    const to = Math.min(this.count, from + Math.ceil(limit / 100_000));
    const numbers = Array.from({ length: to - from }, (_, i) => from + i);
    const messages = numbers.filter((n) => n % 2 === 0).map((n) => `{"n":${n}}`);
    return { messages, next: offsetOf(to), upToDate: to === this.count };
  }

  async changed(signal: AbortSignal): Promise<void> {
    this.waiting++;
    await new Promise<void>((resolve) => {
      this.#listeners.add(resolve);
      signal.addEventListener('abort', () => resolve());
    });
    this.waiting--;
  }
}

function offsetOf(n: number): string {
  return String(n).padStart(16, '0');
}

function withNumbers(
  numbers: Numbers,
  use: (bench: StreamBench) => Promise<void>,
  longPollMs = 5_000,
): Promise<void> {
  return withStreams(use, { readOnly: (name) => (name === 'numbers' ? numbers : undefined), longPollMs });
}

describe('a read-only stream', () => {
  it('is read page by page, with what is passed over behind the reader, and not again by its ETag', async () => {
    const numbers = new Numbers();
    await withNumbers(numbers, async (bench) => {
      const { send } = bench;
      numbers.add(40);
      expect(await readAll(bench, 'numbers')).toEqual(Array.from({ length: 20 }, (_, i) => ({ n: 2 * i })));
      const head = await send('HEAD', 'numbers');
      expect(head.headers.get('stream-next-offset')).toBe(offsetOf(40));
      const page = await send('GET', 'numbers', { query: `offset=${offsetOf(30)}` });
      const etag = page.headers.get('etag') as string;
      const again = { query: `offset=${offsetOf(30)}`, headers: { 'if-none-match': etag } };
      expect((await send('GET', 'numbers', again)).status).toBe(304);
      numbers.add(1);
      expect((await send('GET', 'numbers', again)).status).toBe(200);
      const now = await send('GET', 'numbers', { query: 'offset=now' });
      expect(await now.text()).toBe('[]');
      expect((await send('GET', 'numbers', { query: 'offset=x' })).status).toBe(400);
      expect((await send('GET', 'numbers', { query: 'offset=a%2Fb' })).status).toBe(400);
    });
  });

  it('wakes those who wait, who are watched together and only while there are any', async () => {
    const numbers = new Numbers();
    await withNumbers(numbers, async (bench) => {
      const { send, streams } = bench;
      const polls = Array.from({ length: 500 }, () => send('GET', 'numbers', LIVE));
      const reader = await sse(bench, 'numbers', 'now');
      await readUntil(reader, 'upToDate');
      const next = readUntil(reader, 'upToDate');
      await until(() => streams.waiting === 501);
      expect(numbers.waiting).toBe(1);
      const before = numbers.reads;
      numbers.add(0);
      await scheduler.wait(20);
      expect(numbers.reads).toBe(before);
      numbers.add(1);
      for (const answer of await Promise.all(polls)) expect(await answer.json()).toEqual([{ n: 0 }]);
      expect(await next).toContain('{"n":0}');
      expect(numbers.reads - before).toBeLessThan(20);
      // What nobody sees wakes nobody for good, but is passed.
      numbers.add(1);
      const last = readUntil(reader, 'upToDate');
      await scheduler.wait(20);
      numbers.add(1);
      expect(await last).toContain('{"n":2}');
      await reader.cancel();
      await until(() => streams.waiting === 0 && numbers.waiting === 0);
    });
  });

  it('tells who comes back late that what they miss is gone', async () => {
    const numbers = new Numbers(10);
    await withNumbers(
      numbers,
      async ({ send }) => {
        numbers.add(20);
        const gone = await send('GET', 'numbers', { query: `offset=${offsetOf(3)}` });
        expect([gone.status, await gone.text()]).toEqual([410, 'it was trimmed\n']);
        const poll = { query: `offset=${offsetOf(3)}&live=long-poll` };
        expect((await send('GET', 'numbers', poll)).status).toBe(410);
        const end = { query: `offset=${offsetOf(20)}&live=long-poll` };
        const nothing = await send('GET', 'numbers', end);
        expect([nothing.status, nothing.headers.get('stream-next-offset')]).toEqual([204, offsetOf(20)]);
      },
      50,
    );
  });

  it('that fails to be watched fails its readers, and works for the next', async () => {
    const numbers = new Numbers();
    await withNumbers(numbers, async ({ send, streams, db }) => {
      const working = new Numbers();
      numbers.changed = async () => {
        await scheduler.wait(10);
        await db.run('no SQL');
      };
      await expect(send('GET', 'numbers', LIVE)).rejects.toThrow('SYNTAX');
      expect(streams.waiting).toBe(0);
      numbers.changed = (signal) => working.changed(signal);
      const poll = send('GET', 'numbers', LIVE);
      await until(() => working.waiting === 1);
      numbers.count = 1;
      working.add(1);
      expect(await (await poll).json()).toEqual([{ n: 0 }]);
    });
  });
});
