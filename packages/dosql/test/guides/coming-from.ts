import { DB, type Database } from '@dotdo/dosql';

export async function likeD1(db: Database) {
  await db.prepare('INSERT INTO users(name) VALUES (?1)').bind('Ada').run();
  const user = db.prepare('SELECT id, name FROM users WHERE name = ?').bind('Ada');
  const { results, meta } = await user.all<{ id: number; name: string }>();
  return {
    all: results,
    first: await user.first(),
    column: await user.first('name'),
    raw: await user.raw({ columnNames: true }),
    rowsRead: meta.rows_read,
  };
}

export async function batchLikeD1(db: Database) {
  const insert = db.prepare('INSERT INTO users(name) VALUES (?)');
  const [, , count] = await db.batch([
    insert.bind('Bob'),
    insert.bind('Cy'),
    db.prepare('SELECT count(*) AS users FROM users'),
  ]);
  return count?.results;
}

export async function importDump(db: Database, dump: string) {
  await db.exec(dump); // all of it, or nothing
  return (await db.query<{ name: string }>('SELECT name FROM users ORDER BY id')).map(({ name }) => name);
}

export async function importFiles(db: Database) {
  const { changes } = await db.run("INSERT INTO users(name) SELECT name FROM 'r2://import/users/*.csv'");
  return changes;
}

export async function adopt(storage: DurableObjectStorage) {
  storage.sql.exec('CREATE TABLE IF NOT EXISTS notes(id INTEGER PRIMARY KEY, text TEXT)'); // as before
  storage.sql.exec("INSERT INTO notes(text) VALUES ('old')");
  const db = await DB('notes', { storage });
  await db.run("UPDATE notes SET text = 'new'");
  return (await db.history<{ text: string }>('notes', 1)).map(({ op, row }) => [op ?? 'before', row.text]);
}

export function withoutTransaction(dump: string) {
  return dump.replaceAll(/^(?:PRAGMA foreign_keys ?= ?OFF|BEGIN TRANSACTION|COMMIT);$/gim, '');
}
