import { describe, expect, inject, it } from 'vitest';
import { counted } from '../support/counted.ts';
import { Ear, inside, newLiveObject } from '../support/live.ts';
import { Random } from '../support/random.ts';
import { seeds } from '../support/seeds.ts';
import { withStreams } from '../support/streams.ts';

/** What no client of ours would send, over sockets and by HTTP. */
const RUNS = Number(inject('runs')) || 400;
const REFUSALS = /^(?:BAD_PARAMETER|LSN_EXPIRED|FORBIDDEN|NO_SUCH_TABLE|NO_SUCH_COLUMN|SYNTAX)$/;

const WORDS = [
  'subscribe',
  'unsubscribe',
  'ack',
  'ping',
  'a',
  'tasks',
  'words',
  '__dosql_log',
  'sqlite_schema',
  'none',
  'initial',
  '',
  'x'.repeat(300),
  '__proto__',
  'constructor',
  'board',
  'people',
  "'; DROP TABLE tasks; --",
  '\0',
  '\ud800',
  'é𝄞',
];
const FIELDS = [
  'type',
  'id',
  'publication',
  'tables',
  'columns',
  'where',
  'from',
  'snapshot',
  'keyed',
  'ack',
  '__proto__',
  'constructor',
  'toJSON',
];
const CONDITIONS = [
  'id = 1',
  'id',
  '1) OR (1',
  '(SELECT 1)',
  'tasks.id IN words',
  "title = ':a'",
  'id = ?',
  '((((',
  'randomblob(1e9)',
  'owner IS NULL',
  '',
];

/** Any value that JSON has. */
function anything(random: Random, depth = 2): unknown {
  return random.pick<() => unknown>([
    () => random.pick(WORDS),
    () => random.pick([0, -1, 1e308, 2 ** 53, 0.5, 4, -0]),
    () => random.pick([null, true, false]),
    () => (depth === 0 ? [] : random.times(random.int(4), () => anything(random, depth - 1))),
    () => (depth === 0 ? {} : fields(random, depth - 1)),
  ])();
}

/** An object with any fields, also by names that objects have of their own. */
function fields(random: Random, depth: number): unknown {
  const entries = random.times(
    random.int(5),
    () => `${JSON.stringify(random.pick([...FIELDS, ...WORDS]))}:${JSON.stringify(anything(random, depth))}`,
  );
  return JSON.parse(`{${entries.join(',')}}`);
}

/** A message that is nearly right. */
function nearly(random: Random): string {
  const message: Record<string, unknown> = {
    type: random.pick(['subscribe', 'subscribe', 'unsubscribe', 'ack']),
    id: random.pick(['a', 'b', 'c']),
    tables: ['tasks'],
  };
  if (random.chance(0.4)) message['where'] = { tasks: random.pick(CONDITIONS) };
  if (random.chance(0.3)) message['columns'] = { tasks: [random.pick(['id', 'title', 'no', '__proto__'])] };
  if (random.chance(0.4))
    message['from'] = random.pick<unknown>([
      0,
      '0',
      '5',
      '5:["tasks",1]',
      '1:xx',
      -1,
      1e300,
      '9'.repeat(40),
      '5:sealed',
    ]);
  if (random.chance(0.3)) message['snapshot'] = 'initial';
  if (random.chance(0.5)) message[random.pick(FIELDS.slice(0, 10))] = anything(random);
  return JSON.stringify(message);
}

/** A frame, of whatever kind. */
function frame(random: Random): string | ArrayBuffer {
  return random.pick<() => string | ArrayBuffer>([
    () => nearly(random),
    () => nearly(random),
    () => nearly(random),
    () => JSON.stringify(anything(random)),
    () => nearly(random).slice(0, random.int(40)),
    () =>
      random.pick([
        '',
        'ping',
        'null',
        '[]',
        '{',
        '"',
        '\0',
        '{"type":"ack","ack":1e999}',
        '['.repeat(8_000),
      ]),
    () => (random.chance(0.3) ? `{"type":"subscribe","id":"a","x":"${'y'.repeat(20_000)}"}` : nearly(random)),
    () =>
      random.chance(0.2)
        ? new Uint8Array(random.times(random.int(20), () => random.int(256))).buffer
        : nearly(random),
  ])();
}

describe.each(seeds(20_261_121))('seed %i', (seed) => {
  it(
    'no message of one socket harms the object, or another socket',
    { timeout: 60_000 + 50 * RUNS },
    async () => {
      console.log(`messages: VITE_SEED=${seed}`);
      const random = new Random(seed);
      const stub = newLiveObject();
      const steady = await Ear.open(stub);
      steady.subscribe('a', { tables: ['tasks'] });
      await steady.ready();
      const first = await inside(stub, async (db) => db);
      let ears: Ear[] = [];
      let [sent, writes, dropped, refused] = [0, 0, 0, 0];
      for (let i = 0; i < RUNS; i++) {
        if (ears.length < 4 || random.chance(0.05)) {
          for (const ear of ears.splice(3)) ear.socket.close();
          ears.push(await Ear.open(stub));
        }
        const ear = random.pick(ears);
        ear.isAcknowledging = random.chance(0.5);
        try {
          ear.socket.send(frame(random));
          sent++;
        } catch {
          // It has been closed for what it sent before.
        }
        if (!random.chance(0.1)) continue;
        await inside(stub, (db) => db.run('INSERT INTO tasks(title) VALUES (?)', [`write ${writes++}`]));
        await expect.poll(() => steady.rows().size, { timeout: 10_000, message: `frame ${i}` }).toBe(writes);
        for (const one of ears) {
          for (const message of one.messages)
            if (message.type === 'error') {
              expect(message.code, JSON.stringify(message)).toMatch(REFUSALS);
              refused++;
            }
          if (one.closedWith === undefined) continue;
          expect([1000, 1003, 1009], `closed with ${one.closedWith}`).toContain(one.closedWith);
          dropped++;
        }
        ears = ears.filter(({ closedWith }) => closedWith === undefined);
      }
      // The object is the one that it was, and it has met no error of its own.
      await inside(stub, async (db, { errors }) => {
        expect(db).toBe(first);
        expect(errors).toEqual([]);
        expect(await db.get('SELECT count(*) AS n FROM tasks')).toEqual({ n: writes });
      });
      expect(steady.events().filter(({ table }) => table === 'tasks')).toHaveLength(writes);
      expect(steady.closedWith).toBeUndefined();
      expect(steady.messages.filter(({ type }) => type === 'error')).toEqual([]);
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
      counted('messages of sockets', { sent, refused, 'sockets closed': dropped, 'writes seen': writes });
      expect(refused).toBeGreaterThan(RUNS / 20);
      expect(dropped).toBeGreaterThan(0);
    },
  );

  it(
    'every request for a socket or a stream is answered, and none by the server failing',
    { timeout: 60_000 + 50 * RUNS },
    async () => {
      console.log(`requests: VITE_SEED=${seed}`);
      const random = new Random(seed);
      const stub = newLiveObject();
      const statuses = new Map<number, number>();
      const note = (status: number, label: string): void => {
        expect(status, label).toBeLessThan(500);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      };
      for (let i = 0; i < RUNS / 4; i++) {
        const query = random.times(
          random.int(4),
          () =>
            `${random.pick(['publication', 'refuse', 'owner', '__proto__', 'x'])}=${encodeURIComponent(random.pick(WORDS).toWellFormed())}`,
        );
        const headers: Record<string, string> = { upgrade: random.pick(['websocket', 'WebSocket']) };
        if (random.chance(0.3))
          headers['sec-websocket-protocol'] = random.pick(['dosql.cdc', 'x, y', ',', 'dosql.cdc, dosql.cdc']);
        const response = await stub.fetch(`http://do/live?${query.join('&')}`, { headers });
        note(response.status, query.join('&'));
        response.webSocket?.accept();
        response.webSocket?.close();
      }
      await withStreams(async ({ db, streams }) => {
        for (let i = 0; i < RUNS; i++) {
          const request = anyRequest(random);
          const label = `${request.method} ${request.url} ${JSON.stringify([...request.headers])}`;
          const response = await streams.fetch(request);
          note(response.status, label);
          await response.body?.cancel();
        }
        expect(await db.get('SELECT 1 AS one')).toEqual({ one: 1 });
      });
      counted(
        'HTTP requests',
        Object.fromEntries([...statuses].map(([status, count]) => [`answered ${status}`, count])),
      );
      expect(statuses.get(400)).toBeGreaterThan(RUNS / 40);
      expect(statuses.get(201) ?? statuses.get(200)).toBeGreaterThan(0);
    },
  );
});

const HEADERS = [
  'stream-seq',
  'stream-ttl',
  'stream-expires-at',
  'stream-closed',
  'stream-forked-from',
  'stream-fork-offset',
  'stream-fork-sub-offset',
  'producer-id',
  'producer-epoch',
  'producer-seq',
  'if-none-match',
  'content-length-x',
  'content-type',
  'accept',
];
const VALUES = [
  '',
  '0',
  '-1',
  '1',
  '9'.repeat(30),
  '1e3',
  'NaN',
  'true',
  'false',
  'now',
  '"x"',
  'a,b',
  '../x',
  '/streams/s1',
  's1',
  'application/json',
  'text/plain',
  'text/event-stream',
  'multipart/form-data',
  '0_0',
  '2026-01-01T00:00:00Z',
  'tomorrow',
  '%00',
  '__proto__',
];
const PATHS = [
  's1',
  's1',
  's2',
  '',
  '..',
  '%2e%2e',
  'a/b',
  '%00',
  '%ff',
  '%',
  '__proto__',
  'x'.repeat(400),
  '@published',
  'é',
  "s'1",
];

/** A request for a stream. */
function anyRequest(random: Random): Request {
  const method = random.pick([
    'GET',
    'GET',
    'PUT',
    'PUT',
    'POST',
    'POST',
    'DELETE',
    'HEAD',
    'PATCH',
    'OPTIONS',
  ]);
  const query = random.times(
    random.int(3),
    () =>
      `${random.pick(['offset', 'live', 'cursor', 'x', '__proto__'])}=${encodeURIComponent(random.pick([...VALUES, '-1', 'sse', 'now']))}`,
  );
  // A reader that waits is left alone: nobody is going to write.
  const asked = query.filter((each) => !/^live=(?:true|long-poll|sse)/.test(each));
  const headers: Record<string, string> = random.chance(0.6) ? { 'content-type': 'application/json' } : {};
  for (let i = random.int(3); i > 0; i--) headers[random.pick(HEADERS)] = random.pick(VALUES);
  const hasBody = (method === 'PUT' || method === 'POST' || method === 'PATCH') && random.chance(0.8);
  const body = random.pick<() => string>([
    () => JSON.stringify([anything(random)]),
    () => JSON.stringify(anything(random)),
    () => JSON.stringify(anything(random)).slice(0, random.int(10)),
    () => `[${'['.repeat(random.int(3_000))}`,
    () => '{"__proto__":{"polluted":1}}',
    () => '',
  ])();
  return new Request(`https://app.example/streams/${random.pick(PATHS)}?${asked.join('&')}`, {
    method,
    headers,
    ...(hasBody ? { body } : {}),
  });
}
