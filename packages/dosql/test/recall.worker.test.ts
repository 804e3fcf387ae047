import { createMemoryBackend } from '@dotdo/fsx';
import { expect, it } from 'vitest';
import { logPicture, withCold } from './support/backup.ts';
import { withDatabase } from './support/database.ts';
import { alarms, Course, interrogate, streamed } from './support/recall.ts';
import { seeds } from './support/seeds.ts';

const PARTS = 5;
const STEPS = 40;

it.each(seeds(31))(
  'answers of a past that is in the archive are those of one that has stayed in the log (seed %i)',
  { timeout: 240_000 },
  async (seed) => {
    console.log(`recall: VITE_SEED=${seed}`);
    const original = new Course(seed);
    const expected: string[][] = [];
    const log = await withDatabase(
      async (db, { storage: { sql } }) => {
        await original.begin(db, sql);
        for (let part = 0; part < PARTS; part++) {
          await original.go(db, sql, STEPS);
          expected.push(await interrogate(db, sql, original.moments, seed + part));
        }
        expected.push(await streamed(db, 0n));
        return logPicture(sql);
      },
      { clock: () => original.clock.now, history: { keep: '1000d' } },
    );
    const course = new Course(seed);
    const store = createMemoryBackend();
    await withCold(
      async (db, { sql }) => {
        await course.begin(db, sql);
        for (let part = 0; part < PARTS; part++) {
          await course.go(db, sql, STEPS);
          await alarms(db, course.clock);
          const { lsn, archived } = await db.earliest();
          expect(Number(lsn)).toBeGreaterThan(Number(course.moments.at(-15)?.lsn) - 1);
          expect(archived?.lsn).toBe(0n);
          const answers = await interrogate(db, sql, course.moments, seed + part);
          for (const [i, answer] of answers.entries())
            expect(answer, `part ${part}`).toBe(expected[part]?.[i]);
        }
        course.clock.now += 3_600_000;
        await alarms(db, course.clock);
        expect(await streamed(db, 0n)).toEqual(expected.at(-1));
        expect(logPicture(sql)).toEqual(log);
      },
      { clock: () => course.clock.now, history: { keep: 1, archive: true } },
      { kind: 'tiered', cold: store },
    );
    expect(course.moments).toEqual(original.moments);
  },
);
