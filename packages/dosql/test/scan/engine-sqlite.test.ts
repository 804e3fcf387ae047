import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/scan/budget.ts';
import { execute } from '../../src/scan/execute.ts';
import { planAnalytics } from '../../src/scan/plan.ts';
import type { ScanColumn } from '../../src/scan/vector.ts';
import { parse } from '../../src/sql/statement.ts';
import type { SqlValue } from '../../src/value/row.ts';
import { Random } from '../support/random.ts';
import { Queries } from './engine-queries.ts';
import { tableOf } from './engine-tables.ts';

const COLUMNS: readonly ScanColumn[] = [
  { name: 'id', type: 'integer' },
  { name: 'i', type: 'integer' },
  { name: 'big', type: 'integer' },
  { name: 'r', type: 'real' },
  { name: 's', type: 'text' },
  { name: 'u', type: 'text' },
  { name: 'code', type: 'text' },
  { name: 'b', type: 'blob' },
  { name: 'a', type: 'any' },
  { name: 'odd "name', type: 'integer' },
  { name: 'run', type: 'integer' },
];
const DDL =
  'CREATE TABLE t(id INTEGER, i INTEGER, big INTEGER, r REAL, s TEXT, u TEXT, code TEXT, b BLOB, a, "odd ""name" INTEGER, run INTEGER)';

function randomRow(random: Random, id: number): SqlValue[] {
  const orNull = (value: SqlValue): SqlValue => (random.chance(0.15) ? null : value);
  const int = random.int(20) - 5;
  return [
    id,
    orNull(int),
    orNull(
      random.chance(0.5)
        ? random.int(100)
        : BigInt(random.int(2 ** 30)) * 4_294_967_296n * (random.chance(0.5) ? -1n : 1n) +
            BigInt(random.int(9)),
    ),
    orNull(random.pick([random.int(9), random.int(900) / 8, random.next() * 1e9, -random.next(), 1e20])),
    orNull(`s${random.int(12)}`),
    orNull(
      random.pick([
        '',
        'ä',
        'äöü',
        'S1',
        'z\u{1f600}z',
        '\u{fffd}x',
        'a_b',
        'ab',
        '12',
        '12abc',
        ' 7',
        '2.50',
        'Äs',
      ]),
    ),
    orNull(random.pick(['a', 'b', 'c'])),
    orNull(Uint8Array.from(random.times(random.int(3), () => 1 + random.int(126)))),
    orNull(
      random.pick<SqlValue>([
        int,
        random.int(90) / 8 + 0.0625,
        'text',
        '5',
        `${int}`,
        Uint8Array.of(1),
        2n ** 60n,
      ]),
    ),
    orNull(random.int(3)),
    id >> 4,
  ];
}

const seed = Number(process.env['VITE_SEED'] ?? 4711);
const runs = Number(process.env['VITE_RUNS'] ?? 1500);

/**
 * A row as text. A value that groups are made by may be an INTEGER and a REAL in different rows of a group; which one
 * stands for both is not SQLite's promise.
 */
function line(row: readonly SqlValue[], sql: string): string {
  const keys = / DISTINCT .* AS o/.test(sql) ? row.length : (sql.match(/ AS k\d/g)?.length ?? 0);
  const texts = row.map((value, i) =>
    i < keys && Number.isInteger(value) ? shown(BigInt(value as number)) : shown(value),
  );
  return texts.join(' | ');
}

/** Integers as bigint, reals as numbers; reals that differ in the last digits are the same. */
function shown(value: SqlValue): string {
  if (typeof value === 'number') return value === 0 ? 'r0' : `r${value.toPrecision(11)}`;
  if (typeof value === 'bigint') return `i${value}`;
  if (value instanceof Uint8Array) return `b${value.join()}`;
  return value === null ? 'null' : `t${value}`;
}

describe(`queries as SQLite answers them (seed ${seed})`, () => {
  for (let part = 0; part < 5; part++)
    it(`gives the same rows, classes and order, part ${part}`, async () => {
      const random = new Random(seed + part);
      const db = new DatabaseSync(':memory:');
      db.exec(DDL);
      const insert = db.prepare(`INSERT INTO t VALUES (${COLUMNS.map(() => '?').join()})`);
      // Batches of some thousand rows share arrays, which smaller ones do not.
      const count = part === 4 ? 6000 : 1 + random.int(300);
      const rows = random.times(count, (id) => randomRow(random, id));
      for (const row of rows)
        insert.run(
          ...row.map((value): SQLInputValue =>
            Number.isSafeInteger(value) ? BigInt(value as number) : value,
          ),
        );
      const { table, asked } = tableOf(random, COLUMNS, rows);
      const queries = new Queries(random);
      let planned = 0;
      for (let run = 0; run < (part === 4 ? runs / 25 : runs / 5); run++) {
        const { sql, isOrdered } = queries.query();
        const where = `seed ${seed + part}, query ${run}: ${sql}`;
        let expected: string[];
        try {
          const statement = db.prepare(sql);
          statement.setReadBigInts(true);
          statement.setReturnArrays(true);
          expected = (statement.all() as unknown as SqlValue[][]).map((row) => line(row, sql));
        } catch (error) {
          // A sum that overflows on the way need not in the end; a query that SQLite refuses is not of interest.
          if (/overflow|out of range|GROUP BY clause/.test(String(error))) continue;
          throw error;
        }
        const [statement] = parse(sql);
        const reference = statement?.references[0];
        if (statement === undefined || reference === undefined) throw new Error(where);
        const plan = planAnalytics(
          statement,
          reference,
          COLUMNS.map(({ name }) => name),
        );
        if (plan === null) continue;
        planned++;
        const got = await execute(plan, table, [], new Budget(), { bigints: true }).then(
          (result) => result.rows.map((row) => line(row, sql)),
          (error: unknown) => {
            throw new Error(where, { cause: error });
          },
        );
        if (!isOrdered) {
          expected.sort();
          got.sort();
        }
        expect(got, where).toEqual(expected);
      }
      expect(asked, 'columns that were not requested').toEqual(new Set());
      expect(planned).toBeGreaterThan((part === 4 ? runs / 25 : runs / 5) / 1.2);
    });
});
