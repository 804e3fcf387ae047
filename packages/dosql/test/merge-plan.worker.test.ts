import { describe, expect, it } from 'vitest';
import { parseTable, printTable, type TableDefinition } from '../src/merge/definition.ts';
import { planOf } from '../src/merge/plan.ts';
import { mergeTable, sameTable } from '../src/merge/table.ts';
import { withDatabase } from './support/database.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

/** Definitions of `t`; equal ids in two of them are one column. */
function define(random: Random, ids: readonly number[], names: (id: number) => string): string {
  const columns = ids.map((id) => {
    const name = names(id);
    const other = names(random.pick(ids));
    // What a column is depends on its id, so that versions of a table mostly agree about it.
    const kind = new Random(id * 31 + (random.chance(0.05) ? 1 : 0)).int(KINDS.length);
    return `${name}~${id} ${(KINDS[kind] as (name: string, other: string) => string)(name, other)}`;
  });
  const constraints = CONSTRAINTS.filter((_, i) => new Random(ids[0] ?? i).chance(0.2)).map((make) =>
    make(names(ids[0] as number), names(ids.at(-1) as number)),
  );
  return `CREATE TABLE t(${[...columns, ...constraints].join(', ')})`;
}

const KINDS: readonly ((name: string, other: string) => string)[] = [
  () => '',
  () => 'INTEGER',
  () => "TEXT DEFAULT 'it''s'",
  () => 'INTEGER NOT NULL DEFAULT -1',
  () => 'INTEGER NOT NULL',
  () => 'BOOLEAN DEFAULT TRUE',
  () => 'TEXT DEFAULT (1 + 1) COLLATE NOCASE',
  () => 'REAL DEFAULT (2.5)',
  () => 'TEXT DEFAULT CURRENT_TIMESTAMP',
  () => 'UNIQUE',
  () => 'REFERENCES p(a)',
  () => 'DEFAULT 1 REFERENCES p(a) ON DELETE SET DEFAULT NOT DEFERRABLE',
  (name) => `CHECK (${name} IS NULL OR ${name} <> 5)`,
  (_, other) => `CHECK (${other} IS NULL OR 1)`,
  () => 'INT DEFAULT NULL',
  () => "DEFAULT x'00ff' NOT NULL",
];

const CONSTRAINTS: readonly ((first: string, last: string) => string)[] = [
  (first) => `CHECK (${first} IS NULL OR ${first} <> 7)`,
  (first, last) => `UNIQUE (${first}, ${last})`,
  (_, last) => `FOREIGN KEY (${last}) REFERENCES p(a)`,
];

function parse(marked: string): { table: TableDefinition; sql: string } {
  const ids = new Map([...marked.matchAll(/(\w+)~(\d+)/g)].map(([, name, id]) => [name, Number(id)]));
  const sql = marked.replaceAll(/~\d+/g, '');
  return { table: parseTable(sql, (name) => ids.get(name)) as TableDefinition, sql };
}

const HISTORIES = 400;

describe.each(seeds(20_261_130))('seed %i', (seed) => {
  it('definitions that one side changed are that side’s, and every plan is one that SQLite carries out', () =>
    withDatabase(async (_, { storage: { sql } }) => {
      console.log(`plan: VITE_SEED=${seed}`);
      const random = new Random(seed);
      const counts = { none: 0, alters: 0, rebuild: 0 };
      sql.exec('CREATE TABLE p(a PRIMARY KEY)');
      const values = random.times(8, (n) => (n === 0 ? 1 : n + 19));
      for (const value of values) sql.exec('INSERT INTO p VALUES (?), (?)', value, String(value));
      for (let i = 0; i < HISTORIES; i++) {
        const ids = random.times(1 + random.int(4), (n) => n + 1);
        const names = (id: number): string => `c${id}`;
        const from = parse(define(random, ids, names));
        const kept = ids.filter(() => random.chance(0.8));
        const moved = new Map(kept.filter(() => random.chance(0.2)).map((id) => [id, `d${id}`]));
        const next = [...kept, ...random.times(random.int(3), (n) => 10 + n)];
        if (next.length === 0) continue;
        const to = parse(define(random, next, (id) => moved.get(id) ?? names(id)));
        for (const [ours, theirs] of [
          [from.table, to.table],
          [to.table, from.table],
        ] as const) {
          const { definition, conflicts } = mergeTable({ base: from.table, ours, theirs });
          expect(conflicts, `${from.sql} → ${to.sql}`).toEqual([]);
          expect(sameTable(definition, to.table), `${from.sql} → ${to.sql}`).toBe(true);
        }
        sql.exec('DROP TABLE IF EXISTS t');
        sql.exec(from.sql);
        const before = from.table.columns.map(({ name }) => name);
        sql.exec(`INSERT INTO t(${before.join(', ')}) VALUES (${before.map((_, n) => n + 20).join(', ')})`);
        const plan = planOf(from.table, to.table);
        if ('rebuild' in plan) {
          counts.rebuild++;
          expect(plan.rebuild).toBe(printTable(to.table));
          continue;
        }
        counts[plan.alters.length === 0 ? 'none' : 'alters']++;
        for (const alter of plan.alters) sql.exec(alter);
        const [[text]] = [...sql.exec("SELECT sql FROM sqlite_schema WHERE name = 't'").raw()] as [[string]];
        const got = parseTable(text) as TableDefinition;
        expect(sameTable(got, to.table), `${from.sql} → ${to.sql}: ${text}`).toBe(true);
        const rows = sql.exec('SELECT * FROM t').toArray();
        for (const { id, name } of to.table.columns) {
          const at = from.table.columns.findIndex((column) => column.id === id);
          if (at >= 0) expect(rows[0]?.[name]).toEqual(storedAs(at + 20, from.table.columns[at]?.rest ?? ''));
        }
      }
      console.log(`plan: ${JSON.stringify(counts)}`);
      expect(counts.alters).toBeGreaterThan(20);
      expect(counts.rebuild).toBeGreaterThan(20);
    }));
});

const storedAs = (value: number, type: string): number | string =>
  type.startsWith('TEXT') ? String(value) : value;

describe('a plan', () => {
  const plan = (from: string, to: string, used: string[] = []): ReturnType<typeof planOf> =>
    planOf(parse(`CREATE TABLE t(${from})`).table, parse(`CREATE TABLE t(${to})`).table, used);

  it.each<[string, string, string[]]>([
    ['a', 'a', []],
    ['a', 'a, "b c" INT', ['ALTER TABLE "t" ADD COLUMN "b c" INT']],
    ['a, b', 'b', ['ALTER TABLE "t" DROP COLUMN "a"']],
    ['a~1', 'b~1', ['ALTER TABLE "t" RENAME COLUMN "a" TO "b"']],
    [
      'a~1, b~2',
      'b~1, c~3',
      [
        'ALTER TABLE "t" DROP COLUMN "b"',
        'ALTER TABLE "t" RENAME COLUMN "a" TO "b"',
        'ALTER TABLE "t" ADD COLUMN c',
      ],
    ],
    ['a', 'a, g AS (a + 1)', ['ALTER TABLE "t" ADD COLUMN g AS (a + 1)']],
    ['a', 'a, b NOT NULL DEFAULT 0', ['ALTER TABLE "t" ADD COLUMN b NOT NULL DEFAULT 0']],
    [
      'a',
      'a, b REFERENCES p(a) ON DELETE SET DEFAULT',
      ['ALTER TABLE "t" ADD COLUMN b REFERENCES p(a) ON DELETE SET DEFAULT'],
    ],
  ])('from %s to %s alters', (from, to, alters) => {
    expect(plan(from, to)).toEqual({ alters });
  });

  it.each<[string, string]>([
    ['a', 'b, a'],
    ['a', 'a INT'],
    ['a', 'a, b UNIQUE'],
    ['a', 'a, b PRIMARY KEY'],
    ['a', 'a, b NOT NULL'],
    ['a', 'a, b NOT NULL DEFAULT NULL'],
    ['a', 'a, b DEFAULT CURRENT_DATE'],
    ['a', 'a, b DEFAULT (random())'],
    ['a', 'a, b DEFAULT 1 REFERENCES p(a)'],
    ['a', 'a, b AS (a) STORED'],
    ['a', 'a, CHECK (a > 0)'],
    ['a, CHECK (a > 0)', 'a'],
    ['a, b UNIQUE', 'a'],
    ['a PRIMARY KEY, b', 'b'],
    ['a, b, CHECK (b > 0)', 'a, CHECK (b > 0)'],
    ['a, b, c AS (b)', 'a, c AS (b)'],
    ['a', 'b'],
    ['a~1, b~2', 'b~1, a~2'],
    ['a~1, b~2', 'b~2, a~1'],
  ])('from %s to %s makes the table anew', (from, to) => {
    expect(plan(from, to)).toHaveProperty('rebuild');
  });

  it('drops no column that an index names, and changes no options', () => {
    expect(plan('a, b', 'a', ['B'])).toHaveProperty('rebuild');
    const table = parse('CREATE TABLE t(a PRIMARY KEY)').table;
    expect(planOf(table, { ...table, isWithoutRowid: true })).toHaveProperty('rebuild');
    expect(planOf(table, { ...table, isStrict: true })).toHaveProperty('rebuild');
  });

  it('renames the table first', () => {
    const table = parse('CREATE TABLE t(a)').table;
    expect(planOf(table, parse('CREATE TABLE "u v"(a, b)').table)).toEqual({
      alters: ['ALTER TABLE "t" RENAME TO "u v"', 'ALTER TABLE "u v" ADD COLUMN b'],
    });
  });
});
