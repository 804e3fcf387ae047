import { createCDC, eventToJson, toDebezium, type Cdc, type ChangeEvent, type Mask } from '@dotdo/cdc';
import { describe, expect, it } from 'vitest';
import type { Database, DoSQLError } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';

/** No byte that leaves may hold one of these. */
const CANARIES = {
  column: 'canary-4f1c-column',
  masked: 'canary-9b2e-masked@example.com',
  key: 'canary-77aa-key',
  row: 'canary-c0de-row',
  table: 'canary-1dea-table',
};

const KEY = 'a key of the tests';

async function withUsers(use: (db: Database, cdc: Cdc) => Promise<void>): Promise<void> {
  await withDatabase(async (db) => {
    await db.exec(`
      CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, email TEXT, ssn TEXT, country TEXT);
      CREATE TABLE cards(number TEXT PRIMARY KEY, kind TEXT) WITHOUT ROWID;
      CREATE TABLE secrets(id INTEGER PRIMARY KEY, value TEXT);
    `);
    const cdc = createCDC(db);
    cdc.publication('public', {
      tables: {
        users: {
          columns: ['id', 'name', 'email', 'country'],
          where: "country = 'DE' AND ssn IS NOT NULL",
          mask: { email: { hash: KEY } },
        },
        cards: { columns: ['kind'] },
      },
    });
    await write(db);
    await use(db, cdc);
  });
}

async function write(db: Database): Promise<void> {
  const user = 'INSERT INTO users VALUES (?, ?, ?, ?, ?)';
  await db.run(user, [1, 'Ann', CANARIES.masked, CANARIES.column, 'DE']);
  await db.run(user, [2, CANARIES.row, CANARIES.masked, CANARIES.column, 'FR']);
  await db.run("UPDATE users SET ssn = ssn || '2', name = 'Anna' WHERE id = 1");
  await db.run("UPDATE users SET country = 'FR', name = ? WHERE id = 1", [CANARIES.row]);
  await db.run("UPDATE users SET country = 'DE', name = 'Anne' WHERE id = 1");
  for (let i = 0; i < 5; i++)
    await db.run('INSERT INTO cards VALUES (?, ?)', [`${CANARIES.key} ${i}`, 'debit']);
  await db.run("UPDATE cards SET number = number || '!', kind = 'credit' WHERE number LIKE '%3'");
  await db.run('INSERT INTO secrets VALUES (1, ?)', [CANARIES.table]);
}

/** Everything that `events` could send, in each of its forms. */
function bytes(events: readonly ChangeEvent[]): string {
  return events.map((event) => JSON.stringify([eventToJson(event), toDebezium(event)])).join('\n');
}

async function all(
  cdc: Cdc,
  options: Parameters<Cdc['subscribe']>[1] = {},
  from: number | string = 0,
): Promise<ChangeEvent[]> {
  const events: ChangeEvent[] = [];
  for await (const event of cdc.subscribe(from, { snapshot: 'only', ...options })) events.push(event);
  return events;
}

function textOf(error: DoSQLError): string {
  return JSON.stringify([error.code, error.message, error.sql, error.stack, String(error.cause)]);
}

/** Any of the canaries in a text, also where its base64 parts are read. */
function leaks(text: string): string[] {
  const decoded = [...text.matchAll(/[\w+/=-]{8,}/g)].map(([part]) => {
    try {
      return atob(part.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, ''));
    } catch {
      return '';
    }
  });
  return Object.values(CANARIES).filter((canary) => [text, ...decoded].some((each) => each.includes(canary)));
}

describe('what is not published', () => {
  it('does not leave by a stream, whatever it begins with and asks for', async () => {
    await withUsers(async (_, cdc) => {
      const publication = 'public';
      const snapshot = await all(cdc, { publication, batch: 2, transactions: true });
      const { changes } = await cdc.read(0, { publication });
      const some = await all(cdc, {
        publication,
        tables: ['USERS'],
        columns: { users: ['NAME'] },
        where: { users: "email <> ''" },
      }).catch((error: unknown) => [error]);
      expect(
        changes.filter(({ table }) => table === 'users').map(({ op, after }) => [op, after?.['name']]),
      ).toEqual([
        ['insert', 'Ann'],
        ['update', 'Anna'],
        ['delete', undefined],
        ['insert', 'Anne'],
      ]);
      expect(snapshot.filter((event) => event.op === 'insert')).toHaveLength(6);
      expect(leaks(bytes([...snapshot, ...changes]))).toEqual([]);
      expect(some).toMatchObject([{ code: 'NO_SUCH_COLUMN' }]);
    });
  });

  it('does not leave by a slot, nor by its position', async () => {
    await withUsers(async (db, cdc) => {
      const slot = await cdc.slot('s', { publication: 'public', snapshot: 'initial' });
      const texts: string[] = [];
      const kinds: unknown[] = [];
      for (let i = 0; i < 100; i++) {
        const events = await slot.read(2);
        const last = events.at(-1);
        if (last === undefined) break;
        kinds.push(...events.flatMap((event) => ('after' in event ? [event.after?.['kind']] : [])));
        texts.push(bytes(events), await slot.position());
        await slot.ack(last.cursor ?? last.lsn);
        texts.push(await slot.position());
        if (i < 3) await db.run('INSERT INTO cards VALUES (?, ?)', [`${CANARIES.key} more ${i}`, `new ${i}`]);
      }
      expect(kinds.filter((kind) => kind !== undefined)).toHaveLength(8);
      expect(leaks(texts.join('\n'))).toEqual([]);
    });
  });

  it('cannot be felt for with positions that somebody made up', async () => {
    await withUsers(async (_, cdc) => {
      const options = { publication: 'public' };
      const cursors = (await all(cdc, { ...options, batch: 2 })).flatMap((event) =>
        event.cursor === undefined ? [] : [event.cursor],
      );
      const [given] = cursors;
      if (given === undefined) throw new Error('there is no cursor');
      expect((await all(cdc, options, given)).length).toBeGreaterThan(0);
      const forged = given.replace(/.{2}$/, (end) => (end === 'AA' ? 'BB' : 'AA'));
      for (const position of [`5:["cards","${CANARIES.key} 3"]`, forged, '5:~', '5:~AAAA', `${given}AAAA`])
        expect((await failure(all(cdc, options, position))).code).toBe('BAD_PARAMETER');
      expect((await failure(all(cdc, {}, given))).code).toBe('BAD_PARAMETER');
      cdc.publication('other', { tables: { users: { columns: ['id'] } } });
      expect((await failure(all(cdc, { publication: 'other' }, given))).code).toBe('BAD_PARAMETER');
      // A table that this stream has not asked for is not in it, wherever it begins.
      expect(await all(cdc, { ...options, tables: ['users'] }, given)).toMatchObject([
        { table: 'users', after: { name: 'Anne' } },
        { op: 'snapshot-end' },
      ]);
    });
  });

  const attempts: Readonly<Record<string, Parameters<Cdc['subscribe']>[1]>> = {
    'a table': { tables: ['secrets'] },
    'a table that is nowhere': { tables: ['nowhere'] },
    'a table of the log': { tables: ['__dosql_log'] },
    'the schema': { tables: ['sqlite_schema'] },
    'a column': { tables: ['users'], columns: { users: ['id', 'SSN'] } },
    'a column that is nowhere': { tables: ['users'], columns: { users: ['nothing'] } },
    'schema events': { schema: true },
    'a condition on a column': { tables: ['users'], where: { users: "ssn LIKE 'canary%'" } },
    'a condition on it with its table': { tables: ['users'], where: { users: '"users" . [ssn] IS NULL' } },
    'a condition on it quoted': { tables: ['users'], where: { users: '`ssn` > 1' } },
    'a condition on it as a text': { tables: ['users'], where: { users: '"ssn" = 1' } },
    'a condition on a masked column': { tables: ['users'], where: { users: "email = 'a'" } },
    'a condition on a hidden key': { tables: ['cards'], where: { cards: "number > 'a'" } },
    'a subquery': { tables: ['users'], where: { users: 'id IN (SELECT id FROM secrets)' } },
    'a subquery in a function': { tables: ['users'], where: { users: 'exists(SELECT 1 FROM secrets)' } },
    'a table as a list': { tables: ['users'], where: { users: 'id IN secrets' } },
    'another table': { tables: ['users'], where: { users: 'secrets.value = 1' } },
    'the rest of the statement': { tables: ['users'], where: { users: '1) UNION SELECT ssn FROM users --' } },
    'a bracket closed': { tables: ['users'], where: { users: '1) OR (1' } },
    'a comment': { tables: ['users'], where: { users: '1 /* OR */' } },
    'a statement': { tables: ['users'], where: { users: '1; DELETE FROM users' } },
    'a parameter': { tables: ['users'], where: { users: 'id = ?1' } },
    'the log by name': { tables: ['users'], where: { users: '__dosql_lsn > 0' } },
    'an aggregate': { tables: ['users'], where: { users: 'count(*) > 0' } },
    'a window': { tables: ['users'], where: { users: 'row_number() OVER () > 0' } },
    'a raised error': { tables: ['users'], where: { users: "RAISE(ABORT, 'x')" } },
    'a function that is no plain one': {
      tables: ['users'],
      where: { users: 'randomblob(1000000000) IS NULL' },
    },
    'a match': { tables: ['users'], where: { users: "name MATCH 'x'" } },
  };

  it.each(Object.keys(attempts))('is refused without a word about it: %s', async (name) => {
    await withUsers(async (_, cdc) => {
      const error = await failure(async () => all(cdc, { publication: 'public', ...attempts[name] }));
      expect(['BAD_PARAMETER', 'NO_SUCH_COLUMN', 'SYNTAX', 'FORBIDDEN']).toContain(error.code);
      expect(leaks(textOf(error))).toEqual([]);
      const slot = await failure(async () =>
        (
          await cdc.slot('s', { publication: 'public', snapshot: 'initial', ...(attempts[name] as object) })
        ).read(),
      );
      expect([slot.code, slot.message]).toEqual([error.code, error.message]);
    });
  });

  it('is told apart from what is nowhere by no error', async () => {
    await withUsers(async (_, cdc) => {
      const said = async (options: Parameters<Cdc['subscribe']>[1]): Promise<string> =>
        (await failure(async () => all(cdc, { publication: 'public', ...options }))).message.replaceAll(
          /secrets|nowhere|ssn|none/g,
          'x',
        );
      expect(await said({ tables: ['secrets'] })).toBe(await said({ tables: ['nowhere'] }));
      const column = (name: string) => ({ tables: ['users'], columns: { users: [name] } });
      expect(await said(column('ssn'))).toBe(await said(column('none')));
      const where = (name: string) => ({ tables: ['users'], where: { users: `${name} = 1` } });
      expect(await said(where('ssn'))).toBe(await said(where('none')));
    });
  });

  it('does not show by where a condition fails: it is asked only about published rows', async () => {
    await withUsers(async (_, cdc) => {
      const oracle = `CASE WHEN name = '${CANARIES.row}' THEN json_extract('no json', '$') ELSE 1 END`;
      const options = { publication: 'public', tables: ['users'], where: { users: oracle } };
      expect((await all(cdc, options)).map(({ op }) => op)).toEqual(['insert', 'snapshot-end']);
      expect((await cdc.read(0, options)).changes).toHaveLength(4);
      const known = { ...options, where: { users: oracle.replace(CANARIES.row, 'Anne') } };
      await expect(cdc.read(0, known)).rejects.toThrow('malformed JSON');
    });
  });

  it('has to be named to a publication that there is', async () => {
    await withUsers(async (_, cdc) => {
      for (const publication of ['none', '', '__proto__', 'toString'])
        expect((await failure(async () => all(cdc, { publication }))).code).toBe('BAD_PARAMETER');
    });
  });
});

describe('a mask', () => {
  const masked = (mask: Mask, value: string): Promise<unknown> =>
    withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v)');
      const cdc = createCDC(db);
      cdc.publication('p', { tables: { T: { mask: { V: mask } } } });
      await db.exec(`INSERT INTO t VALUES (1, ${value}); UPDATE t SET id = 2; DELETE FROM t`);
      const { changes } = await cdc.read(0, { publication: 'p' });
      const [first] = changes;
      expect(
        changes.every(({ before, after }) => Object.is((before ?? after)?.['v'], first?.after?.['v'])),
      ).toBe(true);
      return first?.after?.['v'];
    });

  it.each([
    ['null', "'text'", null],
    [{ truncate: 2 }, "'añ𝄞'", 'añ'],
    [{ truncate: 3 }, "'añ𝄞b'", 'añ𝄞'],
    [{ truncate: 0 }, "'text'", ''],
    [{ truncate: 2 }, '12345', null],
    [{ truncate: 2 }, 'NULL', null],
    [{ constant: 'gone' }, "'text'", 'gone'],
    [{ constant: 0 }, 'NULL', 0],
    // echo -n ttext | openssl dgst -sha256 -hmac key
    [{ hash: 'key' }, "'text'", '2baa4be72af2df5b2c37fe2930b3eff39fa15c482bd5d0ef13ed1fdc496e8d6c'],
    [{ hash: 'key' }, 'NULL', null],
  ] as [Mask, string, unknown][])('%j of %s', async (mask, value, shown) => {
    expect(await masked(mask, value)).toEqual(shown);
  });

  it('of a column that is not there lets nothing out', async () => {
    await withUsers(async (_, cdc) => {
      cdc.publication('slip', { tables: { users: { mask: { emial: 'null' } } } });
      const error = await failure(cdc.read(0, { publication: 'slip' }));
      expect([error.code, error.message]).toEqual(['NO_SUCH_COLUMN', expect.stringContaining('users.emial')]);
    });
  });

  it('hashes equal values alike, and others not', async () => {
    const hash = (value: string, key = 'k'): Promise<unknown> => masked({ hash: key }, value);
    const text = await hash("'1'");
    expect(await hash("'1'")).toBe(text);
    const others = [await hash('1'), await hash("x'31'"), await hash("'2'"), await hash("'1'", 'other')];
    expect(new Set([text, ...others]).size).toBe(5);
  });

  it.each([
    [{}, 'names no tables'],
    [{ tables: {} }, 'names no tables'],
    [{ tables: { t: { mask: { v: 'hash' } } } }, 'masks "t"."v" with "hash"'],
    [{ tables: { t: { mask: { v: { hash: '' } } } } }, 'masks "t"."v"'],
    [{ tables: { t: { mask: { v: { truncate: -1 } } } } }, 'masks "t"."v"'],
  ])('that is none is refused: %j', async (options, message) => {
    await withDatabase(async (db) => {
      const error = await failure(() => createCDC(db).publication('p', options as never));
      expect([error.code, error.message]).toEqual(['BAD_PARAMETER', expect.stringContaining(message)]);
    });
  });
});
