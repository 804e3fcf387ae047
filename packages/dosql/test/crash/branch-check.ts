import { ADDED_DEFAULT } from './migrations.ts';
import type { Stored } from './branched.ts';

type Row = Readonly<Record<string, string>>;

interface Version {
  readonly id: number;
  readonly tableId: number;
  readonly branch: number;
  readonly name: string;
  readonly since: number;
  readonly until: number | undefined;
  readonly columns: readonly { id: number; name: string }[];
  readonly key:
    | { kind: 'rowid'; name: string; columnId?: number }
    | { kind: 'primary'; columnIds: readonly number[] };
  readonly layout: { slots: readonly { columnId: number; name: string; after?: string }[]; parts: number };
}

/** DoSQL's own tables that stay. */
const KEPT =
  /^__dosql_(?:log|tx|relation|object|meta|timer|migration|rowid|branch|merge|copying|resolution|forgotten|[bs]\d+_.*)$/s;
const NO_RELATION = 0;
const OP = { insert: 1, update: 2, delete: 3, rewrite: 6, schema: 7, erased: 8 };

/** Everything that is wrong with the storage of a database with branches. Reads DoSQL's tables, and none of its code. */
export function check(stored: Stored): string[] {
  const versions = rows(stored, '__dosql_relation').map(versionOf);
  const log = rows(stored, '__dosql_log').toSorted((a, b) => Number(a['lsn']) - Number(b['lsn']));
  return [
    ...checkObjects(stored, versions),
    ...checkBranches(stored, log),
    ...checkLog(stored, versions, log),
    ...checkMain(stored, versions, log),
  ];
}

function checkObjects({ schema, tables }: Stored, versions: readonly Version[]): string[] {
  const wrong: string[] = [];
  const branches = new Set((tables['__dosql_branch'] ?? []).map((row) => Number(row['id'])));
  const names = new Set(schema.map(([type, name]) => `${type} ${name}`));
  const expect = (isRight: boolean, text: string): void => {
    if (!isRight) wrong.push(text);
  };
  for (const [type, name] of schema) {
    const [, kind, id, of] = /^__dosql_([bsf])(\d+)_(.*)$/s.exec(name) ?? [];
    if (kind !== undefined) expect(branches.has(Number(id)), `${type} ${name} belongs to no branch`);
    if (kind === 'f' && of?.startsWith('copy_'))
      expect(names.has(`table __dosql_s${id}_${of.slice('copy_'.length)}`), `${name} fires for no shadow`);
    if (type !== 'table') continue;
    if (name.startsWith('__dosql_')) expect(KEPT.test(name), `table ${name} is left over`);
    if (kind === 's') {
      expect(names.has(`table __dosql_b${id}_${of}`), `${name} shadows for no overlay`);
      expect(names.has(`trigger __dosql_f${id}_copy_${of}`), `nothing copies rows up for ${name}`);
    }
    const isCaptured = kind === 'b' || !/^(?:__dosql_|dosql_conflicts_|sqlite_|_cf_)/.test(name);
    const now = versions.filter((version) => version.until === undefined && physicalName(version) === name);
    if (isCaptured) expect(now.length === 1, `table ${name} is recorded ${now.length} times`);
  }
  for (const version of versions.filter(({ until }) => until === undefined)) {
    const { id, branch } = version;
    expect(
      names.has(`table ${physicalName(version)}`),
      `relation ${id} is not there: ${physicalName(version)}`,
    );
    expect(branch <= 0 || branches.has(branch), `relation ${id} belongs to no branch`);
    for (const event of ['insert', 'delete'])
      expect(
        names.has(`trigger __dosql_${event}_${id}`),
        `no ${event} of ${physicalName(version)} is logged`,
      );
  }
  for (const [type, name] of schema) {
    const [, id] = /^__dosql_(?:insert|update|split|delete)_(\d+)$/.exec(name) ?? [];
    const isNow = versions.some((version) => version.id === Number(id) && version.until === undefined);
    expect(id === undefined || isNow, `${type} ${name} logs for no table`);
  }
  return wrong;
}

function checkBranches(stored: Stored, log: readonly Row[]): string[] {
  const wrong: string[] = [];
  const branches = rows(stored, '__dosql_branch');
  const end = Number(log.at(-1)?.['lsn'] ?? 0);
  for (const { name, parent, base, origin, caught } of branches) {
    if (parent !== '0' && !branches.some(({ id }) => id === parent))
      wrong.push(`branch ${name} has no parent`);
    if (!(Number(origin) <= Number(base) && Number(base) <= end && Number(caught) <= end))
      wrong.push(`branch ${name} of ${origin}, ${base}, ${caught} lies past the log's end ${end}`);
  }
  const depths = rows(stored, '__dosql_copying').map(({ depth }) => depth);
  if (stored.tables['__dosql_copying'] !== undefined && depths.join() !== '0')
    wrong.push(`rows are being copied, as deep as ${depths.join()}`);
  return wrong;
}

function checkLog(stored: Stored, versions: readonly Version[], log: readonly Row[]): string[] {
  const wrong: string[] = [];
  const end = Number(log.at(-1)?.['lsn'] ?? 0);
  let before = 0;
  const ranges = rows(stored, '__dosql_tx').map(({ first, last }) => [Number(first), Number(last)] as const);
  for (const [first, last] of ranges.toSorted((a, b) => a[1] - b[1])) {
    if (first <= before || last <= first || last > end)
      wrong.push(`transaction ${first} to ${last} comes after ${before} in a log that ends with ${end}`);
    before = last;
  }
  for (const { lsn, rel } of log) {
    if (Number(rel) === NO_RELATION) continue;
    const version = versions.find(({ id }) => id === Number(rel));
    const isIn =
      version !== undefined &&
      Number(lsn) >= version.since &&
      (version.until === undefined || Number(lsn) <= version.until);
    if (!isIn) wrong.push(`LSN ${lsn} names relation ${rel}, which is not one of then`);
  }
  return wrong;
}

/** Replays main's changes onto an empty model, and compares it with main's tables. */
function checkMain(stored: Stored, versions: readonly Version[], log: readonly Row[]): string[] {
  if (stored.tables['__dosql_forgotten']?.length) return [];
  const wrong: string[] = [];
  const tables = new Map<number, Map<string, Map<number, string>>>();
  for (const row of log) {
    const version = versions.find(({ id, branch }) => id === Number(row['rel']) && branch === 0);
    if (version === undefined || Number(row['op']) === OP.erased) continue;
    const found = replay(tables, version, row);
    if (found !== undefined) wrong.push(`LSN ${row['lsn']} of ${version.name} ${found}`);
  }
  for (const version of versions.filter(({ branch, until }) => branch === 0 && until === undefined)) {
    const replayed = [...(tables.get(version.tableId)?.values() ?? [])].map((image) =>
      version.columns.map(({ id }) => image.get(id)).join('|'),
    );
    const found = rows(stored, version.name).map((row) =>
      version.columns.map(({ name }) => row[name]).join('|'),
    );
    const [a, b] = [replayed.toSorted(), found.toSorted()].map((texts) => JSON.stringify(texts));
    if (a !== b) wrong.push(`the log makes ${a} of ${version.name}, which holds ${b}`);
  }
  return wrong;
}

/** Makes one change; returns what is wrong with it. */
function replay(
  tables: Map<number, Map<string, Map<number, string>>>,
  version: Version,
  row: Row,
): string | undefined {
  const { tableId, columns, since, until } = version;
  const [op, lsn] = [Number(row['op']), Number(row['lsn'])];
  const table = tables.get(tableId);
  if (op === OP.schema && since === lsn) {
    const widened = [...(table ?? [])].map(
      ([key, image]) =>
        [key, new Map(columns.map(({ id }) => [id, image.get(id) ?? ADDED_DEFAULT]))] as const,
    );
    tables.set(tableId, new Map(widened));
    return undefined;
  }
  if (table === undefined) return 'changes a table that is not there';
  if (op === OP.schema) {
    tables.delete(tableId);
    return until === lsn && table.size === 0 ? undefined : `ends it with ${table.size} rows`;
  }
  const first = image(version, row, 'name');
  const key = keyOf(version, first);
  const present = table.get(key);
  if (op === OP.insert) table.set(key, first);
  else if (op === OP.update) table.set(key, image(version, row, 'after'));
  else if (op === OP.delete) table.delete(key);
  else if (op !== OP.rewrite) return `has op ${op}`;
  const isRight =
    op === OP.insert
      ? present === undefined
      : present !== undefined && [...first].every(([id, value]) => id === 0 || present.get(id) === value);
  return isRight ? undefined : 'does not go on from the row before it';
}

function image({ key, layout }: Version, row: Row, which: 'name' | 'after'): Map<number, string> {
  const values = new Map<number, string>();
  if (key.kind === 'rowid') values.set(key.columnId ?? 0, row['k'] as string);
  for (const slot of layout.slots) values.set(slot.columnId, row[slot[which] as string] as string);
  return values;
}

function keyOf({ key }: Version, values: ReadonlyMap<number, string>): string {
  const ids = key.kind === 'rowid' ? [key.columnId ?? 0] : key.columnIds;
  return ids.map((id) => values.get(id)).join('|');
}

function physicalName({ branch, name }: Version): string {
  return branch <= 0 ? name : `__dosql_b${branch}_${name}`;
}

function rows({ tables }: Stored, name: string): readonly Row[] {
  return tables[name] ?? [];
}

function versionOf(row: Row): Version {
  return {
    id: Number(row['id']),
    tableId: Number(row['table_id']),
    branch: Number(row['branch']),
    name: unquoted(row['name']),
    since: Number(row['since']),
    until: row['until'] === 'NULL' ? undefined : Number(row['until']),
    ...(JSON.parse(unquoted(row['shape'])) as Pick<Version, 'columns' | 'key' | 'layout'>),
  };
}

/** A text as SQLite's quote() prints it. */
function unquoted(text: string | undefined): string {
  return String(text).slice(1, -1).replaceAll("''", "'");
}
