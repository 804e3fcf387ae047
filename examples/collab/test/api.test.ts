import { until, HttpClient, type LocalApp } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Person, startLocally, type DocumentAccess } from '../local.ts';

interface Refused {
  readonly error: string;
  readonly issues?: readonly { readonly field: string }[];
}
interface Shown {
  readonly blocks: readonly { readonly id: string; readonly text: string; readonly position: string }[];
}
interface Runs {
  readonly runs: readonly { readonly kind: string; readonly lsn: number; readonly user_name: string }[];
  readonly lsn: number;
}

let app: LocalApp;
let ada: Person;
let bo: Person;

beforeAll(async () => {
  app = await startLocally();
  ada = await Person.found(app.url.origin, 'acme', 'Ada');
  bo = await ada.invite('Bo');
});
afterAll(async () => app.harness.close());

/** Does something in a window on a branch, waits until it is done, and closes the window. */
async function edit(
  access: DocumentAccess,
  work: (replica: Awaited<ReturnType<DocumentAccess['open']>>['replica']) => void,
  branch = 'main',
): Promise<void> {
  const window = await access.open({ branch });
  work(window.replica);
  window.changed();
  await until(() => window.replica.isSettled);
  window.close();
}

/** A document with these paragraphs. */
async function withTexts(...texts: string[]): Promise<{ access: DocumentAccess; ids: string[] }> {
  const access = await ada.create('Document');
  const ids: string[] = [];
  await edit(access, (replica) => {
    for (const text of texts) ids.push(replica.insert(ids.at(-1) ?? null, 'paragraph', text));
  });
  return { access, ids };
}

async function texts(access: DocumentAccess, query = ''): Promise<string[]> {
  return (await access.get<Shown>(`/blocks${query}`)).blocks.map(({ text }) => text);
}

describe('who may do what', () => {
  it('is nobody without a token, nor with that of another workspace or document', async () => {
    const { access } = await withTexts('secret');
    const eve = await Person.found(app.url.origin, 'evil', 'Eve');
    const guest = await (
      await eve.create('Hers')
    ).post<{ token: string }>('/links', { role: 'editor', hours: 1 });
    for (const path of ['/', '/blocks', '/members', '/history', '/live?client=12345678']) {
      expect((await new HttpClient(access.url).send('GET', path)).status).toBe(401);
      expect((await access.as('guess').send('GET', path)).status).toBe(401);
      expect((await access.as(eve.token).send('GET', path)).status).toBe(403);
      expect((await access.as(guest.token).send('GET', path)).status).toBe(403);
      // A user of the workspace, whom nobody has let in.
      expect((await access.as(bo.token).send('GET', path)).status).toBe(403);
    }
    expect((await eve.document(access.id).send('GET', '/blocks')).status).toBe(404);
    const unknown = await ada.document(crypto.randomUUID()).send<Refused>('GET', '/');
    expect(unknown).toMatchObject({ status: 404, body: { error: 'there is no such document' } });
  });

  it('goes by role, which an admin gives, changes and takes', async () => {
    const { access } = await withTexts('text');
    const bos = access.as(bo.token);
    await access.post('/members', { user: bo.id, role: 'viewer' });
    expect(await texts(bos)).toEqual(['text']);
    for (const [path, body] of [
      ['/branches', { name: 'x' }],
      ['/restore', { to: { lsn: 1 } }],
      ['/versions', { name: 'x' }],
      ['/members', { user: ada.id, role: 'viewer' }],
      ['/links', { role: 'viewer', hours: 1 }],
    ] as const)
      expect([path, (await bos.send('POST', path, body)).status]).toEqual([path, 403]);
    await access.patch(`/members/${bo.id}`, { role: 'editor' });
    await bos.post('/versions', { name: 'by Bo' });
    expect((await bos.send('PATCH', `/members/${bo.id}`, { role: 'admin' })).status).toBe(403);
    expect((await bos.send('DELETE', `/members/${ada.id}`)).status).toBe(403);
    // The last admin stays.
    expect((await access.send('DELETE', `/members/${ada.id}`)).status).toBe(409);
    expect((await access.send('PATCH', `/members/${ada.id}`, { role: 'editor' })).status).toBe(409);
    expect((await bos.send('DELETE', `/members/${bo.id}`)).status).toBe(204);
    expect((await bos.send('GET', '/blocks')).status).toBe(403);
    expect((await access.send('POST', '/members', { user: 'nobody', role: 'editor' })).status).toBe(422);
    await access.post('/members', { user: bo.id, role: 'editor' });
    expect((await access.send('POST', '/members', { user: bo.id, role: 'editor' })).status).toBe(409);
  });

  it('leaves an admin, also when two of them go at once', async () => {
    for (const method of ['DELETE', 'PATCH']) {
      const { access } = await withTexts('text');
      await access.post('/members', { user: bo.id, role: 'admin' });
      const go = (as: DocumentAccess, id: string): Promise<{ status: number }> =>
        as.send(method, `/members/${id}`, method === 'PATCH' ? { role: 'viewer' } : undefined);
      const statuses = (await Promise.all([go(access, ada.id), go(access.as(bo.token), bo.id)])).map(
        ({ status }) => status,
      );
      expect(statuses.filter((status) => status === 409)).toHaveLength(1);
    }
  });

  it('closes the window of whoever is put out', async () => {
    const { access } = await withTexts('text');
    await access.post('/members', { user: bo.id, role: 'editor' });
    const window = await access.as(bo.token).open();
    expect((await access.send('DELETE', `/members/${bo.id}`)).status).toBe(204);
    await until(() => window.status === 'ended');
    expect(window.reason).toBe('you may not open this document any more');
    window.close();
  });

  it('lets a viewer look, and does nothing that one asks for', async () => {
    const { access, ids } = await withTexts('text');
    await access.post('/members', { user: bo.id, role: 'viewer' });
    const window = await access.as(bo.token).open();
    expect([window.role, window.replica.blocks[0]?.text]).toEqual(['viewer', 'text']);
    window.replica.write(ids[0] ?? '', 'defaced');
    window.changed();
    // A client that sends it all the same is hung up on.
    const address = `${access.url.replace(/^http/, 'ws')}/live?client=12345678`;
    const socket = new WebSocket(address, ['collab', `bearer.${bo.token}`]);
    socket.addEventListener('open', () => socket.send('{"type":"undo","seq":1}'));
    const code = await new Promise((resolve) => {
      socket.addEventListener('close', ({ code }) => resolve(code));
    });
    expect(code).toBe(4403);
    expect(window.status).toBe('live');
    window.close();
    expect(await texts(access)).toEqual(['text']);
  });
});

describe('a link', () => {
  it('lets guests into one document, until it is revoked: then they are put out at once', async () => {
    const { access } = await withTexts('shared');
    const other = await ada.create('Another');
    const link = await access.post<{ id: number; token: string }>('/links', { role: 'editor', hours: 1 });
    // The link itself opens nothing.
    expect((await access.as(link.token).send('GET', '/blocks')).status).toBe(403);
    const guest = await access.as(link.token).post<{ token: string }>('/join', { name: 'Guest' });
    const window = await access.as(guest.token).open();
    expect(window.role).toBe('editor');
    expect((await other.as(guest.token).send('GET', '/')).status).toBe(403);
    for (const path of ['/search?q=shared', '/documents', '/users'])
      expect((await new HttpClient(`${app.url.origin}/w/acme`, guest.token).send('GET', path)).status).toBe(
        403,
      );
    expect(await access.get('/links')).toMatchObject({
      links: [{ id: link.id, guests: 1, revoked_at: null }],
    });
    expect((await access.send('DELETE', `/links/${link.id}`)).status).toBe(204);
    await until(() => window.status === 'ended');
    window.close();
    expect((await access.as(guest.token).send('GET', '/')).status).toBe(403);
    expect((await access.as(link.token).send('POST', '/join', { name: 'Again' })).status).toBe(403);
    expect((await access.send('DELETE', `/links/${link.id}`)).status).toBe(404);
  });

  it('lets no more than 100 guests in', async () => {
    const { access } = await withTexts('crowded');
    const link = await access.post<{ token: string }>('/links', { role: 'viewer', hours: 1 });
    const statuses: number[] = [];
    for (let n = 0; n < 102; n++)
      statuses.push((await access.as(link.token).send('POST', '/join', { name: `Guest ${n}` })).status);
    expect(statuses).toEqual([...Array<number>(100).fill(201), 403, 403]);
  });

  it('ends when its time is over, also for those who are connected', async () => {
    const { access } = await withTexts('shared');
    const link = await access.post<{ token: string }>('/links', { role: 'viewer', hours: 1.2 / 3_600 });
    const guest = await access.as(link.token).post<{ token: string }>('/join', { name: 'Guest' });
    const window = await access.as(guest.token).open();
    await until(() => window.status === 'ended');
    window.close();
    await until(async () => [401, 403].includes((await access.as(guest.token).send('GET', '/')).status));
    expect((await access.get<{ members: unknown[] }>('/members')).members).toHaveLength(1);
  });
});

describe('the history', () => {
  it('has the document as of every LSN and time, and who did what', async () => {
    const { access, ids } = await withTexts('one');
    const { lsn } = await access.get<{ lsn: number }>('/');
    await edit(access, (replica) => replica.write(ids[0] ?? '', 'two'));
    expect(await texts(access)).toEqual(['two']);
    expect(await texts(access, `?as_of=lsn:${lsn}`)).toEqual(['one']);
    expect(await texts(access, `?as_of=${encodeURIComponent(new Date().toISOString())}`)).toEqual(['two']);
    const { runs } = await access.get<Runs>('/history');
    expect(runs).toMatchObject([
      { kind: 'edit', user_name: 'Ada' },
      { kind: 'edit', user_name: 'Ada' },
    ]);
    expect(await texts(access, `?as_of=lsn:${runs[0]?.lsn}`)).toEqual(['one']);
    expect(await texts(access, `?as_of=lsn:${runs[1]?.lsn}`)).toEqual([]);
    const { versions } = await access.get<{ versions: object[] }>(`/blocks/${ids[0]}/history`);
    expect(versions).toMatchObject([
      { block: { text: 'one' }, user: ada.id },
      { block: { text: 'two' }, user: ada.id, lsn_to: null },
    ]);
    expect((await access.send('GET', '/blocks?as_of=2099-01-01')).status).toBe(400);
    expect((await access.send('GET', '/blocks?as_of=2001-01-01')).status).toBe(410);
    expect((await access.send('GET', `/blocks/${crypto.randomUUID()}/history`)).status).toBe(404);
  });

  it('is gone back to, before everyone’s eyes, and that can be undone the same way', async () => {
    const { access, ids } = await withTexts('one', 'two');
    const { lsn } = await access.get<{ lsn: number }>('/');
    await edit(access, (replica) => {
      replica.write(ids[0] ?? '', 'ruined');
      replica.remove(ids[1] ?? '');
    });
    const window = await access.open();
    const { before } = await access.post<{ before: number }>('/restore', { to: { lsn } });
    await until(() => window.replica.blocks.map(({ text }) => text).join() === 'one,two');
    await access.post('/restore', { to: `lsn:${before}` });
    await until(() => window.replica.blocks.map(({ text }) => text).join() === 'ruined');
    window.close();
    expect((await access.send('POST', '/restore', { to: { lsn: 10 ** 9 } })).status).toBe(400);
    expect((await access.get<Runs>('/history')).runs.map(({ kind }) => kind)).toEqual([
      'restore',
      'restore',
      'edit',
      'edit',
    ]);
  });
});

describe('a branch', () => {
  it('is edited apart from main, told apart, and merged', async () => {
    const { access, ids } = await withTexts('the fox jumps', 'second', 'third');
    await access.post('/branches', { name: 'drafts/spring' });
    const branch = 'drafts/spring';
    const window = await access.open({ branch });
    window.replica.write(ids[0] ?? '', 'the quick fox jumps');
    window.replica.remove(ids[1] ?? '');
    const added = window.replica.insert(ids[2] ?? null, 'heading', 'new', { level: 1 });
    window.changed();
    await until(() => window.replica.isSettled);
    expect(await texts(access)).toEqual(['the fox jumps', 'second', 'third']);
    expect(await texts(access, `?branch=${encodeURIComponent(branch)}`)).toEqual([
      'the quick fox jumps',
      'third',
      'new',
    ]);
    await edit(access, (replica) => replica.write(ids[0] ?? '', 'the fox jumps high'));
    const path = `/branches/${encodeURIComponent(branch)}`;
    const { changes } = await access.get<{ changes: object[] }>(`${path}/diff`);
    expect(changes).toHaveLength(3);
    expect(changes).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ type: 'modified', id: ids[0], text: [[4, 0, 'quick ']] }),
        expect.objectContaining({ type: 'removed', id: ids[1] }),
        expect.objectContaining({ type: 'added', id: added }),
      ]),
    );
    const onMain = await access.open();
    expect(await access.post(`${path}/merge`, { dryRun: true })).toMatchObject({ merged: false, updated: 1 });
    expect(await access.post(`${path}/merge`, {})).toMatchObject({ merged: true, inserted: 1, deleted: 1 });
    await until(
      () => onMain.replica.blocks.map(({ text }) => text).join() === 'the quick fox jumps high,third,new',
    );
    onMain.close();
    // Undoing on the branch is undoing of what was done there.
    window.replica.takeBack('undo');
    window.changed();
    await until(() => window.replica.blocks.map(({ text }) => text).join() === 'the fox jumps,second,third');
    expect((await access.send('DELETE', path)).status).toBe(204);
    await until(() => window.status === 'ended');
    window.close();
    expect(await access.get('/branches')).toEqual({ branches: [] });
  });

  it('is not merged where both have changed the same words, until someone says whose to take', async () => {
    const { access, ids } = await withTexts('pay 10 euros', 'other');
    await access.post('/branches', { name: 'b' });
    await edit(access, (replica) => replica.write(ids[0] ?? '', 'pay 20 euros'), 'b');
    await edit(access, (replica) => replica.write(ids[0] ?? '', 'pay 30 euros'));
    const { status, body } = await access.send<Refused>('POST', '/branches/b/merge', {});
    expect([status, body]).toMatchObject([409, { conflicts: [{ id: ids[0], columns: ['text'] }] }]);
    expect(await texts(access)).toEqual(['pay 30 euros', 'other']);
    await access.post('/branches/b/merge', { take: 'theirs' });
    expect(await texts(access)).toEqual(['pay 20 euros', 'other']);
  });

  it('where one side has removed what the other has changed, is merged as someone says', async () => {
    for (const [take, left] of [
      ['theirs', []],
      ['ours', ['changed']],
    ] as const) {
      const { access, ids } = await withTexts('text');
      await access.post('/branches', { name: 'b' });
      await edit(access, (replica) => replica.remove(ids[0] ?? ''), 'b');
      await edit(access, (replica) => replica.write(ids[0] ?? '', 'changed'));
      expect((await access.send('POST', '/branches/b/merge', {})).status).toBe(409);
      await access.post('/branches/b/merge', { take });
      expect(await texts(access)).toEqual(left);
    }
  });

  it('that is none is 404, and a name that is taken 409', async () => {
    const { access } = await withTexts('x');
    for (const [method, path] of [
      ['GET', '/branches/none/diff'],
      ['POST', '/branches/none/merge'],
      ['DELETE', '/branches/none'],
      ['DELETE', '/branches/main'],
      ['GET', '/blocks?branch=none'],
    ] as const)
      expect([path, (await access.send(method, path, method === 'POST' ? {} : undefined)).status]).toEqual([
        path,
        404,
      ]);
    await access.post('/branches', { name: 'b' });
    expect((await access.send('POST', '/branches', { name: 'b' })).status).toBe(409);
  });
});

describe('what is asked for wrongly', () => {
  it('is told by the field', async () => {
    const { access } = await withTexts('x');
    for (const [path, body, field] of [
      ['/members', { user: bo.id, role: 'king' }, 'role'],
      ['/members', { user: bo.id }, 'role'],
      ['/links', { role: 'admin', hours: 1 }, 'role'],
      ['/links', { role: 'viewer', hours: 0 }, 'hours'],
      ['/branches', { name: 'main' }, 'name'],
      ['/branches', { name: '../x"' }, 'name'],
      ['/restore', {}, 'to'],
      ['/versions', { name: '', more: 1 }, 'name'],
    ] as const) {
      const { status, body: answer } = await access.send<Refused>('POST', path, body);
      expect([path, status, answer.issues?.map(({ field }) => field)]).toEqual([
        path,
        400,
        expect.arrayContaining([field]),
      ]);
    }
    expect((await access.send('PUT', '/blocks')).status).toBe(405);
    expect((await access.send('GET', '/nowhere')).status).toBe(404);
    expect((await access.send('POST', '/versions', 'x'.repeat(70_000))).status).toBe(413);
    expect((await access.send('GET', '/blocks?limit=1')).status).toBe(400);
    expect((await access.send('GET', '/live?client=12345678')).status).toBe(426);
    expect((await access.send('GET', '/live?client=x')).status).toBe(400);
    expect(
      (await new HttpClient(app.url.origin).send('POST', '/workspaces', { workspace: 'acme', name: 'x' }))
        .status,
    ).toBe(409);
    expect(
      (await new HttpClient(app.url.origin).send('POST', '/workspaces', { workspace: 'A', name: 'x' }))
        .status,
    ).toBe(400);
  });
});

describe('versions', () => {
  it('are archived, and read from there', async () => {
    const { access, ids } = await withTexts('first', 'second');
    const version = await access.post<{ id: number }>('/versions', { name: 'Sent to the printer' });
    await edit(access, (replica) => replica.write(ids[0] ?? '', 'changed'));
    await until(async () => {
      const { versions } = await access.get<{ versions: { archived_at: string | null }[] }>('/versions');
      return versions.every(({ archived_at }) => archived_at !== null);
    });
    expect(await access.get(`/versions/${version.id}`)).toMatchObject({
      name: 'Sent to the printer',
      from: 'archive',
      blocks: [{ text: 'first' }, { text: 'second' }],
    });
    expect((await access.send('GET', '/versions/99')).status).toBe(404);
    const empty = await ada.create('Empty');
    await empty.post('/versions', { name: 'Nothing' });
    await until(async () => (await empty.get<{ from: string }>('/versions/1')).from === 'archive');
    expect(await empty.get('/versions/1')).toMatchObject({ blocks: [] });
  });
});

describe('the search', () => {
  interface Found {
    readonly hits: readonly { readonly document: string; readonly snippet: string; readonly title: string }[];
  }
  const search = (person: Person, q: string): Promise<Found> =>
    person.get<Found>(`/search?q=${encodeURIComponent(q)}`);

  it('finds what stands in documents that the user may read, as it changes', async () => {
    const { access, ids } = await withTexts('a zebra crosses', 'nothing');
    await until(async () => (await search(ada, 'zebra')).hits.length === 1);
    expect(await search(ada, 'Zeb')).toMatchObject({ hits: [{ document: access.id, title: 'Document' }] });
    expect((await search(bo, 'zebra')).hits).toEqual([]);
    await access.post('/members', { user: bo.id, role: 'viewer' });
    await until(async () => (await search(bo, 'zebra')).hits.length === 1);
    const { documents } = await bo.get<{ documents: object[] }>('/documents');
    expect(documents).toContainEqual({ id: access.id, title: 'Document', role: 'viewer' });
    // The document has the last word, whatever the index has heard.
    await access.send('DELETE', `/members/${bo.id}`);
    expect((await search(bo, 'zebra')).hits).toEqual([]);
    await edit(access, (replica) => {
      replica.write(ids[0] ?? '', 'a giraffe crosses');
      replica.remove(ids[1] ?? '');
    });
    await until(async () => (await search(ada, 'giraffe')).hits.length === 1);
    expect((await search(ada, 'zebra')).hits).toEqual([]);
    expect((await search(ada, 'nothing')).hits).toEqual([]);
    for (const q of ['"', 'a OR b*', "x' --", '(', 'NEAR(', '😀'])
      expect((await ada.send('GET', `/search?q=${encodeURIComponent(q)}`)).status).toBe(200);
    expect((await ada.send('GET', '/search?q=')).status).toBe(400);
  });
});
