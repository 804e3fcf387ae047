import type { Database } from '@dotdo/dosql';
import type { Adapter } from './adapter.ts';

/** A DoSQL database, every change logged. */
export function dosql(db: Database): Adapter {
  return {
    setUp: (text) => db.exec(text),
    read: async (text, all) => {
      let rows = 0;
      for (const values of all) rows += (await db.query(text, values)).length;
      return rows;
    },
    write: async (text, all) => {
      for (const values of all) await db.run(text, values);
    },
    writeTogether: async (text, all) => {
      await db.batch(all.map((params) => ({ sql: text, params })));
    },
    writeInTransaction: (text, all) =>
      db.transaction(async (tx) => {
        for (const values of all) await tx.run(text, values);
      }),
  };
}
