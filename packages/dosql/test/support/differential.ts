import type { Row, Session } from '../../src/index.ts';
import { sqliteError } from '../../src/error.ts';
import type { Call, KnownTable, Step } from './statements.ts';

/** What a step gave. */
export interface Outcome {
  readonly error?: string;
  readonly names?: readonly string[];
  readonly rows?: readonly string[];
  readonly changes?: number;
  readonly lastRowId?: number;
  readonly inner?: readonly Outcome[];
}

const AFTER_FAILURE = 'INSERT INTO failed DEFAULT VALUES';
const THROWN = 'the callback throws';

function show(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'number') return Object.is(value, -0) ? '-0.0' : String(value);
  if (typeof value === 'string') return `'${value}'`;
  const bytes = value instanceof ArrayBuffer ? new Uint8Array(value) : (value as Uint8Array);
  return `x${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function failure(error: unknown, sql: string): Outcome {
  if (error instanceof Error && error.message === THROWN) return { error: THROWN };
  return { error: sqliteError(error, sql).message.replace(/ \(at offset[\s\S]*$/, '') };
}

const isWrite = (sql: string): boolean =>
  /^(?:INSERT|REPLACE|UPDATE|DELETE|WITH[\s\S]* (?:INSERT|UPDATE) )/.test(sql);

function rowsOf(rows: readonly Row[]): Pick<Outcome, 'names' | 'rows'> {
  return {
    names: Object.keys(rows[0] ?? {}),
    rows: rows.map((row) => Object.values(row).map(show).join(' | ')),
  };
}

/** Runs a step through DoSQL. */
export async function runDosql(db: Session, step: Step): Promise<Outcome> {
  try {
    if (step.kind === 'query') return rowsOf(await db.query(step.call.sql, step.call.params));
    if (step.kind === 'run') {
      const { changes, lastRowId } = await db.run(step.call.sql, step.call.params);
      return isWrite(step.call.sql) ? { changes, lastRowId } : {};
    }
    if (step.kind === 'exec') {
      await db.exec(step.sql);
      return {};
    }
    if (step.kind === 'batch') {
      const results = await db.batch(step.calls.map(({ sql, params }) => ({ sql, params })));
      return {
        inner: results.map(({ rows, changes, lastRowId }) => ({ ...rowsOf(rows), changes, lastRowId })),
      };
    }
    const inner: Outcome[] = [];
    try {
      await db.transaction(async (tx) => {
        for (const each of step.steps) inner.push(await runDosql(tx, each));
        if (step.fails) throw new Error(THROWN);
      });
      return { inner };
    } catch (error) {
      await db.run(AFTER_FAILURE);
      return { ...failure(error, ''), inner };
    }
  } catch (error) {
    await db.run(AFTER_FAILURE);
    return failure(error, '');
  }
}

/** Runs a step on plain SQLite. */
export function runPlain(storage: DurableObjectStorage, step: Step): Outcome {
  const rowsFrom = (sql: string, params: Call['plainParams']): Outcome => {
    const cursor = storage.sql.exec(sql, ...params);
    const names = cursor.columnNames;
    const rows = [...cursor.raw()].map((values) =>
      Object.fromEntries(names.map((name, i) => [name, values[i]])),
    );
    return rowsOf(rows as Row[]);
  };
  const run = (sql: string, params: Call['plainParams']): Outcome =>
    sql.includes(' OR FAIL ') ? rowsFrom(sql, params) : storage.transactionSync(() => rowsFrom(sql, params));
  const exec = ({ plainSql, plainParams }: Call): Outcome => run(plainSql, plainParams);
  const counts = (): Outcome => {
    const [changes, lastRowId] = [...storage.sql.exec('SELECT changes(), last_insert_rowid()').raw()][0] as [
      number,
      number,
    ];
    return { changes, lastRowId };
  };
  try {
    if (step.kind === 'query') return exec(step.call);
    if (step.kind === 'run') {
      exec(step.call);
      return isWrite(step.call.sql) ? counts() : {};
    }
    if (step.kind === 'exec') {
      const [only, ...more] = step.statements;
      if (more.length === 0) run(only as string, []);
      else storage.transactionSync(() => step.statements.forEach((sql) => void run(sql, [])));
      return {};
    }
    if (step.kind === 'batch')
      return {
        inner: storage.transactionSync(() => step.calls.map((call) => ({ ...exec(call), ...counts() }))),
      };
    const inner: Outcome[] = [];
    try {
      storage.transactionSync(() => {
        for (const each of step.steps) inner.push(runPlain(storage, each));
        if (step.fails) throw new Error(THROWN);
      });
      return { inner };
    } catch (error) {
      storage.sql.exec(AFTER_FAILURE);
      return { ...failure(error, ''), inner };
    }
  } catch (error) {
    storage.sql.exec(AFTER_FAILURE);
    return failure(error, '');
  }
}

/** Everything that is in the user's tables, exactly. */
export function contents(sql: SqlStorage): Record<string, unknown> {
  const isOwn = "substr(name, 1, 8) = '__dosql_' OR substr(tbl_name, 1, 8) = '__dosql_' OR name GLOB '_cf_*'";
  const schema = [
    ...sql
      .exec(
        `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE NOT (${isOwn}) AND name NOT GLOB 'sqlite_autoindex___dosql*' ORDER BY type, name`,
      )
      .raw(),
  ];
  const all: Record<string, unknown> = { schema };
  for (const [type, name] of schema as [string, string][]) {
    if (type !== 'table' || name === 'sqlite_stat1') continue;
    const table = `"${name.replaceAll('"', '""')}"`;
    const columns = [
      ...sql.exec('SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1', name).raw<[string]>(),
    ].map(([column]) => `"${column.replaceAll('"', '""')}"`);
    const exact = columns.map((column) => `typeof(${column}) || ' ' || quote(${column})`);
    try {
      all[name] = [...sql.exec(`SELECT ${exact.join(', ')} FROM ${table}`).raw()]
        .map((row) => (row as string[]).join(' | '))
        .toSorted();
    } catch (error) {
      all[name] = failure(error, '').error;
    }
  }
  return all;
}

/** The tables that the next statements can name. */
export function knownTables(sql: SqlStorage): KnownTable[] {
  const names = [
    ...sql
      .exec(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '_cf_*' AND name NOT GLOB 'sqlite_*' AND name <> 'failed'",
      )
      .raw(),
  ].flat() as string[];
  return names.map((name) => {
    const columns = [
      ...sql.exec('SELECT name, hidden FROM pragma_table_xinfo(?)', name).raw(),
    ] as unknown as [string, number][];
    return {
      name,
      columns: columns.map(([column]) => column),
      writable: columns.filter(([, hidden]) => hidden === 0).map(([column]) => column),
    };
  });
}

/** What every round begins with. */
export const SCHEMA = [
  'CREATE TABLE failed(id INTEGER PRIMARY KEY)',
  'CREATE TABLE parent(id INTEGER PRIMARY KEY, code TEXT UNIQUE)',
  'CREATE TABLE audit(id INTEGER PRIMARY KEY, what, at)',
  "INSERT INTO audit VALUES (1, 'x', 0)",
];
