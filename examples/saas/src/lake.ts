import { receiveBatch, type Batch, type ChangeRow } from '@dotdo/cdc';
import type { Database, Transaction } from '@dotdo/dosql';

/** A change, as the table `changes` has it. */
interface Fact {
  readonly at: string;
  readonly entity: string;
  readonly op: string;
  readonly row_id: unknown;
  readonly status_before: unknown;
  readonly status_after: unknown;
}

/**
 * Brings a batch of a tenant's changes into the tables of all tenants, in one transaction, exactly once:
 * `receiveBatch` leaves out what has come before. It is written by three statements, however many changes it has.
 */
export async function merge(db: Database, batch: Batch): Promise<void> {
  await receiveBatch<Transaction>(db, batch, async (events, tx) => {
    const facts: Fact[] = [];
    /** The tasks that changed, by their ids, as they are after all of it; null for those that have gone. */
    const tasks = new Map<unknown, ChangeRow | null>();
    for (const event of events) {
      if (!('key' in event)) continue;
      const { table, op, key, before, after, timestamp } = event;
      if (table === 'tasks') tasks.set(key['id'], after);
      // A row of a snapshot is there, but has not changed.
      if (!('isSnapshot' in event))
        facts.push({
          at: timestamp.toISOString(),
          entity: table,
          op,
          row_id: key['id'],
          status_before: before?.['status'],
          status_after: after?.['status'],
        });
    }
    await write(tx, batch, facts, tasks);
  });
}

async function write(
  tx: Transaction,
  { source: tenant, stream }: Batch,
  facts: readonly Fact[],
  tasks: ReadonlyMap<unknown, ChangeRow | null>,
): Promise<void> {
  const feed = await tx.get<{ stream: string }>('SELECT stream FROM feeds WHERE tenant = ?', [tenant]);
  if (feed?.stream !== stream) await begin(tx, tenant, stream);
  await tx.run(
    `INSERT INTO changes (tenant, at, entity, op, row_id, status_before, status_after)
     SELECT ?, value ->> 'at', value ->> 'entity', value ->> 'op', value ->> 'row_id',
            value ->> 'status_before', value ->> 'status_after'
     FROM json_each(?)`,
    [tenant, JSON.stringify(facts)],
  );
  await tx.run('DELETE FROM tasks WHERE tenant = ? AND id IN (SELECT value FROM json_each(?))', [
    tenant,
    JSON.stringify([...tasks].flatMap(([id, after]) => (after === null ? [id] : []))),
  ]);
  await tx.run(
    `INSERT INTO tasks (tenant, id, project_id, status, priority, due_date)
     SELECT ?, value ->> 'id', value ->> 'project_id', value ->> 'status', value ->> 'priority', value ->> 'due_date'
     FROM json_each(?) WHERE TRUE
     ON CONFLICT (tenant, id) DO UPDATE SET project_id = excluded.project_id, status = excluded.status,
       priority = excluded.priority, due_date = excluded.due_date`,
    [tenant, JSON.stringify([...tasks.values()].filter((after) => after !== null))],
  );
}

/** A tenant's first batch, or the first after it was made anew: all that it has is coming, so what it had goes. */
async function begin(tx: Transaction, tenant: string, stream: string): Promise<void> {
  await tx.run('DELETE FROM tasks WHERE tenant = ?', [tenant]);
  await tx.run(
    'INSERT INTO feeds (tenant, stream) VALUES (?, ?) ON CONFLICT (tenant) DO UPDATE SET stream = excluded.stream',
    [tenant, stream],
  );
}
