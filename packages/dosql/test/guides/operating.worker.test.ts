import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { createCDC } from '@dotdo/cdc';
import { describe, expect, inject, it, vi } from 'vitest';
import { DB } from '../../src/index.ts';
import { countWritten } from '../support/billed.ts';
import { newObject, withDatabase } from '../support/database.ts';
import { expectSnippetsIn } from '../support/snippets.ts';
import { health, onAlarm, open, restored, undelivered } from './operating.ts';

vi.setConfig({ testTimeout: 60_000 });

const guide = inject('docs')['operating'] ?? '';

describe('the guide to operating', () => {
  it('shows only code that this test runs', () => {
    expectSnippetsIn(inject('docCode')['operating'] ?? '', [guide]);
  });

  it('knows every code of an error, and no other', () => {
    const union = /export type ErrorCode =([^;]+);/.exec(inject('errorSource'))?.[1] ?? '';
    const codes = [...union.matchAll(/'([A-Z_]+)'/g)].map(([, code]) => code);
    const rows =
      guide.slice(guide.indexOf('\n## Errors'), guide.indexOf('\n## Upgrading')).match(/^\| `.*$/gm) ?? [];
    const said = rows.flatMap((row) =>
      [...(row.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, code]) => code),
    );
    expect(new Set(said)).toEqual(new Set(codes));
    expect(said).toHaveLength(codes.length);
  });

  it('tells how a database is', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, at TEXT)');
      const cdc = createCDC(db);
      await cdc.slot('search');
      const crm = await cdc.deliver('crm', { send: () => Promise.reject(new Error('no receiver')) });
      await db.branch('draft');
      await db.tier('t', { column: 'at', hotFor: '1d' });
      await db.run("INSERT INTO t(at) VALUES ('2026-01-01')");
      await onAlarm(db, () => undefined);
      const report = await health(db, cdc);
      expect(report).toMatchObject({
        changes: db.lsn(),
        behind: [
          { name: 'crm', changes: 1 },
          { name: 'search', changes: 1 },
        ],
        heldByBranches: [{ name: 'draft', heldChanges: 1 }],
        cold: [{ table: 't', problem: undefined }],
      });
      expect(report.sizeBytes).toBeGreaterThan(0);
      expect(await undelivered(crm)).toMatchObject({ failures: 1, error: 'no receiver', deadLetters: 0 });
      const said: string[] = [];
      db.onTimer('broken', () => Promise.reject(new Error('no')));
      await db.schedule('broken', 0);
      await onAlarm(db, (text) => said.push(text));
      expect(said).toEqual(['broken: Error: no']);
    });
  });

  it('makes a database anew from its backup', async () => {
    // The name by which the test's own object opens it when its alarm goes off.
    const id = 'test';
    await runInDurableObject(newObject(), async (_, { storage }) => {
      const db = await open(storage, env.TELEMETRY, id);
      await db.exec("CREATE TABLE t(v); INSERT INTO t VALUES ('kept')");
      await db.backup();
      await storage.deleteAlarm();
    });
    await runInDurableObject(newObject(), async (_, { storage }) => {
      const db = await restored(storage, env.TELEMETRY, id);
      expect(await db.query('SELECT v FROM t')).toEqual([{ v: 'kept' }]);
      await storage.deleteAlarm();
    });
  });

  it('counts what is billed', async () => {
    await runInDurableObject(newObject(), async (_, { storage }) => {
      const db = await DB('test', { storage });
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, w TEXT); CREATE TABLE u(id TEXT PRIMARY KEY, v)',
      );
      const cdc = createCDC(db);
      await db.run("INSERT INTO t(v) VALUES ('first')");
      const written = countWritten(storage.sql);
      const rows: [string, number][] = [];
      const count = async (what: string, work: () => Promise<unknown>): Promise<void> => {
        written();
        await work();
        rows.push([what, written()]);
      };
      await count('insert a row', () => db.run("INSERT INTO t(v) VALUES ('a')"));
      await count('update it', () => db.run("UPDATE t SET v = 'b' WHERE id = 2"));
      await count('delete it', () => db.run('DELETE FROM t WHERE id = 2'));
      await count('insert a row whose key is a text', () => db.run("INSERT INTO u VALUES ('a', 1)"));
      await count('insert 10 rows in one transaction', () =>
        db.batch(Array.from({ length: 10 }, () => ({ sql: "INSERT INTO t(v) VALUES ('c')" }))),
      );
      await db.schedule('other', Date.now() + 3_600_000);
      await count('set a timer', () => db.schedule('remind', Date.now() + 7_200_000));
      const slot = await cdc.slot('search');
      await db.run("INSERT INTO t(v) VALUES ('d')");
      await count('acknowledge in a slot', () => slot.ack(db.lsn()));
      await cdc.deliver('crm', { send: async () => undefined });
      await db.run("INSERT INTO t(v) VALUES ('e')");
      await db.alarm();
      await count('insert a row, and deliver it by the alarm', async () => {
        await db.run("INSERT INTO t(v) VALUES ('f')");
        await db.alarm();
      });
      await storage.deleteAlarm();
      const said = [...guide.matchAll(/^\| ([a-z][a-z0-9, ]+?) +\| ([\d,]+) +\|$/gm)].map(([, what, n]) => [
        what,
        Number(n),
      ]);
      expect(rows).toEqual(said);
    });
  });
});
