import type { Random } from './random.ts';

/** Tables of every kind of key, and what refers to them. */
export const TABLES: readonly string[] = [
  'CREATE TABLE item(id INTEGER PRIMARY KEY, n INTEGER, name TEXT COLLATE NOCASE, r REAL, x, num NUMERIC)',
  'CREATE TABLE plain(a TEXT, b INTEGER, c BLOB)',
  'CREATE TABLE word(w TEXT PRIMARY KEY, i INTEGER, g TEXT AS (w || i) STORED, v AS (i * 2))',
  'CREATE TABLE pair(c, a INTEGER, b TEXT COLLATE NOCASE, PRIMARY KEY (a, b)) WITHOUT ROWID',
  'CREATE TABLE kv(k TEXT PRIMARY KEY, v) WITHOUT ROWID',
  'CREATE TABLE child(id INTEGER PRIMARY KEY, item INTEGER REFERENCES item(id) ON DELETE CASCADE ON UPDATE CASCADE, word TEXT REFERENCES word(w) ON DELETE SET NULL ON UPDATE CASCADE, note)',
  'CREATE TABLE exact(id INTEGER PRIMARY KEY, t TEXT, a ANY UNIQUE) STRICT',
  `CREATE TABLE wide(id INTEGER PRIMARY KEY, ${Array.from({ length: 60 }, (_, i) => `c${i} ${['', 'TEXT', 'INT'][i % 3]}`).join(', ')})`,
  'CREATE TABLE touched(id INTEGER PRIMARY KEY, a, at)',
];

export const TRIGGERS: readonly string[] = [
  'CREATE TRIGGER touch AFTER UPDATE OF a ON touched BEGIN UPDATE touched SET at = ifnull(OLD.at, 0) + 1 WHERE id = NEW.id; END',
  "CREATE TRIGGER fill AFTER INSERT ON touched BEGIN UPDATE touched SET at = 'new' WHERE id = NEW.id; END",
  'CREATE TRIGGER gone AFTER DELETE ON touched BEGIN INSERT INTO plain(a, b) VALUES (OLD.a, OLD.id); END',
];

export const VIEWS: readonly string[] = [
  'CREATE VIEW both AS SELECT item.id, item.name, child.note FROM item LEFT JOIN child ON child.item = item.id',
  'CREATE VIEW counts(name, n) AS SELECT name, count(*) FROM both GROUP BY name',
];

const INDEXES = [
  'CREATE INDEX by_n ON item(n)',
  'CREATE INDEX by_name ON item(name)',
  'CREATE INDEX by_x ON item(x)',
  'CREATE INDEX by_b ON plain(b)',
  'CREATE INDEX by_a ON plain(a, b)',
  'CREATE INDEX by_v ON kv(v)',
  'CREATE INDEX by_item ON child(item)',
  'CREATE INDEX by_i ON word(i)',
];

/** The schema of one history, with some of the indexes. */
export function schemaOf(random: Random): string {
  return [...TABLES, ...random.some(INDEXES), ...VIEWS, ...TRIGGERS].join(';\n');
}

/** A value as SQL text; from few values, so that keys meet. */
export function literal(random: Random): string {
  const small = (): string => String(random.int(12));
  return random.pick<() => string>([
    small,
    small,
    small,
    small,
    () =>
      `'${random.pick(['a', 'A', 'b', 'B', 'ä', 'Ä', '💥', '', '5', ' 5', '05', '5.0', '1e1', "it''s", 'x'.repeat(40)])}'`,
    () => `'${random.pick(['a', 'A', 'b', 'B'])}'`,
    () => random.pick(['NULL', '0.1 + 0.2', '-0.0', '1e300', '5.0', '-1', '2.5', '9e999']),
    () =>
      random.pick(['9007199254740993', '-9223372036854775808', '9223372036854775807', '4611686018427387905']),
    () => `x'${random.pick(['', '00', '61', 'ff00'])}'`,
  ])();
}

/** What a table has now. */
export interface Shape {
  readonly name: string;
  readonly columns: readonly string[];
  readonly writable: readonly string[];
  readonly keys: readonly string[];
}

export function shapeOf(sql: SqlStorage, name: string): Shape {
  const info = [...sql.exec('SELECT name, hidden, pk FROM pragma_table_xinfo(?)', name).raw()] as unknown as [
    string,
    number,
    number,
  ][];
  return {
    name,
    columns: info.map(([column]) => column),
    writable: info.filter(([, hidden]) => hidden === 0).map(([column]) => column),
    keys: info.filter(([, , pk]) => pk > 0).map(([column]) => column),
  };
}

/** A statement that changes rows of the table, or tries to. */
export function change(random: Random, { name, columns, writable, keys }: Shape): string {
  const where = (): string => {
    if (random.chance(0.1)) return '';
    const column = keys.length > 0 && random.chance(0.6) ? random.pick(keys) : random.pick(columns);
    return ` WHERE ${column} ${random.pick(['=', '=', '<', '>=', 'IS'])} ${literal(random)}`;
  };
  const some = random.chance(0.5) ? writable : random.some(writable);
  const list = [...new Set([...(random.chance(0.8) ? keys : []), ...some])];
  const row = (): string => `(${list.map(() => literal(random)).join(', ')})`;
  const rows = random.times(1 + random.int(4), row).join(', ');
  const or =
    name === 'touched'
      ? ['', 'OR IGNORE ']
      : ['', '', 'OR IGNORE ', 'OR REPLACE ', 'OR REPLACE ', 'OR FAIL '];
  const set = random.some(
    random.chance(0.3) && keys.length > 0 ? keys : writable.filter((column) => !keys.includes(column)),
  );
  const assign = set
    .slice(0, 3)
    .map((column) => `${column} = ${random.chance(0.2) ? `${random.pick(columns)} + 1` : literal(random)}`)
    .join(', ');
  return random.pick<() => string>([
    () => `INSERT ${random.pick(or)}INTO ${name}(${list.join(', ')}) VALUES ${rows}`,
    () => `INSERT ${random.pick(or)}INTO ${name}(${list.join(', ')}) VALUES ${rows}`,
    () => `INSERT INTO ${name}(${list.join(', ')}) VALUES ${rows} ON CONFLICT DO UPDATE SET ${assign}`,
    () => `UPDATE ${random.pick(or)}${name} SET ${assign}${where()}`,
    () => `UPDATE ${random.pick(or)}${name} SET ${assign}${where()}`,
    () => `DELETE FROM ${name}${where()}`,
  ])();
}

/** A statement that changes the shape of a table. */
export function alter(random: Random, { name, writable, keys }: Shape): string {
  const extra = writable.filter((column) => column.startsWith('extra'));
  const n = random.int(1_000);
  return random.pick([
    `ALTER TABLE ${name} ADD COLUMN extra${n} ${random.pick(['', 'TEXT', 'INTEGER', 'REAL COLLATE NOCASE', "TEXT DEFAULT 'd'"])}`,
    `ALTER TABLE ${name} ADD COLUMN made${n} AS (${random.pick(writable)} || 'm')`,
    ...extra.map((column) => `ALTER TABLE ${name} DROP COLUMN ${column}`),
    ...extra.map((column) => `ALTER TABLE ${name} RENAME COLUMN ${column} TO extra${n}`),
    ...(keys.length === 0 && name.startsWith('plain') ? [`ALTER TABLE ${name} RENAME TO plain${n}`] : []),
  ]);
}

/** A query, asked of the present and later of the past: `$t` stands for the reference to table `t`. */
export interface Question {
  readonly sql: (reference: (table: string) => string) => string;
  readonly ordered: boolean;
}

/** Of values that are equal, as 0 and -0.0 are, or under NOCASE a and A, SQLite shows any for their group. */
function shown(value: string): string {
  return `iif(typeof(${value}) = 'text', lower(${value}), iif(${value} = 0, 0, ${value}))`;
}

/** Questions about a table as it is now. */
export function questions(random: Random, { name, columns, keys }: Shape, other: Shape): Question[] {
  const exact = (shape: readonly string[], from = ''): string =>
    shape.map((column) => `typeof(${from}${column}) || quote(${from}${column})`).join(', ');
  const column = random.pick(columns);
  const key = keys.length > 0 ? random.pick(keys) : column;
  const far = random.pick(other.columns);
  const ask = (sql: Question['sql'], ordered = false): Question => ({ sql, ordered });
  const [value, second] = [literal(random), literal(random)];
  const operator = random.pick([
    '=',
    '=',
    '=',
    '<',
    '>=',
    'IS',
    'IS NOT',
    'LIKE',
    'BETWEEN 2 AND',
    'IN (1, 2,',
  ]);
  const condition = `${operator} ${value}${operator.startsWith('IN') ? ')' : ''}`;
  return [
    ask((t) => `SELECT ${exact(columns)} FROM ${t(name)}`),
    ask((t) => `SELECT * FROM ${t(name)}`),
    ask((t) => `SELECT ${exact(columns)} FROM ${t(name)} WHERE ${column} ${condition}`),
    ask((t) => `SELECT ${exact(columns)} FROM ${t(name)} WHERE ${key} = ${value}`),
    ask(
      (t) =>
        `SELECT ${exact(columns)} FROM ${t(name)} AS z WHERE z.${key} = ${value} AND z.${column} <> ${second}`,
    ),
    ask(
      (t) =>
        `SELECT ${shown(column)}, count(*), ${shown(`max(${key})`)} FROM ${t(name)} GROUP BY ${column} ORDER BY 1, 2, 3`,
      true,
    ),
    ask(
      (t) =>
        `SELECT count(DISTINCT ${column}) AS n, (SELECT count(*) FROM ${t(other.name)}) AS m FROM ${t(name)}`,
    ),
    ask(
      (t) =>
        `SELECT ${exact([column], 'a.')}, ${exact([far], 'b.')} FROM ${t(name)} AS a JOIN ${t(other.name)} AS b ON a.${column} = b.${far}`,
    ),
    ask(
      (t) =>
        `SELECT ${exact([column], 'a.')} FROM ${t(name)} a LEFT JOIN ${t(other.name)} b ON b.${far} = a.${column} WHERE b.${far} IS NULL`,
    ),
    ask(
      (t) =>
        `WITH c(k) AS (SELECT ${far} FROM ${t(other.name)}) SELECT ${exact([column])} FROM ${t(name)} WHERE ${column} IN (SELECT k FROM c)`,
    ),
    ask((t) => `SELECT ${column} FROM ${t(name)} ORDER BY ${column}, ${key}, quote(${column}) LIMIT 3`, true),
    ask((t) => `SELECT id, name, quote(note) FROM ${t('both')} WHERE name = ${value}`),
    ask((t) => `SELECT * FROM ${t('counts')} WHERE n > 0`),
    // Of an INTEGER PRIMARY KEY on the left SQLite takes the right side's collation, of a subquery's column it does not.
    ...(column === 'id'
      ? []
      : [
          ask(
            (t) =>
              `SELECT count(*) AS n FROM (SELECT ${column} FROM ${t(name)} UNION SELECT ${far} FROM ${t(other.name)})`,
            true,
          ),
        ]),
    ...(keys.length === 0 ? [ask((t) => `SELECT rowid, ${exact(columns)} FROM ${t(name)}`)] : []),
  ];
}
