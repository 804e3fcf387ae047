import { file, PermanentError, queue, webhook, type Sink } from '@dotdo/cdc';
import { createMemoryBackend } from '@dotdo/fsx';
import { expect, it } from 'vitest';
import { deliveryBench } from './support/deliver.ts';

const CANARY = 'canary-9c1e';

const TABLES = `
  CREATE TABLE hidden(mail TEXT PRIMARY KEY, name) WITHOUT ROWID;
  CREATE TABLE masked(mail TEXT, n, name, PRIMARY KEY (mail, n));
`;

/** What has left, as text. */
function shown(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part));
}

it('what is not published does not leave by a delivery, whatever becomes of it', async () => {
  for (const snapshot of ['initial', 'none'] as const)
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLES);
      cdc.publication('p', {
        tables: {
          hidden: { columns: ['name'] },
          masked: { mask: { mail: { hash: 'a key' } } },
        },
      });
      const left: unknown[] = [];
      const store = createMemoryBackend();
      const sinks: Record<string, Sink> = {
        taken: sink,
        refused: {
          send: async (batch) => {
            left.push(batch);
            throw new PermanentError('no');
          },
        },
        posted: webhook('https://a.example', {
          fetch: async (_, { headers, body }) => {
            left.push([...(headers as Headers)], body);
            return new Response();
          },
        }),
        queued: queue({ sendBatch: async (messages) => left.push([...messages]) }),
        filed: file(store),
      };
      const options = {
        publication: 'p',
        snapshot,
        retry: { attempts: 1 },
        batch: { changes: 2 },
        slice: { batches: 1 },
      };
      const deliveries = Object.entries(sinks).map(([name, to]) => cdc.deliver(name, to, options));
      await Promise.all(deliveries);
      for (const table of ['hidden(mail, name)', 'masked(mail, name)'])
        for (let i = 0; i < 5; i++)
          await db.run(`INSERT INTO ${table} VALUES (?, ?)`, [`${CANARY} ${i}`, 'Ann']);
      for (let i = 0; i < 30; i++) {
        await alarms(1);
        for (const delivery of deliveries) left.push(await (await delivery).status());
      }
      await alarms();
      await db.exec(
        "UPDATE hidden SET mail = mail || '!'; UPDATE masked SET mail = mail || '!'; DELETE FROM hidden",
      );
      await alarms();
      const letters = await cdc.deadLetters('refused');
      expect(letters.length).toBeGreaterThan(10);
      const { files } = await store.list();
      for (const { path } of files)
        left.push(path, new TextDecoder().decode((await store.read(path)) ?? undefined));
      const text = shown([left, sink.seen, letters]);
      expect(text).toContain('Ann');
      expect(text).not.toContain(CANARY);
    });
});
