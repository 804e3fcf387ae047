import { createCDC, type Cdc, type PublicationOptions } from '@dotdo/cdc';
import { describe, expect, it } from 'vitest';
import type { Database } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';

const CANARY = 'canary-7f3a';

interface Published {
  readonly db: Database;
  readonly cdc: Cdc;
  readonly get: (path: string) => Promise<Response>;
  /** Lets hours pass, of which the log keeps one. */
  readonly pass: (hours: number) => Promise<void>;
}

function published(
  publications: Record<string, PublicationOptions>,
  use: (p: Published) => Promise<void>,
): Promise<void> {
  let now = Date.UTC(2100, 0);
  return withDatabase(
    async (db, { storage }) => {
      await db.exec('CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, email TEXT, team TEXT)');
      const cdc = createCDC(db, {
        streams: {
          database: db,
          basePath: '/s',
          publications: Object.keys(publications),
          authorize: () => true,
          longPollMs: 2_000,
          pageBytes: 2_000,
        },
      });
      for (const [name, options] of Object.entries(publications)) cdc.publication(name, options);
      await use({
        db,
        cdc,
        get: (path) => cdc.fetch(new Request(`https://app.example/s/${path}`)),
        async pass(hours) {
          now += hours * 3_600_000;
          for (;;) {
            await storage.deleteAlarm();
            await db.alarm();
            if (((await storage.getAlarm()) ?? Infinity) > now) return;
          }
        },
      });
    },
    { clock: () => now, history: { keep: '1h' } },
  );
}

const people: PublicationOptions = {
  tables: { users: { columns: ['id', 'name'], where: "team = 'red'" } },
};

interface Seen {
  readonly op: string;
  readonly lsn: number;
  readonly after: { readonly id: number; readonly name: string } | null;
}

describe('a publication', () => {
  it('is a stream of what it publishes, by its name, and of nothing else', async () => {
    await published({ people }, async ({ db, cdc, get }) => {
      await db.run('INSERT INTO users VALUES (1, ?, ?, ?)', ['Ada', CANARY, 'red']);
      await db.run('INSERT INTO users VALUES (2, ?, ?, ?)', [CANARY, CANARY, 'blue']);
      await db.run('UPDATE users SET email = ? WHERE id = 1', [`${CANARY}2`]);
      await db.run("UPDATE users SET team = 'blue' WHERE id = 1");
      const response = await get('people');
      expect(response.headers.get('stream-up-to-date')).toBe('true');
      expect(response.headers.get('stream-next-offset')).toBe(String(db.lsn()).padStart(19, '0'));
      const text = await response.text();
      expect(text).not.toContain(CANARY);
      expect((JSON.parse(text) as Seen[]).map(({ op, after }) => [op, after])).toEqual([
        ['insert', { id: 1, name: 'Ada' }],
        ['delete', null],
      ]);
      expect((await get('users')).status).toBe(404);
      await expect(cdc.streams.append('people', '1')).rejects.toMatchObject({ status: 404 });
    });
  });

  it('is read in pages, each change once, also those of one transaction', async () => {
    await published({ people }, async ({ db, get }) => {
      for (let i = 0; i < 20; i++)
        await db.transaction(async (tx) => {
          for (let j = 0; j < 40; j++)
            await tx.run('INSERT INTO users VALUES (?, ?, NULL, ?)', [
              i * 40 + j,
              'x'.repeat(j * 9),
              j % 3 === 0 ? 'red' : 'blue',
            ]);
        });
      const ids: number[] = [];
      let pages = 0;
      for (let at = '-1', isEnd = false; !isEnd; pages++) {
        const response = await get(`people?offset=${at}`);
        ids.push(...(await response.json<Seen[]>()).map(({ after }) => after?.id ?? -1));
        const next = response.headers.get('stream-next-offset') as string;
        expect(next > at || at === '-1').toBe(true);
        at = next;
        isEnd = response.headers.has('stream-up-to-date');
      }
      expect(ids).toEqual(Array.from({ length: 800 }, (_, id) => id).filter((id) => (id % 40) % 3 === 0));
      expect(pages).toBeGreaterThan(10);
    });
  });

  it('wakes who waits with what they may see, and not with what they may not', async () => {
    await published({ people }, async ({ db, cdc, get }) => {
      const polls = [1, 2, 3].map(() => get('people?offset=now&live=long-poll'));
      for (let i = 0; i < 200 && cdc.streams.waiting < 3; i++) await scheduler.wait(5);
      expect(cdc.streams.waiting).toBe(3);
      await db.run('INSERT INTO users VALUES (1, ?, NULL, ?)', [CANARY, 'blue']);
      await scheduler.wait(30);
      expect(cdc.streams.waiting).toBe(3);
      await db.run("INSERT INTO users VALUES (2, 'Eve', NULL, 'red')");
      for (const answer of await Promise.all(polls)) {
        const [event, ...others] = await answer.json<Seen[]>();
        expect(event).toMatchObject({ op: 'insert', after: { id: 2, name: 'Eve' } });
        expect(others).toEqual([]);
      }
    });
  });

  it('says 410 when the log no longer reaches back, and 400 to what is no offset', async () => {
    await published({ people }, async ({ db, get, pass }) => {
      const statusOf = async (offset: string): Promise<number> =>
        (await get(`people?offset=${encodeURIComponent(offset)}`)).status;
      await db.run("INSERT INTO users VALUES (1, 'Ada', NULL, 'red')");
      const tail = (await get('people')).headers.get('stream-next-offset') as string;
      for (const offset of ['1', 'x', "0'--", tail.replace(/^0/, '1')])
        expect(await statusOf(offset)).toBe(400);
      for (const name of ['Ida', 'Isa', 'Eva']) await db.run('UPDATE users SET name = ?', [name]);
      expect(await statusOf(tail)).toBe(200);
      await pass(3);
      for (const offset of ['-1', tail]) expect(await statusOf(offset)).toBe(410);
      expect(await statusOf('now')).toBe(200);
    });
  });

  it('that is wrong is a failure of the app, of which clients learn nothing', async () => {
    const wrong: PublicationOptions = { tables: { users: { columns: ['id'], where: `${CANARY} = email` } } };
    await published({ wrong }, async ({ db, get }) => {
      await db.run("INSERT INTO users VALUES (1, 'Ada', 'a', 'red')");
      await expect(get('wrong')).rejects.toThrow(/^a publication cannot be read$/);
    });
  });

  it('is not served without being asked for', async () => {
    await withDatabase(async (db) => {
      const cdc = createCDC(db);
      const request = new Request('https://app.example/s/people');
      expect((await failure(cdc.fetch(request))).code).toBe('BAD_PARAMETER');
      expect((await failure(() => cdc.streams)).code).toBe('BAD_PARAMETER');
      const silent = createCDC(db, { streams: { database: db } });
      silent.publication('people', { tables: { users: true } });
      expect((await silent.fetch(new Request('https://app.example/people'))).status).toBe(403);
      const unserved = createCDC(db, { streams: { database: db, authorize: () => true } });
      unserved.publication('people', { tables: { users: true } });
      expect((await unserved.fetch(new Request('https://app.example/people'))).status).toBe(404);
    });
  });
});
