import { desc, eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/durable-sqlite';
import { migrate } from 'drizzle-orm/durable-sqlite/migrator';
import { blob, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { describe, expect, it } from 'vitest';
import { createCDC } from '../src/index.ts';
import { withDatabase } from './support/database.ts';

const users = sqliteTable('users', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  name: text('name').notNull().unique(),
  isAdmin: integer('is_admin', { mode: 'boolean' }).notNull().default(false),
  avatar: blob('avatar'),
});

const migrations = {
  journal: {
    entries: [
      { idx: 0, when: 1, tag: '0000_users', breakpoints: true },
      { idx: 1, when: 2, tag: '0001_avatar', breakpoints: true },
    ],
  },
  migrations: {
    m0000:
      'CREATE TABLE `users` (`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL, `name` text NOT NULL, `is_admin` integer DEFAULT false NOT NULL);\n--> statement-breakpoint\nCREATE UNIQUE INDEX `users_name_unique` ON `users` (`name`);',
    m0001: 'ALTER TABLE `users` ADD `avatar` blob;',
  },
};

describe('drizzle-orm/durable-sqlite', () => {
  it('and its migrator run as they are; what they do is logged, DDL included', async () => {
    await withDatabase(async (db) => {
      const orm = drizzle(db.storage, { schema: { users } });
      await migrate(orm, migrations);
      await migrate(orm, migrations);
      const [ada] = orm.insert(users).values({ name: 'Ada', isAdmin: true }).returning().all();
      expect(ada).toEqual({ id: 1, name: 'Ada', isAdmin: true, avatar: null });
      const then = db.lsn();
      orm.transaction((tx) => {
        tx.insert(users)
          .values([{ name: 'Bob' }, { name: 'Cy' }])
          .run();
        tx.update(users).set({ name: 'Ada L.' }).where(eq(users.id, 1)).run();
      });
      expect(() =>
        orm.transaction((tx) => {
          tx.delete(users).run();
          tx.rollback();
        }),
      ).toThrow();
      expect(orm.select({ name: users.name }).from(users).orderBy(desc(users.id)).all()).toEqual([
        { name: 'Cy' },
        { name: 'Bob' },
        { name: 'Ada L.' },
      ]);
      expect(orm.query.users.findFirst({ where: eq(users.name, 'Bob') }).sync()).toMatchObject({ id: 2 });
      expect(orm.get(sql`SELECT count(*) AS n FROM ${users}`)).toEqual({ n: 3 });
      expect(await db.asOf({ lsn: then }).query('SELECT id, name FROM users')).toEqual([
        { id: 1, name: 'Ada' },
      ]);
      const events = [];
      for await (const event of createCDC(db).subscribe(0, { schema: true, tables: ['users'] })) {
        events.push([event.op, event.tx]);
        if (events.length === 6) break;
      }
      expect(events.map(([op]) => op)).toEqual(['schema', 'schema', 'insert', 'insert', 'insert', 'update']);
      // One transaction of the ORM is one transaction of the stream.
      expect(new Set(events.slice(3).map(([, tx]) => tx)).size).toBe(1);
      expect((await db.history('users', 1)).map(({ row }) => row.name)).toEqual(['Ada', 'Ada L.']);
    });
  });

  it('runs over db.sql beside the platform’s own transactionSync', async () => {
    await withDatabase(async (db, { storage }) => {
      const orm = drizzle({
        sql: db.sql,
        transactionSync: storage.transactionSync.bind(storage),
      } as DurableObjectStorage);
      await migrate(orm, migrations);
      orm.insert(users).values({ name: 'Ada' }).run();
      expect(() =>
        orm.transaction((tx) => {
          tx.insert(users).values({ name: 'Bob' }).run();
          tx.run(sql`CREATE TABLE gone(x)`);
          tx.rollback();
        }),
      ).toThrow();
      await db.run("INSERT INTO users(name) VALUES ('Cy')");
      expect(await db.query('SELECT name FROM users')).toEqual([{ name: 'Ada' }, { name: 'Cy' }]);
      expect((await db.history('users', 1)).length).toBe(1);
      expect(await db.asOf({ lsn: db.lsn() }).query('SELECT name FROM users')).toHaveLength(2);
    });
  });
});
