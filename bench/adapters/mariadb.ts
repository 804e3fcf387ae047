import { createConnection } from 'mariadb';
import { setTimeout as wait } from 'node:timers/promises';
import { startMariadb } from '../harness/mariadb.ts';
import { AGGREGATE, insertRows, POINT, portions, SCHEMA } from '../scenarios/item.ts';
import { CHANGE, type PastEngine } from '../scenarios/past.ts';

type ItemRow = { readonly stock: number };
type Totals = { readonly n: number; readonly total: number };

/** µs that `run` takes: MariaDB answers a commit once it is durable. */
async function time(run: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await run();
  return (performance.now() - started) * 1_000;
}

/** MariaDB with a system-versioned table, over its socket and with prepared statements. */
export async function mariadbPast(): Promise<PastEngine> {
  const server = await startMariadb();
  const { socketPath } = server;
  const connection = await createConnection({
    socketPath,
    user: 'root',
    bigIntAsNumber: true,
    decimalAsNumber: true,
  });
  const marks: string[] = [];
  const from = (mark: number | null): string =>
    mark === null ? 'FROM item' : `FROM item FOR SYSTEM_TIME AS OF TIMESTAMP '${marks[mark]}'`;
  return {
    name: 'MariaDB',
    version: connection.serverVersion().replace(/-.*/, ''),
    histories: [{ how: 'FOR SYSTEM_TIME ALL', count: 200 }],
    load: async (rows) => {
      await connection.query('CREATE DATABASE bench');
      await connection.query('USE bench');
      for (const sql of SCHEMA) await connection.query(sql);
      await connection.query('ALTER TABLE item ADD SYSTEM VERSIONING');
      for (const [first, last] of portions(rows))
        await connection.query(insertRows(`SELECT seq AS i FROM seq_${first}_to_${last}`));
    },
    change: async (transactions) => {
      const statement = await connection.prepare(CHANGE);
      for (const keys of transactions) await statement.execute([...keys]);
      statement.close();
    },
    changeAll: async () => {
      await connection.query('UPDATE item SET stock = stock + 1');
    },
    mark: async () => {
      // A point between two commits has to lie in between by the clock.
      await wait(5);
      const [row] = await connection.query<{ now: string }[]>(
        "SELECT date_format(now(6), '%Y-%m-%d %H:%i:%s.%f') AS now",
      );
      await wait(5);
      return marks.push(row?.now ?? '') - 1;
    },
    aggregate: async (mark, times) => {
      const statement = await connection.prepare(AGGREGATE.replace('FROM item', from(mark)));
      let sum = 0;
      const taken = await time(async () => {
        for (let i = 0; i < times; i++) sum = (await statement.execute<Totals[]>())[0]?.total ?? Number.NaN;
      });
      statement.close();
      return { micros: taken / times, sum };
    },
    points: async (mark, keys) => {
      const statement = await connection.prepare(POINT.replace('FROM item', from(mark)));
      let sum = 0;
      const taken = await time(async () => {
        for (const key of keys) sum += (await statement.execute<ItemRow[]>([key]))[0]?.stock ?? Number.NaN;
      });
      statement.close();
      return { micros: taken / keys.length, sum };
    },
    history: async (_, keys) => {
      const statement = await connection.prepare(POINT.replace('FROM item', 'FROM item FOR SYSTEM_TIME ALL'));
      let sum = 0;
      const taken = await time(async () => {
        for (const key of keys) sum += (await statement.execute<ItemRow[]>([key])).length;
      });
      statement.close();
      return { micros: taken / keys.length, sum };
    },
    close: async () => {
      await connection.end();
      await server.stop();
    },
  };
}
