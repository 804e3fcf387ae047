import type { Engine } from './engine.ts';
import { DoSQLError } from './error.ts';
import { MAIN } from './schema/line.ts';
import { all, first } from './sql/read.ts';
import { parse } from './sql/statement.ts';
import { describe } from './value/parameter.ts';

/** One migration: its name orders and identifies it, its SQL is one or more statements. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** Where migrations come from: a folder in the Worker's bundle, a list, or a function that gives a list. */
export type Migrations =
  | { readonly folder: string }
  | readonly Migration[]
  | (() => readonly Migration[] | Promise<readonly Migration[]>);

/** A migration that has been applied. */
export interface AppliedMigration {
  readonly name: string;
  /** SHA-256 of its text, in hex. */
  readonly checksum: string;
  readonly appliedAt: Date;
  readonly durationMs: number;
}

/** What has been applied on which line, and the line's LSN after it. */
export const MIGRATION_TABLE =
  'CREATE TABLE IF NOT EXISTS __dosql_migration(branch INTEGER NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL, duration_ms REAL NOT NULL, lsn INTEGER NOT NULL, PRIMARY KEY(branch, name)) WITHOUT ROWID';

/**
 * The migrations that `source` gives, in order of their names.
 *
 * @throws DoSQLError `BAD_PARAMETER` for what is none, `MIGRATION_FAILED` for two of one name.
 */
export async function loadMigrations(source: Migrations): Promise<readonly Migration[]> {
  const given: Exclude<Migrations, () => unknown> = typeof source === 'function' ? await source() : source;
  const migrations =
    typeof given === 'object' && given !== null && 'folder' in given ? await readFolder(given.folder) : given;
  if (!Array.isArray(migrations) || !migrations.every(isMigration))
    throw new DoSQLError(
      'BAD_PARAMETER',
      `migrations are ${describe(migrations)}: give { folder }, or [{ name, sql }], both texts`,
    );
  const sorted = migrations.toSorted((a, b) => compareNames(a.name, b.name));
  const twice = sorted.find(({ name }, i) => name === sorted[i + 1]?.name);
  if (twice !== undefined)
    throw new DoSQLError('MIGRATION_FAILED', `there are two migrations called "${twice.name}"`);
  return sorted;
}

function isMigration(migration: unknown): migration is Migration {
  const { name, sql } = (migration ?? {}) as Partial<Migration>;
  return typeof name === 'string' && name !== '' && typeof sql === 'string';
}

/** By number where names begin with one, so that 10 comes after 9, then by name. */
function compareNames(a: string, b: string): number {
  const [numberA, numberB] = [Number.parseInt(a, 10), Number.parseInt(b, 10)];
  if (!Number.isNaN(numberA) && !Number.isNaN(numberB) && numberA !== numberB) return numberA - numberB;
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Applies what has not been applied yet on a line, each migration in a transaction with its record, and returns these.
 *
 * @throws DoSQLError `MIGRATION_CHANGED` when an applied one has another text, `MIGRATION_MISSING` when an
 * applied one is gone or a new one sorts before it, `MIGRATION_FAILED` when a statement fails: then the
 * database is as it was before that migration.
 */
export async function migrate(
  engine: Engine,
  migrations: readonly Migration[],
  line: number = MAIN,
): Promise<AppliedMigration[]> {
  const checksums = await Promise.all(migrations.map(({ sql }) => checksumOf(sql)));
  engine.storage.sql.exec(MIGRATION_TABLE);
  const applied = appliedMigrations(engine, line);
  for (const { name, checksum } of applied) {
    const at = migrations.findIndex((migration) => migration.name === name);
    if (at < 0)
      throw new DoSQLError('MIGRATION_MISSING', `migration "${name}" has been applied but is not there`);
    if (checksums[at] !== checksum)
      throw new DoSQLError(
        'MIGRATION_CHANGED',
        `migration "${name}" was changed after it was applied: add a new one`,
      );
  }
  // Each is applied in one go, which cannot wait for what reads the past.
  if (migrations.some(({ sql }) => /\bsystem_time\b/i.test(sql))) await engine.loadHistory();
  const last = applied.at(-1)?.name;
  for (const [i, migration] of migrations.entries()) {
    if (applied.some(({ name }) => name === migration.name)) continue;
    if (last !== undefined && compareNames(migration.name, last) < 0)
      throw new DoSQLError(
        'MIGRATION_MISSING',
        `migration "${migration.name}" sorts before "${last}", which has been applied: give it a later number`,
      );
    apply(engine, migration, checksums[i] as string, line);
  }
  return appliedMigrations(engine, line).filter(
    ({ name }) => !applied.some((earlier) => earlier.name === name),
  );
}

/** The migrations that have been applied on a line, in their order: a branch's parent's up to the fork, and its own. */
export function appliedMigrations(engine: Engine, line: number = MAIN): AppliedMigration[] {
  const { sql } = engine.storage;
  if (first(sql, "SELECT 1 FROM sqlite_schema WHERE name = '__dosql_migration'") === undefined) return [];
  const lines = engine.branching?.lineage(line) ?? [{ line, upTo: Infinity }];
  const found = new Map<string, AppliedMigration>();
  for (const { line: branch, upTo } of lines)
    for (const [name, checksum, appliedAt, durationMs] of all<[string, string, number, number]>(
      sql,
      'SELECT name, checksum, applied_at, duration_ms FROM __dosql_migration WHERE branch = ? AND lsn <= ?',
      branch,
      Math.min(upTo, Number.MAX_SAFE_INTEGER),
    ))
      if (!found.has(name)) found.set(name, { name, checksum, appliedAt: new Date(appliedAt), durationMs });
  return [...found.values()].toSorted((a, b) => compareNames(a.name, b.name));
}

/** Takes note that what has been applied on the line `source` has come to the line `into` by merging, at `lsn`. */
export function mergeMigrations(engine: Engine, source: number, into: number, lsn: number): void {
  const there = appliedMigrations(engine, into);
  for (const migration of appliedMigrations(engine, source))
    if (!there.some(({ name }) => name === migration.name)) record(engine, migration, into, lsn);
}

/** Forgets what was applied on a branch that is no more. */
export function forgetMigrations(sql: SqlStorage, line: number): void {
  if (first(sql, "SELECT 1 FROM sqlite_schema WHERE name = '__dosql_migration'") !== undefined)
    sql.exec('DELETE FROM __dosql_migration WHERE branch = ?', line);
}

function record(
  engine: Engine,
  { name, checksum, appliedAt, durationMs }: AppliedMigration,
  line: number,
  lsn: number,
): void {
  engine.storage.sql.exec(
    'INSERT INTO __dosql_migration(branch, name, checksum, applied_at, duration_ms, lsn) VALUES(?, ?, ?, ?, ?, ?)',
    line,
    name,
    checksum,
    appliedAt.getTime(),
    durationMs,
    lsn,
  );
}

function apply(engine: Engine, { name, sql }: Migration, checksum: string, line: number): void {
  const started = performance.now();
  let position = 0;
  let text = sql;
  try {
    engine.atomically(() => {
      for (const statement of parse(sql)) {
        position++;
        text = statement.sql;
        engine.run(statement, [], line === MAIN ? {} : { branch: line });
      }
      const durationMs = performance.now() - started;
      const appliedAt = new Date(engine.nowMs());
      record(engine, { name, checksum, appliedAt, durationMs }, line, engine.log.end());
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const where =
      position === 0 ? '' : ` in statement ${position} (${text.slice(0, 100).replaceAll(/\s+/g, ' ')})`;
    throw new DoSQLError(
      'MIGRATION_FAILED',
      `migration "${name}" failed${where}: ${why}; the database is as before it`,
      { sql: text, cause },
    );
  }
}

async function checksumOf(sql: string): Promise<string> {
  // Line ends are not content: a checkout on another system may turn them.
  const bytes = new TextEncoder().encode(sql.replaceAll('\r\n', '\n'));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Reads `NNN_name.sql` from the Worker's own bundle, where its modules are files under /bundle. */
async function readFolder(folder: string): Promise<Migration[]> {
  const wanted = folder.replace(/^\.?\/+/, '').replace(/\/+$/, '');
  const bundle = await openBundle();
  const found = bundle.files
    // In a recursive listing workerd puts the folder's own name in front: bundle/….
    .map((file) => file.replaceAll('\\', '/').replace(/^bundle\//, ''))
    .filter(
      (file) => file.endsWith('.sql') && `/${file.slice(0, file.lastIndexOf('/'))}`.endsWith(`/${wanted}`),
    );
  if (found.length === 0)
    throw new DoSQLError(
      'MIGRATION_MISSING',
      `the Worker's bundle has no migrations under "${folder}": wrangler.jsonc needs "find_additional_modules": true, "base_dir", ` +
        `"rules": [{ "type": "Text", "globs": ["${wanted}/*.sql"], "fallthrough": true }], and nodejs_compat`,
    );
  return found.map((file) => ({
    name: file.slice(file.lastIndexOf('/') + 1, -'.sql'.length),
    sql: bundle.read(file),
  }));
}

/** The files of the bundle; none without node:fs, or outside a Worker. */
async function openBundle(): Promise<{ files: string[]; read: (file: string) => string }> {
  try {
    const { readdirSync, readFileSync } = await import('node:fs');
    const files = readdirSync('/bundle', { recursive: true });
    return { files, read: (file) => readFileSync(`/bundle/${file}`, 'utf8') };
  } catch {
    return { files: [], read: () => '' };
  }
}
