import {
  createCDC,
  eventFromJson,
  eventToJson,
  toDebezium,
  type ChangeEvent,
  type JsonEvent,
} from '@dotdo/cdc';
import { expect, it } from 'vitest';
import type { Database } from '../src/index.ts';
import { withDatabase } from './support/database.ts';

/** Events of every kind, with values of every kind. */
async function everyEvent(db: Database): Promise<ChangeEvent[]> {
  const cdc = createCDC(db);
  const from = db.lsn();
  await db.exec(`CREATE TABLE "it's a"(k, "a b", __proto__ REAL, PRIMARY KEY (k, "a b")) WITHOUT ROWID`);
  const insert = `INSERT INTO "it's a" VALUES (?, ?, ?)`;
  await db.run(insert, [2n ** 62n, new Uint8Array([0, 255]), Infinity]);
  await db.transaction(async (tx) => {
    await tx.run(`UPDATE "it's a" SET __proto__ = -1.5`);
    await tx.run(insert, ['🦉', '', null]);
    await tx.run(`DELETE FROM "it's a" WHERE k = '🦉'`);
  });
  await db.exec('CREATE TABLE gone(x); DROP TABLE gone');
  const events: ChangeEvent[] = [];
  for (const options of [
    { transactions: true, schema: true },
    { snapshot: 'initial', tables: ["it's a"] },
  ] as const) {
    const slot = await cdc.slot(options.transactions ? 'log' : 'rows', {
      ...options,
      ...(options.transactions ? { fromLSN: from } : {}),
    });
    events.push(...(await slot.read()));
  }
  return events;
}

it('JSON loses nothing of an event, whatever is in it', async () => {
  await withDatabase(async (db) => {
    const events = await everyEvent(db);
    const kinds = ['begin', 'commit', 'delete', 'insert', 'schema', 'snapshot-end', 'update'];
    expect([...new Set(events.map(({ op }) => op))].toSorted()).toEqual(kinds);
    for (const event of events) {
      const text = JSON.stringify(eventToJson(event));
      expect(eventFromJson(JSON.parse(text) as JsonEvent)).toEqual(event);
    }
    const [insert] = events.filter(({ op }) => op === 'insert').map(eventToJson);
    expect(insert).toMatchObject({
      table: "it's a",
      key: { k: { $int: String(2n ** 62n) }, 'a b': { $blob: 'AP8=' } },
      before: null,
      tx: insert?.lsn,
      timestamp: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T.*Z$/),
    });
    expect(Object.entries(insert?.after ?? {}).at(-1)).toEqual(['__proto__', { $real: 'Infinity' }]);
  });
});

it("Debezium's envelope says what happened, and the end of a snapshot is none", async () => {
  await withDatabase(async (db) => {
    const events = await everyEvent(db);
    const shown = events.map((event) => [event, toDebezium(event, { name: 'shop' })] as const);
    const ops = { insert: 'c', update: 'u', delete: 'd' } as const;
    for (const [event, envelope] of shown) {
      if (event.op === 'snapshot-end') expect(envelope).toBeNull();
      else if (event.op === 'begin' || event.op === 'commit')
        expect(envelope).toEqual({
          status: event.op === 'begin' ? 'BEGIN' : 'END',
          id: String(event.tx),
          ts_ms: event.timestamp.getTime(),
        });
      else if (event.op === 'schema')
        expect(envelope).toMatchObject({
          databaseName: 'shop',
          ddl: event.sql ?? '',
          tableChanges: [{ type: event.sql === null ? 'DROP' : 'ALTER', id: `"shop"."${event.table}"` }],
        });
      else if ('key' in event) {
        const isRead = event.isSnapshot === true;
        const { before, after } = eventToJson(event);
        expect(envelope).toMatchObject({
          before,
          after,
          op: isRead ? 'r' : ops[event.op],
          source: {
            connector: 'dosql',
            name: 'shop',
            db: 'shop',
            table: "it's a",
            lsn: Number(event.lsn),
            txId: String(event.tx),
            snapshot: isRead ? 'true' : 'false',
          },
          transaction: { id: String(event.tx), total_order: Number(event.lsn) },
        });
      }
    }
    const seen = shown.map(([, envelope]) => (envelope !== null && 'op' in envelope ? envelope.op : null));
    expect(seen.filter((op) => op !== null)).toEqual(['c', 'u', 'c', 'd', 'r']);
  });
});
