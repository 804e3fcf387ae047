import type { Cdc, Delivery } from '@dotdo/cdc';
import { DB, restore, type Database } from '@dotdo/dosql';

export async function health(db: Database, cdc: Cdc) {
  const [earliest, branches, tiers, slots] = await Promise.all([
    db.earliest(),
    db.branches(),
    db.tierStatus(),
    cdc.slots(),
  ]);
  const lags = await Promise.all(slots.map(async (name) => (await cdc.slot(name)).lag()));
  return {
    sizeBytes: db.size, // of 10 GB
    changes: db.lsn(),
    since: earliest.timestamp,
    behind: slots.map((name, i) => ({ name, ...lags[i] })),
    heldByBranches: branches.map(({ name, heldChanges }) => ({ name, heldChanges })),
    cold: tiers.map(({ table, coldRows, waiting, problem }) => ({ table, coldRows, waiting, problem })),
  };
}

export async function undelivered(crm: Delivery) {
  const { lag, failures, error, retryAt, deadLetters } = await crm.status();
  return { seconds: lag.seconds, failures, error, retryAt, deadLetters };
}

export function open(storage: DurableObjectStorage, bucket: R2Bucket, shop: string) {
  return DB(shop, {
    storage: { hot: storage, cold: bucket, coldPrefix: `shops/${shop}` },
    backup: { every: '1h' },
    history: { keep: '7d', archive: '90d' },
  });
}

export async function restored(storage: DurableObjectStorage, bucket: R2Bucket, shop: string, at?: Date) {
  await restore({ storage, from: { bucket, prefix: `shops/${shop}` }, at });
  return open(storage, bucket, shop);
}

export async function onAlarm(db: Database, log: (text: string) => void) {
  const { failed } = await db.alarm();
  for (const { name, error } of failed) log(`${name}: ${String(error)}`);
}
