import { createCDC, webhook } from '@dotdo/cdc';
import type { Database } from '@dotdo/dosql';

/** To be called whenever the object wakes; its `alarm()` calls `db.alarm()`. */
export async function openCdc(db: Database, secret: string) {
  const cdc = createCDC(db);
  cdc.publication('public', {
    tables: { users: { columns: ['id', 'name'], where: 'deleted_at IS NULL' } },
  });
  await cdc.deliver('crm', webhook('https://crm.example/changes', { secret }), { publication: 'public' });
  return cdc;
}

export async function follow(db: Database, secret: string, lastSeen: bigint, signal: AbortSignal) {
  const cdc = await openCdc(db, secret);
  const seen: string[] = [];
  for await (const change of cdc.subscribe(lastSeen, { tables: ['users'], signal })) {
    seen.push(`${change.op} ${String(change.after?.name)}`);
    lastSeen = change.lsn; // keep it: the next subscribe(lastSeen) goes on from here
    if (seen.length === 2) break;
  }
  return seen;
}
