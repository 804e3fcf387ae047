import { describe, expect, it } from 'vitest';
import type { Database, RowDiff } from '../src/index.ts';
import { withDatabase } from './support/database.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

/**
 * Laws that merging and comparing keep whatever the history, over generated schemas: composite and text keys, WITHOUT
 * ROWID, a foreign key that cascades, NULLs, blobs, unicode.
 */
const SCHEMAS = [
  `CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE, v);
   CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(id) ON DELETE CASCADE, w BLOB)`,
  `CREATE TABLE p(a INTEGER, b TEXT, v, PRIMARY KEY (a, b)) WITHOUT ROWID;
   CREATE TABLE c(k TEXT PRIMARY KEY, "w x" REAL, z TEXT COLLATE NOCASE)`,
  `CREATE TABLE p(id TEXT PRIMARY KEY, "größe" NUMERIC, v) STRICT;
   CREATE TABLE c(id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL DEFAULT 0, j TEXT)`.replace(
    '"größe" NUMERIC, v) STRICT',
    '"größe" ANY, v ANY) STRICT',
  ),
];
const VALUES = ['NULL', '1', '1.5', "'a'", "'Ä💥'", "x'00ff'", '9007199254740993', "'it''s'"];

interface Shape {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string; readonly pk: number }[];
}

async function shapes(db: Database): Promise<Shape[]> {
  return Promise.all(
    ['p', 'c'].map(async (name) => ({
      name,
      columns: await db.query<{ name: string; type: string; pk: number }>(`PRAGMA table_info(${name})`),
    })),
  );
}

const quote = (name: string): string => `"${name}"`;

/** A value that the column takes most of the time. */
function value(random: Random, type: string, isKey: boolean): string {
  if (isKey) return type === 'INTEGER' ? String(1 + random.int(12)) : `'k${random.int(12)}'`;
  return type === 'INTEGER' ? String(random.int(5)) : random.pick(VALUES);
}

function write(random: Random, tables: readonly Shape[]): string {
  const { name, columns } = random.pick(tables);
  const key = columns
    .filter(({ pk }) => pk > 0)
    .map((column) => `${quote(column.name)} = ${value(random, column.type, true)}`)
    .join(' AND ');
  const dice = random.next();
  if (dice < 0.45) {
    const values = columns.map(({ type, pk }) => value(random, type, pk > 0));
    return `INSERT OR IGNORE INTO ${name} VALUES (${values.join(', ')})`;
  }
  if (dice < 0.6) return `DELETE FROM ${name} WHERE ${key}`;
  const column = random.pick(columns.filter(({ pk }) => pk === 0));
  return `UPDATE OR IGNORE ${name} SET ${quote(column.name)} = ${value(random, column.type, false)} WHERE ${key}`;
}

/** Writes on a handle; what a constraint refuses is not written. */
async function scribble(
  db: Database,
  random: Random,
  tables: readonly Shape[],
  count: number,
): Promise<void> {
  for (let i = 0; i < count; i++) await db.run(write(random, tables)).catch(() => undefined);
}

async function contents(db: Database, tables: readonly Shape[]): Promise<string[]> {
  const all = await Promise.all(
    tables.map(async ({ name, columns }) => {
      const exact = columns.map((column) => `typeof(${quote(column.name)}) || quote(${quote(column.name)})`);
      const rows = await db.prepare(`SELECT ${exact.join(', ')} FROM ${name}`).raw<string[]>();
      return rows.map((row) => `${name}: ${row.join(' ')}`);
    }),
  );
  return all.flat().toSorted();
}

/** Makes the changes that a diff tells. */
async function follow(db: Database, diffs: readonly RowDiff[]): Promise<void> {
  await db.transaction(async (tx) => {
    const where = ({ key }: RowDiff): string =>
      Object.keys(key)
        .map((column) => `${quote(column)} = ?`)
        .join(' AND ');
    for (const each of diffs)
      if (each.type !== 'added')
        await tx.run(`DELETE FROM ${each.table} WHERE ${where(each)}`, Object.values(each.key));
    for (const { type, after, table } of diffs) {
      if (type === 'removed' || after === null) continue;
      const columns = Object.keys(after).map(quote).join(', ');
      const values = Object.values(after).map((cell) =>
        typeof cell === 'number' && Number.isInteger(cell) ? BigInt(cell) : cell,
      );
      await tx.run(`INSERT INTO ${table}(${columns}) VALUES (${values.map(() => '?').join(', ')})`, values);
    }
  });
}

describe.each(seeds(20_261_160))('seed %i', (seed) => {
  it.each(SCHEMAS.map((sql, i) => [i, sql] as const))(
    'merging keeps its laws, schema %i',
    { timeout: 60_000 },
    async (i, schema) => {
      console.log(`merge laws: VITE_SEED=${seed}`);
      for (let round = 0; round < 6; round++) {
        const random = new Random(seed + i * 104_729 + round * 7919);
        await withDatabase(async (db, { storage }) => {
          await db.exec(schema);
          const tables = await shapes(db);
          await scribble(db, random, tables, 40);
          const [a, b] = [await db.branch('a'), await db.branch('b/ä')];
          const about = `seed ${seed}, schema ${i}, round ${round}`;

          const atFirst = await contents(db, tables);
          expect(await db.merge('a'), about).toMatchObject({
            merged: true,
            inserted: 0,
            updated: 0,
            deleted: 0,
          });
          expect(await contents(db, tables), `${about}: a branch without changes`).toEqual(atFirst);
          expect(await db.diff('a', 'b/ä'), about).toEqual([]);

          await scribble(db, random, tables, 15);
          await scribble(a, random, tables, 25);
          await scribble(b, random, tables, 25);

          // A diff, followed, makes of the one the other.
          const copy = await db.branch('copy', { from: 'a' });
          // What a cascade does is in the diff already; the pragma is heeded outside of transactions only.
          await storage.sync();
          await db.exec('PRAGMA foreign_keys = OFF');
          await follow(copy, await db.diff('a', 'b/ä'));
          await storage.sync();
          await db.exec('PRAGMA foreign_keys = ON');
          expect(await contents(copy, tables), `${about}: a diff, followed`).toEqual(
            await contents(b, tables),
          );
          expect(await db.diff('copy', 'b/ä'), about).toEqual([]);

          // Ours leaves what ours has changed; a second merge does nothing.
          const ours = await db.merge('a', { strategy: 'ours' });
          if (ours.merged) {
            const once = await contents(db, tables);
            expect(await db.merge('a'), `${about}: a second merge`).toMatchObject({
              merged: true,
              inserted: 0,
              updated: 0,
              deleted: 0,
              conflicts: [],
            });
            expect(await contents(db, tables), about).toEqual(once);
          } else {
            expect(ours.violations.length, about).toBeGreaterThan(0);
          }

          // What is disjoint commutes.
          const [one, other] = [await db.branch('one'), await db.branch('other')];
          const [left, right] = [await db.branch('left'), await db.branch('right')];
          await left.run(write(new Random(seed + round), [tables[0] as Shape])).catch(() => undefined);
          await right.run(write(new Random(seed + round + 1), [tables[1] as Shape])).catch(() => undefined);
          const merges = [
            await one.merge('left'),
            await one.merge('right'),
            await other.merge('right'),
            await other.merge('left'),
          ];
          if (merges.every(({ merged }) => merged))
            expect(await contents(one, tables), `${about}: both orders`).toEqual(
              await contents(other, tables),
            );
        });
      }
    },
  );
});
