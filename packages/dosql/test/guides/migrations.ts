import { DB, type Database, type Migration } from '@dotdo/dosql';
import { drizzle } from 'drizzle-orm/durable-sqlite';
import { migrate } from 'drizzle-orm/durable-sqlite/migrator';

export async function openDrizzle(storage: DurableObjectStorage, generated: Parameters<typeof migrate>[1]) {
  const db = await DB('tasks', { storage });
  const orm = drizzle(db.storage);
  await migrate(orm, generated);
  return { db, orm };
}

export const migrations: Migration[] = [
  { name: '001_tasks', sql: 'CREATE TABLE tasks(id INTEGER PRIMARY KEY, title TEXT NOT NULL)' },
  { name: '002_status', sql: "ALTER TABLE tasks ADD COLUMN status TEXT NOT NULL DEFAULT 'todo'" },
];

export function open(storage: DurableObjectStorage) {
  return DB('tasks', { storage, migrations });
}

export async function version(db: Database) {
  const applied = await db.migrations();
  return applied.at(-1)?.name;
}

export async function tryNext(db: Database, next: Migration) {
  const branch = await db.branch('next');
  try {
    const applied = await branch.migrate([...migrations, next]);
    return { applied: applied.length, columns: Object.keys((await branch.get('SELECT * FROM tasks')) ?? {}) };
  } finally {
    await db.dropBranch('next');
  }
}

export async function fill(db: Database, rows: number) {
  db.onTimer('fill', async () => {
    const { changes } = await db.run(
      "UPDATE tasks SET slug = lower(replace(title, ' ', '-')) WHERE id IN (SELECT id FROM tasks WHERE slug IS NULL LIMIT ?)",
      [rows],
    );
    if (changes > 0) await db.schedule('fill', Date.now());
  });
  if ((await db.get('SELECT 1 FROM tasks WHERE slug IS NULL')) !== null)
    await db.schedule('fill', Date.now());
}

export const stricter: Migration = {
  name: '003_stricter',
  sql: `
    CREATE TABLE tasks_new(
      id INTEGER PRIMARY KEY,
      title TEXT NOT NULL,
      status TEXT NOT NULL DEFAULT 'todo' CHECK (status IN ('todo', 'done'))
    );
    INSERT INTO tasks_new SELECT id, title, status FROM tasks;
    DROP TABLE tasks;
    ALTER TABLE tasks_new RENAME TO tasks;
  `,
};

export async function rollOut(
  tenants: readonly string[],
  versionOf: (tenant: string) => Promise<string | undefined>,
) {
  const behind: string[] = [];
  for (const tenant of tenants) {
    const found = await versionOf(tenant).catch(() => undefined); // opening it is what migrates it
    if (found !== migrations.at(-1)?.name) behind.push(tenant);
  }
  return behind;
}
