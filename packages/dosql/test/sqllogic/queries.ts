import type { Random } from '../support/random.ts';
import { condition, constant, expression, items, type Column } from './expression.ts';
import type { SortMode } from './script.ts';
import { columnsOf, TABLES, VIEWS, type Table } from './tables.ts';

/** A query of a script. */
export interface Query {
  readonly sql: string;
  /** A letter for each column. */
  readonly types: string;
  readonly sort: SortMode;
}

/** What a script is about, and how it asks. */
export type Topic = (random: Random) => Query;

const anyTable = (random: Random): Table => random.pick([...TABLES, ...TABLES, ...VIEWS]);
const rows = (sql: string, types: string): Query => ({ sql, types, sort: 'rowsort' });
const inOrder = (sql: string, types: string): Query => ({ sql, types, sort: 'nosort' });
const typesOf = (list: readonly { readonly type: string }[]): string => list.map(({ type }) => type).join('');

function selected(
  random: Random,
  columns: readonly Column[],
): { readonly list: string; readonly types: string } {
  const list = items(random, columns, 1 + random.int(4));
  return { list: list.map(({ sql }) => sql).join(', '), types: typesOf(list) };
}

function where(random: Random, columns: readonly Column[]): string {
  return random.chance(0.75) ? ` WHERE ${condition(random, columns)}` : '';
}

/** One table: conditions with NULL in them, an order by a key, limits. */
function plain(random: Random): Query {
  const table = anyTable(random);
  const columns = columnsOf(table);
  const { list, types } = selected(random, columns);
  const from = `FROM ${table.name}${where(random, columns)}`;
  const { key } = table;
  if (key.length === 0) return rows(`SELECT ${list} ${from}`, types);
  return random.pick([
    () => rows(`SELECT ${list} ${from}`, types),
    () => rows(`SELECT * FROM ${table.name}${where(random, columns)}`, starTypes(table)),
    () => {
      const limit = random.chance(0.6) ? ` LIMIT ${random.int(9)} OFFSET ${random.int(4)}` : '';
      const by = random.chance(0.5) ? `${expression(random, columns, 'I')}, ` : '';
      return inOrder(`SELECT ${list} ${from} ORDER BY ${by}${key.join(' DESC, ')}${limit}`, types);
    },
    () => ({ sql: `SELECT ${list} ${from}`, types, sort: 'valuesort' as const }),
  ])();
}

/** The letters of all columns, also of those that expressions leave out. */
function starTypes({ name, columns }: Table): string {
  const all: Readonly<Record<string, string>> = { item: 'IIRTTTT', exact: 'IIRTTTT' };
  return all[name] ?? columns.map(([, type]) => type).join('');
}

/** Two or three tables, joined in every way. */
function join(random: Random): Query {
  const [a, b, c] = [anyTable(random), anyTable(random), anyTable(random)];
  const [left, right, third] = [columnsOf(a, 'a'), columnsOf(b, 'b'), columnsOf(c, 'c')];
  const both = [...left, ...right];
  const on = (these: readonly Column[], those: readonly Column[]): string => {
    const type = random.pick(['I', 'T'] as const);
    const one = these.filter((column) => column.type === type);
    const other = those.filter((column) => column.type === type);
    const extra = random.chance(0.3) ? ` AND ${condition(random, [...these, ...those], 1)}` : '';
    if (one.length === 0 || other.length === 0) return condition(random, [...these, ...those], 1);
    return `${random.pick(one).sql} = ${random.pick(other).sql}${extra}`;
  };
  const kind = random.pick(['JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', 'CROSS JOIN']);
  const { list, types } = selected(random, both);
  return random.pick([
    () =>
      rows(
        `SELECT ${list} FROM ${a.name} AS a ${kind} ${b.name} b ON ${on(left, right)}${where(random, both)}`,
        types,
      ),
    () => rows(`SELECT ${list} FROM ${a.name} a, ${b.name} AS b WHERE ${on(left, right)}`, types),
    () =>
      rows(
        `SELECT count(*), sum(a.${a.columns[0]?.[0]} IS NOT NULL), min(b.${b.columns[0]?.[0]}) FROM ${a.name} AS a ${kind} ${b.name} AS b ON ${on(left, right)} LEFT JOIN ${c.name} AS c ON ${on(right, third)}`,
        'IIT',
      ),
    () =>
      rows(
        'SELECT id, item.n, k, v FROM item JOIN pair ON pair.m = item.n NATURAL JOIN (SELECT id FROM part)',
        'IITR',
      ),
    () =>
      rows(
        `SELECT id, item.s, loose.n FROM item LEFT JOIN loose USING (s) WHERE ${on(columnsOf(TABLES[0] as Table, 'item'), columnsOf(TABLES[4] as Table, 'loose'))}`,
        'ITI',
      ),
    () =>
      rows(
        `SELECT a.id, b.id AS other FROM item AS a JOIN item AS b ON a.n < b.n AND ${condition(random, columnsOf(TABLES[0] as Table, 'b'), 1)}`,
        'II',
      ),
  ])();
}

/** Aggregates, groups, HAVING, FILTER, DISTINCT. */
function aggregate(random: Random): Query {
  const table = anyTable(random);
  const columns = columnsOf(table);
  const ints = columns.filter(({ type }) => type !== 'T').map(({ sql }) => sql);
  const by = expression(random, columns, random.pick(['I', 'T']), 1);
  const number = random.pick(ints);
  const text = random.pick(columns.filter(({ type }) => type === 'T')).sql;
  const filter = random.chance(0.3) ? ` FILTER (WHERE ${condition(random, columns, 1)})` : '';
  const functions = random
    .some([
      [`count(*)${filter}`, 'I'],
      [`count(${text})`, 'I'],
      [`count(DISTINCT ${number})`, 'I'],
      [`sum(${number})${filter}`, 'R'],
      [`total(${number})`, 'R'],
      [`avg(${number})`, 'R'],
      [`min(${text})`, 'T'],
      [`max(${number})${filter}`, 'R'],
      [`group_concat(${text}, '|' ORDER BY ${text}, ${number})`, 'T'],
      [`sum(DISTINCT ${number})`, 'R'],
      [`json_group_array(${number} ORDER BY ${number})`, 'T'],
    ] as const)
    .slice(0, 4);
  const list = functions.map(([sql], i) => `${sql} AS f${i}`).join(', ');
  const types = functions.map(([, type]) => type).join('');
  const from = `FROM ${table.name}${where(random, columns)}`;
  const having = random.chance(0.4) ? ` HAVING count(*) ${random.pick(['>', '<='])} ${random.int(4)}` : '';
  return random.pick([
    () => rows(`SELECT ${list} ${from}`, types),
    () => rows(`SELECT typeof(${by}), ${by} AS g, ${list} ${from} GROUP BY ${by}${having}`, `TT${types}`),
    () => rows(`SELECT ${by} AS g, ${list} ${from} GROUP BY 1${having}`, `T${types}`),
    () => rows(`SELECT DISTINCT ${by} AS g, ${number} ${from}`, 'TR'),
    () =>
      rows(
        `SELECT lower(c), count(*), min(id) FROM item${where(random, columnsOf(TABLES[0] as Table))} GROUP BY c`,
        'TII',
      ),
    () =>
      inOrder(
        `SELECT ${text} AS g, count(*) AS f FROM ${table.name} GROUP BY g ORDER BY f DESC, g LIMIT 5`,
        'TI',
      ),
  ])();
}

/** UNION, INTERSECT, EXCEPT. */
function compound(random: Random): Query {
  const arm = (): string => {
    const table = anyTable(random);
    const columns = columnsOf(table);
    return `SELECT ${expression(random, columns, 'I', 1)}, ${expression(random, columns, 'T', 1)} FROM ${table.name}${where(random, columns)}`;
  };
  const arms = random.times(2 + random.int(2), arm);
  const sql = arms.reduce(
    (all, next) => `${all} ${random.pick(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT'])} ${next}`,
  );
  return random.pick([
    () => rows(sql, 'IT'),
    () => inOrder(`${sql} ORDER BY 2, 1 DESC`, 'IT'),
    () => inOrder(`${sql} ORDER BY 1, 2 LIMIT 6`, 'IT'),
    () => rows(`SELECT count(*) FROM (${sql})`, 'I'),
    () => rows(`VALUES (1, 'v'), (${constant(random, 'I')}, NULL) UNION ${arms[0]}`, 'IT'),
  ])();
}

/** Common table expressions, also recursive, and shadowed names. */
function cte(random: Random): Query {
  const table = anyTable(random);
  const columns = columnsOf(table);
  const { list, types } = selected(random, columns);
  const depth = 2 + random.int(8);
  return random.pick([
    () =>
      rows(`WITH t AS (SELECT * FROM ${table.name}${where(random, columns)}) SELECT ${list} FROM t`, types),
    () =>
      rows(
        `WITH t AS ${random.pick(['', 'MATERIALIZED ', 'NOT MATERIALIZED '])}(SELECT n, s FROM item), u(n, c) AS (SELECT n, count(*) FROM t GROUP BY n) SELECT t.s, u.c FROM t JOIN u USING (n)${where(
          random,
          [
            { sql: 'u.c', type: 'I' },
            { sql: 't.s', type: 'T' },
          ],
        )}`,
        'TI',
      ),
    () =>
      rows(
        `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${depth}) SELECT i, (SELECT count(*) FROM ${table.name} AS t WHERE ${expression(random, columnsOf(table, 't'), 'I', 1)} = i) FROM c`,
        'II',
      ),
    () =>
      rows(
        `WITH RECURSIVE up(id, n, depth) AS (SELECT id, n, 0 FROM item WHERE id = ${random.int(24)} UNION SELECT item.id, item.n, depth + 1 FROM item JOIN up ON item.id = up.n WHERE depth < ${depth}) SELECT * FROM up`,
        'III',
      ),
    () =>
      rows(
        `WITH item AS (SELECT n AS id, s FROM loose) SELECT id, s FROM item WHERE id IN (SELECT id FROM main.item)`,
        'IT',
      ),
    () =>
      inOrder(
        `WITH a AS (SELECT s FROM item), b AS (SELECT s FROM loose) SELECT s FROM a EXCEPT SELECT s FROM b ORDER BY s`,
        'T',
      ),
    () =>
      rows(
        `SELECT * FROM (WITH pair(k) AS (SELECT max(id) FROM item) SELECT k FROM pair), (SELECT count(*) AS n FROM pair)`,
        'II',
      ),
  ])();
}

/** Window functions. */
function window(random: Random): Query {
  const table = random.pick(TABLES.slice(0, 4));
  const columns = columnsOf(table);
  const order = table.key.join(', ');
  const partition = random.chance(0.6) ? `PARTITION BY ${expression(random, columns, 'I', 1)} ` : '';
  const frame = random.pick([
    '',
    'ROWS BETWEEN 2 PRECEDING AND CURRENT ROW',
    'ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING',
    'GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW',
    'RANGE UNBOUNDED PRECEDING',
  ]);
  const of = expression(random, columns, 'I', 1);
  const text = expression(random, columns, 'T', 1);
  const calls = random
    .some([
      ['row_number()', 'I'],
      ['rank()', 'I'],
      ['dense_rank()', 'I'],
      ['percent_rank()', 'R'],
      [`ntile(${1 + random.int(4)})`, 'I'],
      [`lag(${of}, ${random.int(3)}, -1)`, 'I'],
      [`lead(${text})`, 'T'],
      [`first_value(${of})`, 'I'],
      [`nth_value(${text}, 2)`, 'T'],
      [`sum(${of})`, 'I'],
      [`count(*) FILTER (WHERE ${condition(random, columns, 1)})`, 'I'],
      [`group_concat(${text}, '.')`, 'T'],
    ] as const)
    .slice(0, 3);
  const over = random.chance(0.5) ? 'w' : `(${partition}ORDER BY ${order} ${frame})`;
  const list = calls.map(([sql], i) => `${sql} OVER ${over} AS w${i}`).join(', ');
  const named = over === 'w' ? ` WINDOW w AS (${partition}ORDER BY ${order} ${frame})` : '';
  const types = calls.map(([, type]) => type).join('');
  const inner = `SELECT ${table.key[0]} AS key, ${list} FROM ${table.name}${where(random, columns)}${named}`;
  return random.pick([
    () => rows(inner, `T${types}`),
    () => rows(`SELECT * FROM (${inner}) WHERE w0 > ${random.int(4)}`, `T${types}`),
    () => rows(`SELECT s, rank() OVER (ORDER BY count(*) DESC) AS place FROM item GROUP BY s`, 'TI'),
  ])();
}

/** Subqueries: scalar, IN, EXISTS, correlated, and in a FROM. */
function subquery(random: Random): Query {
  const table = anyTable(random);
  const other = anyTable(random);
  const [outer, inner] = [columnsOf(table, 'o'), columnsOf(other, 'i')];
  const { list, types } = selected(random, outer);
  const some = expression(random, inner, 'I', 1);
  const far = expression(random, [...inner, ...outer], 'I', 1);
  const from = `FROM ${other.name} AS i WHERE ${condition(random, [...inner, ...outer], 1)}`;
  // An aggregate of nothing but outer columns would be one of the outer query.
  return random.pick([
    () =>
      rows(
        `SELECT ${list} FROM ${table.name} AS o WHERE ${expression(random, outer, 'I', 1)} ${random.pick(['', 'NOT '])}IN (SELECT ${some} ${from})`,
        types,
      ),
    () =>
      rows(
        `SELECT ${list} FROM ${table.name} AS o WHERE ${random.pick(['', 'NOT '])}EXISTS (SELECT 1 ${from})`,
        types,
      ),
    () =>
      rows(
        `SELECT ${list}, (SELECT max(far) FROM (SELECT ${far} AS far ${from})) AS sub FROM ${table.name} AS o`,
        `${types}I`,
      ),
    () =>
      rows(
        `SELECT ${list} FROM ${table.name} AS o WHERE ${expression(random, outer, 'I', 1)} = (SELECT min(${some}) ${from})`,
        types,
      ),
    () =>
      rows(`SELECT q.f, count(*) FROM (SELECT ${some} AS f FROM ${other.name} AS i) AS q GROUP BY q.f`, 'II'),
    () => rows(`SELECT id FROM item WHERE n IN (SELECT n FROM loose WHERE loose.s = item.s)`, 'I'),
    () => rows(`SELECT id, (n, s) IN (SELECT n, s FROM loose) FROM item`, 'II'),
    () =>
      rows(
        `SELECT (SELECT count(*) FROM ${table.name}) + (SELECT count(*) FROM ${other.name}), EXISTS (SELECT 1 FROM item WHERE ${condition(random, columnsOf(TABLES[0] as Table), 1)})`,
        'II',
      ),
  ])();
}

/** LIKE, GLOB, collations, casts and everything else about single values. */
function values(random: Random): Query {
  const { list, types } = selected(random, columnsOf(TABLES[0] as Table));
  const by = random.pick([
    'c',
    's COLLATE NOCASE',
    's COLLATE RTRIM',
    'x',
    'n IS NULL, n',
    'r NULLS LAST',
    'n DESC NULLS FIRST',
  ]);
  return random.pick([
    () =>
      rows(
        `SELECT ${list} FROM item WHERE c ${random.pick(['=', '<', '>=', 'IN'])} ('${random.pick(['A', 'ABC', 'b'])}')`,
        types,
      ),
    () =>
      rows(
        `SELECT id FROM item WHERE c LIKE '${random.pick(['A%', '%B', '_', 'ab%'])}' OR s GLOB '${random.pick(['*b', '[A-Z]*'])}'`,
        'I',
      ),
    () => inOrder(`SELECT id, typeof(x), quote(x) FROM item ORDER BY ${by}, id`, 'ITT'),
    () =>
      rows(
        `SELECT id, CAST(x AS ${random.pick(['TEXT', 'INTEGER', 'REAL', 'NUMERIC', 'BLOB'])}) FROM item WHERE id < 9`,
        'IT',
      ),
    () =>
      rows(
        `SELECT id, typeof(z), hex(z), b, length(b) FROM exact WHERE ${condition(random, columnsOf(TABLES[3] as Table), 1)}`,
        'ITTTI',
      ),
    () => rows(`SELECT c = s, c < s, s = c COLLATE BINARY, x > s, x = 7 FROM item`, 'IIIII'),
    () => {
      const rowid = random.pick(['rowid', 'oid', '_rowid_']);
      return rows(`SELECT ${rowid} AS key, n FROM loose WHERE ${rowid} > ${random.int(9)}`, 'II');
    },
    () =>
      rows(
        `SELECT item.*, at IS NULL AS none FROM item WHERE n ISNULL OR ${condition(random, columnsOf(TABLES[0] as Table), 1)}`,
        'IIRTTTTI',
      ),
  ])();
}

/** JSON functions, and tables of JSON. */
function jsonValues(random: Random): Query {
  const path = random.pick(['$.a', '$.b', '$.b[1]', '$.c.d', '$.n', '$.b[#-1]', '$']);
  return random.pick([
    () => rows(`SELECT k, m, json_extract(j, '${path}'), j ->> '${path}', j -> '${path}' FROM pair`, 'TITTT'),
    () =>
      rows(
        `SELECT k, m, json_type(j, '${path}'), json_valid(j), json_array_length(j, '$.b') FROM pair`,
        'TITII',
      ),
    () =>
      rows(
        `SELECT k, m, e.key, e.value, e.type FROM pair, json_each(pair.j) AS e WHERE e.type <> 'array'`,
        'TITTT',
      ),
    () =>
      rows(
        `SELECT k, m, t.fullkey, t.atom FROM pair JOIN json_tree(pair.j, '$.b') AS t WHERE t.atom > ${random.int(3)}`,
        'TITT',
      ),
    () =>
      rows(`SELECT k, m FROM pair WHERE json_extract(j, '$.a') = ${random.pick(['1', "'x'", '2.5'])}`, 'TI'),
    () =>
      rows(
        `SELECT json_set(j, '${path === '$' ? '$.z' : path}', ${constant(random, 'I')}), json_remove(j, '$.c') FROM pair`,
        'TT',
      ),
    () =>
      inOrder(
        `SELECT k, json_group_object(m, v) FROM (SELECT k, m, v FROM pair ORDER BY k, m) GROUP BY k ORDER BY k`,
        'TT',
      ),
    () => rows(`SELECT value, count(*) FROM pair, json_each(j, '$.b') GROUP BY value`, 'II'),
    () =>
      rows(`SELECT id, json_object('n', n, 's', s, 'a', json_array(r, at)), json_quote(s) FROM item`, 'ITT'),
    () =>
      rows(
        `SELECT value FROM json_each('[1, 2, ${random.int(9)}]') WHERE value NOT IN (SELECT m FROM pair)`,
        'I',
      ),
  ])();
}

/** Dates and times. */
function dates(random: Random): Query {
  const day = `2026-01-0${1 + random.int(7)}`;
  const modifier = random.pick([
    '+1 day',
    '-90 minutes',
    'start of month',
    'weekday 1',
    '+1 month',
    'start of day',
  ]);
  return random.pick([
    () => rows(`SELECT date(at), count(*), max(n) FROM item GROUP BY 1`, 'TII'),
    () =>
      rows(
        `SELECT id, datetime(at, '${modifier}'), strftime('%j %w %H:%M', at) FROM item WHERE at >= '${day}'`,
        'ITT',
      ),
    () => rows(`SELECT id, unixepoch(at), julianday(at) - julianday('${day}') > 0 FROM part`, 'III'),
    () =>
      inOrder(
        `SELECT substr(at, 1, 10) AS day, count(*), total(r) FROM item WHERE at BETWEEN '${day}' AND '2026-01-06' GROUP BY day ORDER BY day`,
        'TIR',
      ),
    () => rows(`SELECT k, count(*) FROM pair WHERE at < '${day}T12:00:00.000Z' GROUP BY k`, 'TI'),
    () =>
      rows(
        `SELECT id, at FROM item WHERE at > '${day}' AND ${condition(random, columnsOf(TABLES[0] as Table), 1)}`,
        'IT',
      ),
    () =>
      rows(
        `SELECT item.id, part.id AS part FROM item JOIN part ON date(item.at) = date(part.at) WHERE time(item.at) < '12:00'`,
        'II',
      ),
    () => rows(`SELECT max(at), min(at), count(at) FROM ${random.pick(TABLES).name}`, 'TTI'),
    () => rows(`SELECT timediff(max(at), min(at)), date('${day}', '${modifier}') FROM exact`, 'TT'),
  ])();
}

/** What scripts are about; each is a file. */
export const TOPICS: Readonly<Record<string, Topic>> = {
  select: plain,
  join,
  aggregate,
  compound,
  cte,
  window,
  subquery,
  values,
  json: jsonValues,
  dates,
};
