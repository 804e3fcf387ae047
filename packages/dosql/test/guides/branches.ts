import type { Database } from '@dotdo/dosql';

export async function planSpring(db: Database) {
  const spring = await db.branch('prices/spring');
  await spring.run('UPDATE products SET price = round(price * 1.1, 2) WHERE price < ?', [100]);
  await spring.run("INSERT INTO products(sku, name, price) VALUES ('D4', 'bench', 80)");
  return spring;
}

export async function review(db: Database, branch: string) {
  const rows = await db.diff('main', branch, { base: true });
  return rows.map(({ table, key, type, columns, before, after }) => ({
    row: `${type} ${table} ${String(key.sku)}`,
    cells: columns.map((column) => [column, before?.[column] ?? null, after?.[column] ?? null]),
  }));
}

export async function mergeSpring(db: Database) {
  const { merged, inserted, updated, conflicts } = await db.merge('prices/spring');
  return {
    merged,
    inserted,
    updated,
    conflicts: conflicts.map(({ table, key, columns }) => [table, key, columns]),
  };
}

export async function open(db: Database) {
  const conflicts = await db.conflicts();
  return conflicts.map(({ source, table, key, columns, base, ours, theirs }) => ({
    from: source,
    table,
    key,
    cells: columns.map((column) => [column, base?.[column], ours?.[column], theirs?.[column]]),
  }));
}

export async function settle(db: Database) {
  await db.resolve('products', 'C3', { price: 28 });
  return db.merge('prices/spring');
}

export async function mergeAgain(db: Database) {
  await db.merge('prices/spring'); // merged: false
}

export async function mergeSettled(db: Database) {
  await db.merge('prices/spring'); // merged: true
}

export async function mergeDearest(db: Database, branch: string) {
  return db.merge(branch, {
    strategy({ ours, theirs, columns }) {
      if (ours === null || theirs === null) return ours; // what has gone on main stays gone
      if (!columns.includes('price')) return {}; // ours
      return { price: Math.max(Number(ours['price']), Number(theirs['price'])) };
    },
  });
}

export async function pick(db: Database, branch: string, sku: string, price: number) {
  const draft = await db.checkout(branch);
  const { lsn } = await draft.run('UPDATE products SET price = ? WHERE sku = ?', [price, sku]);
  return draft.cherryPick(lsn, { onto: 'main' });
}

export async function stale(db: Database, heldChanges: number) {
  const branches = await db.branches();
  return branches.filter((branch) => branch.heldChanges > heldChanges).map(({ name }) => name);
}
