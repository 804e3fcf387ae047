import { describe, expect, it } from 'vitest';
import type { Database, Session } from '../src/index.ts';
import { withDatabase } from './support/database.ts';
import { alter, change, schemaOf, shapeOf } from './support/history.ts';
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
import { Statements, type KnownTable, type Step } from './support/statements.ts';

/** What the log calls each table that there is now. */
function relations(sql: SqlStorage): Omit<RecordedTable, 'rows'>[] {
  const rows = [
    ...sql.exec('SELECT table_id, name, shape FROM __dosql_relation WHERE until IS NULL').raw(),
  ] as unknown as [number, string, string][];
  return rows.map(recordedTable);
}

function record(sql: SqlStorage, lsn: number, ms: number): Moment {
  const tables = relations(sql).map((relation): RecordedTable => {
    const list = [...relation.columns.values()].map(exact).join(', ');
    return {
      ...relation,
      rows: readRows(sql.exec(`SELECT ${list} FROM main.${quote(relation.name)}`).raw(), relation.columns),
    };
  });
  return { lsn, ms, tables };
}

async function take(db: Session, step: Step): Promise<void> {
  if (step.kind === 'query') await attempt(db.query(step.call.sql, step.call.params));
  else if (step.kind === 'run') await attempt(db.run(step.call.sql, step.call.params));
  else if (step.kind === 'exec') await attempt(db.exec(step.sql));
  else if (step.kind === 'batch')
    await attempt(db.batch(step.calls.map(({ sql, params }) => ({ sql, params }))));
  else
    await attempt(
      db.transaction(async (tx) => {
        for (const each of step.steps) await take(tx, each);
        if (step.fails) throw new Error('undo');
      }),
    );
}

function knownTables(sql: SqlStorage): KnownTable[] {
  return relations(sql)
    .filter(({ name }) => name !== 'failed')
    .map(({ name }) => {
      const { columns, writable } = shapeOf(sql, name);
      return { name, columns, writable };
    });
}

/** A way to make one more step of a history. */
type Live = (db: Database, sql: SqlStorage, random: Random) => Promise<void>;

const live: Record<string, () => Promise<{ schema: (random: Random) => string; step: Live }>> = {
  'tables of every kind of key': async () => ({
    schema: schemaOf,
    step: async (db, sql, random) => {
      const names = relations(sql).map(({ name }) => name);
      const one = (): string => change(random, shapeOf(sql, random.pick(names)));
      const dice = random.next();
      if (dice < 0.08) await attempt(db.exec(alter(random, shapeOf(sql, random.pick(names)))));
      else if (dice < 0.1)
        await attempt(db.exec('DROP TABLE kv; CREATE TABLE kv(k TEXT PRIMARY KEY, v, w) WITHOUT ROWID'));
      else if (dice < 0.4)
        await attempt(
          db.transaction(async (tx) => {
            for (let i = random.int(6); i >= 0; i--) await attempt(tx.run(one()));
            if (random.chance(0.2)) throw new Error('undo');
          }),
        );
      else await attempt(db.run(one()));
    },
  }),
  'generated tables': async () => {
    let statements: Statements | undefined;
    return {
      schema: () =>
        "CREATE TABLE parent(id INTEGER PRIMARY KEY, code TEXT UNIQUE); CREATE TABLE audit(id INTEGER PRIMARY KEY, what, at); INSERT INTO audit VALUES (1, 'x', 0)",
      step: async (db, sql, random) => {
        statements ??= new Statements(random, random.chance(0.5));
        statements.tables = knownTables(sql);
        const step = statements.step();
        await take(db, step);
      },
    };
  },
};

const HISTORIES = 3;
const STEPS = 60;

describe.each(seeds(20_261_121))('seed %i', (seed) => {
  it.each(Object.keys(live))(
    'versions and points reproduce every committed state: %s',
    { timeout: 120_000 },
    async (kind) => {
      console.log(`past: VITE_SEED=${seed}`);
      let checked = 0;
      for (let history = 0; history < HISTORIES; history++) {
        const random = new Random(seed + history * 104_729);
        let now = Date.UTC(2030, 0, 1);
        await withDatabase(
          async (db, { storage }) => {
            const { schema, step } = await (live[kind] as (typeof live)[string])();
            await db.exec(schema(random));
            const moments: Moment[] = [];
            for (let i = 0; i < STEPS; i++) {
              now += 1 + random.int(2_000);
              await step(db, storage.sql, random);
              moments.push(record(storage.sql, Number(db.lsn()), now));
            }
            checked += await check(db, random, moments, `history ${history}`);
          },
          { clock: () => now },
        );
      }
      console.log(`past: ${checked} states`);
    },
  );
});

async function rawOf(db: Database, sql: string, params: readonly number[]): Promise<unknown[][]> {
  const rows = await db
    .prepare(sql)
    .bind(...params)
    .raw();
  return rows;
}

async function check(
  db: Database,
  random: Random,
  moments: readonly Moment[],
  about: string,
): Promise<number> {
  let checked = 0;
  const last = moments.at(-1) as Moment;
  for (const { lsn, ms, tables } of moments)
    for (const { name, columns, rows } of tables) {
      const ids = [...columns.keys()];
      const list = [...columns.values()].map(exact).join(', ');
      const [clause, point] = random.pick([
        ['LSN ?', lsn],
        ['TIMESTAMP ?', ms],
      ] as const);
      const raw = await rawOf(db, `SELECT ${list} FROM ${quote(name)} FOR SYSTEM_TIME AS OF ${clause}`, [
        point,
      ]);
      expect(texts(readRows(raw, columns), ids), `${about}: ${name} as of ${lsn}`).toEqual(texts(rows, ids));
      checked++;
      // What is read decides how: numbers come with the list of changes, texts by a lookup each.
      const [id, column] = random.pick([...columns]);
      const alone = await rawOf(
        db,
        `SELECT ${exact(column)} FROM ${quote(name)} FOR SYSTEM_TIME AS OF LSN ?`,
        [lsn],
      );
      const one = new Map([[id, column]]);
      expect(texts(readRows(alone, one), [id]), `${about}: ${name}.${column} as of ${lsn}`).toEqual(
        texts(rows, [id]),
      );
    }
  for (const end of [last, ...random.some(moments).slice(0, 6)])
    for (const { tableId, name, columns } of end.tables) {
      const list = [...columns.values()].map(exact).join(', ');
      const begin = end === last ? undefined : random.pick(moments.filter(({ lsn }) => lsn <= end.lsn));
      const period = begin === undefined ? 'ALL' : 'BETWEEN LSN ? AND ?';
      const params = begin === undefined ? [] : [begin.lsn, end.lsn];
      const raw = await rawOf(
        db,
        `SELECT ${list}, _lsn_from, _lsn_to FROM ${quote(name)} FOR SYSTEM_TIME ${period}`,
        params,
      );
      const width = columns.size;
      for (const moment of moments) {
        if (moment.lsn > end.lsn || (begin !== undefined && moment.lsn < begin.lsn)) continue;
        const then = moment.tables.find((table) => table.tableId === tableId);
        const ids = [...columns.keys()].filter((id) => then === undefined || then.columns.has(id));
        const held = raw.filter((row) => {
          const [from, to] = row.slice(width) as [number, number | null];
          return from <= moment.lsn && (to === null || to > moment.lsn);
        });
        const where = `${about}: ${name} ${period} ${params.join()} at ${moment.lsn}`;
        expect(texts(readRows(held, columns), ids), where).toEqual(texts(then?.rows ?? [], ids));
        if (end === last && random.chance(0.1)) {
          // With the columns of the present, those that have come since and all.
          const present = await db
            .asOf({ lsn: moment.lsn }, { schema: 'present' })
            .query(
              `SELECT ${[...columns.values()].map((column, i) => `${exact(column)} AS c${i}`).join(', ')} FROM ${quote(name)}`,
            );
          const found = readRows(
            present.map((row) => Object.values(row)),
            columns,
          );
          expect(texts(found, [...columns.keys()]), `${where}, schema of the present`).toEqual(
            texts(readRows(held, columns), [...columns.keys()]),
          );
        }
        checked++;
      }
    }
  return checked;
}
