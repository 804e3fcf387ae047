import type { Adapter } from './adapter.ts';

/** `ctx.storage.sql` as it is. */
export function bare(storage: DurableObjectStorage): Adapter {
  const { sql } = storage;
  return {
    setUp: async (text) => {
      sql.exec(text);
    },
    read: async (text, all) => {
      let rows = 0;
      for (const values of all) rows += sql.exec(text, ...values).toArray().length;
      return rows;
    },
    write: async (text, all) => {
      for (const values of all) sql.exec(text, ...values).toArray();
    },
    writeTogether: async (text, all) => {
      storage.transactionSync(() => {
        for (const values of all) sql.exec(text, ...values).toArray();
      });
    },
    writeInTransaction: async (text, all) => {
      await storage.transaction(async () => {
        for (const values of all) sql.exec(text, ...values).toArray();
      });
    },
  };
}
