import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { it } from 'vitest';
import { DB } from '../src/index.ts';
it('p', async () => {
  let n = 0;
  for (const returning of ['', ' RETURNING 1'])
    for (const how of ['run', 'tx', 'batch', 'plain', 'plaintx']) {
      const stub = env.TEST.get(env.TEST.idFromName('zz' + n++));
      await runInDurableObject(stub, async (_, { storage }) => {
        const q = `INSERT OR FAIL INTO parent VALUES(5,'a'),(6,'c'),(5,'b')${returning}`;
        if (how.startsWith('plain')) {
          storage.sql.exec('CREATE TABLE parent(id INTEGER PRIMARY KEY, code TEXT UNIQUE)');
          try {
            if (how === 'plain') storage.sql.exec(q).toArray();
            else
              await storage.transaction(async () => {
                try {
                  storage.sql.exec(q).toArray();
                } catch {}
              });
          } catch (e) {
            console.log(how, (e as Error).message);
          }
          console.log(how, returning, storage.sql.exec('SELECT count(*) FROM parent').raw().next().value);
          return;
        }
        const db = await DB('x', { storage });
        await db.exec('CREATE TABLE parent(id INTEGER PRIMARY KEY, code TEXT UNIQUE)');
        if (how === 'run') await db.run(q).catch((e) => console.log(e.message));
        if (how === 'tx')
          await db.transaction(async (tx) => {
            await tx.run(q).catch((e) => console.log(e.message));
          });
        if (how === 'batch') await db.batch([{ sql: q }]).catch((e) => console.log(e.message));
        console.log(
          how,
          returning,
          storage.sql.exec('SELECT count(*) FROM parent').raw().next().value,
          JSON.stringify([...storage.sql.exec('SELECT lsn, op, k FROM __dosql_log').raw()]),
          db.lsn(),
        );
      });
    }
});
