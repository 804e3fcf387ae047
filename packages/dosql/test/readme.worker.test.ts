import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, inject, it } from 'vitest';
import { DB } from '../src/index.ts';
import { expectSnippetsIn } from './support/snippets.ts';

describe('the README', () => {
  it('shows only code that this test runs', () => {
    expectSnippetsIn(inject('readmeCode'), inject('readmes'));
  });

  it('tells the truth about what its code does', async () => {
    const stub = env.GUIDE.get(env.GUIDE.idFromName('readme'));
    expect(await stub.addTask('write')).toMatchObject({ id: 1 });
    const { lsn } = await stub.addTask('test');
    await runInDurableObject(stub, async (guide, { storage }) => {
      await guide.finishAll();
      expect(await guide.tasks()).toEqual([
        { id: 1, title: 'write', status: 'done' },
        { id: 2, title: 'test', status: 'done' },
      ]);
      expect(await guide.tasks({ lsn })).toEqual([
        { id: 1, title: 'write', status: 'todo' },
        { id: 2, title: 'test', status: 'todo' },
      ]);
      expect(await guide.whatChanged(lsn)).toEqual([
        { title: 'write', was: 'todo', is_now: 'done' },
        { title: 'test', was: 'todo', is_now: 'done' },
      ]);
      expect(await guide.versions(1)).toMatchObject([
        { status: 'todo' },
        { status: 'done', _valid_to: null },
      ]);
      const before = (await guide.db()).lsn();
      expect(await guide.raisePriority('t%')).toEqual({
        wouldChange: [2],
        merged: true,
        updated: 1,
        conflicts: [],
      });
      expect((await guide.tasks())[1]).toMatchObject({ status: 'urgent' });
      expect(await guide.undo((await guide.db()).lsn())).toBe(1);
      expect(await guide.tasks()).toEqual(await guide.tasks({ lsn: before }));
      expect(await guide.rename(1, 'rewrite')).toBe('write is now rewrite');
      expect(await guide.rename(1, 'test')).toBe('test is taken');
      await expect(guide.rename(9, 'x')).rejects.toThrow('no such task');
      expect(await guide.follow(lsn, new AbortController().signal)).toEqual([
        'update 1 done',
        'update 2 done',
      ]);
      await guide.remindMe(1, new Date(0));
      const db = await DB('tenant', { storage });
      expect(await db.alarm()).toMatchObject({ ran: ['reminder:1'], failed: [] });
      expect((await guide.tasks())[0]).toMatchObject({ status: 'overdue' });
    });
  });
});
