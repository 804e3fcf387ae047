import { createCrypto } from '@dotdo/dosql/crypto';
import type { Database } from '@dotdo/dosql';

export function quoteName(name: string) {
  if (name.includes('\0')) throw new Error('a name has no NUL');
  return `"${name.replaceAll('"', '""')}"`;
}

export async function ask(db: Database, sql: string) {
  return db.asOf({ ago: '0s' }).query(sql);
}

export function tenantOf(claims: { readonly tenant: string }, tenants: DurableObjectNamespace) {
  return tenants.getByName(`tenant:${claims.tenant}`);
}

export async function sealed(db: Database, key: string, id: number, note: string) {
  const crypto = createCrypto({ key });
  await db.run('UPDATE people SET note = ? WHERE id = ?', [await crypto.encrypt(note), id]);
  const row = await db.get<{ note: string }>('SELECT note FROM people WHERE id = ?', [id]);
  return { stored: row?.note, read: await crypto.decrypt(row?.note ?? '') };
}
