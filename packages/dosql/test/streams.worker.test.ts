import { evictDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { StreamError } from '@dotdo/cdc';
import { newObject } from './support/database.ts';
import { readAll, withStreams, type StreamBench } from './support/streams.ts';

const MIB = 1024 * 1024;

/** An append's headers by a producer. */
const by = (id: string, epoch: number, seq: number): Record<string, string> => ({
  'producer-id': id,
  'producer-epoch': String(epoch),
  'producer-seq': String(seq),
});

async function statusOf(response: Promise<Response>): Promise<number> {
  return (await response).status;
}

async function offsetOf(response: Promise<Response>): Promise<string> {
  return (await response).headers.get('stream-next-offset') as string;
}

async function rowCounts({ db }: StreamBench): Promise<unknown> {
  const count = async (table: string): Promise<number> =>
    (await db.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`))?.n ?? 0;
  return {
    streams: await count('dosql_stream'),
    messages: await count('dosql_stream_message'),
    producers: await count('dosql_stream_producer'),
  };
}

describe('an append', () => {
  it('that fails in the middle leaves nothing, and can be sent again', async () => {
    await withStreams(async (bench) => {
      const { db, send } = bench;
      await send('PUT', 'a', { body: '[1]' });
      await db.exec(
        `CREATE TRIGGER poison BEFORE INSERT ON dosql_stream_message WHEN new.data = '"poison"'
         BEGIN SELECT RAISE(ABORT, 'poisoned'); END`,
      );
      const before = await bench.db.query('SELECT * FROM dosql_stream');
      const poisoned = { body: '[2, "poison", 3]', headers: { ...by('p', 0, 0), 'stream-closed': 'true' } };
      await expect(send('POST', 'a', poisoned)).rejects.toThrow('poisoned');
      expect(await db.query('SELECT * FROM dosql_stream')).toEqual(before);
      expect(await rowCounts(bench)).toEqual({ streams: 1, messages: 1, producers: 0 });
      await db.exec('DROP TRIGGER poison');
      expect(await statusOf(send('POST', 'a', poisoned))).toBe(200);
      expect(await statusOf(send('POST', 'a', poisoned))).toBe(204);
      expect(await readAll(bench, 'a')).toEqual([1, 2, 'poison', 3]);
    });
  });

  it("is a part of the app's transaction, and goes with it", async () => {
    await withStreams(async (bench) => {
      const { db, streams } = bench;
      await db.exec('CREATE TABLE t(x)');
      const work = db.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (1)');
        await streams.create('a', { contentType: 'application/json', transaction: tx });
        await streams.append('a', '1', { transaction: tx });
        throw new Error('no');
      });
      await expect(work).rejects.toThrow('no');
      await expect(streams.read('a')).rejects.toMatchObject({ status: 404 });
      await db.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (2)');
        await streams.create('a', { contentType: 'application/json', transaction: tx });
        await streams.append('a', '{"x": 2}', { transaction: tx, close: true });
      });
      expect(await streams.read('a')).toMatchObject({ messages: ['{"x": 2}'], isClosed: true });
      expect(await db.query('SELECT x FROM t')).toEqual([{ x: 2 }]);
      await expect(streams.append('a', '1')).rejects.toBeInstanceOf(StreamError);
      await expect(streams.create('\ud800')).rejects.toMatchObject({ status: 400 });
    });
  });

  it('of one producer, sent thrice at once, is there once, in order', async () => {
    await withStreams(async (bench) => {
      const { send } = bench;
      await send('PUT', 'a');
      const sent = Array.from({ length: 60 }, (_, i) => {
        const seq = Math.floor(i / 3);
        return statusOf(send('POST', 'a', { body: `[${seq}, "of ${seq}"]`, headers: by("it's", 0, seq) }));
      });
      const statuses = await Promise.all(sent);
      expect(statuses.filter((status) => status === 200)).toHaveLength(20);
      expect(statuses.filter((status) => status === 204)).toHaveLength(40);
      const expected = Array.from({ length: 20 }, (_, seq) => [seq, `of ${seq}`]).flat();
      expect(await readAll(bench, 'a')).toEqual(expected);
    });
  });

  it('is known again after the object was evicted, and a fenced producer stays out', async () => {
    const stub = newObject();
    const first = await withStreams(
      async ({ send }) => {
        await send('PUT', 'a');
        await send('POST', 'a', { body: '1', headers: by('p', 3, 0) });
        return offsetOf(send('POST', 'a', { body: '2', headers: by('p', 3, 1) }));
      },
      {},
      stub,
    );
    await evictDurableObject(stub);
    await withStreams(
      async (bench) => {
        const { send } = bench;
        const again = send('POST', 'a', { body: '2', headers: by('p', 3, 1) });
        expect(await statusOf(again)).toBe(204);
        expect(await offsetOf(again)).toBe(first);
        expect(await statusOf(send('POST', 'a', { body: '9', headers: by('p', 2, 7) }))).toBe(403);
        expect(await statusOf(send('POST', 'a', { body: '9', headers: by('p', 3, 3) }))).toBe(409);
        expect(await statusOf(send('POST', 'a', { body: '3', headers: by('p', 3, 2) }))).toBe(200);
        expect(await readAll(bench, 'a')).toEqual([1, 2, 3]);
        expect(await readAll(bench, 'a', first)).toEqual([3]);
      },
      {},
      stub,
    );
  });

  it('is refused when it is too large, or holds too many messages, or is no JSON', async () => {
    await withStreams(
      async (bench) => {
        const { send } = bench;
        await send('PUT', 'a');
        const before = await rowCounts(bench);
        for (const [body, status] of [
          [`"${'x'.repeat(MIB)}"`, 413],
          [`[${'1,'.repeat(10_000)}1]`, 413],
          ['[', 400],
          ['['.repeat(500_000), 400],
          [new Uint8Array([0x22, 0xff, 0x22]), 400],
          ['\ufeff1', 400],
          ['[]', 400],
        ] as const)
          expect(await statusOf(send('POST', 'a', { body }))).toBe(status);
        expect(await rowCounts(bench)).toEqual(before);
        expect(await statusOf(send('POST', 'a', { body: `[${'1,'.repeat(9_999)}1]` }))).toBe(204);
        expect(await readAll(bench, 'a')).toHaveLength(10_000);
      },
      { maxBodyBytes: MIB },
    );
  });
});

describe('messages', () => {
  it('are rows that the database can query, as they were sent', async () => {
    await withStreams(async ({ db, send }) => {
      const big = '{"id": 12345678901234567890, "__proto__": "it\'s \\"a b\\" 🦉"}';
      await send('PUT', 'a', { body: `[ ${big},\n\t[ ] , "a,]\\"}[", null ]` });
      const rows = await db.query<{ data: string }>(
        "SELECT data FROM dosql_stream_message JOIN dosql_stream ON id = stream_id WHERE name = 'a' ORDER BY position",
      );
      expect(rows.map(({ data }) => data)).toEqual([big, '[ ]', '"a,]\\"}["', 'null']);
      expect(await (await send('GET', 'a')).text()).toBe(`[${big},[ ],"a,]\\"}[",null]`);
    });
  });

  it('larger than a row are whole, JSON and bytes', async () => {
    await withStreams(async (bench) => {
      const { send } = bench;
      // Characters of four bytes lie over every boundary between rows.
      const large = `x${'🦉'.repeat(400_000)}`;
      await send('PUT', 'json', { body: JSON.stringify([1, large, 2]) });
      expect(await readAll(bench, 'json')).toEqual([1, large, 2]);
      const bytes = Uint8Array.from({ length: 3 * MIB }, (_, i) => (i * 7_919) >> 5);
      await send('PUT', 'bytes', { body: bytes, type: 'application/octet-stream' });
      const found = new Uint8Array(bytes.length);
      let size = 0;
      for (let at = '-1', isEnd = false; !isEnd;) {
        const response = await send('GET', 'bytes', { query: `offset=${at}` });
        const page = new Uint8Array(await response.arrayBuffer());
        expect(page.length).toBeLessThanOrEqual(MIB);
        found.set(page, size);
        size += page.length;
        at = response.headers.get('stream-next-offset') as string;
        isEnd = response.headers.has('stream-up-to-date');
      }
      expect(size).toBe(bytes.length);
      expect(found.every((byte, i) => byte === bytes[i])).toBe(true);
    });
  });

  it('that are large come whole behind many small ones', async () => {
    await withStreams(async (bench) => {
      const { send } = bench;
      const small = Array.from({ length: 4_999 }, (_, i) => i);
      await send('PUT', 'a', { body: JSON.stringify(small) });
      const large = 'y'.repeat(1.4 * MIB);
      await send('POST', 'a', { body: JSON.stringify(large) });
      expect(await readAll(bench, 'a')).toEqual([...small, large]);
    });
  });
});

describe('a stream', () => {
  it('made again under a name has offsets of its own, and the old ones are gone', async () => {
    await withStreams(async (bench) => {
      const { send } = bench;
      const old = await offsetOf(send('PUT', 'a', { body: '[1, 2]' }));
      expect(await statusOf(send('DELETE', 'a'))).toBe(204);
      expect(await statusOf(send('GET', 'a'))).toBe(404);
      expect(await rowCounts(bench)).toEqual({ streams: 0, messages: 0, producers: 0 });
      const next = await offsetOf(send('PUT', 'a', { body: '[3]' }));
      expect(next > old).toBe(true);
      expect(next).toHaveLength(old.length);
      expect(await statusOf(send('GET', 'a', { query: `offset=${old}` }))).toBe(410);
      expect(await statusOf(send('GET', 'a', { query: `offset=${next.replace(/.$/, '9')}` }))).toBe(400);
    });
  });

  it('has any name that a path can have, and no other', async () => {
    await withStreams(async (bench) => {
      const { send, db } = bench;
      const good = [
        '__proto__',
        'constructor/prototype',
        "it's",
        '%22a%20b%22',
        '%F0%9F%A6%89',
        'a%25b',
        '-1',
      ];
      for (const path of good) expect(await statusOf(send('PUT', path, { body: `["${path}"]` }))).toBe(201);
      for (const path of good) expect(await readAll(bench, path)).toEqual([path]);
      const names = await db.query<{ name: string }>('SELECT name FROM dosql_stream ORDER BY id');
      expect(names.map(({ name }) => name)).toEqual(good.map(decodeURIComponent));
      for (const path of ['', 'a//b', 'a/', 'a%2Fb', 'a%00b', '%0A', '%ff', '%', 'x'.repeat(513)])
        expect([path, await statusOf(send('PUT', path))]).toEqual([path, 400]);
      // The URL itself resolves these: they are outside of the endpoint.
      for (const path of ['..', '../a', '%2e%2e/a']) expect(await statusOf(send('PUT', path))).toBe(404);
    });
  });

  it('whose time is over cannot be had, and is removed in steps', async () => {
    await withStreams(async (bench) => {
      const { send, streams, pass, nowMs } = bench;
      const five = { body: '[1,2,3,4,5]', headers: { 'stream-ttl': '10' } };
      for (const path of ['a', 'b', 'c']) await send('PUT', path, five);
      await send('PUT', 'kept', { body: '[1]', headers: { 'stream-ttl': '1000' } });
      await send('POST', 'a', { body: '6', headers: by('p', 0, 0) });
      pass(9_000);
      expect(await readAll(bench, 'a')).toHaveLength(6);
      pass(3_000);
      expect(await readAll(bench, 'a')).toHaveLength(6);
      for (const [method, body] of [['HEAD'], ['POST', '7']] as const)
        expect(await statusOf(send(method, 'b', body === undefined ? {} : { body }))).toBe(404);
      pass(20_000);
      expect(await streams.expire(1)).toMatchObject({ streams: 1, hasMore: true });
      const steps = [];
      for (let hasMore = true; hasMore;) {
        const step = await streams.expire(4);
        expect(step.rows).toBeLessThanOrEqual(4);
        steps.push(step.rows);
        ({ hasMore } = step);
      }
      expect(steps.length).toBeGreaterThan(2);
      expect(await rowCounts(bench)).toEqual({ streams: 1, messages: 1, producers: 0 });
      expect((await streams.expire()).nextMs).toBeGreaterThan(nowMs());
      expect(await statusOf(send('PUT', 'a', five))).toBe(201);
    });
  });

  it('keeps what its forks read, through expiry and eviction, until the last is gone', async () => {
    const stub = newObject();
    const headers = { 'stream-forked-from': '/streams/a' };
    await withStreams(
      async (bench) => {
        const { send, pass, streams } = bench;
        await send('PUT', 'a', { body: '[1,2]', headers: { 'stream-ttl': '10' } });
        await send('PUT', 'fork', { headers: { ...headers, 'stream-expires-at': '2199-01-01T00:00:00Z' } });
        await send('POST', 'a', { body: '3' });
        await send('POST', 'fork', { body: '"f"' });
        pass(20_000);
        expect(await streams.expire()).toMatchObject({ streams: 1, hasMore: false });
        expect(await statusOf(send('GET', 'a'))).toBe(410);
        expect(await readAll(bench, 'fork')).toEqual([1, 2, 'f']);
        expect(await statusOf(send('PUT', 'a'))).toBe(409);
      },
      {},
      stub,
    );
    await evictDurableObject(stub);
    await withStreams(
      async (bench) => {
        expect(await readAll(bench, 'fork')).toEqual([1, 2, 'f']);
        expect(await statusOf(bench.send('DELETE', 'fork'))).toBe(204);
        expect(await rowCounts(bench)).toEqual({ streams: 0, messages: 0, producers: 0 });
        expect(await statusOf(bench.send('PUT', 'a'))).toBe(201);
      },
      {},
      stub,
    );
  });
});
