import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { expect } from 'vitest';
import { DB, type Database } from '../../src/index.ts';
import { withRestored } from '../support/backup.ts';
import { newObject } from '../support/database.ts';
import { Random } from '../support/random.ts';
import type { QueryRecord, ScriptRecord } from './script.ts';
import {
  ask,
  compare,
  isRead,
  recordsFor,
  run,
  textAsOf,
  type Outcome,
  type Scripted,
  type Tally,
} from './subject.ts';

/**
 * The ways in which a script is run through DoSQL. Every answer is compared with that of plain `ctx.storage.sql`.
 *
 * What may differ, and is therefore not compared:
 * - the order of rows where the query asks for none: a record says `rowsort`;
 * - which of equal values SQLite shows for a group, as a and A under NOCASE, or 0 and -0.0: scripts do not ask;
 * - the words of an error: its code is compared;
 * - the names of the columns of an answer without rows, where a handle on the past gives objects, and that SQLite
 *   calls `SELECT oid` "rowid" while nothing stands in place of the table: scripts name it;
 * - triggers of REPLACE, which need `PRAGMA recursive_triggers`: it is on for plain SQLite too.
 */
export const MODES: Readonly<Record<string, (scripted: Scripted, tally: Tally) => Promise<void>>> = {
  'main and its past': mainAndPast,
  'a branch without changes': freshBranches,
  'a branch with changes': changedBranch,
  'set back': setBack,
  'cold rows': coldRows,
};

/** After everything that the scripts' rows say, so that all of them are old; in the future, so that no alarm goes off. */
const NOW = Date.UTC(2046, 0, 1);

/** A query, when it was asked, and what was answered. */
interface Asked {
  readonly record: QueryRecord;
  readonly lsn: bigint;
  readonly outcome: Outcome;
}

interface Place {
  readonly db: Database;
  readonly cold: string;
}

let places = 0;

/** Opens a database in a new object, with cold storage. */
function inPlace(use: (place: Place) => Promise<void>): Promise<void> {
  return runInDurableObject(newObject(), async (_, { storage }) => {
    const cold = `sqllogic-${++places}-${Math.random()}`;
    const db = await DB('test', {
      storage: { hot: storage, cold: env.BUCKET, coldPrefix: cold },
      clock: () => NOW,
    });
    await use({ db, cold });
  });
}

/** As it is, as of now in both forms, as of then when all has happened, and from a backup at points of the script. */
async function mainAndPast(scripted: Scripted, tally: Tally): Promise<void> {
  await inPlace(async ({ db, cold }) => {
    const asked: Asked[] = [];
    for (const [record, outcome] of recordsFor(scripted, 'main')) {
      compare(tally, scripted, 'main', record, await run(db, record.sql), outcome);
      if (!isRead(record)) continue;
      const lsn = db.lsn();
      asked.push({ record, lsn, outcome });
      compare(tally, scripted, 'as of now', record, await ask(db.asOf({ lsn }), record.sql), outcome);
      compare(tally, scripted, 'FOR SYSTEM_TIME', record, await run(db, textAsOf(record.sql, lsn)), outcome);
    }
    for (const { record, lsn, outcome } of asked) {
      const text = textAsOf(record.sql, lsn);
      compare(tally, scripted, 'as of then', record, await ask(db.asOf({ lsn }), record.sql), outcome);
      compare(tally, scripted, 'FOR SYSTEM_TIME then', record, await run(db, text), outcome);
    }
    await db.backup();
    const points = [...new Set(asked.map(({ lsn }) => lsn))];
    const from = { bucket: env.BUCKET, prefix: cold };
    for (const at of [points[Math.floor(points.length / 2)], points.at(-1)])
      await withRestored({ from, at: { lsn: at as bigint } }, async (_, __, open) => {
        const restored = await open({ clock: () => NOW });
        for (const { record, outcome } of asked.filter(({ lsn }) => lsn === at))
          compare(
            tally,
            scripted,
            'restored from a backup',
            record,
            await run(restored, record.sql),
            outcome,
          );
      });
  });
}

/** Every query on a branch that has just been made. */
async function freshBranches(scripted: Scripted, tally: Tally): Promise<void> {
  await inPlace(async ({ db }) => {
    let branch: Database | undefined;
    let number = 0;
    for (const [record, outcome] of recordsFor(scripted, 'branch')) {
      if (!isRead(record)) {
        await run(db, record.sql);
        branch = undefined;
        continue;
      }
      if (branch === undefined) {
        if (number > 0) await db.dropBranch(`fresh/${number}`);
        branch = await db.branch(`fresh/${++number}`);
      }
      compare(tally, scripted, 'branch', record, await run(branch, record.sql), outcome);
    }
  });
}

/** The second half of the script on a branch, while main stays as it was, and then is merged with it. */
async function changedBranch(scripted: Scripted, tally: Tally): Promise<void> {
  await inPlace(async ({ db }) => {
    const half = Math.floor(scripted.script.records.length / 2);
    const before: Asked[] = [];
    let last: ScriptRecord | undefined;
    let branch: Database | undefined;
    for (const [record, outcome, i] of recordsFor(scripted, 'changed')) {
      if (i >= half) branch ??= await db.branch('work');
      if (branch === undefined && isRead(record)) {
        // Only what is asked of the state that the branch forks from is still so afterwards.
        if (last !== undefined && !isRead(last)) before.length = 0;
        before.push({ record, lsn: 0n, outcome });
      } else if (branch === undefined) before.length = 0;
      last = record;
      const ours = await run(branch ?? db, record.sql);
      if (branch !== undefined) compare(tally, scripted, 'changed branch', record, ours, outcome);
    }
    for (const { record, outcome } of before)
      compare(tally, scripted, 'main beside it', record, await run(db, record.sql), outcome);
  });
}

/** Before each group of queries everything is spoilt, and set back. */
async function setBack(scripted: Scripted, tally: Tally): Promise<void> {
  await inPlace(async ({ db }) => {
    const random = new Random(scripted.script.records.length);
    let isSpoilt = false;
    for (const [record, outcome] of recordsFor(scripted, 'set back')) {
      if (isRead(record) && !isSpoilt) {
        const lsn = db.lsn();
        for (const sql of random.some(DAMAGE)) await run(db, sql);
        await db.restore({ lsn });
      }
      isSpoilt = isRead(record);
      const ours = await run(db, record.sql);
      if (isSpoilt) compare(tally, scripted, 'set back', record, ours, outcome);
    }
  });
}

const DAMAGE = [
  'DELETE FROM item WHERE id % 2',
  "UPDATE item SET n = 99, s = 'spoilt' WHERE id % 3 = 0",
  'DELETE FROM pair',
  "UPDATE pair SET v = 7, j = '{}' WHERE m > 2",
  'DELETE FROM part WHERE id > 4',
  "UPDATE exact SET t = 'spoilt', z = x'ff'",
  'DELETE FROM loose WHERE n > 2',
  "INSERT INTO loose(n, s) VALUES (1, 'spoilt')",
];

/** All rows that can be are cold before each query. */
async function coldRows(scripted: Scripted, tally: Tally): Promise<void> {
  await inPlace(async ({ db }) => {
    let isCold = false;
    let isTiered = false;
    for (const [record, outcome] of recordsFor(scripted, 'cold')) {
      if (isRead(record) && !isTiered) {
        for (const table of ['item', 'pair', 'part', 'exact', 'loose'])
          await db.tier(table, { column: 'at', hotFor: '1d', partition: 'month' });
        isTiered = true;
      }
      if (isRead(record) && !isCold) while ((await db.tierPass()).more);
      isCold = isRead(record);
      compare(tally, scripted, 'cold', record, await run(db, record.sql), outcome);
    }
    const status = await db.tierStatus();
    expect(status.filter(({ coldRows }) => coldRows > 0).length, scripted.name).toBeGreaterThan(3);
  });
}
