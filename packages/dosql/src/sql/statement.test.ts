import { describe, expect, it } from 'vitest';
import { DoSQLError } from '../error.ts';
import { orderParameters, type SqlParameters } from '../value/parameter.ts';
import { parse, type Statement } from './statement.ts';

const one = (sql: string): Statement => {
  const [statement] = parse(sql);
  if (statement === undefined) throw new Error(`no statement: ${sql}`);
  return statement;
};

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    return error instanceof DoSQLError ? error.code : String(error);
  }
  return undefined;
}

describe('parse', () => {
  it.each<[string, string[]]>([
    ['', []],
    [' ; ;; -- nothing\n', []],
    ['SELECT 1', ['SELECT 1']],
    ['SELECT 1;SELECT 2;', ['SELECT 1', 'SELECT 2']],
    [
      'SELECT \';\' ; SELECT ";", [;], `;` -- ;\n; SELECT /* ; */ 3 -- the end;',
      ["SELECT ';'", 'SELECT ";", [;], `;`', 'SELECT /* ; */ 3'],
    ],
    ["SELECT 'it''s; fine'; SELECT 2", ["SELECT 'it''s; fine'", 'SELECT 2']],
    [
      'CREATE TABLE begin(a); SELECT CASE WHEN 1 THEN 2 END; SELECT 3',
      ['CREATE TABLE begin(a)', 'SELECT CASE WHEN 1 THEN 2 END', 'SELECT 3'],
    ],
  ])('splits %j', (sql, expected) => {
    expect(parse(sql).map((statement) => statement.sql)).toEqual(expected);
  });

  it.each([
    'CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END',
    'create temp trigger if not exists main.g before delete on t when OLD.a begin delete from u; end',
    'CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = CASE WHEN 1 THEN CASE b WHEN 2 THEN 3 END ELSE 4 END; END',
    'CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET end = NEW.end, begin = end; SELECT end; END',
    'CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT \'END; x\', "END;" /* ; END; */; -- END;\nEND',
    'EXPLAIN CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END',
  ])('keeps a trigger whole: %s', (trigger) => {
    expect(parse(`SELECT 0; ${trigger}; SELECT 9`).map(({ sql }) => sql)).toEqual([
      'SELECT 0',
      trigger,
      'SELECT 9',
    ]);
  });

  it.each<[string, Statement['kind']]>([
    ['SELECT 1', 'read'],
    ['WITH a AS (SELECT 1) SELECT * FROM a', 'read'],
    ['WITH replace AS (SELECT 1) SELECT * FROM replace', 'read'],
    ['WITH a(insert_, "update") AS (VALUES (1, 2)) DELETE FROM t', 'write'],
    ['WITH a AS (SELECT 1) REPLACE INTO t SELECT * FROM a', 'write'],
    ['EXPLAIN DELETE FROM t', 'read'],
    ['explain query plan pragma recursive_triggers = 0', 'pragma'],
    ['/* x */ pragma table_list', 'pragma'],
    ['ANALYZE', 'maintenance'],
    ['DROP TABLE t', 'ddl'],
    ['VALUES (1)', 'read'],
  ])('knows what %j does', (sql, kind) => {
    expect(one(sql).kind).toBe(kind);
  });

  it.each<[string, boolean]>([
    ['INSERT OR REPLACE INTO t VALUES (1)', true],
    ['update or replace t set a = 1', true],
    ['WITH c AS (SELECT 1) REPLACE INTO t SELECT * FROM c', true],
    ['UPDATE t SET a = 1 WHERE b OR replace <> 2', false],
    ["UPDATE t SET a = replace(a, 'x', 'OR REPLACE INTO')", false],
  ])('knows whether %j replaces', (sql, replaces) => {
    expect(one(sql).replaces).toBe(replaces);
  });

  it('refuses a NUL character', () => {
    expect(codeOf(() => parse("SELECT 'a\0b'"))).toBe('SYNTAX');
  });
});

describe('what ends the transaction of the platform', () => {
  it.each([
    'INSERT OR ROLLBACK INTO t VALUES (1)',
    'insert or /* x */ rollback into t values (1)',
    'UPDATE OR ROLLBACK t SET a = 1',
    'WITH c AS (SELECT 1) INSERT OR ROLLBACK INTO t SELECT * FROM c',
    'CREATE TABLE t(a UNIQUE ON CONFLICT ROLLBACK)',
    'CREATE TABLE t(a, b, UNIQUE (a, b) ON -- x\n CONFLICT ROLLBACK)',
    'CREATE TABLE t(a NOT NULL ON CONFLICT ROLLBACK)',
    "CREATE TRIGGER g BEFORE INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    "CREATE TRIGGER g BEFORE INSERT ON t BEGIN SELECT raise ( rollback , 'no'); END",
    'CREATE TRIGGER g BEFORE INSERT ON t BEGIN UPDATE OR ROLLBACK u SET a = 1; END',
    'SELECT 1; INSERT OR ROLLBACK INTO t VALUES (1)',
  ])('is refused: %s', (sql) => {
    expect(codeOf(() => parse(sql))).toBe('FORBIDDEN');
  });

  it.each([
    'SELECT rollback FROM t WHERE a OR rollback',
    'SELECT a AS conflict, rollback FROM t',
    "INSERT INTO rollback VALUES ('INSERT OR ROLLBACK INTO t', 'RAISE(ROLLBACK)')",
    'SELECT "OR ROLLBACK", [ON CONFLICT ROLLBACK] -- RAISE(ROLLBACK)\n FROM t',
    'CREATE TABLE t(rollback, raise, "or rollback")',
    'SELECT * FROM t JOIN u ON conflict = "rollback"',
    "CREATE TRIGGER g BEFORE INSERT ON t BEGIN SELECT RAISE(ABORT, 'ROLLBACK'); END",
  ])('is not what merely looks so: %s', (sql) => {
    expect(codeOf(() => parse(sql))).toBeUndefined();
  });
});

describe('names that begin with __dosql_', () => {
  it.each([
    '__dosql_log',
    '"__dosql_log"',
    '[__dosql_log]',
    '`__dosql_log`',
    "'__dosql_log'",
    '__DOSQL_log',
    'main.__dosql_log',
    "main.'__dosql_log'",
  ])('are refused wherever a name stands: %s', (name) => {
    const places = [
      `SELECT * FROM ${name}`,
      `SELECT * FROM t, ${name} AS x`,
      `SELECT * FROM t WHERE a IN ${name}`,
      `SELECT (SELECT max(a) FROM ${name})`,
      `INSERT INTO ${name} VALUES (1)`,
      `UPDATE ${name} SET a = 1`,
      `UPDATE OR IGNORE ${name} SET a = 1`,
      `DELETE FROM ${name}`,
      `REPLACE INTO ${name} VALUES (1)`,
      `WITH c AS (SELECT * FROM ${name}) SELECT 1`,
      `CREATE TABLE ${name}(a)`,
      `CREATE VIEW ${name} AS SELECT 1`,
      `CREATE VIRTUAL TABLE ${name} USING fts5(a)`,
      `CREATE INDEX ${name} ON t(a)`,
      `CREATE TRIGGER ${name} AFTER INSERT ON t BEGIN SELECT 1; END`,
      `CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM ${name}; END`,
      `CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE ${name} SET a = 1; END`,
      `DROP TABLE ${name}`,
      `DROP TABLE IF EXISTS ${name}`,
      `DROP TRIGGER ${name}`,
      `DROP TRIGGER IF EXISTS ${name}`,
      `DROP INDEX ${name}`,
      `DROP VIEW ${name}`,
      `ALTER TABLE ${name} RENAME TO x`,
      `EXPLAIN DELETE FROM ${name}`,
      ...(name.startsWith('main.')
        ? []
        : [
            `CREATE TABLE t(a REFERENCES ${name})`,
            `CREATE INDEX i ON ${name}(a)`,
            `CREATE TRIGGER g AFTER INSERT ON ${name} BEGIN SELECT 1; END`,
            `ALTER TABLE t RENAME TO ${name}`,
            `PRAGMA table_info(${name})`,
            `SELECT * FROM pragma_table_info(${name})`,
          ]),
    ];
    expect(places.filter((sql) => codeOf(() => parse(sql)) !== 'FORBIDDEN')).toEqual([]);
  });

  it.each([
    "SELECT '__dosql_log'",
    "INSERT INTO t VALUES ('__dosql_')",
    'SELECT a__dosql_ FROM x__dosql_log',
    '-- __dosql_log\nSELECT 1',
    'SELECT :__dosql_a',
    "SELECT 1 AS '__dosql_x'",
  ])('are not meant by %s', (sql) => {
    expect(codeOf(() => parse(sql))).toBeUndefined();
  });
});

describe('parameters', () => {
  const values = (sql: string, params: SqlParameters): readonly unknown[] =>
    orderParameters(one(sql), params);

  it.each<[string, SqlParameters, readonly unknown[]]>([
    ['SELECT ?, ?', [1, 2], [1, 2]],
    ['SELECT ?AND ?', [1, 2], [1, 2]],
    ['SELECT ?3, ?1', [1, 2, 3], [1, 2, 3]],
    ['SELECT ?2, ?, ?1', [1, 2, 3], [1, 2, 3]],
    ['SELECT :a, :b, :a', { a: 1, b: 2 }, [1, 2]],
    ['SELECT :a, @a, $a', { ':a': 1, '@a': 2, $a: 3 }, [1, 2, 3]],
    ['SELECT :a, @a', { a: 1 }, [1, 1]],
    ['SELECT $a::b(c), $a', { 'a::b(c)': 1, a: 2 }, [1, 2]],
    ['SELECT :a(b), @x::y', { 'a(b)': 1, 'x::y': 2 }, [1, 2]],
    ['SELECT $größe', { größe: 1 }, [1]],
    ['SELECT \':a\', "?", [@b] -- $c\n, ?', [1], [1]],
    ['SELECT :a, ?', [1, 2], [1, 2]],
  ])('are counted as SQLite counts them: %s', (sql, params, expected) => {
    expect(values(sql, params)).toEqual(expected);
  });

  it.each<[string, SqlParameters]>([
    ['SELECT ?', []],
    ['SELECT ?', [1, 2]],
    ['SELECT ?3', [1]],
    ['SELECT :a', {}],
    ['SELECT :a', { a: 1, b: 2 }],
    ['SELECT ?', { a: 1 }],
    ['SELECT :a', new Map([['a', 1]]) as unknown as SqlParameters],
    ['SELECT 1', 5 as unknown as SqlParameters],
  ])('must be the right ones: %s', (sql, params) => {
    expect(codeOf(() => values(sql, params))).toBe('BAD_PARAMETER');
  });

  it.each(['SELECT ?0', 'SELECT ?32767', 'SELECT ?99999999999999999999'])(
    'have numbers from 1 to 32766: %s',
    (sql) => {
      expect(codeOf(() => parse(sql))).toBe('SYNTAX');
    },
  );
});
