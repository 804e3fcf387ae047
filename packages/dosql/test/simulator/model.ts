import type { Random } from '../support/random.ts';

/** A value of a row in the model. */
export type Value = string | number | null;
/** A row in the model. */
export type Row = Readonly<Record<string, Value>>;

/** A table as it should be. */
export interface Table {
  readonly columns: readonly string[];
  readonly key: readonly string[];
  readonly rows: ReadonlyMap<string, Row>;
}

/** The tables of main or of a branch, by name. */
export type Line = ReadonlyMap<string, Table>;

/** A branch: what it sees, and which keys are its own to write while it lives, so that merging meets no conflict. */
export interface Branch {
  readonly line: Line;
  readonly part: number;
}

/** All that a database holds. */
export interface State {
  readonly main: Line;
  readonly branches: ReadonlyMap<string, Branch>;
}

/** A statement, and what it does to the tables. */
export interface Change {
  readonly sql: string;
  readonly params: readonly Value[];
  readonly effect: (line: Line) => Line;
}

/** Keys below {@link SHARED} are shared out among main and so many branches by their remainder. */
export const PARTS = 4;

/** The part that no branch ever has. */
export const MAIN_PART = 0;

/** Keys from here on are main's, and given by SQLite: no change names one. */
export const SHARED: number = 16 * PARTS;

/** A row whose key is above all that changes name: those that SQLite gives come after it. */
const FIRST: Row = { id: 100, n: 0, s: 'first', at: '2046-01-01T00:00:00.000Z' };

/** What every run begins with. */
export const SCHEMA: string =
  'CREATE TABLE item(id INTEGER PRIMARY KEY, n INTEGER, s TEXT, at TEXT); CREATE INDEX item_n ON item(n); ' +
  'CREATE TABLE pair(a TEXT, b INTEGER, v INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID; ' +
  "INSERT INTO item VALUES (100, 0, 'first', '2046-01-01T00:00:00.000Z')";

/** The tables of {@link SCHEMA}, without rows. */
export const EMPTY: Line = new Map<string, Table>([
  ['item', { columns: ['id', 'n', 's', 'at'], key: ['id'], rows: new Map() }],
  ['pair', { columns: ['a', 'b', 'v'], key: ['a', 'b'], rows: new Map() }],
]);

/** What {@link SCHEMA} makes. */
export const BEGINNING: Line = withRows(
  EMPTY,
  'item',
  (rows, table) => void rows.set(keyOf(table, FIRST), FIRST),
);

/** The default of every column that is added. */
const ADDED = 7;

/** What a row is known by. */
export function keyOf({ key }: Pick<Table, 'key'>, row: Row): string {
  return JSON.stringify(key.map((column) => row[column]));
}

/** The line with other rows in one table. */
export function withRows(
  line: Line,
  name: string,
  change: (rows: Map<string, Row>, table: Table) => void,
): Line {
  const table = line.get(name) as Table;
  const rows = new Map(table.rows);
  change(rows, table);
  return new Map(line).set(name, { ...table, rows });
}

/** Sets rows anew where `makes` gives one, and removes them where it gives null. */
function changeRows(
  line: Line,
  name: string,
  isMeant: (row: Row) => boolean,
  makes: (row: Row) => Row | null,
): Line {
  return withRows(line, name, (rows) => {
    for (const [key, row] of rows) {
      if (!isMeant(row)) continue;
      const made = makes(row);
      if (made === null) rows.delete(key);
      else rows.set(key, made);
    }
  });
}

/** Which keys may be written: those whose number has one of these remainders. */
export type Parts = readonly number[];

const remainder = (n: Value): number => Number(n) % PARTS;

/** A statement that changes rows of keys of these parts. */
export function changeOf(random: Random, line: Line, parts: Parts, at: () => string): Change {
  const part = random.pick(parts);
  const id = random.int(SHARED / PARTS) * PARTS + part;
  const [n, s, a] = [random.int(100), `it's ${random.int(1_000)}`, random.pick(['a', 'A', 'ü'])];
  const list = parts.join(', ');
  const isOwn = (value: Value | undefined): boolean =>
    Number(value) < SHARED && parts.includes(remainder(value ?? null));
  const time = at();
  const notes = [...line.keys()].filter((name) => name.startsWith('note_'));
  const choices: (() => Change)[] = [
    () => ({
      // A number that is bound is a REAL until it is stored.
      sql: 'INSERT INTO item(id, n, s, at) VALUES (?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET n = excluded.n, s = item.s || CAST(excluded.n AS INTEGER)',
      params: [id, n, s, time],
      effect: (line) =>
        withRows(line, 'item', (rows, table) => {
          const old = rows.get(keyOf(table, { id }));
          rows.set(
            keyOf(table, { id }),
            old === undefined ? { id, n, s, at: time } : { ...old, n, s: `${old['s']}${n}` },
          );
        }),
    }),
    () => ({
      sql: `UPDATE item SET n = n + 1 WHERE id % 3 = ? AND id < ${SHARED} AND id % ${PARTS} IN (${list})`,
      params: [n % 3],
      effect: (line) =>
        changeRows(
          line,
          'item',
          ({ id }) => Number(id) % 3 === n % 3 && isOwn(id),
          (row) => ({ ...row, n: Number(row['n']) + 1 }),
        ),
    }),
    () => ({
      sql: 'UPDATE item SET at = ?, s = upper(s) WHERE id = ?',
      params: [time, id],
      effect: (line) =>
        changeRows(
          line,
          'item',
          (row) => row['id'] === id,
          (row) => ({ ...row, at: time, s: String(row['s']).toUpperCase() }),
        ),
    }),
    () => ({
      sql: 'DELETE FROM item WHERE id = ?',
      params: [id],
      effect: (line) =>
        changeRows(
          line,
          'item',
          (row) => row['id'] === id,
          () => null,
        ),
    }),
    () => ({
      sql: 'INSERT INTO pair(a, b, v) VALUES (?, ?, ?) ON CONFLICT(a, b) DO UPDATE SET v = pair.v + excluded.v',
      params: [a, id, n],
      effect: (line) =>
        withRows(line, 'pair', (rows, table) => {
          const key = keyOf(table, { a, b: id });
          const old = rows.get(key);
          const added = Object.fromEntries(table.columns.slice(3).map((column) => [column, ADDED]));
          rows.set(
            key,
            old === undefined ? { a, b: id, v: n, ...added } : { ...old, v: Number(old['v']) + n },
          );
        }),
    }),
    () => ({
      sql: `DELETE FROM pair WHERE a = ? AND v > ? AND b % ${PARTS} IN (${list})`,
      params: [a, n],
      effect: (line) =>
        changeRows(
          line,
          'pair',
          (row) => row['a'] === a && Number(row['v']) > n && isOwn(row['b']),
          () => null,
        ),
    }),
  ];
  const note = notes[random.int(Math.max(1, notes.length))];
  if (parts.length === PARTS && note !== undefined)
    choices.push(() => ({
      sql: `INSERT INTO ${note}(id, x) VALUES (?, ?) ON CONFLICT DO NOTHING`,
      params: [id, s],
      effect: (line) =>
        withRows(line, note, (rows, table) => {
          const key = keyOf(table, { id });
          if (!rows.has(key)) rows.set(key, { id, x: s });
        }),
    }));
  if (parts.includes(MAIN_PART))
    choices.push(() => ({
      sql: 'INSERT INTO item(n, s, at) VALUES (?, ?, ?)',
      params: [n, s, time],
      effect: (line) =>
        withRows(line, 'item', (rows, table) => {
          const next = 1 + Math.max(0, ...[...rows.values()].map((row) => Number(row['id'])));
          rows.set(keyOf(table, { id: next }), { id: next, n, s, at: time });
        }),
    }));
  return random.pick(choices)();
}

/** A change of the schema: of tables of its own, or, while there are no branches, of columns of `pair`. */
export function definition(random: Random, line: Line, number: number, hasBranches: boolean): Change {
  const notes = [...line.keys()].filter((name) => name.startsWith('note_'));
  const note = random.pick(['', ...notes]);
  if (note !== '')
    return {
      sql: `DROP TABLE ${note}`,
      params: [],
      effect: (line) => new Map([...line].filter(([name]) => name !== note)),
    };
  const added = line.get('pair')?.columns[3];
  if (hasBranches || random.chance(0.4))
    return {
      sql: `CREATE TABLE note_${number}(id INTEGER PRIMARY KEY, x TEXT)`,
      params: [],
      effect: (line) =>
        new Map(line).set(`note_${number}`, { columns: ['id', 'x'], key: ['id'], rows: new Map() }),
    };
  const pairs = (line: Line, columns: readonly string[], make: (row: Row) => Row): Line => {
    const table = line.get('pair') as Table;
    const rows = new Map([...table.rows].map(([key, row]) => [key, make(row)]));
    return new Map(line).set('pair', { ...table, columns, rows });
  };
  const base = ['a', 'b', 'v'];
  if (added === undefined)
    return {
      sql: `ALTER TABLE pair ADD COLUMN c${number} INTEGER DEFAULT ${ADDED}`,
      params: [],
      effect: (line) => pairs(line, [...base, `c${number}`], (row) => ({ ...row, [`c${number}`]: ADDED })),
    };
  return {
    sql: `ALTER TABLE pair DROP COLUMN ${added}`,
    params: [],
    effect: (line) => pairs(line, base, ({ [added]: _, ...row }) => row),
  };
}

/** Main after a branch has been merged into it: the keys that are the branch's are as they are there. */
export function merged(main: Line, { line, part }: Branch): Line {
  let result = main;
  for (const [name, column] of [
    ['item', 'id'],
    ['pair', 'b'],
  ] as const)
    result = withRows(result, name, (rows) => {
      const isOwn = (row: Row): boolean =>
        Number(row[column]) < SHARED && remainder(row[column] ?? null) === part;
      for (const [key, row] of rows) if (isOwn(row)) rows.delete(key);
      for (const [key, row] of line.get(name)?.rows ?? []) if (isOwn(row)) rows.set(key, row);
    });
  return result;
}

/** A line as texts, to be compared. */
export function textsOf(line: Line): string[] {
  return [...line]
    .flatMap(([name, { columns, rows }]) => [
      `${name}(${columns.join()})`,
      ...[...rows.values()].map(
        (row) => `${name} ${JSON.stringify(columns.map((column) => row[column] ?? null))}`,
      ),
    ])
    .sort();
}
