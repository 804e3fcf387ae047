import { ADDED_DEFAULT, TOTAL, migrationsUpTo, schemaUpTo } from './migrations.ts';
import type { Dump } from './worker.ts';

/** A version of a table as `__dosql_relation` describes it. */
interface Version {
  readonly id: number;
  readonly tableId: number;
  readonly name: string;
  readonly since: number;
  readonly until: number | null;
  readonly columns: readonly { id: number; name: string }[];
  readonly key: { kind: 'rowid'; columnId?: number } | { kind: 'primary'; columnIds: readonly number[] };
  readonly layout: {
    slots: readonly { columnId: number; part: number; name: string; after?: string }[];
    parts: number;
  };
}

type Image = Map<number, string>;
type LogRow = Readonly<Record<string, string | number | null>>;

interface Table {
  version: Version;
  readonly rows: Map<string, Image>;
}

/** What a row of the log says; the numbers of `op`. */
const OP = { insert: 1, update: 2, delete: 3, before: 4, after: 5, rewrite: 6, schema: 7 };

/** The relation that such a row names when it is about no table. */
const NO_RELATION = 0;

/**
 * Everything that is wrong with an object's storage: the log is replayed onto an empty model, change by
 * change, and the model compared with the tables. Reads DoSQL's tables, and none of its code.
 */
export function check(dump: Dump): string[] {
  const wrong: string[] = [];
  const applied = dump.tables['__dosql_migration']?.rows.length ?? 0;
  const names = records(dump, '__dosql_migration')
    .map(({ name }) => String(name))
    .toSorted();
  same(
    wrong,
    'applied migrations',
    names,
    migrationsUpTo(applied).map(({ name }) => name),
  );
  const tables = Object.entries(dump.tables).filter(([name]) => !name.startsWith('__dosql_'));
  const schema = Object.fromEntries(tables.map(([name, { columns }]) => [name, columns]));
  same(wrong, 'schema', sorted(schema), sorted(schemaUpTo(applied)));
  if (dump.tables['__dosql_log'] === undefined) return wrong;
  const model = new Replay(dump, wrong).run();
  for (const [name, { columns, rows }] of tables) {
    const table = [...model.values()].find(({ version }) => version.name === name);
    if (table === undefined) {
      wrong.push(`table ${name} is not in the log`);
      continue;
    }
    same(
      wrong,
      `columns of ${name}`,
      table.version.columns.map(({ name }) => name),
      columns,
    );
    const replayed = [...table.rows.values()].map((image) => [...ordered(table.version, image)].join('|'));
    same(wrong, `rows of ${name}`, replayed.toSorted(), rows.map((row) => row.join('|')).toSorted());
  }
  if (model.size !== tables.length)
    wrong.push(`the log has ${model.size} tables, there are ${tables.length}`);
  return wrong;
}

class Replay {
  readonly #dump: Dump;
  readonly #wrong: string[];
  readonly #tables = new Map<number, Table>();
  readonly #versions: ReadonlyMap<number, Version>;
  readonly #log: readonly LogRow[];

  constructor(dump: Dump, wrong: string[]) {
    this.#dump = dump;
    this.#wrong = wrong;
    this.#versions = new Map(
      records(dump, '__dosql_relation')
        .map(versionOf)
        .map((v) => [v.id, v]),
    );
    this.#log = records(dump, '__dosql_log').toSorted((a, b) => Number(a['lsn']) - Number(b['lsn']));
  }

  run(): Map<number, Table> {
    this.#log.forEach(({ lsn }, i) => {
      if (lsn !== i + 1) this.#wrong.push(`LSN ${lsn} stands where ${i + 1} should`);
    });
    const insides = this.#insides();
    for (let i = 0; i < this.#log.length;) {
      i += this.#change(i);
      if (!insides.has(i)) this.#atBoundary(i);
    }
    return this.#tables;
  }

  /** The LSNs at which a transaction is still going on. */
  #insides(): Set<number> {
    const insides = new Set<number>();
    let end = 0;
    const ranges = records(this.#dump, '__dosql_tx').map(
      ({ first, last }) => [Number(first), Number(last)] as const,
    );
    for (const [first, last] of ranges.toSorted((a, b) => a[1] - b[1])) {
      if (first <= end || last <= first || last > this.#log.length)
        this.#wrong.push(
          `transaction ${first} to ${last} comes after ${end} in a log of ${this.#log.length}`,
        );
      for (let lsn = first; lsn < last; lsn++) insides.add(lsn);
      end = last;
    }
    return insides;
  }

  #atBoundary(lsn: number): void {
    const accounts = [...this.#tables.values()].find(({ version }) => version.name === 'account');
    if (accounts === undefined) return;
    const balance = accounts.version.columns.find(({ name }) => name === 'balance')?.id as number;
    let total = 0;
    for (const row of accounts.rows.values()) total += Number(row.get(balance));
    if (total !== TOTAL)
      this.#wrong.push(`after the transaction that ends with LSN ${lsn} there is ${total}`);
  }

  /** Takes the change whose first row is at `i`; returns how many rows it has. */
  #change(i: number): number {
    const row = this.#log[i] as LogRow;
    const [op, lsn] = [Number(row['op']), Number(row['lsn'])];
    // A note of what is no change of a table, such as an index.
    if (op === OP.schema && row['rel'] === NO_RELATION) return 1;
    const version = this.#versions.get(Number(row['rel']));
    if (version === undefined) {
      this.#wrong.push(`LSN ${lsn} names relation ${row['rel']}, which is not recorded`);
      return 1;
    }
    if (op === OP.schema) {
      this.#schema(version, lsn);
      return 1;
    }
    const { parts } = version.layout;
    const table = this.#tables.get(version.tableId);
    if (table?.version !== version)
      this.#wrong.push(`LSN ${lsn} changes a version of ${version.name} out of its time`);
    if (table === undefined) return 1;
    const first = image(version, this.#log.slice(i, i + parts), 'name');
    if (op === OP.insert) {
      this.#expect(lsn, table, first, false);
      table.rows.set(keyOf(version, first), first);
      return parts;
    }
    this.#expect(lsn, table, first, true);
    if (op === OP.delete) table.rows.delete(keyOf(version, first));
    else if (op === OP.update) table.rows.set(keyOf(version, first), image(version, [row], 'after'));
    else if (op === OP.before) {
      const second = this.#log.slice(i + parts, i + 2 * parts);
      if (second[0]?.['op'] !== OP.after) this.#wrong.push(`LSN ${lsn} is half an update`);
      else table.rows.set(keyOf(version, first), image(version, second, 'name'));
      return 2 * parts;
    } else if (op !== OP.rewrite) this.#wrong.push(`LSN ${lsn} has op ${op}`);
    return parts;
  }

  #schema(version: Version, lsn: number): void {
    const table = this.#tables.get(version.tableId);
    if (version.since !== lsn) {
      if (version.until !== lsn)
        this.#wrong.push(`LSN ${lsn} neither begins nor ends relation ${version.id}`);
      if (table?.rows.size !== 0) this.#wrong.push(`LSN ${lsn} drops a table that still has rows`);
      this.#tables.delete(version.tableId);
      return;
    }
    const rows = new Map<string, Image>();
    for (const [key, before] of table?.rows ?? [])
      rows.set(key, new Map(version.columns.map(({ id }) => [id, before.get(id) ?? ADDED_DEFAULT])));
    this.#tables.set(version.tableId, { version, rows });
  }

  /** The row that a change begins from must be there as the change says, or must not be there. */
  #expect(lsn: number, { version, rows }: Table, expected: Image, isThere: boolean): void {
    const found = rows.get(keyOf(version, expected));
    const right = isThere
      ? found !== undefined && [...expected].every(([id, value]) => found.get(id) === value)
      : found === undefined;
    if (!right) this.#wrong.push(`LSN ${lsn} of ${version.name} does not go on from the row before it`);
  }
}

/** A table's rows as objects by column. */
export function records(dump: Dump, name: string): LogRow[] {
  const { columns, rows } = dump.tables[name] ?? { columns: [], rows: [] };
  return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i] ?? null])));
}

function versionOf(row: LogRow): Version {
  return {
    id: Number(row['id']),
    tableId: Number(row['table_id']),
    name: String(row['name']),
    since: Number(row['since']),
    until: row['until'] === null ? null : Number(row['until']),
    ...(JSON.parse(String(row['shape'])) as Pick<Version, 'columns' | 'key' | 'layout'>),
  };
}

function image({ key, layout }: Version, rows: readonly LogRow[], which: 'name' | 'after'): Image {
  const values: Image = new Map();
  if (key.kind === 'rowid') values.set(key.columnId ?? 0, String(rows[0]?.['k']));
  for (const slot of layout.slots)
    values.set(slot.columnId, String(rows[slot.part]?.[slot[which] as string]));
  return values;
}

function keyOf({ key }: Version, values: Image): string {
  const ids = key.kind === 'rowid' ? [key.columnId ?? 0] : key.columnIds;
  return ids.map((id) => values.get(id)).join('|');
}

function ordered({ columns }: Version, values: Image): string[] {
  return columns.map(({ id }) => values.get(id) as string);
}

function sorted(object: Readonly<Record<string, unknown>>): unknown {
  return Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function same(wrong: string[], what: string, found: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) wrong.push(`${what}: ${a.slice(0, 2_000)} instead of ${b.slice(0, 2_000)}`);
}
