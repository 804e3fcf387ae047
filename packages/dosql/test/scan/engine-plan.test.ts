import { parse as parseSql } from 'sqlite3-parser';
import { describe, expect, it } from 'vitest';
import { planAnalytics, type Plan } from '../../src/scan/plan.ts';
import { parse } from '../../src/sql/statement.ts';
import { Random } from '../support/random.ts';
import { Queries } from './engine-queries.ts';
import { parsedSelect, plannedSelect, type ParserNode } from './engine-syntax.ts';

function plan(sql: string): Plan | null {
  const [statement] = parse(sql);
  const reference = statement?.references.find(({ kind }) => kind === 'from');
  if (statement === undefined || reference === undefined) throw new Error(sql);
  return planAnalytics(statement, reference);
}

function check(sql: string): void {
  const own = plan(sql);
  expect(own, sql).not.toBeNull();
  const result = parseSql(sql);
  if (result.status !== 'ok') throw new Error(`${sql}: ${JSON.stringify(result)}`);
  const known = new Map<string, number>();
  let highest = 0;
  const index = (name: string): number => {
    const number = /^\?\d/.test(name) ? Number(name.slice(1)) : (known.get(name) ?? highest + 1);
    if (name !== '?') known.set(name, number);
    highest = Math.max(highest, number);
    return number;
  };
  const theirs = parsedSelect(result.root.cmds[0] as unknown as ParserNode, index);
  expect(plannedSelect((own as Plan).select), sql).toBe(theirs);
}

const FILE = "'r2://archive/hits/*.parquet'";

describe('plans', () => {
  it.each([
    'SELECT COUNT(*) FROM t',
    `SELECT count(*) FROM ${FILE} WHERE AdvEngineID <> 0`,
    `SELECT SUM(AdvEngineID), COUNT(*), AVG(ResolutionWidth) FROM ${FILE} AS h WHERE h."User ID" = 435090932899640449`,
    `SELECT RegionID, COUNT(DISTINCT UserID) AS u FROM ${FILE} GROUP BY RegionID ORDER BY u DESC LIMIT 10`,
    'SELECT a FROM t WHERE a = 1 OR b = 2 AND c = 3 AND NOT d IS NULL OR e NOTNULL AND f ISNULL',
    'SELECT a FROM t WHERE \'it\'\'s\' = "a ""b""" AND [c d] = `e` AND x\'00Ff\' <> y',
    'SELECT -a * b + c || d - ~e % 2 << 3 & 4 | 5 FROM t',
    'SELECT a < b = c <> d >= e FROM t',
    'SELECT a BETWEEN b + 1 AND c || d AND e NOT BETWEEN 1 AND 2 FROM t',
    "SELECT NOT a = b, NOT a IN (1, 2.5, 'x') AND b, a IS NOT DISTINCT FROM b, a IS DISTINCT FROM 1 FROM t WHERE -9223372036854775808 < a",
    'SELECT CASE a WHEN 1 THEN 2 ELSE CASE WHEN b THEN 3 END END, CAST(a AS INTEGER) / 2 FROM t',
    'SELECT sum(a) FILTER (WHERE b > 1), count(DISTINCT c) FROM t HAVING max(a) > 2',
    "SELECT a FROM t WHERE b LIKE 'x\\%%' ESCAPE '\\' OR c NOT GLOB '[a-z]*' LIMIT 5, 10",
    'SELECT substr(a, 1, 10) AS d, sum(CASE WHEN b THEN 1 ELSE 0 END) s FROM t GROUP BY 1 HAVING s > 5 ORDER BY d DESC NULLS LAST, 2 LIMIT ? OFFSET ?',
    'SELECT a FROM t WHERE b = ?2 AND c = :name AND d = @other AND e = :name LIMIT ?1',
    'SELECT DISTINCT a, b FROM t ORDER BY b, a',
    'SELECT 0x1F, 1e3, .5, 5., 18446744073709551616 FROM t',
    'SELECT l_returnflag, l_linestatus, sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS charge FROM t WHERE l_shipdate <= date(l_x) GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus',
  ])('read %s as SQLite does', (sql) => {
    check(sql);
  });

  const seed = Number(process.env['VITE_SEED'] ?? 21);
  it(`read random queries as SQLite does (seed ${seed})`, () => {
    const queries = new Queries(new Random(seed));
    let count = 0;
    for (let i = 0; i < Number(process.env['VITE_RUNS'] ?? 1500); i++) {
      const { sql } = queries.query();
      if (plan(sql) === null) continue;
      count++;
      check(sql);
    }
    expect(count).toBeGreaterThan(1000);
  });

  it.each([
    'SELECT a FROM t, u',
    'SELECT a FROM t JOIN u USING (x)',
    'SELECT a FROM t NATURAL JOIN u',
    'WITH c AS (SELECT 1) SELECT a FROM t',
    'SELECT a FROM t UNION SELECT b FROM t',
    'SELECT a, (SELECT max(b) FROM u) FROM t',
    'SELECT a FROM t WHERE a IN (SELECT b FROM u)',
    'SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u)',
    'SELECT row_number() OVER (ORDER BY a) FROM t',
    'SELECT group_concat(a ORDER BY b) FROM t',
    'SELECT a, count(*) FROM t',
    'SELECT a, max(b) FROM t',
    'SELECT a COLLATE NOCASE FROM t',
    'SELECT a FROM t ORDER BY a COLLATE NOCASE',
    "SELECT a -> '$.b' FROM t",
    "SELECT json_extract(a, '$.b') FROM t",
    'SELECT unknown(a) FROM t',
    'SELECT random() FROM t',
    "SELECT date('now') FROM t",
    "SELECT strftime('%J', a) FROM t",
    "SELECT date(a, '+1 day') FROM t",
    'SELECT a FROM t WHERE count(*) > 1',
    'SELECT sum(max(a)) FROM t',
    'SELECT a FROM t WHERE (a, b) = (1, 2)',
    'SELECT a FROM t WHERE a MATCH 1',
    "SELECT a FROM t WHERE a REGEXP 'x'",
    'SELECT u.a FROM t',
    'SELECT a FROM t WINDOW w AS (ORDER BY a)',
    'SELECT DISTINCT a FROM t ORDER BY b',
    'SELECT a FROM t LIMIT a',
    'SELECT * FROM t GROUP BY a',
    'SELECT a FROM t WHERE a IS TRUE',
    'SELECT CURRENT_TIMESTAMP FROM t',
    'SELECT a FROM t GROUP BY 2',
    'SELECT a FROM t ORDER BY -(-1)',
    "SELECT a FROM t WHERE a LIKE 'x' ESCAPE 'ab'",
    'SELECT a FROM t WHERE b = 1_ OR 1__0',
  ])('leave %s to SQLite', (sql) => {
    expect(plan(sql)).toBeNull();
  });
});
