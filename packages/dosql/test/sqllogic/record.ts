/**
 * Writes the scripts anew, with the answers of Node's own build of SQLite: `node test/sqllogic/record.ts`. What plain
 * `ctx.storage.sql` answers, and then DoSQL in every mode, is compared with them.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import type { Answer } from './answer.ts';
import { generate } from './generate.ts';
import { TOPICS } from './queries.ts';
import { printScript } from './script.ts';

const SEED = 20_261_121;
const QUERIES = 48;
const folder = join(import.meta.dirname, 'scripts');

for (const file of readdirSync(folder, { recursive: true })) rmSync(join(folder, file));
for (const [i, [name, topic]] of Object.entries(TOPICS).entries()) {
  const database = new DatabaseSync(':memory:');
  // As DoSQL has it, so that REPLACE fires triggers.
  database.exec('PRAGMA recursive_triggers = ON');
  const seed = SEED + i;
  const script = generate(seed, topic, QUERIES, (sql) => run(database, sql));
  const comment = `Queries on the topic "${name}", made with the seed ${seed} by record.ts.`;
  writeFileSync(join(folder, `${name}.slt`), printScript(script, comment));
  database.close();
}

function run(database: DatabaseSync, sql: string): Answer | undefined {
  database.exec('SAVEPOINT one');
  try {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    statement.setReadBigInts(true);
    // An object gets the nearest number of an integer.
    const rows = (statement.all() as unknown as SQLOutputValue[][]).map((row) =>
      row.map((value) => (typeof value === 'bigint' ? Number(value) : value)),
    );
    const names = statement.columns().map(({ name }) => name);
    database.exec('RELEASE one');
    return { names, rows };
  } catch {
    database.exec('ROLLBACK TO one; RELEASE one');
    return undefined;
  }
}
