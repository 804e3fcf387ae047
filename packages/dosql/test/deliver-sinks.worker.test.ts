import {
  durableObject,
  eventFromJson,
  file,
  PermanentError,
  queue,
  receive,
  receiveBatch,
  verifyWebhook,
  webhook,
  type Batch,
  type JsonEvent,
  type QueuedEvent,
  type Sink,
  type WebhookPayload,
} from '@dotdo/cdc';
import { env } from 'cloudflare:workers';
import { createMemoryBackend, createR2Backend } from '@dotdo/fsx';
import { parquet } from '@dotdo/cdc/parquet';
import { parquetReadObjects } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import { withDatabase } from './support/database.ts';
import { deliveryBench, shortly } from './support/deliver.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const OTHER = `whsec_${btoa('another secret of 24 bytes or more')}`;

/** Delivers a few changes to a sink and returns the errors that it gave on the way. */
function delivered(sink: Sink, options: { alarms?: number; sql?: string } = {}): Promise<string[]> {
  return deliveryBench(async ({ db, cdc, alarms }) => {
    await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, x)');
    const errors: string[] = [];
    const noting: Sink = {
      send: async (batch, context) => {
        try {
          return await sink.send(batch, context);
        } catch (error) {
          errors.push(String(error));
          throw error;
        }
      },
    };
    await cdc.deliver('s', noting);
    await alarms();
    await db.exec(options.sql ?? "INSERT INTO t VALUES (1, 'é'), (2, 9007199254740993), (3, x'00ff')");
    await alarms(options.alarms);
    return errors;
  });
}

/** What a receiver got. */
interface Posted {
  readonly url: string;
  readonly method: string;
  readonly redirect: string;
  readonly headers: [string, string][];
  readonly body: string;
}

/** A receiver that keeps what it gets, and answers as it is told. */
function receiver(answer: (posted: Posted) => Response | Promise<Response> = () => new Response()) {
  const posts: Posted[] = [];
  return {
    posts,
    fetch: async (url: string, init: RequestInit) => {
      const request = new Request(url, init);
      const { method, redirect, headers } = request;
      const posted = {
        url: request.url,
        method,
        redirect,
        headers: [...headers],
        body: await request.text(),
      };
      posts.push(posted);
      return answer(posted);
    },
  };
}

/** The request as it came. */
function requestOf({ url, method, headers, body }: Posted): Request {
  return new Request(url, { method, headers, body });
}

describe('a webhook', () => {
  it('signs as Standard Webhooks says, and what it posts can be read back exactly', async () => {
    const { posts, fetch } = receiver();
    expect(
      await delivered(
        webhook('https://crm.example/hook?a=b', { secret: SECRET, fetch, headers: { 'x-app': 'shop' } }),
      ),
    ).toEqual([]);
    const request = requestOf(posts[0] as Posted);
    expect([request.method, request.url, request.headers.get('x-app')]).toEqual([
      'POST',
      'https://crm.example/hook?a=b',
      'shop',
    ]);
    const payload = await verifyWebhook(request, SECRET);
    expect(payload).toMatchObject({
      id: request.headers.get('webhook-id'),
      source: 'test',
      slot: 's',
      sequence: 0,
    });
    const events = payload.events.map((event) => eventFromJson(event as JsonEvent));
    expect(events).toMatchObject([
      { op: 'insert', after: { id: 1, x: 'é' } },
      { op: 'insert', after: { id: 2, x: 9007199254740993n } },
      { op: 'insert', after: { id: 3, x: new Uint8Array([0, 255]) } },
    ]);
  });

  it("gives the signature of the specification's example", async () => {
    const headers = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1a,other v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    };
    const body = '{"test": 2432232314}';
    const request = new Request('https://x.example', { method: 'POST', headers, body });
    expect(await verifyWebhook(request, SECRET, { nowMs: () => 1_614_265_330_000 })).toEqual({
      test: 2432232314,
    });
  });

  it('is refused by who checks when it is unsigned, tampered with, old, early or signed by another', async () => {
    const { posts, fetch } = receiver();
    const now = Date.now();
    await delivered(webhook('https://a.example', { secret: SECRET, fetch, nowMs: () => now }));
    const sent = requestOf(posts[0] as Posted);
    const body = await sent.clone().text();
    const changed = (change: (headers: Headers) => void, text: string = body): Request => {
      const headers = new Headers(sent.headers);
      change(headers);
      return new Request(sent.url, { method: 'POST', headers, body: text });
    };
    const refused = (request: Request, nowMs: number = now, secret: string | string[] = SECRET) =>
      expect(verifyWebhook(request, secret, { nowMs: () => nowMs })).rejects.toThrow(/signed|no header/);
    await verifyWebhook(
      changed(() => {}),
      SECRET,
      { nowMs: () => now + 299_000 },
    );
    await refused(changed((headers) => headers.delete('webhook-signature')));
    await refused(changed(() => {}, body.replace('é', 'e')));
    await refused(changed((headers) => headers.set('webhook-id', 'another')));
    await refused(
      changed((headers) => headers.set('webhook-timestamp', String(Math.floor(now / 1_000) + 1))),
    );
    await refused(changed((headers) => headers.set('webhook-timestamp', 'NaN')));
    await refused(changed((headers) => headers.set('webhook-signature', 'v1,!!! v1, v2,x')));
    await refused(
      changed(() => {}),
      now + 302_000,
    );
    await refused(
      changed(() => {}),
      now - 302_000,
    );
    await refused(
      changed(() => {}),
      now,
      OTHER,
    );
    await refused(
      changed(() => {}),
      now,
      [],
    );
  });

  it('signs with both secrets while one takes the place of the other', async () => {
    const { posts, fetch } = receiver();
    await delivered(webhook('https://a.example', { secret: [SECRET, OTHER], fetch }));
    const request = requestOf(posts[0] as Posted);
    for (const secret of [SECRET, OTHER, [OTHER, SECRET]]) await verifyWebhook(request.clone(), secret);
  });

  it.each([
    [200, 1],
    [204, 1],
    [301, 3],
    [307, 3],
    [401, 3],
    [404, 3],
    [408, 3],
    [429, 3],
    [500, 3],
    [503, 3],
  ])('takes an answer %i for what it is', async (status, most) => {
    const { posts, fetch } = receiver(() =>
      Response.json(null, {
        status: posts.length < 3 ? (status === 204 ? 200 : status) : 200,
        headers: { location: 'https://evil.example' },
      }),
    );
    const errors = await delivered(webhook('https://a.example', { fetch }));
    expect(posts).toHaveLength(most);
    expect(errors).toEqual(
      Array.from({ length: most - 1 }, () => `RetryLaterError: a.example answered ${status}`),
    );
    expect(posts.every((post) => post.url === 'https://a.example/' && post.redirect === 'manual')).toBe(true);
  });

  it('takes 400 and 422 for a refusal of the content', async () => {
    const { posts, fetch } = receiver(({ body }) => {
      const { events } = JSON.parse(body) as WebhookPayload;
      return new Response('PII of the answer', {
        status: events.some((event) => 'after' in event && event.after?.['id'] === 2) ? 422 : 200,
      });
    });
    const errors = await delivered(webhook('https://a.example', { fetch }));
    expect(new Set(errors)).toEqual(new Set(['PermanentError: PERMANENT: a.example answered 422']));
    const taken: unknown[] = [];
    for (const { body } of posts.slice(3)) taken.push(...(JSON.parse(body) as WebhookPayload).events);
    expect(taken.length).toBeGreaterThan(2);
  });

  it('waits as long as Retry-After says, in seconds or as a date', async () => {
    for (const retryAfter of ['120', new Date(Date.UTC(2100, 0) + 120_000).toUTCString()]) {
      await deliveryBench(async ({ db, cdc, alarms }) => {
        await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
        const { posts, fetch } = receiver(() =>
          posts.length === 1
            ? new Response(null, { status: 429, headers: { 'retry-after': retryAfter } })
            : new Response(),
        );
        await cdc.deliver('s', webhook('https://a.example', { fetch, nowMs: () => Date.UTC(2100, 0) }));
        await alarms();
        await db.run('INSERT INTO t VALUES (1)');
        expect(await alarms()).toEqual([0, 120_000]);
      });
    }
  });

  it('gives up a receiver that does not answer in time', async () => {
    const fetch = (_: string, { signal }: RequestInit): Promise<Response> =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)));
    const errors = await delivered(webhook('https://a.example', { fetch, timeoutMs: 10 }), { alarms: 2 });
    expect(errors[0]).toMatch(/no answer within/);
  });

  it('posts Debezium envelopes if asked', async () => {
    const { posts, fetch } = receiver();
    await delivered(webhook('http://localhost:8080/x', { fetch, envelope: 'debezium' }));
    const { events } = await requestOf(posts[0] as Posted).json<WebhookPayload>();
    expect(events[0]).toMatchObject({
      op: 'c',
      before: null,
      after: { id: 1 },
      source: { name: 'test', table: 't' },
    });
  });

  it('refuses addresses and secrets that are none', () => {
    for (const url of [
      'http://a.example',
      'ftp://a.example',
      'a.example',
      '',
      'http://localhost.evil.example',
    ])
      expect(() => webhook(url), url).toThrow(TypeError);
    webhook('http://a.example', { allowInsecure: true });
    for (const secret of ['', 'whsec_', 'whsec_short', 'whsec_€', '***'])
      expect(() => webhook('https://a.example', { secret }), secret).toThrow(TypeError);
  });
});

describe('a queue', () => {
  it('gets batches within its limits, and dead letters for what is too large', async () => {
    const sent: QueuedEvent[][] = [];
    // The limits of the platform, which its local stand-in does not all have.
    const binding = {
      sendBatch: async (messages: Iterable<{ body: QueuedEvent }>) => {
        const bodies = [...messages].map(({ body }) => body);
        const sizes = bodies.map((body) => new TextEncoder().encode(JSON.stringify(body)).length);
        if (bodies.length > 100 || Math.max(...sizes) > 128_000 || sizes.reduce((a, b) => a + b) > 256_000)
          throw new Error('too much');
        sent.push(bodies);
      },
    };
    await deliveryBench(async ({ db, cdc, alarms }) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, x)');
      await cdc.deliver('s', queue(binding), { batch: { bytes: 4_000_000 } });
      await alarms();
      for (const size of [1, 60_000, 60_000, 61_000, 40_000, 70_000])
        await db.run("INSERT INTO t(x) VALUES (replace(hex(zeroblob(?)), '0', 'é'))", [size / 4]);
      await db.exec(
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) INSERT INTO t(x) SELECT i FROM n',
      );
      await alarms();
      const bodies = sent.flat();
      expect(sent.length).toBeGreaterThan(3);
      expect(bodies.length + (await cdc.deadLetters('s')).length).toBe(256);
      expect(new Set(bodies.map(({ id }) => id)).size).toBe(bodies.length);
      expect(
        shortly((await cdc.deadLetters('s')).map(({ event }) => event)).map((text) => text.slice(0, 8)),
      ).toEqual([]);
      await db.run('INSERT INTO t(id, x) VALUES (999, hex(zeroblob(64000)))');
      await alarms();
      expect((await cdc.deadLetters('s')).map(({ error }) => error)).toEqual([
        expect.stringContaining('too large'),
      ]);
    });
  });
});

describe('files', () => {
  it('hold each change once, in the order of their names, in memory and in R2', async () => {
    for (const store of [createMemoryBackend(), createR2Backend(env.BUCKET)]) {
      await deliveryBench(async ({ db, cdc, alarms }) => {
        await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, x)');
        let writes = 0;
        const losing = {
          write: async (path: string, data: Uint8Array) => {
            await store.write(path, data);
            if (writes++ % 2 === 0) throw new Error('the answer was lost');
          },
        };
        await cdc.deliver('../a b', file(losing, { prefix: 'lake' }), { batch: { changes: 3 } });
        await alarms();
        for (let i = 0; i < 8; i++) await db.run('INSERT INTO t(x) VALUES (?)', [`${i}\né`]);
        await alarms();
        const { files } = await store.list('lake/');
        expect(files).toHaveLength(3);
        expect(files[0]?.path).toMatch(
          /^lake\/~2e~~2e~~2f~a~20~b\/[0-9a-f]{16}\/000000000000000-000000000000002\.ndjson$/,
        );
        const lines: JsonEvent[] = [];
        for (const { path } of files) {
          const text = new TextDecoder().decode((await store.read(path)) as Uint8Array);
          for (const line of text.trimEnd().split('\n')) lines.push(JSON.parse(line) as JsonEvent);
        }
        expect(lines.map(({ after }) => after?.['x'])).toEqual(
          Array.from({ length: 8 }, (_, i) => `${i}\né`),
        );
      });
    }
  });
});

describe('a Parquet file', () => {
  it('has a row for each event, of whatever kind', async () => {
    await deliveryBench(async ({ db, cdc, alarms }) => {
      const store = createMemoryBackend();
      await cdc.deliver('s', file(store, { format: parquet }), { schema: true, transactions: true });
      await alarms();
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, x)');
      await db.run('INSERT INTO t VALUES (?, ?)', [2n ** 60n, new Uint8Array([1])]);
      await db.run("UPDATE t SET x = 'é'");
      await alarms();
      const { files } = await store.list();
      expect(files.map(({ path }) => path.split('.').at(-1))).toEqual(['parquet']);
      const bytes = (await store.read(files[0]?.path ?? '')) as Uint8Array<ArrayBuffer>;
      const rows = await parquetReadObjects({ file: bytes.buffer });
      expect(rows.map(({ op }) => op as string).filter((op) => op !== 'begin' && op !== 'commit')).toEqual([
        'schema',
        'insert',
        'update',
      ]);
      const insert = rows.find(({ op }) => op === 'insert');
      expect(insert).toMatchObject({ table: 't', lsn: db.lsn() - 1n, before: null, sql: null });
      expect(insert?.['timestamp']).toEqual(new Date(Date.UTC(2100, 0)));
      expect(JSON.parse(String(insert?.['after']))).toEqual({
        id: { $int: String(2n ** 60n) },
        x: { $blob: 'AQ==' },
      });
    });
  });
});

describe('what another object sends', () => {
  const batch = (sequence: number, ...ids: number[]): Batch => ({
    id: 'x',
    source: 'db',
    slot: 's',
    stream: 'abc',
    sequence,
    events: ids.map((id) => ({
      op: 'insert',
      table: 't',
      lsn: BigInt(id),
      tx: BigInt(id),
      timestamp: new Date(0),
      key: { id },
      before: null,
      after: { id },
    })),
  });

  it('takes effect once, however often and however much of it comes again', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      const take = (given: Batch) =>
        receive(db, given, (event, tx) =>
          tx.run('INSERT INTO t VALUES (?)', ['key' in event ? event.key['id'] : null]),
        );
      expect(await take(batch(0, 1, 2))).toEqual({ applied: 2, repeated: 0 });
      expect(await take(batch(0, 1, 2))).toEqual({ applied: 0, repeated: 2 });
      expect(await take(batch(1, 2, 3, 4))).toEqual({ applied: 2, repeated: 1 });
      expect(await take(batch(0, 1))).toEqual({ applied: 0, repeated: 1 });
      // Numbers have gaps.
      expect(await take(batch(9, 5))).toEqual({ applied: 1, repeated: 0 });
      expect(await take({ ...batch(0, 6), stream: 'another' })).toEqual({ applied: 1, repeated: 0 });
      expect(await db.query('SELECT * FROM t')).toEqual([1, 2, 3, 4, 5, 6].map((id) => ({ id })));
    });
  });

  it('is wholly undone when it fails, and told apart by whether it always will', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      const failing = (error: Error) =>
        receive(db, batch(0, 1, 2), async (event, tx) => {
          await tx.run('INSERT INTO t VALUES (1)');
          if (event.lsn === 1n) throw error;
        });
      await expect(failing(new Error('later'))).rejects.toThrow(/^later/);
      await expect(failing(new PermanentError('never'))).rejects.toThrow(/^PERMANENT: never/);
      const twice = receive(db, batch(0, 1, 1), (_, tx) => tx.run('INSERT INTO t VALUES (1)'));
      await expect(twice).rejects.toThrow(/^PERMANENT: CONSTRAINT/);
      expect(await db.query('SELECT * FROM t')).toEqual([]);
      expect(await receive(db, batch(0, 1, 2), () => {})).toEqual({ applied: 2, repeated: 0 });
    });
  });

  it('gives what is new of a batch at once, and nothing when nothing is', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      const given: (bigint | undefined)[][] = [];
      const take = (batch: Batch) =>
        receiveBatch(db, batch, async (events, tx) => {
          given.push(events.map(({ lsn }) => lsn));
          for (const event of events)
            await tx.run('INSERT INTO t VALUES (?)', ['key' in event ? event.key['id'] : null]);
        });
      expect(await take(batch(0, 1, 2))).toEqual({ applied: 2, repeated: 0 });
      expect(await take(batch(0, 1, 2))).toEqual({ applied: 0, repeated: 2 });
      expect(await take(batch(1, 2, 3, 4))).toEqual({ applied: 2, repeated: 1 });
      await expect(take(batch(4, 5, 1))).rejects.toThrow(/^PERMANENT: CONSTRAINT/);
      expect(await take(batch(4, 5))).toEqual({ applied: 1, repeated: 0 });
      expect(given).toEqual([[1n, 2n], [3n, 4n], [5n, 1n], [5n]]);
      expect(await db.query('SELECT * FROM t')).toEqual([1, 2, 3, 4, 5].map((id) => ({ id })));
    });
  });

  it('goes to a method that is there', async () => {
    const taken: Batch[] = [];
    const context = { signal: new AbortController().signal, attempt: 1 };
    await durableObject(() => ({ take: (given: Batch) => taken.push(given) }), { method: 'take' }).send(
      batch(0, 1),
      context,
    );
    expect(taken).toHaveLength(1);
    await expect(durableObject(() => ({})).send(batch(0, 1), context)).rejects.toThrow(/receiveChanges/);
  });
});
