import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { records } from './replay.ts';
import type { Dump, Reply } from './worker.ts';
import { Workerd } from './workerd.ts';

const WAYS = ['run', 'batch', 'transaction'];
let workerd: Workerd;

/** Mounts a file system of a few MB; returns why that did not work. */
function mount(folder: string): string {
  const { status, stderr, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder]);
  return status === 0 ? '' : `mount: ${error?.message ?? String(stderr)}`;
}

function mountable(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'dosql-full-'));
  const why = mount(folder);
  if (why === '') spawnSync('umount', [folder]);
  else console.log(`storage cannot be filled here: ${why}`);
  rmSync(folder, { recursive: true });
  return why === '';
}

describe.skipIf(!mountable())('a full disk', () => {
  let disk: string;
  beforeEach(async () => {
    disk = mkdtempSync(join(tmpdir(), 'dosql-full-'));
    mount(disk);
    workerd = await Workerd.create(disk);
    await workerd.start();
    await ask('prepare');
  });
  afterEach(async () => {
    await workerd.dispose();
    spawnSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  });

  /** Writes rows of `bytes` until one fails; returns the failure and how many were acknowledged. */
  async function fill(way: string, bytes: number): Promise<{ failure: Reply; acks: number }> {
    for (let acks = 0; acks < 1_000; acks++) {
      const { body } = await ask('fill', { way, bytes });
      if (!body.ok) return { failure: body, acks };
    }
    throw new Error('the disk did not fill');
  }

  async function expectRows(count: number): Promise<void> {
    const { body: rows } = await workerd.ask('Ledger', 'full', 'query', {
      sql: 'SELECT count(*) AS count, count(data) AS whole FROM filler',
    });
    expect(rows).toEqual([{ count, whole: count }]);
    const { body: dump } = await workerd.ask<Dump>('Ledger', 'full', 'dump');
    const logged = records(dump, '__dosql_log').filter(({ op }) => op === 1);
    expect(logged.map(({ k }) => k)).toEqual(records(dump, 'filler').map(({ id }) => id));
  }

  // SQLite writes small rows when the turn ends. The platform then resets the object without its code being
  // told, and the caller gets the platform's error in place of an answer.
  it.each(WAYS)(
    'met as a turn ends resets the object, which then reads all that it acknowledged: %s',
    async (way) => {
      const { failure, acks } = await fill(way, 50_000);
      expect(acks).toBeGreaterThan(20);
      // Of the commit of an awaiting transaction the platform tells nothing but a reference to its own log.
      if (way === 'transaction') expect(failure.message).toContain('internal error; reference');
      else expect(failure.code).toBe('FULL');
      expect((await workerd.ask('Ledger', 'full', 'caught')).body).toEqual([]);
      await expectRows(acks);
      await workerd.kill();
      await workerd.start();
      await expectRows(acks);
    },
  );

  // A row larger than SQLite's page cache is written at once, so that its statement fails.
  it.each(WAYS)('met by a statement fails it with FULL, and then resets the object: %s', async (way) => {
    for (let i = 0; i < 3; i++) await ask('fill', { way, bytes: 100 });
    const { failure } = await fill(way, 4_000_000);
    expect(failure.code).toBe('FULL');
    // The awaiting transaction's rejection comes after the reset, when the object's code runs no more.
    const caught = way === 'transaction' ? [] : ['true FULL'];
    expect((await workerd.ask('Ledger', 'full', 'caught')).body).toEqual(caught);
    await expectRows(3);
    await workerd.kill();
    await workerd.start();
    await expectRows(3);
  });

  it('takes small rows as long as they fit, after a large one did not', async () => {
    await ask('fill', { way: 'run', bytes: 100 });
    await fill('run', 4_000_000);
    expect((await ask('fill', { way: 'run', bytes: 10 })).body).toEqual({ ok: true });
    await expectRows(2);
  });

  it('is at work again, and can be made smaller, once there is room', async () => {
    const { acks } = await fill('run', 50_000);
    spawnSync('mount', ['-o', 'remount,size=24m', disk]);
    expect((await ask('fill', { way: 'transaction', bytes: 50_000 })).body).toEqual({ ok: true });
    await expectRows(acks + 1);
    expect((await ask('erase', { from: 1, to: acks })).body).toEqual({ ok: true });
    for (let i = 0; i < acks; i++)
      expect((await ask('fill', { way: 'run', bytes: 50_000 })).body).toEqual({ ok: true });
    const { body } = await workerd.ask('Ledger', 'full', 'query', {
      sql: 'SELECT count(*) AS count, count(data) AS whole FROM filler',
    });
    expect(body).toEqual([{ count: acks + 1, whole: acks + 1 }]);
  });
});

describe('a value beyond the limit', () => {
  beforeEach(async () => {
    workerd = await Workerd.create();
    await workerd.start();
    await ask('prepare');
  });
  afterEach(() => workerd.dispose());

  it.each([
    ['a text', 'INSERT INTO filler(data) VALUES(?)', 9 * 2 ** 20],
    ['a row of two halves', 'INSERT INTO filler(data) VALUES(?1 || zeroblob(10)), (?1 || ?1)', 5 * 2 ** 20],
    ['an update', 'UPDATE filler SET data = ?1 || ?1', 5 * 2 ** 20],
  ])('is TOO_BIG, writes nothing, and leaves the database at work: %s', async (_, sql, length) => {
    await ask('fill', { way: 'run', bytes: 10 });
    expect((await ask('big', { sql, length })).body).toMatchObject({ ok: false, code: 'TOO_BIG' });
    expect((await ask('fill', { way: 'run', bytes: 10 })).body).toEqual({ ok: true });
    const { body } = await workerd.ask('Ledger', 'full', 'query', {
      sql: 'SELECT count(*) AS count, sum(length(data)) AS bytes FROM filler',
    });
    expect(body).toEqual([{ count: 2, bytes: 20 }]);
  });
});

function ask(action: string, body: unknown = {}): Promise<{ status: number; body: Reply }> {
  return workerd.ask<Reply>('Ledger', 'full', action, body);
}
