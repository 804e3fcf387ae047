import { describe, expect, it } from 'vitest';
import { columnsIn, normal, parseTable, printTable, renamed, sameText } from './definition.ts';

const parsed = (sql: string): NonNullable<ReturnType<typeof parseTable>> => {
  const table = parseTable(sql);
  if (table === undefined) throw new Error(`not a table: ${sql}`);
  return table;
};

describe('a CREATE TABLE statement', () => {
  it('is taken apart into columns, constraints and options', () => {
    const table = parsed(
      `CREATE TABLE IF NOT EXISTS main."it's"( -- the (first
        id INTEGER PRIMARY KEY, /* , */ "a b" VARCHAR(10, 2) DEFAULT ('(,') CHECK ("a b" <> ','),
        [c] AS (id + 1) STORED, 'd', CONSTRAINT "u,1" UNIQUE (c, 'd') CHECK (id > 0) FOREIGN KEY (c) REFERENCES p(a, b),
        CONSTRAINT x PRIMARY KEY (id)
      ) WITHOUT ROWID, STRICT`,
    );
    expect(table).toEqual({
      name: "it's",
      columns: [
        { name: 'id', text: 'id INTEGER PRIMARY KEY', rest: 'INTEGER PRIMARY KEY' },
        {
          name: 'a b',
          text: `"a b" VARCHAR(10, 2) DEFAULT ('(,') CHECK ("a b" <> ',')`,
          rest: `VARCHAR(10, 2) DEFAULT ('(,') CHECK ("a b" <> ',')`,
        },
        { name: 'c', text: '[c] AS (id + 1) STORED', rest: 'AS (id + 1) STORED' },
        { name: 'd', text: "'d'", rest: '' },
      ],
      constraints: [
        { name: 'u,1', kind: 'unique', text: `CONSTRAINT "u,1" UNIQUE (c, 'd')` },
        { name: undefined, kind: 'check', text: 'CHECK (id > 0)' },
        { name: undefined, kind: 'foreign key', text: 'FOREIGN KEY (c) REFERENCES p(a, b)' },
        { name: 'x', kind: 'primary key', text: 'CONSTRAINT x PRIMARY KEY (id)' },
      ],
      isWithoutRowid: true,
      isStrict: true,
    });
    expect(parseTable(printTable(table))).toEqual(table);
  });

  it('keeps the ids that columns are given', () => {
    const table = parseTable('CREATE TABLE t(a, b, __proto__)', (name) => (name === 'b' ? 7 : undefined));
    expect(table?.columns.map(({ name, id }) => [name, id])).toEqual([
      ['a', undefined],
      ['b', 7],
      ['__proto__', undefined],
    ]);
  });

  it.each([
    'CREATE VIRTUAL TABLE f USING fts5(a, b)',
    'CREATE TABLE t AS SELECT 1',
    'CREATE VIEW v AS SELECT (1)',
    '',
  ])('is not %j', (sql) => {
    expect(parseTable(sql)).toBe(undefined);
  });
});

describe('texts', () => {
  it('say the same whatever their spelling, but not whatever their strings', () => {
    expect(sameText('CHECK(a>0)', 'check ( A /* x */ > 0 )')).toBe(true);
    expect(sameText('UNIQUE ("A")', 'UNIQUE ([a])')).toBe(true);
    expect(sameText("DEFAULT 'a'", "DEFAULT 'A'")).toBe(false);
    expect(sameText('a > 1', 'a > 2')).toBe(false);
    expect(sameText(undefined, '')).toBe(false);
    expect(normal('a  b')).toBe('A B');
  });

  it('name columns inside of parentheses', () => {
    expect(columnsIn('TEXT CHECK (lower(a) = t.b) REFERENCES p(c) COLLATE nocase', 't')).toEqual(
      new Set(['a', 'b']),
    );
    expect(columnsIn('FOREIGN KEY (a) REFERENCES T(c)', 't')).toEqual(new Set(['a', 'c']));
  });

  it('get their columns renamed, and nothing else', () => {
    const renames = new Map([['a', 'x "y']]);
    expect(renamed(`CHECK (a > 'a' AND A(1) AND "A" <> b) REFERENCES p(a) ON DELETE a`, 't', renames)).toBe(
      `CHECK ("x ""y" > 'a' AND A(1) AND "x ""y" <> b) REFERENCES p(a) ON DELETE a`,
    );
  });
});
