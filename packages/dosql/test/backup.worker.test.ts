import { env } from 'cloudflare:workers';
import { createMemoryBackend, createR2Backend } from '@dotdo/fsx';
import { describe, expect, it } from 'vitest';
import { restore } from '../src/index.ts';
import { attempt, withCold, logPicture, picture, tableNames, withRestored } from './support/backup.ts';
import { failure, withDatabase } from './support/database.ts';
import { alter, change, schemaOf, shapeOf } from './support/history.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

interface Moment {
  readonly lsn: bigint;
  readonly ms: number;
  readonly picture: string[];
}

const START = Date.parse('2026-03-01T00:00:00.000Z');

describe('a database restored from the cold store alone', () => {
  it.each(seeds(11))('equals the original at every point (seed %i)', { timeout: 120_000 }, async (seed) => {
    const random = new Random(seed);
    const prefix = `history-${seed}-${Math.random()}`;
    const clock = { now: START };
    const moments: Moment[] = [];
    let end: { lsn: bigint; picture: string[]; log: string[] } | undefined;
    await withCold(
      async (db, { sql }) => {
        await db.exec(schemaOf(random));
        await db.exec(
          `CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, "it's" TEXT, "__proto__" INTEGER, "ä b" BLOB)`,
        );
        const note = (): void =>
          void moments.push({ lsn: db.lsn(), ms: clock.now, picture: picture(sql, false) });
        note();
        for (let i = 0; i < 150; i++) {
          clock.now += 1 + random.int(3) * 1_000;
          const names = tableNames(sql);
          const one = (): string =>
            change(random, shapeOf(sql, random.pick(names))).replaceAll('INTO counted(', 'INTO counted (');
          const dice = random.next();
          if (dice < 0.08) await attempt(db.exec(alter(random, shapeOf(sql, random.pick(names)))));
          else if (dice < 0.1)
            await attempt(db.exec('DROP TABLE kv; CREATE TABLE kv(k TEXT PRIMARY KEY, v, w) WITHOUT ROWID'));
          else if (dice < 0.12)
            await db.run(`INSERT INTO counted("it's", "__proto__", "ä b") VALUES ('💥', ?, x'00')`, [i]);
          else if (dice < 0.4)
            await attempt(
              db.transaction(async (tx) => {
                for (let n = random.int(6); n >= 0; n--) await attempt(tx.run(one()));
              }),
            );
          else if (dice < 0.46) await db.backup();
          else await attempt(db.run(one()));
          clock.now += 1;
          note();
        }
        const { lsn } = await db.backup();
        expect(lsn).toBe(db.lsn());
        end = { lsn, picture: picture(sql), log: logPicture(sql) };
      },
      { clock: () => clock.now },
      { cold: env.BUCKET, coldPrefix: prefix },
    );
    const from = { bucket: env.BUCKET, prefix };
    await withRestored({ from }, async (storage, restored, open) => {
      expect(restored.lsn).toBe(end?.lsn);
      expect(picture(storage.sql)).toEqual(end?.picture);
      expect(logPicture(storage.sql)).toEqual(end?.log);
      const db = await open();
      expect(db.lsn()).toBe(end?.lsn);
      expect(picture(storage.sql)).toEqual(end?.picture);
      for (const moment of random.some(moments).slice(0, 5)) {
        const past = db.asOf({ lsn: moment.lsn });
        const rows = await past.query('SELECT * FROM item');
        expect(rows.length).toBe(moment.picture.filter((line) => line.startsWith('item: ')).length);
      }
    });
    for (const moment of random.times(20, () => random.pick(moments))) {
      const at = random.chance(0.5) ? { lsn: moment.lsn } : moment.ms;
      await withRestored({ from, at }, async (storage, restored, open) => {
        expect(
          restored.lsn,
          JSON.stringify(at, (_, v) => (typeof v === 'bigint' ? String(v) : v)),
        ).toBe(moment.lsn);
        expect(picture(storage.sql, false)).toEqual(moment.picture);
        const db = await open();
        expect(db.lsn()).toBe(moment.lsn);
        expect(picture(storage.sql, false)).toEqual(moment.picture);
      });
    }
  });
});

it('refuses a storage that holds something, and a store without a backup', async () => {
  await withDatabase(async (db, { storage }) => {
    expect(db.lsn()).toBe(0n);
    expect((await failure(restore({ storage, from: createMemoryBackend() }))).code).toBe('FORBIDDEN');
    expect((await failure(db.backup())).code).toBe('BAD_PARAMETER');
  });
  const error = await failure(
    withRestored({ from: createR2Backend(env.BUCKET, { prefix: 'nothing' }) }, async () => undefined),
  );
  expect(error.code).toBe('NO_SUCH_FILE');
});
