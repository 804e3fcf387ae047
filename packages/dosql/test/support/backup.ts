import { runInDurableObject } from 'cloudflare:test';
import type { FileStore } from '@dotdo/fsx';
import {
  DB,
  DoSQLError,
  restore,
  type Database,
  type DatabaseOptions,
  type Restored,
  type RestoreSource,
} from '../../src/index.ts';
import { newObject } from './database.ts';
import { shapeOf } from './history.ts';

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
/** Every value with its type, exactly; integers leave SQLite as text. */
const exact = (name: string): string =>
  `typeof(${name}) || ' ' || iif(octet_length(${name}) > 10000, octet_length(${name}) || hex(substr(${name}, 1, 40)), quote(${name}))`;

/** Names of the user's tables. */
export function tableNames(sql: SqlStorage): string[] {
  const text =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
  return [...sql.exec(text).raw()].flat() as string[];
}

/** Everything that the user has put into a database, as text: definitions, rows with their rowids, sequences. */
export function picture(sql: SqlStorage, withSequences = true): string[] {
  const lines: string[] = [];
  const objects =
    "SELECT type || ' ' || name || ' ' || sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '\\_\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name <> 'sqlite_sequence' ORDER BY type, name";
  lines.push(...([...sql.exec(objects).raw()].flat() as string[]));
  for (const name of tableNames(sql)) {
    const { columns } = shapeOf(sql, name);
    const [withoutRowid] = [
      ...sql.exec('SELECT wr FROM pragma_table_list WHERE name = ?', name).raw(),
    ][0] as [number];
    const hidden = withoutRowid === 1 ? [] : ['rowid'];
    const values = [...hidden, ...columns.map(quote)].map(exact).join(', ');
    const rows = [...sql.exec(`SELECT ${values} FROM ${quote(name)}`).raw()].map((row) =>
      row.map(String).join(' | '),
    );
    lines.push(...rows.map((row) => `${name}: ${row}`).toSorted());
  }
  const hasSequences =
    [...sql.exec("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").raw()].length > 0;
  if (withSequences && hasSequences)
    lines.push(
      ...([
        ...sql
          .exec(
            "SELECT name || ' ' || seq FROM sqlite_sequence WHERE name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY name",
          )
          .raw(),
      ].flat() as string[]),
    );
  return lines;
}

/** The log and what it is read by, as text. */
export function logPicture(sql: SqlStorage): string[] {
  const names = [
    ...sql.exec("SELECT name FROM pragma_table_info('__dosql_log') ORDER BY name").raw(),
  ].flat() as string[];
  const read = (text: string): string[] =>
    [...sql.exec(text).raw()].map((row) => row.map(String).join(' | '));
  return [
    ...read(
      `SELECT ${names.map((name) => `'${name} ' || ${exact(name)}`).join(', ')} FROM __dosql_log ORDER BY lsn`,
    ),
    ...read('SELECT first, last FROM __dosql_tx ORDER BY last'),
    ...read('SELECT * FROM __dosql_relation WHERE branch = 0 ORDER BY id'),
    ...read(
      'SELECT type, name, tbl_name, since, until, sql, place FROM __dosql_object WHERE branch = 0 ORDER BY place, since',
    ),
    ...read("SELECT key, value FROM __dosql_meta WHERE key IN ('trimmed_lsn') ORDER BY key"),
  ];
}

/** Restores into a new object, and uses what is there: first as it was left, then opened. */
export function withRestored<T>(
  source: Omit<RestoreSource, 'storage'>,
  use: (
    storage: DurableObjectStorage,
    restored: Restored,
    open: (options?: Partial<DatabaseOptions>) => Promise<Database>,
  ) => Promise<T>,
): Promise<T> {
  return runInDurableObject(newObject(), async (_, { storage }) => {
    const restored = await restore({ ...source, storage });
    return use(storage, restored, (options = {}) => DB('test', { storage, ...options }));
  });
}

/** A statement that SQLite refuses changes nothing; another error is a bug. */
export async function attempt(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof DoSQLError)) throw error;
  }
}

/** Runs `use` in a new object with a database that has cold storage. */
export function withCold<T>(
  use: (db: Database, storage: DurableObjectStorage) => Promise<T>,
  options: Partial<DatabaseOptions>,
  cold:
    | { readonly cold: R2Bucket; readonly coldPrefix: string }
    | { readonly kind: 'tiered'; readonly cold: FileStore },
): Promise<T> {
  return runInDurableObject(newObject(), async (_, { storage }) => {
    const place =
      'kind' in cold
        ? { ...cold, hot: { kind: 'durable-object' as const, storage } }
        : { hot: storage, ...cold };
    return use(await DB('test', { storage: place, ...options }), storage);
  });
}
