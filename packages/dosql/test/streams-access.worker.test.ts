import { describe, expect, it } from 'vitest';
import type { ReadOnlyStream, StreamAccess } from '@dotdo/cdc';
import { withStreams, type Sent, type StreamBench } from './support/streams.ts';

const fork: Sent = { headers: { 'stream-forked-from': '/streams/secret' } };
const closing: Sent = { headers: { 'stream-closed': 'true' } };

/** Requests by what they need. */
const REQUESTS: readonly [string, string, Sent, readonly string[]][] = [
  ['GET', 'secret', {}, ['read secret']],
  ['GET', 'secret', { query: 'offset=now&live=sse' }, ['read secret']],
  ['GET', 'secret', { query: 'offset=-1&live=long-poll' }, ['read secret']],
  ['HEAD', 'secret', {}, ['read secret']],
  ['PUT', 'new', { body: '1' }, ['create new']],
  ['PUT', 'new', fork, ['fork new', 'read secret']],
  ['POST', 'secret', { body: '1' }, ['append secret']],
  ['POST', 'secret', closing, ['close secret']],
  ['POST', 'secret', { ...closing, body: '1' }, ['close secret', 'append secret']],
  ['DELETE', 'secret', {}, ['delete secret']],
];

const readOnly: ReadOnlyStream = {
  contentType: 'application/json',
  read: async (offset) => ({ messages: offset === '-1' ? ['1'] : [], next: '1', upToDate: true }),
  tail: () => '1',
  changed: (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
};

async function prepare({ streams, db }: StreamBench): Promise<() => Promise<unknown>> {
  await streams.create('secret', { contentType: 'application/json', data: '["canary"]' });
  return async () => [
    await db.query('SELECT * FROM dosql_stream'),
    await db.query('SELECT * FROM dosql_stream_message'),
  ];
}

describe('without permission', () => {
  it('nothing can be done, and nothing is told: not even whether a stream is there', async () => {
    for (const authorize of [
      undefined,
      () => false,
      async () => false,
      // As a program without types may do.
      (() => 'yes') as unknown as () => boolean,
      (() => undefined) as unknown as () => boolean,
    ])
      await withStreams(
        async (bench) => {
          const state = await prepare(bench);
          const before = await state();
          for (const [method, path, sent] of REQUESTS) {
            const refused = await bench.send(method, path, sent);
            expect([method, refused.status]).toEqual([method, 403]);
            const text = await refused.text();
            expect(text).not.toContain('canary');
            const missing = await bench.send(method, path === 'secret' ? 'other' : path, sent);
            expect(missing.status).toBe(403);
            expect((await missing.text()).replaceAll('other', 'secret')).toBe(text);
            expect([...missing.headers]).toEqual([...refused.headers]);
          }
          expect(await state()).toEqual(before);
          expect(bench.streams.waiting).toBe(0);
        },
        { authorize },
      );
  });

  it('each action is asked for, and one that is refused is enough', async () => {
    for (const [method, path, sent, needed] of REQUESTS)
      for (const missing of needed) {
        const asked: string[] = [];
        await withStreams(
          async (bench) => {
            const state = await prepare(bench);
            const before = await state();
            expect((await bench.send(method, path, sent)).status).toBe(403);
            expect(asked).toEqual(needed.slice(0, needed.indexOf(missing) + 1));
            expect(await state()).toEqual(before);
          },
          {
            authorize: (_, { action, stream }: StreamAccess) => {
              asked.push(`${action} ${stream}`);
              return asked.at(-1) !== missing;
            },
          },
        );
      }
  });

  it('the app may answer itself', async () => {
    await withStreams(
      async ({ send }) => {
        const response = await send('GET', 'a');
        expect(response.status).toBe(302);
        expect(response.headers.get('location')).toBe('https://app.example/login');
        expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      },
      { authorize: () => Response.redirect('https://app.example/login') },
    );
  });
});

describe('a read-only stream', () => {
  it('takes nothing from clients, who cannot fork it either', async () => {
    await withStreams(
      async ({ send, db }) => {
        for (const [method, sent] of [
          ['PUT', {}],
          ['POST', { body: '1' }],
          ['POST', closing],
          ['DELETE', {}],
        ] as const) {
          const response = await send(method, 'secret', sent);
          expect(response.status).toBe(405);
          expect(response.headers.get('allow')).toBe('GET, HEAD, OPTIONS');
        }
        expect((await send('PUT', 'new', fork)).status).toBe(400);
        expect((await send('PATCH', 'secret')).status).toBe(405);
        expect(await db.get("SELECT 1 FROM sqlite_schema WHERE name = 'dosql_stream'")).toBeNull();
      },
      { readOnly: (name) => (name === 'secret' ? readOnly : undefined) },
    );
  });
});

describe('every answer', () => {
  it('says what browsers need, and runs nothing that a client wrote', async () => {
    await withStreams(async ({ send }) => {
      const html = '<script>alert(1)</script>';
      const answers = [
        await send('PUT', 'a', { body: html, type: 'text/html' }),
        await send('GET', 'a'),
        await send('GET', 'missing'),
        await send('OPTIONS', 'a'),
      ];
      expect(await answers[1]?.text()).toBe(html);
      for (const { headers } of answers) {
        expect(headers.get('x-content-type-options')).toBe('nosniff');
        expect(headers.get('content-security-policy')).toBe("default-src 'none'; sandbox");
        expect(headers.get('access-control-allow-origin')).toBe('*');
      }
      expect(answers[3]?.headers.get('access-control-allow-methods')).toContain('DELETE');
    });
  });
});
