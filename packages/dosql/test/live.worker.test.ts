import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { ask, Ear, inside, newLiveObject, replay } from './support/live.ts';

const TASKS = { tables: ['tasks'], snapshot: 'initial' };

describe('a socket', () => {
  it('brings the rows that are there, then every change, each once, while writes go on', async () => {
    const stub = newLiveObject();
    await inside(stub, (db) =>
      db.run(
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO tasks(id, title) SELECT i, hex(randomblob(40)) FROM n',
      ),
    );
    const ear = await Ear.open(stub);
    ear.subscribe('a', TASKS);
    await inside(stub, async (db) => {
      for (let i = 1; i <= 200; i++) {
        await db.run('UPDATE tasks SET title = ? WHERE id = ?', [`changed ${i}`, i * 15]);
        if (i % 3 === 0) await db.run('DELETE FROM tasks WHERE id = ?', [i * 7]);
        if (i % 5 === 0) await db.run('INSERT INTO tasks(title) VALUES (?)', [`new ${i}`]);
        if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    });
    await ear.ready();
    await inside(stub, (db) => db.run("UPDATE tasks SET status = 'last' WHERE id = 3000"));
    const rows = await inside(stub, (db) => db.query<{ id: number }>('SELECT * FROM tasks ORDER BY id'));
    await expect.poll(() => ear.events().at(-1)?.after?.['status']).toBe('last');
    expect([...ear.rows().values()].sort(byId)).toEqual(rows);
    // No row of the snapshot comes twice, and no change.
    const found = ear.events().filter(({ isSnapshot }) => isSnapshot === true);
    expect(new Set(found.map(({ key }) => key?.['id'])).size).toBe(found.length);
    const changes = ear
      .events()
      .filter(({ isSnapshot, table }) => isSnapshot !== true && table !== undefined);
    expect(changes.map(({ lsn }) => lsn)).toEqual(
      [...new Set(changes.map(({ lsn }) => lsn))].sort((a, b) => a - b),
    );
  });

  it('is dropped for what is no message, and what it had sent behind that does no harm', async () => {
    const stub = newLiveObject();
    const ear = await Ear.open(stub);
    await runInDurableObject(stub, async (object, state) => {
      const [socket] = state.getWebSockets() as [WebSocket];
      await object.webSocketMessage(socket, new ArrayBuffer(3));
      await object.webSocketMessage(socket, 'ping');
      await object.webSocketMessage(socket, JSON.stringify({ type: 'subscribe', id: 'a', ...TASKS }));
      await object.webSocketClose(socket);
      expect((await object.open()).errors).toEqual([]);
    });
    await expect.poll(() => ear.closedWith).toBe(1003);
    expect(ear.messages).toEqual([]);
  });

  it('carries several streams, of different shapes', async () => {
    const stub = newLiveObject();
    const ear = await Ear.open(stub);
    ear.subscribe('a', { ...TASKS, columns: { tasks: ['title'] } });
    ear.subscribe('b', { ...TASKS, where: { tasks: "status = 'done'" } });
    ear.subscribe('c', { tables: ['words'] });
    await Promise.all(['a', 'b', 'c'].map((id) => ear.ready(id)));
    await inside(stub, async (db) => {
      await db.run("INSERT INTO tasks(title) VALUES ('one'), ('two')");
      await db.run("UPDATE tasks SET status = 'done' WHERE id = 2");
      await db.run(`INSERT INTO words VALUES ('it''s', '"', 9007199254740993)`);
    });
    await expect.poll(() => ear.events('c').length).toBe(1);
    expect(ear.events('c')[0]).toMatchObject({
      op: 'insert',
      key: { word: "it's" },
      after: { 'a b': '"', n: { $int: '9007199254740993' } },
    });
    expect(
      ear
        .events('a')
        .filter(({ table }) => table)
        .map(({ after }) => after),
    ).toEqual([{ title: 'one' }, { title: 'two' }]);
    expect(ear.events('b').filter(({ table }) => table)).toMatchObject([{ op: 'insert', key: { id: 2 } }]);
    ear.send({ type: 'unsubscribe', id: 'a' });
    await inside(stub, (db) => db.run("UPDATE tasks SET title = 'three', status = 'done' WHERE id = 1"));
    await expect.poll(() => ear.events('b').filter(({ table }) => table).length).toBe(2);
    expect(ear.events('a').filter(({ table }) => table)).toHaveLength(2);
  });

  it('lives beside those of the app, in the same handlers, through hibernation', async () => {
    const stub = newLiveObject();
    const ear = await Ear.open(stub);
    ear.subscribe('a', TASKS);
    await ear.ready();
    const answer = await stub.fetch('http://do/own', { headers: { upgrade: 'websocket' } });
    const own = answer.webSocket as WebSocket;
    own.accept();
    const heard: string[] = [];
    own.addEventListener('message', ({ data }) => {
      heard.push(String(data));
    });
    own.send('hello');
    await expect.poll(() => heard).toEqual(['own hello']);
    await evictDurableObject(stub);
    own.send('{"type":"subscribe","id":"x"}');
    await expect.poll(() => heard).toEqual(['own hello', 'own {"type":"subscribe","id":"x"}']);
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('seen')"));
    await expect.poll(() => ear.rows().size).toBe(1);
    own.close();
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('too')"));
    await expect.poll(() => ear.rows().size).toBe(2);
    expect(heard).toHaveLength(2);
    ear.send('ping');
    await expect.poll(() => ear.bytes.endsWith('pong')).toBe(true);
  });

  it('goes on after hibernation, between any two messages, with nothing missed and nothing twice', async () => {
    const stub = newLiveObject();
    const ear = await Ear.open(stub);
    ear.subscribe('a', TASKS);
    ear.subscribe('b', { tables: ['tasks'], where: { tasks: 'id % 2 = 0' } });
    await ear.ready();
    await ear.ready('b');
    for (let i = 1; i <= 6; i++) {
      if (i % 3 === 2) await evictDurableObject(stub);
      await inside(stub, (db) =>
        db.run('INSERT INTO tasks(title) VALUES (?), (?)', [`${i}`, `${i} and a half`]),
      );
      if (i % 3 === 0) await evictDurableObject(stub);
    }
    await inside(stub, async () => {});
    await expect.poll(() => ear.events().filter(({ table }) => table).length).toBe(12);
    await expect.poll(() => ear.events('b').length).toBe(6);
    expect(
      ear
        .events()
        .filter(({ table }) => table)
        .map(({ key }) => key?.['id']),
    ).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(ear.of('a').filter(({ type }) => type === 'ready')).toHaveLength(1);
  });

  it('resumes after a disconnect at every event, also inside a snapshot', async () => {
    const stub = newLiveObject();
    await inside(stub, async (db) => {
      for (let i = 0; i < 40; i++)
        await db.run('INSERT INTO words VALUES (?, ?, ?)', [`w${i} é`, 'x'.repeat(8_000), i]);
    });
    const first = await Ear.open(stub);
    first.subscribe('a', { tables: ['words'], snapshot: 'initial' });
    await first.ready();
    await inside(stub, async (db) => {
      await db.run("UPDATE words SET n = 100, word = 'renamed' WHERE n = 1");
      await db.run('DELETE FROM words WHERE n = 2');
      await db.run("INSERT INTO words VALUES ('z', NULL, NULL)");
    });
    await expect.poll(() => first.events().at(-1)?.key).toEqual({ word: 'z' });
    const whole = first.of('a').filter((message) => message.type === 'changes');
    expect(whole.length).toBeGreaterThan(5);
    const expected = first.rows();
    for (let i = 0; i < whole.length; i++) {
      const ear = await Ear.open(stub);
      const from = whole[i]?.position;
      ear.subscribe('a', { tables: ['words'], from });
      await ear.ready();
      const seen = whole.slice(0, i + 1).flatMap(({ events }) => events);
      expect(replay([...seen, ...ear.events()])).toEqual(expected);
      ear.socket.close();
    }
  });

  it('is for those whom the app lets, and has nothing but what is published', async () => {
    const stub = newLiveObject();
    const statuses = [
      '',
      '?publication=none',
      '?publication=board&refuse',
      '?publication=board&publication=none',
    ];
    const answers = await Promise.all(statuses.map(async (query) => (await ask(stub, query)).status));
    expect(answers).toEqual([400, 403, 401, 403]);
    expect((await stub.fetch('http://do/live?publication=board')).status).toBe(426);
    const ear = await Ear.open(stub);
    ear.subscribe('a', { publication: 'open', tables: ['people'] });
    ear.subscribe('b', { tables: ['people'] });
    ear.subscribe('c', { tables: ['sqlite_master'] });
    ear.subscribe('d', { tables: ['__dosql_log'] });
    for (const id of ['a', 'b', 'c', 'd']) expect(await ear.error(id)).toBe('BAD_PARAMETER');
  });

  it('is held to the rows that the app allows, whatever it asks for', async () => {
    const stub = newLiveObject();
    await inside(stub, (db) => db.run("INSERT INTO tasks(title, owner) VALUES ('mine', 7), ('CANARY', 8)"));
    const ear = await Ear.open(stub, '?publication=board&owner=7');
    const asked = [undefined, 'owner = 8', 'TRUE OR TRUE', '1) OR (1', "owner = 8 OR title = 'CANARY'"];
    asked.forEach((where, i) =>
      ear.subscribe(`${i}`, { ...TASKS, ...(where && { where: { tasks: where } }) }),
    );
    ear.subscribe('log', { tables: ['tasks'], from: 0 });
    await ear.ready('0');
    await ear.ready('4');
    await ear.ready('log');
    expect(await ear.error('3')).toBe('SYNTAX');
    await evictDurableObject(stub);
    await inside(stub, async (db) => {
      await db.run("INSERT INTO tasks(title, owner) VALUES ('CANARY 2', 8)");
      await db.run("UPDATE tasks SET owner = 8, title = 'CANARY 3' WHERE title = 'mine'");
      await db.run("INSERT INTO tasks(title, owner) VALUES ('mine too', 7)");
    });
    await expect.poll(() => ear.events('0').at(-1)?.after?.['title']).toBe('mine too');
    expect(
      ear
        .events('0')
        .filter(({ table }) => table)
        .map(({ op }) => op),
    ).toEqual(['insert', 'delete', 'insert']);
    expect(ear.bytes.replaceAll('"where of table', '')).not.toContain('CANARY');
  });

  it('never lets out what is not published or masked, through any door', async () => {
    const stub = newLiveObject();
    const secrets = [
      'canary-mail',
      'canary-secret',
      'canary-iban',
      'canary-pin',
      'canary-other',
      'canary-member',
    ];
    await inside(stub, async (db) => {
      await db.run("INSERT INTO people(name, mail, secret) VALUES ('Ann', 'canary-mail', 'canary-secret')");
      await db.run("INSERT INTO people(name, country) VALUES ('canary-other', 'AU')");
      await db.run(
        "INSERT INTO accounts VALUES ('canary-iban', 1, 'canary-pin'), ('canary-iban 2', 2, 'canary-pin')",
      );
      // So many that positions inside their snapshot are sent.
      await db.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) INSERT INTO members SELECT 'canary-member ' || i, 'Bo' FROM n",
      );
    });
    const ear = await Ear.open(stub, '?publication=open');
    const doors: Record<string, unknown>[] = [
      { snapshot: 'initial' },
      { from: 0 },
      { tables: ['accounts'], snapshot: 'initial' },
      { tables: ['members'], snapshot: 'initial' },
      { tables: ['people'], snapshot: 'initial', columns: { people: ['secret'] } },
      { tables: ['people'], snapshot: 'initial', where: { people: "secret LIKE 'canary%'" } },
      { tables: ['people'], snapshot: 'initial', where: { people: "nothing LIKE 'x%'" } },
      { tables: ['people'], snapshot: 'initial', where: { people: "mail LIKE 'canary%'" } },
      { tables: ['people'], from: '0:["people"]' },
      { tables: ['people'], from: '0:["tasks"]' },
      { tables: ['people'], from: '0:["accounts","a"]' },
      { tables: ['members'], from: '0:["members","a"]' },
      { tables: ['accounts'], from: '0:["accounts","a"]' },
      { tables: ['people'], from: '0:["people",1,2,3]' },
      { tables: ['people'], from: '0:["__dosql_log"]' },
      { tables: ['members'], snapshot: 'initial', keyed: true },
      { tables: ['accounts'], snapshot: 'initial', keyed: true },
      { publication: 'secret', snapshot: 'initial' },
    ];
    for (const [i, door] of doors.entries()) {
      // One at a time: a socket carries some.
      ear.subscribe(`${i}`, door);
      await expect
        .poll(() => ear.of(`${i}`).some(({ type }) => type !== 'changes'), {
          timeout: 5_000,
          message: `door ${i}`,
        })
        .toBe(true);
      ear.send({ type: 'unsubscribe', id: `${i}` });
    }
    for (const garbage of [
      '{',
      '[]',
      '"x"',
      '{"type":"subscribe"}',
      '{"type":"subscribe","id":"g","tables":[1]}',
    ])
      ear.send(garbage);
    await expect
      .poll(() => ear.messages.filter(({ type, id }) => type === 'error' && id === undefined).length)
      .toBe(4);
    for (const id of ['2', '3']) ear.subscribe(`after ${id}`, { ...doors[Number(id)], id: `after ${id}` });
    await ear.ready('after 3');
    await inside(stub, async (db) => {
      await db.run("UPDATE people SET secret = 'canary-secret', mail = 'canary-mail', name = 'Ann'");
      await db.run("UPDATE accounts SET iban = 'canary-iban 3', pin = 'canary-pin' WHERE balance = 1");
      await db.run("INSERT INTO members VALUES ('canary-member x', 'Di')");
    });
    await expect.poll(() => ear.events('after 3').at(-1)?.after).toEqual({ name: 'Di' });
    // A position that was given for one table is none in another.
    const sealed = (ear.of('3')[0] as { position: string }).position;
    expect(sealed).toMatch(/^\d+:~/);
    ear.subscribe('stolen', { tables: ['people'], from: sealed });
    expect(await ear.error('stolen')).toBe('LSN_EXPIRED');
    for (const secret of secrets) expect(ear.bytes).not.toContain(secret);
    expect(ear.bytes).toContain('Ann');
    // What is hidden and what is not there are refused in the same words.
    const refusals = ['5', '6', '7'].map((id) => ear.of(id)[0] as { message: string });
    const words = refusals.map(({ message }) => message.replace(/secret|nothing|mail/, '…'));
    expect(new Set(words).size).toBe(1);
    expect(await ear.error('15')).toBe('BAD_PARAMETER');
    await ear.ready('16');
    expect(await inside(stub, async (_, { errors }) => errors)).toEqual([]);
  });

  it('tells nothing of what the app has got wrong, and tells the app', async () => {
    const stub = newLiveObject();
    const ear = await Ear.open(stub, '?publication=board&slip');
    ear.subscribe('a', TASKS);
    ear.subscribe('b', { ...TASKS, where: { tasks: 'nothing = 1' } });
    ear.subscribe('c', { tables: ['words'], snapshot: 'initial' });
    for (const id of ['a', 'b']) expect(await ear.error(id)).toBe('INTERNAL');
    await ear.ready('c');
    expect(ear.bytes).not.toContain('canary');
    const errors = await inside(stub, async (_, { errors }) => errors.map(String));
    expect(errors).toHaveLength(2);
    expect(errors[0]).toContain('canary_column');
  });

  it('outlives garbage, and closes what is no text or too long', async () => {
    const stub = newLiveObject();
    const ear = await Ear.open(stub);
    for (const garbage of [
      '',
      'null',
      '{"type":"nope"}',
      '{"type":"ack","ack":"x"}',
      '{"type":"subscribe","id":""}',
    ])
      ear.send(garbage);
    ear.subscribe('long', { where: { tasks: 'x'.repeat(1_001) } });
    ear.subscribe('deep', { from: '12:[{}]' });
    ear.subscribe('late', { from: 9_000_000 });
    ear.subscribe('wide', { tables: ['tasks'], where: { tasks: `title = '${'é'.repeat(900)}漢'` } });
    expect(await ear.error('long')).toBe('BAD_PARAMETER');
    expect(await ear.error('deep')).toBe('BAD_PARAMETER');
    expect(await ear.error('late')).toBe('LSN_EXPIRED');
    expect(await ear.error('wide')).toBe('BAD_PARAMETER');
    for (let i = 0; i < 17; i++) ear.subscribe(`${i}`, { tables: ['tasks'] });
    expect(await ear.error('16')).toBe('BAD_PARAMETER');
    await ear.ready('15');
    await evictDurableObject(stub);
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('still')"));
    await expect.poll(() => ear.events('15').length).toBe(1);
    ear.send('x'.repeat(20_000));
    await expect.poll(() => ear.closedWith).toBe(1009);
    const other = await Ear.open(stub);
    other.socket.send(new Uint8Array([1, 2]));
    await expect.poll(() => other.closedWith).toBe(1003);
  });

  it('that does not acknowledge is left behind, costs nothing, and catches up', async () => {
    const stub = newLiveObject();
    const [slow, quick] = [await Ear.open(stub), await Ear.open(stub)];
    slow.isAcknowledging = false;
    for (const ear of [slow, quick]) {
      ear.subscribe('a', TASKS);
      await ear.ready();
    }
    const title = 'x'.repeat(10_000);
    for (let i = 0; i < 100; i++)
      await inside(stub, (db) => db.run('INSERT INTO tasks(title) VALUES (?)', [title]));
    await expect.poll(() => quick.rows().size, { timeout: 10_000 }).toBe(100);
    expect(slow.bytes.length).toBeLessThan(450_000);
    await evictDurableObject(stub);
    slow.isAcknowledging = true;
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('last')"));
    await expect.poll(() => slow.rows().size, { timeout: 10_000 }).toBe(101);
    expect(slow.events().filter(({ table }) => table)).toHaveLength(101);
  });

  it('that closes costs the others nothing, also while the object sleeps', async () => {
    const stub = newLiveObject();
    const ears = await Promise.all(Array.from({ length: 3 }, () => Ear.open(stub)));
    for (const ear of ears) ear.subscribe('a', TASKS);
    await Promise.all(ears.map((ear) => ear.ready()));
    ears[0]?.socket.close();
    await evictDurableObject(stub);
    ears[1]?.socket.close();
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('one')"));
    await expect.poll(() => ears[2]?.rows().size).toBe(1);
  });

  it('is one of a thousand on one object, which all get everything, also after hibernation', async () => {
    const stub = newLiveObject();
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('before')"));
    const ears = await Promise.all(Array.from({ length: 1_000 }, () => Ear.open(stub)));
    for (const ear of ears) ear.subscribe('a', TASKS);
    await expect.poll(() => ears.every((ear) => ear.rows().size === 1), { timeout: 30_000 }).toBe(true);
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('one')"));
    await evictDurableObject(stub);
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('two')"));
    await expect.poll(() => ears.every((ear) => ear.rows().size === 3), { timeout: 30_000 }).toBe(true);
    expect(ears.every((ear) => ear.events().filter(({ table }) => table).length === 3)).toBe(true);
    const sockets = await runInDurableObject(stub, (_, state) => state.getWebSockets('dosql:cdc').length);
    expect(sockets).toBe(1_000);
  });
});

function byId(a: unknown, b: unknown): number {
  return (a as { id: number }).id - (b as { id: number }).id;
}
