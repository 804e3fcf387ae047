import { describe, expect, it } from 'vitest';
import { parse as parseBySqlite3Parser } from 'sqlite3-parser';
import { scan } from '../src/sql/scan.ts';
import { parse, splice } from '../src/sql/statement.ts';
import { lowerName, nameOf, tokenize } from '../src/sql/token.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';
import { Statements } from './support/statements.ts';

/** Statements of every shape that names a table, and of those that only look so. */
const STATEMENTS: readonly string[] = [
  'SELECT 1',
  'SELECT * FROM t',
  'SELECT * FROM main.t',
  'SELECT * FROM "a b" AS x, [c d] y, `e``f`',
  "SELECT * FROM 't' 'x'",
  'SELECT t.a, t.* FROM t WHERE t.a = (SELECT max(b) FROM u)',
  'SELECT a FROM t WHERE b IS DISTINCT FROM c',
  'SELECT a IS NOT DISTINCT FROM b FROM t',
  'SELECT * FROM (t)',
  'SELECT * FROM (t, u)',
  'SELECT * FROM (t JOIN u ON t.a = u.b) JOIN v',
  'SELECT * FROM ((SELECT 1)) AS x',
  'SELECT * FROM (VALUES (1), (2))',
  'SELECT * FROM t NATURAL JOIN u',
  'SELECT * FROM t LEFT OUTER JOIN u USING (a), v',
  'SELECT * FROM t CROSS JOIN u ON a = b, v AS w',
  'SELECT * FROM t RIGHT JOIN u ON 1 FULL JOIN v ON 1',
  'SELECT * FROM t INDEXED BY ix WHERE a',
  'SELECT * FROM t NOT INDEXED',
  'SELECT * FROM t AS x INDEXED BY ix, u NOT INDEXED',
  'SELECT * FROM json_each(?)',
  "SELECT * FROM t, json_each(t.a, '$.x') AS j",
  'SELECT * FROM pragma_table_info(?)',
  'SELECT * FROM main.f(1, (SELECT a FROM u))',
  'SELECT a FROM t WHERE b IN u',
  'SELECT a FROM t WHERE b NOT IN main.u',
  'SELECT a FROM t WHERE b IN (u)',
  'SELECT a FROM t WHERE b IN (SELECT c FROM u)',
  'SELECT a FROM t WHERE b IN f(1)',
  'SELECT 1 IN (1, 2), 3',
  'SELECT a FROM t UNION SELECT b FROM u UNION ALL SELECT c FROM v ORDER BY 1',
  'SELECT a FROM t INTERSECT VALUES (1) EXCEPT SELECT b FROM u LIMIT 1 OFFSET 2',
  'SELECT a, b FROM t GROUP BY a, b HAVING count(*) > 1 ORDER BY a, b',
  'SELECT a FROM t ORDER BY (SELECT b FROM u), c',
  'SELECT a FROM t WINDOW w AS (PARTITION BY a, b ORDER BY c), x AS (w)',
  'SELECT row_number() OVER (PARTITION BY a, b ORDER BY c) FROM t',
  'SELECT sum(a) FILTER (WHERE b IN (SELECT c FROM u)) OVER w FROM t WINDOW w AS (ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)',
  'SELECT CASE WHEN a THEN b ELSE (SELECT c FROM u) END, d FROM t',
  'SELECT CAST(a AS TEXT), extract FROM t',
  'SELECT a COLLATE nocase FROM t, u',
  'SELECT EXISTS (SELECT 1 FROM t), NOT EXISTS (SELECT 1 FROM u)',
  'SELECT \'FROM x\', "FROM y" FROM t -- FROM z',
  'SELECT /* FROM x */ a FROM /* y */ t',
  'SELECT a "FROM" FROM t',
  'SELECT a AS [join] FROM t',
  'SELECT * FROM t AS for',
  'SELECT * FROM t for, u',
  'SELECT * FROM t replace',
  'SELECT * FROM t end',
  'WITH c AS (SELECT * FROM t) SELECT * FROM c',
  'WITH c(a, b) AS (SELECT 1, 2), d AS (SELECT * FROM c) SELECT * FROM d, t',
  'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c, t) SELECT * FROM c',
  'WITH c AS MATERIALIZED (SELECT 1) SELECT * FROM c',
  'WITH c AS NOT MATERIALIZED (SELECT * FROM t) SELECT a IN c FROM u',
  'WITH c AS (VALUES (1)) SELECT * FROM (SELECT * FROM c), main.c',
  'SELECT * FROM (WITH c AS (SELECT 1) SELECT * FROM c), c',
  'WITH C AS (SELECT 1) SELECT * FROM "c", [C]',
  'WITH c AS (WITH d AS (SELECT * FROM t) SELECT * FROM d) SELECT * FROM c, d',
  'WITH replace AS (SELECT * FROM t) SELECT * FROM replace',
  'INSERT INTO t VALUES (1)',
  'INSERT INTO t(a, b) SELECT a, b FROM u',
  'INSERT INTO main.t AS x DEFAULT VALUES',
  'INSERT OR IGNORE INTO t SELECT * FROM u WHERE 1 ON CONFLICT (a) DO UPDATE SET b = (SELECT c FROM v), d = excluded.d WHERE e',
  'REPLACE INTO t VALUES ((SELECT max(a) FROM u))',
  'INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING RETURNING a, (SELECT b FROM u)',
  'WITH c AS (SELECT 1) INSERT INTO t SELECT * FROM c',
  'INSERT INTO t WITH c AS (SELECT 1) SELECT * FROM c',
  'INSERT INTO "order"("from", "select") VALUES (1, 2), (3, 4)',
  'UPDATE t SET a = 1',
  'UPDATE OR IGNORE main.t AS x SET a = (SELECT b FROM u), c = 2 WHERE d IN (SELECT e FROM v)',
  'UPDATE t SET a = u.b FROM u JOIN v USING (c), w WHERE t.d = u.d RETURNING *',
  'WITH c AS (SELECT 1) UPDATE t SET a = 1 WHERE b IN c',
  'UPDATE t SET (a, b) = (SELECT c, d FROM u)',
  'UPDATE t INDEXED BY ix SET a = 1',
  'DELETE FROM t',
  'DELETE FROM main.t AS x WHERE a IN (SELECT b FROM u) RETURNING c',
  'WITH c AS (SELECT * FROM u) DELETE FROM t WHERE a IN c',
  'DELETE FROM t NOT INDEXED WHERE a',
  'CREATE TABLE t(a, b REFERENCES u, c REFERENCES "v"(x) ON DELETE CASCADE, FOREIGN KEY (a, b) REFERENCES w(x, y))',
  'CREATE TABLE IF NOT EXISTS main.t AS SELECT * FROM u',
  'CREATE TABLE t(a CHECK (a IN (1, 2)), b DEFAULT (1 + 2), c AS (a || b))',
  'CREATE TABLE t AS WITH c AS (SELECT * FROM u) SELECT * FROM c',
  'CREATE INDEX i ON t(a, b)',
  'CREATE UNIQUE INDEX IF NOT EXISTS main.i ON t(lower(a)) WHERE b IS NOT NULL',
  'CREATE VIEW v AS SELECT * FROM t, u',
  'CREATE VIEW IF NOT EXISTS v(a, b) AS SELECT 1, 2 FROM t',
  'CREATE VIRTUAL TABLE f USING fts5(a, content=x)',
  'CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u SELECT NEW.a FROM v; UPDATE w SET a = 1 WHERE b = OLD.c; DELETE FROM x; SELECT * FROM y; END',
  'CREATE TRIGGER g BEFORE UPDATE OF a, b ON t FOR EACH ROW WHEN NEW.a IN (SELECT a FROM u) BEGIN UPDATE OR IGNORE t SET a = CASE WHEN 1 THEN 2 ELSE 3 END; END',
  "CREATE TRIGGER g INSTEAD OF DELETE ON v BEGIN REPLACE INTO t VALUES (1); SELECT CASE WHEN OLD.a THEN raise(ABORT, 'no') END; END",
  'ALTER TABLE t ADD COLUMN a REFERENCES u(b)',
  'ALTER TABLE t RENAME COLUMN a TO b',
  'ALTER TABLE t DROP COLUMN a',
  'DROP TABLE t',
  'DROP TABLE IF EXISTS main.t',
  'DROP VIEW v',
  'EXPLAIN SELECT * FROM t',
  'EXPLAIN QUERY PLAN UPDATE t SET a = 1',
  'VALUES (1, (SELECT a FROM t)), (2, 3)',
  'SELECT (SELECT a FROM t), b FROM u',
  'SELECT a, (VALUES (1)), b FROM t, u',
  'SELECT * FROM t WHERE (a, b) IN (SELECT c, d FROM u)',
  'SELECT * FROM t WHERE a BETWEEN (SELECT 1 FROM u) AND 2',
  "SELECT a->>'x', b -> 1 FROM t",
  'SELECT group_concat(a, b ORDER BY c) FROM t',
  'SELECT ?AS a, :b, @c, $d::e(f) FROM t',
];

interface Reference {
  readonly kind: string;
  readonly name: string;
  readonly start: number;
  readonly isCte: boolean;
}

const KINDS: Readonly<Record<string, string>> = {
  TableSelectTable: 'from',
  TableCallSelectTable: 'call',
  InTableExpr: 'in',
  InsertStmt: 'into',
  InsertTriggerCmd: 'into',
  UpdateStmt: 'update',
  UpdateTriggerCmd: 'update',
  DeleteStmt: 'delete',
  DeleteTriggerCmd: 'delete',
  CreateTableStmt: 'define',
  CreateViewStmt: 'define',
  CreateVirtualTableStmt: 'define',
  AlterTableStmt: 'define',
  DropTableStmt: 'define',
  DropViewStmt: 'define',
  CreateIndexStmt: 'define',
  CreateTriggerStmt: 'define',
  ForeignKeyClause: 'reference',
};

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

/** The table references of an AST of sqlite3-parser. */
function referencesOf(sql: string, root: unknown): Reference[] {
  const found: Reference[] = [];
  const visit = (value: unknown, ctes: readonly string[]): void => {
    if (Array.isArray(value)) value.forEach((each) => visit(each, ctes));
    if (!isNode(value)) return;
    const scope = isNode(value.with)
      ? [
          ...ctes,
          ...(value.with.ctes as Node[]).map(({ tblName }) => lowerName(nameAt(sql, tblName as Node))),
        ]
      : ctes;
    const named = (
      value.type === 'InTableExpr' ? value.rhs : value.type.includes('View') ? value.viewName : value.tblName
    ) as Node | undefined;
    const kind = KINDS[value.type];
    if (kind !== undefined && isNode(named)) {
      const name = nameAt(sql, (named.objName ?? named) as Node);
      const isBare = (kind === 'from' || kind === 'in') && named.dbName === undefined;
      const actual = kind === 'in' && value.args !== undefined ? 'call' : kind;
      found.push({
        kind: actual,
        name,
        start: offsetOf(named.dbName ?? named.objName ?? named),
        isCte: isBare && actual !== 'call' && scope.includes(lowerName(name)),
      });
    }
    for (const [field, child] of Object.entries(value))
      if (field !== 'span' && field !== 'tblName') visit(child, scope);
  };
  visit(root, []);
  return found.toSorted((a, b) => a.start - b.start);
}

const offsetOf = (node: unknown): number => (node as { span: { offset: number } }).span.offset;

function nameAt(sql: string, node: Node): string {
  const { offset, length } = node.span as { offset: number; length: number };
  const text = sql.slice(offset, offset + length);
  return nameOf(text, tokenize(text)[0] as Parameters<typeof nameOf>[1]);
}

function compare(sql: string): boolean {
  const ast = parseBySqlite3Parser(sql);
  if (ast.status !== 'ok') return false;
  const ours = scan(sql, tokenize(sql)).map(({ kind, name, start, isCte }) => ({ kind, name, start, isCte }));
  expect(ours, sql).toEqual(referencesOf(sql, ast.root));
  return true;
}

describe('the scanner of table references', () => {
  it.each(STATEMENTS)('agrees with sqlite3-parser: %s', (sql) => {
    expect(compare(sql), 'sqlite3-parser takes it').toBe(true);
  });

  it.each(seeds(20_261_120))('agrees with sqlite3-parser on generated statements, seed %i', (seed) => {
    const generator = new Statements(new Random(seed), true);
    generator.tables = ['t', 'a b', 'select', 'Été', 'parent'].map((name) => ({
      name,
      columns: ['a', 'end', 'x"y'],
      writable: ['a', 'end'],
    }));
    let count = 0;
    for (let i = 0; i < 1_500; i++)
      for (const pieces of [[generator.ddl()], generator.dml(), generator.query()])
        if (!/RENAME TO|sqlite_|PRAGMA/.test(pieces[0] as string) && compare(generator.call(pieces).sql))
          count++;
    expect(count).toBeGreaterThan(2_500);
  });
});

const GARBAGE = [
  ...'\'"`[]()/*-;.,:?@$#=<>!|&%+~\\ \t\n\v\f\r\u{feff}\u{2028}xX0159eE_aZ'.split(''),
  'é',
  '💥',
  '\ud800',
  '--',
  '/*',
  '*/',
  "x'",
  '0x',
  '1e',
  '::',
  'SELECT',
  'FROM',
  'CREATE TRIGGER',
  'BEGIN',
  'CASE',
  'END',
  'WITH',
  'IN',
  'FOR SYSTEM_TIME AS OF',
];

describe.each(seeds(20_261_120))('random text, seed %i', (seed) => {
  const random = new Random(seed);
  const texts = random.times(4_000, () =>
    random.times(random.int(25), () => random.pick(GARBAGE)).join(random.pick(['', '', ' '])),
  );

  it('is cut into tokens that leave out nothing but space and comments', () => {
    for (const sql of texts) {
      let at = 0;
      for (const { start, end } of tokenize(sql)) {
        expect(end, sql).toBeGreaterThan(start);
        expect(sql.slice(at, start), JSON.stringify(sql)).toMatch(
          /^(?:[ \t\n\v\f\r\ufeff]|--[^\n]*\n|\/\*[^]*?\*\/)*$/,
        );
        at = end;
      }
      expect(sql.slice(at), JSON.stringify(sql)).toMatch(
        /^(?:[ \t\n\v\f\r\ufeff]|--[^\n]*(?:\n|$)|\/\*[^]*?(?:\*\/|$))*$/,
      );
    }
  });

  it('is scanned without fail, and parsed or refused', () => {
    for (const sql of texts) {
      expect(Array.isArray(scan(sql, tokenize(sql)))).toBe(true);
      try {
        for (const statement of parse(sql)) expect(sql).toContain(statement.sql);
      } catch (error) {
        expect((error as { code?: string }).code, JSON.stringify(sql)).toMatch(/^(?:SYNTAX|FORBIDDEN)$/);
      }
    }
  });

  it('keeps its strings and comments when names in it are replaced', () => {
    const inert = ["'t'", '-- t\n', '/* t */', '"x t"', "x'00'", '[t u]', "'it''s t'"];
    for (let i = 0; i < 500; i++) {
      const parts = random.times(10, () => random.pick(['t', ' ', ',', ...inert]));
      const sql = parts.join(' ');
      const edits = tokenize(sql)
        .filter(({ text }) => text === 'T')
        .map(({ start, end }) => ({ start, end, text: 'replaced' }));
      expect(splice(sql, edits)).toBe(parts.map((part) => (part === 't' ? 'replaced' : part)).join(' '));
    }
  });
});
