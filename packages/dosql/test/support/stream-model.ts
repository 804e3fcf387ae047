import { eventToJson, type ChangeEvent, type ChangeRow, type ShapeOptions } from '@dotdo/cdc';
import type { Database } from '../../src/index.ts';
import type { Random } from './random.ts';

/** The last row that a run writes, in the table that snapshots read last. */
export const END = { table: 'zz_end', id: 1 };

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS item(id INTEGER PRIMARY KEY, owner TEXT, n INTEGER, body);
  CREATE TABLE IF NOT EXISTS pair(a TEXT COLLATE NOCASE, b INTEGER, v, PRIMARY KEY (a, b)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS named(id TEXT PRIMARY KEY, item INTEGER REFERENCES item ON DELETE CASCADE ON UPDATE CASCADE, note TEXT);
  CREATE TABLE IF NOT EXISTS loose(x, "y z");
  CREATE TABLE IF NOT EXISTS zz_end(id INTEGER PRIMARY KEY);
  CREATE TRIGGER IF NOT EXISTS copied AFTER UPDATE ON item BEGIN INSERT INTO loose VALUES (NEW.n, NEW.body); END;
`;

/** Names of the tables. */
export const TABLES: string[] = ['item', 'pair', 'named', 'loose', END.table];

/** What a consumer is interested in. */
export type Interest = ShapeOptions & { readonly tables: string[] };

const KEYS: Readonly<Record<string, readonly string[]>> = {
  item: ['id'],
  pair: ['a', 'b'],
  named: ['id'],
  loose: [],
  [END.table]: ['id'],
};

const CONDITIONS: Readonly<Record<string, readonly string[]>> = {
  item: [
    'n > 5',
    "n > '5'",
    "id < '9'",
    "owner = 'ann'",
    'n % 2 = 0 AND owner IS NOT NULL',
    "typeof(body) = 'text'",
    'id BETWEEN 3 AND 9',
  ],
  pair: ['b < 3', "a = 'X'", 'v IS NULL', "pair.a > 'm' OR v > 1"],
  named: ["note LIKE 'a%'", "item = '3'", 'note < 5', 'item IN (1, 2, 3)', "id <> 'k1'"],
  loose: ['rowid % 2 = 0', 'x > 4', '"y z" IS NOT NULL'],
};

const COLUMNS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  item: [['n'], ['id', 'body'], ['OWNER', 'n']],
  pair: [['v'], ['a', 'b', 'v']],
  named: [['note'], ['id', 'item']],
  loose: [['x'], ['y z']],
};

const VALUES = [
  null,
  0,
  -1,
  1.5,
  'text',
  'añ 𝄞',
  '',
  9_007_199_254_740_993n,
  -(2n ** 63n),
  new Uint8Array([0, 255]),
  1e300,
];

/** Makes the tables of a run. */
export async function createTables(db: Database): Promise<void> {
  await db.exec(SCHEMA);
}

/** One write of any kind; what it breaks, it breaks as a whole. */
export async function write(random: Random, db: Database, storage: DurableObjectStorage): Promise<void> {
  try {
    const kind = random.int(12);
    if (kind === 0) await rolledBack(random, db);
    else if (kind === 1)
      await db.transaction(async (tx) => {
        for (let i = random.int(6); i >= 0; i--) await tx.run(...statement(random));
      });
    else if (kind === 2)
      await db.batch(
        random.times(3, () => {
          const [sql, params] = statement(random);
          return { sql, params };
        }),
      );
    else if (kind === 3) storage.sql.exec('INSERT INTO loose VALUES (?, ?)', random.int(9), 'around');
    else if (kind === 4 && random.chance(0.3)) await redefine(random, db);
    else await db.run(...statement(random));
  } catch (error) {
    if (!(error instanceof Error && /^(?:CONSTRAINT_|rolled back)/.test(error.message))) throw error;
  }
}

async function rolledBack(random: Random, db: Database): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.run(...statement(random));
    throw new Error('rolled back');
  });
}

async function redefine(random: Random, db: Database): Promise<void> {
  if (random.chance(0.5))
    await db.exec(
      'DROP TABLE pair; CREATE TABLE pair(v, b INTEGER, a TEXT COLLATE NOCASE, PRIMARY KEY (a, b)) WITHOUT ROWID',
    );
  else
    await db.exec(
      'CREATE INDEX IF NOT EXISTS by_n ON item(n); ALTER TABLE item RENAME COLUMN body TO whole; ALTER TABLE item RENAME COLUMN whole TO body',
    );
}

type Parameter = string | number | bigint | null | Uint8Array;

function statement(random: Random): [string, Parameter[]] {
  const id = (): number => 1 + random.int(12);
  const value = (): Parameter => random.pick(VALUES);
  const n = (): number => random.int(10);
  const owner = (): string | null => random.pick(['ann', 'bob', null]);
  const name = (): string => `k${random.int(6)}`;
  const letter = (): string => random.pick(['x', 'X', 'y', 'z', 'm']);
  const note = (): string => random.pick(['apple', 'Ant', 'bee', '']);
  const row = (): Parameter[] => [id(), owner(), n(), value()];
  return random.pick<() => [string, Parameter[]]>([
    () => ['INSERT INTO item VALUES (?, ?, ?, ?)', row()],
    () => ['INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?)', row()],
    () => [
      'INSERT INTO item VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + 1, body = excluded.body',
      row(),
    ],
    () => ['UPDATE item SET n = n + 1 WHERE n < ?', [n()]],
    () => ['UPDATE item SET owner = ?, body = ? WHERE id = ?', [owner(), value(), id()]],
    () => ['UPDATE item SET id = ? WHERE id = ?', [id(), id()]],
    () => ['DELETE FROM item WHERE id = ?', [id()]],
    () => ['INSERT INTO pair(a, b, v) VALUES (?, ?, ?)', [letter(), random.int(5), value()]],
    () => ['UPDATE pair SET v = ? WHERE a = ?', [value(), letter()]],
    () => ['UPDATE pair SET a = ?, b = b + 1 WHERE b = ?', [letter(), random.int(5)]],
    () => ['DELETE FROM pair WHERE b = ?', [random.int(5)]],
    () => ['INSERT OR REPLACE INTO named VALUES (?, ?, ?)', [name(), id(), note()]],
    () => ['UPDATE named SET id = ?, note = ? WHERE id = ?', [name(), note(), name()]],
    () => ['UPDATE named SET note = ? WHERE id = ?', [note(), name()]],
    () => ['INSERT INTO loose VALUES (?, ?)', [n(), value()]],
    () => ['UPDATE loose SET rowid = rowid + 100 WHERE x = ?', [n()]],
    () => ['UPDATE loose SET "y z" = ? WHERE x < 3', [value()]],
    () => ['DELETE FROM loose WHERE x = ?', [n()]],
  ])();
}

/** An interest, at random. */
export function interest(random: Random): Interest {
  const tables = random.chance(0.3) ? Object.keys(COLUMNS) : random.some(Object.keys(COLUMNS));
  const some = <T>(choices: Readonly<Record<string, readonly T[]>>): Record<string, T> =>
    Object.fromEntries(
      tables
        .filter(() => random.chance(0.5))
        .map((table) => [table, random.pick(choices[table] as readonly T[])]),
    );
  return { tables: [...tables, END.table], where: some(CONDITIONS), columns: some(COLUMNS) };
}

/** A row of a table that has a primary key, as an insertion. */
export function rowEvent(table: string, row: ChangeRow): ChangeEvent {
  const own = KEYS[table] as readonly string[];
  const key = Object.fromEntries(own.map((column) => [column, row[column] ?? null]));
  const at = { lsn: 0n, tx: 0n, timestamp: new Date(0) };
  return { ...at, op: 'insert', table, key, before: null, after: row };
}

/** What a consumer keeps: the rows that it is interested in. */
export class Replica {
  #rows = new Map<string, ChangeRow>();
  isDone = false;

  /** Takes an event in, once or more often. */
  apply(event: ChangeEvent): void {
    if (!('key' in event)) return;
    if (event.table === END.table) this.isDone = true;
    if (event.before !== null || event.op === 'delete') this.#rows.delete(nameOf(event.table, event.key));
    if (event.after === null) return;
    const own = KEYS[event.table] as readonly string[];
    const hasKey = own.length > 0 && own.every((column) => Object.hasOwn(event.after ?? {}, column));
    const key = hasKey
      ? Object.fromEntries(own.map((column) => [column, event.after?.[column] ?? null]))
      : event.key;
    this.#rows.set(nameOf(event.table, key), event.after);
  }

  /** Forgets all, before a new snapshot. */
  clear(): void {
    this.#rows.clear();
    this.isDone = false;
  }

  copy(): Replica {
    const copy = new Replica();
    copy.#rows = new Map(this.#rows);
    copy.isDone = this.isDone;
    return copy;
  }

  /** The rows as texts, in order. */
  contents(options: ShapeOptions): string[] {
    return [...this.#rows].map(([name, row]) => shown(name, row, columnsOf(options, name))).sort();
  }
}

/** The rows that a consumer with this interest should have. */
export async function expected(db: Database, options: Interest): Promise<string[]> {
  const all: string[] = [];
  for (const table of options.tables) {
    const rows = await db.query<Record<string, Parameter>>(
      `SELECT *, ${table === 'loose' ? 'rowid AS __rowid' : '1'} FROM ${table} WHERE ${options.where?.[table] ?? 'TRUE'}`,
      [],
      { integers: 'bigint' },
    );
    for (const row of rows) {
      const own = KEYS[table] as readonly string[];
      const key =
        own.length > 0
          ? Object.fromEntries(own.map((column) => [column, plain(row[column] ?? null)]))
          : { rowid: plain(row['__rowid'] ?? null) };
      const image = Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]));
      const columns =
        columnsOf(options, table) ?? Object.keys(row).filter((name) => !/^(?:1|__rowid)$/.test(name));
      all.push(shown(nameOf(table, key), image, columns));
    }
  }
  return all.sort();
}

function plain(value: Parameter): Parameter {
  return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function columnsOf({ columns = {} }: ShapeOptions, name: string): readonly string[] | undefined {
  return columns[name.split(' ', 1)[0] as string];
}

function nameOf(table: string, key: ChangeRow): string {
  return `${table} ${text(key)}`;
}

/** A row as text: only `columns` of it, in the order of their names. */
function shown(name: string, row: ChangeRow, columns: readonly string[] | undefined): string {
  const wanted = columns?.map((column) => column.toLowerCase());
  const entries = Object.entries(row).filter(([column]) => wanted?.includes(column.toLowerCase()) !== false);
  return `${name} ${text(Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1))))}`;
}

function text(row: ChangeRow): string {
  const event = {
    op: 'insert',
    lsn: 0n,
    tx: 0n,
    timestamp: new Date(0),
    table: '',
    key: row,
    before: null,
    after: null,
  } as const;
  return JSON.stringify(eventToJson(event).key);
}
