import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { DB, type Migration } from '../src/index.ts';
import { failure, newObject } from './support/database.ts';

const first: Migration = {
  name: '001_people',
  sql: 'CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX person_name ON person(name);',
};
const second: Migration = {
  name: '002_ada',
  sql: "INSERT INTO person(name) VALUES ('Ada'); -- and nobody; else\nUPDATE person SET name = name || ';';",
};
const third: Migration = {
  name: '010_trigger',
  sql: 'CREATE TRIGGER upper AFTER INSERT ON person BEGIN UPDATE person SET name = CASE WHEN name IS NULL THEN NULL ELSE upper(name) END WHERE id = NEW.id; END;',
};

describe('migrations', () => {
  it('are applied in order, once, and recorded', async () => {
    const stub = newObject();
    await runInDurableObject(stub, async (_, { storage }) => {
      const db = await DB('m', { storage, migrations: [second, third, first] });
      expect(await db.query('SELECT * FROM person')).toEqual([{ id: 1, name: 'Ada;' }]);
      const applied = await db.migrations();
      expect(applied.map(({ name }) => name)).toEqual(['001_people', '002_ada', '010_trigger']);
      expect(applied[0]?.checksum).toMatch(/^[0-9a-f]{64}$/);
      expect(applied[0]?.appliedAt.getTime()).toBeGreaterThan(0);
    });
    await evictDurableObject(stub);
    await runInDurableObject(stub, async (_, { storage }) => {
      const db = await DB('m', {
        storage,
        migrations: async () => [
          first,
          second,
          third,
          { name: '011_more', sql: "INSERT INTO person(name) VALUES ('Bob')" },
        ],
      });
      expect(await db.query('SELECT name FROM person')).toEqual([{ name: 'Ada;' }, { name: 'BOB' }]);
      // What migrations write is logged like anything else.
      expect((await db.history('person', 2)).map(({ row }) => row.name)).toEqual(['Bob', 'BOB']);
    });
  });

  it('sort by their numbers', async () => {
    await runInDurableObject(newObject(), async (_, { storage }) => {
      const db = await DB('m', {
        storage,
        migrations: [
          { name: '10_b', sql: 'DROP TABLE a' },
          { name: '9_a', sql: 'CREATE TABLE a(x)' },
        ],
      });
      expect((await db.migrations()).map(({ name }) => name)).toEqual(['9_a', '10_b']);
    });
  });

  it('that fail leave the database as it was before them, keep the ones before, and may be mended', async () => {
    const broken = {
      name: '002_broken',
      sql: "INSERT INTO person(name) VALUES ('Ada'); CREATE TABLE pet(id INTEGER PRIMARY KEY); INSERT INTO nowhere VALUES (1); CREATE TABLE toy(id INTEGER)",
    };
    await runInDurableObject(newObject(), async (_, { storage }) => {
      const error = await failure(DB('m', { storage, migrations: [first, broken] }));
      expect(error.code).toBe('MIGRATION_FAILED');
      expect(error.message).toMatch(
        /"002_broken" failed in statement 3 \(INSERT INTO nowhere VALUES \(1\)\): NO_SUCH_TABLE/,
      );
      const db = await DB('m', { storage, migrations: [first] });
      expect(await db.query('SELECT * FROM person')).toEqual([]);
      expect(
        await db.query(
          "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
        ),
      ).toEqual([{ name: 'person' }]);
      expect((await db.migrations()).map(({ name }) => name)).toEqual(['001_people']);
      await db.run("INSERT INTO person(name) VALUES ('Eve')");
      expect(await db.history('person', 1)).toHaveLength(1);
    });
  });

  it('that were changed, removed or slipped in before applied ones are refused', async () => {
    const stub = newObject();
    const open = (migrations: Migration[]) =>
      runInDurableObject(stub, async (_, { storage }) => {
        await DB('m', { storage, migrations });
      });
    await open([first, third]);
    const refusal = async (migrations: Migration[]) => {
      await evictDurableObject(stub);
      return runInDurableObject(stub, (_, { storage }) => failure(DB('m', { storage, migrations })));
    };
    expect(await refusal([{ ...first, sql: `${first.sql} ` }, third])).toMatchObject({
      code: 'MIGRATION_CHANGED',
      message: expect.stringMatching(/001_people/),
    });
    expect(await refusal([first])).toMatchObject({
      code: 'MIGRATION_MISSING',
      message: expect.stringMatching(/010_trigger/),
    });
    expect(await refusal([first, second, third])).toMatchObject({
      code: 'MIGRATION_MISSING',
      message: expect.stringMatching(/002_ada.*before "010_trigger"/),
    });
    expect(await refusal([first, first, third])).toMatchObject({
      code: 'MIGRATION_FAILED',
      message: expect.stringMatching(/two migrations called "001_people"/),
    });
    // Line ends may turn on the way through version control.
    await evictDurableObject(stub);
    await open([first, { ...third, sql: third.sql.replaceAll('\n', '\r\n') }]);
  });

  it('from a folder that is not in the bundle tell what the configuration lacks', async () => {
    await runInDurableObject(newObject(), async (_, { storage }) => {
      const error = await failure(DB('m', { storage, migrations: { folder: '.do/migrations/nowhere' } }));
      expect(error.code).toBe('MIGRATION_MISSING');
      expect(error.message).toMatch(/find_additional_modules.*base_dir.*rules.*fallthrough/);
    });
  });
});
