import { describe, expect, it } from 'vitest';
import type { Database } from '../src/index.ts';
import { withDatabase } from './support/database.ts';
import { alter, change, schemaOf, type Shape } from './support/history.ts';
import { Random } from './support/random.ts';
import {
  attempt,
  exact,
  quote,
  readRows,
  texts,
  recordedTable,
  type Moment,
  type RecordedTable,
} from './support/recorded.ts';
import { seeds } from './support/seeds.ts';

/**
 * Several lines live side by side, each forked from another, of now or of a point of its past. After every step what
 * the line holds that has changed is read as the present. In the end each line has to give all that it ever held: up
 * to the fork what its parent held, then its own.
 */
const HISTORIES = 3;
const STEPS = 70;
const MAX_BRANCHES = 4;

interface Line {
  readonly name: string;
  readonly db: Database;
  readonly moments: Moment[];
}

/** The tables that a line has, by what is recorded of them. */
function tablesOf(sql: SqlStorage, line: string): Omit<RecordedTable, 'rows'>[] {
  const [id, origin] =
    line === 'main'
      ? [0, 0]
      : ([...sql.exec('SELECT id, origin FROM __dosql_branch WHERE name = ?', line).raw()][0] as [
          number,
          number,
        ]);
  const found = [
    ...sql
      .exec(
        `SELECT table_id, name, shape FROM __dosql_relation WHERE branch = ?1 AND until IS NULL
         UNION ALL SELECT table_id, name, shape FROM __dosql_relation WHERE ?1 <> 0 AND branch = 0 AND since <= ?2 AND ifnull(until > ?2, TRUE)
           AND table_id NOT IN (SELECT table_id FROM __dosql_relation WHERE branch = ?1)`,
        id,
        origin,
      )
      .raw<[number, string, string]>(),
  ];
  return found.map(recordedTable);
}

async function rawOf(db: Database, sql: string, params: readonly number[] = []): Promise<unknown[][]> {
  const rows = await db
    .prepare(sql)
    .bind(...params)
    .raw();
  return rows;
}

async function record(sql: SqlStorage, { name, db, moments }: Line, ms: number): Promise<void> {
  const tables: RecordedTable[] = [];
  for (const table of tablesOf(sql, name)) {
    const list = [...table.columns.values()].map(exact).join(', ');
    const rows = readRows(await rawOf(db, `SELECT ${list} FROM ${quote(table.name)}`), table.columns);
    tables.push({ ...table, rows });
  }
  moments.push({ lsn: Number(db.lsn()), ms, tables });
}

async function shapeOn(db: Database, name: string): Promise<Shape> {
  const info = await db.query<{ name: string; hidden: number; pk: number }>(
    `PRAGMA table_xinfo(${quote(name)})`,
  );
  return {
    name,
    columns: info.map((column) => column.name),
    writable: info.filter(({ hidden }) => hidden === 0).map((column) => column.name),
    keys: info.filter(({ pk }) => pk > 0).map((column) => column.name),
  };
}

async function step(sql: SqlStorage, { name, db }: Line, random: Random): Promise<void> {
  const tables = tablesOf(sql, name);
  const any = (): Promise<Shape> => shapeOn(db, random.pick(tables).name);
  const one = async (): Promise<string> => change(random, await any());
  const dice = random.next();
  if (dice < 0.12) await attempt(db.exec(alter(random, await any())));
  else if (dice < 0.16)
    await attempt(db.exec('DROP TABLE kv; CREATE TABLE kv(k TEXT PRIMARY KEY, v, w) WITHOUT ROWID'));
  else if (dice < 0.2) await attempt(db.exec(`DROP TABLE ${random.pick(tables).name}`));
  else if (dice < 0.24)
    await attempt(
      db.exec(`CREATE TABLE made${random.int(3)}(a TEXT, b INTEGER, PRIMARY KEY (b, a)) WITHOUT ROWID`),
    );
  else if (dice < 0.4)
    await attempt(
      db.transaction(async (tx) => {
        for (let i = random.int(5); i >= 0; i--) await attempt(tx.run(await one()));
        if (random.chance(0.2)) throw new Error('undo');
      }),
    );
  else await attempt(db.run(await one()));
}

/** A line more: of one of those that there are, as it is or as it was. */
async function fork(lines: readonly Line[], random: Random): Promise<Line> {
  const parent = random.pick(lines);
  const name = `b${lines.length}`;
  const from = random.chance(0.5) ? undefined : random.pick(parent.moments).lsn;
  const db = await parent.db.branch(name, from === undefined ? {} : { from: { lsn: from } });
  const inherited = parent.moments.filter(({ lsn }) => from === undefined || lsn <= from);
  return { name, db, moments: [...inherited] };
}

async function check(
  main: Database,
  { name: line, db, moments }: Line,
  random: Random,
  about: string,
): Promise<number> {
  let checked = 0;
  for (const { lsn, tables } of random.some(moments).slice(0, 12))
    for (const { name, columns, rows } of tables) {
      const list = [...columns.values()].map(exact).join(', ');
      const raw = await rawOf(db, `SELECT ${list} FROM ${quote(name)} FOR SYSTEM_TIME AS OF LSN ?`, [lsn]);
      const ids = [...columns.keys()];
      expect(texts(readRows(raw, columns), ids), `${about}: ${line}/${name} as of ${lsn}`).toEqual(
        texts(rows, ids),
      );
    }
  const last = moments.at(-1) as Moment;
  for (const end of [last, ...random.some(moments).slice(0, 4)])
    for (const { tableId, name, columns } of end.tables) {
      const begin = end === last ? undefined : random.pick(moments.filter(({ ms }) => ms <= end.ms));
      const [period, params] =
        begin === undefined
          ? ['ALL', []]
          : random.chance(0.5)
            ? ['BETWEEN LSN ? AND ?', [begin.lsn, end.lsn]]
            : ['BETWEEN TIMESTAMP ? AND ?', [begin.ms, end.ms]];
      const [handle, called] = random.chance(0.3) ? [main, `${line}/${name}`] : [db, name];
      const list = [...columns.values()].map(exact).join(', ');
      const raw = await rawOf(
        handle,
        `SELECT ${list}, _lsn_from, _lsn_to FROM ${quote(called)} FOR SYSTEM_TIME ${period}`,
        params,
      );
      for (const moment of moments) {
        if (moment.lsn > end.lsn || (begin !== undefined && moment.lsn < begin.lsn)) continue;
        const then = moment.tables.find((table) => table.tableId === tableId);
        const ids = [...columns.keys()].filter((id) => then === undefined || then.columns.has(id));
        const held = raw.filter((row) => {
          const [from, to] = row.slice(columns.size) as [number, number | null];
          return from <= moment.lsn && (to === null || to > moment.lsn);
        });
        const where = `${about}: ${line}/${name} ${period} ${params.join()} at ${moment.lsn}`;
        expect(texts(readRows(held, columns), ids), where).toEqual(texts(then?.rows ?? [], ids));
        checked++;
        if (end !== last || !random.chance(0.1)) continue;
        // With the columns of the present, those that have come since and all.
        const cells = [...columns.values()].map((column, i) => `${exact(column)} AS c${i}`);
        const present = await db
          .asOf({ lsn: moment.lsn }, { schema: 'present' })
          .query(`SELECT ${cells.join(', ')} FROM ${quote(name)}`);
        const found = readRows(
          present.map((row) => Object.values(row)),
          columns,
        );
        const all = [...columns.keys()];
        expect(texts(found, all), `${where}, present`).toEqual(texts(readRows(held, columns), all));
      }
      if (name === 'item' && end === last)
        await checkKeys(db, [...columns.keys()], columns, raw, random, about);
    }
  return checked;
}

/** One key's versions are those of all that have it, and `history` has the same. */
async function checkKeys(
  db: Database,
  ids: readonly number[],
  columns: ReadonlyMap<number, string>,
  all: readonly unknown[][],
  random: Random,
  about: string,
): Promise<void> {
  const key = [...columns.values()].indexOf('id');
  const list = [...columns.values()].map(exact).join(', ');
  for (const id of new Set(random.some(all).map((row) => row[key] as string)).values()) {
    const value = id.replace('integer ', '');
    const raw = await rawOf(
      db,
      `SELECT ${list}, _lsn_from, _lsn_to FROM item FOR SYSTEM_TIME ALL WHERE id = ${value}`,
    );
    const same = all.filter((row) => row[key] === id);
    expect(raw.map(String).toSorted(), `${about}: item ${value}`).toEqual(same.map(String).toSorted());
    if (!Number.isSafeInteger(Number(value))) continue;
    const history = await db.history('item', Number(value));
    const found = (lsn: number): number =>
      history.filter(({ lsnFrom, lsnTo }) => lsnFrom <= lsn && (lsnTo === null || lsnTo > lsn)).length;
    for (const row of same) {
      const [from, to] = row.slice(ids.length) as [number, number | null];
      expect(found(from), `${about}: item ${value} at ${from}`).toBe(1);
      if (to !== null && !same.some((next) => next[ids.length] === to)) expect(found(to)).toBe(0);
    }
  }
}

describe.each(seeds(20_261_122))('seed %i', (seed) => {
  it(
    'versions on every line are all that it has held, and its parent before it',
    { timeout: 120_000 },
    async () => {
      console.log(`branch versions: VITE_SEED=${seed}`);
      let checked = 0;
      for (let history = 0; history < HISTORIES; history++) {
        const random = new Random(seed + history * 104_729);
        let now = Date.UTC(2030, 0, 1);
        await withDatabase(
          async (db, { storage }) => {
            await db.exec(schemaOf(random));
            const lines: Line[] = [{ name: 'main', db, moments: [] }];
            await record(storage.sql, lines[0] as Line, now);
            for (let i = 0; i < STEPS; i++) {
              now += 1 + random.int(2_000);
              if (lines.length <= MAX_BRANCHES && i > 5 && random.chance(0.15))
                lines.push(await fork(lines, random));
              const line = random.pick(lines);
              await step(storage.sql, line, random);
              await record(storage.sql, line, now);
            }
            for (const line of lines) {
              await record(storage.sql, line, now);
              checked += await check(db, line, random, `history ${history}`);
            }
          },
          { clock: () => now },
        );
      }
      console.log(`branch versions: ${checked} states`);
    },
  );
});
