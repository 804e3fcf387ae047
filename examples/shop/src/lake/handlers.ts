import { NoQuery, parseQuery } from '@dotdo/example-shared/input';
import { InventoryQuery } from '../input.ts';
import type { Context } from '../routes.ts';
import { requireStaff } from '../who.ts';
import type { Inventory } from './inventory.ts';

/** `GET /inventory`: every SKU's stock, and all of it; for staff. */
export async function listInventory({ env, query, who }: Context): Promise<Response> {
  requireStaff(await who());
  const { after = '', limit } = parseQuery(InventoryQuery, query);
  return inventoryOf(env).list(after, limit);
}

/** `GET /reports/sales`: what was sold of each SKU, by the files in the lake; for staff. */
export async function getSalesReport({ env, query, who }: Context): Promise<Response> {
  requireStaff(await who());
  parseQuery(NoQuery, query);
  return inventoryOf(env).sales();
}

/** `GET /reports/stock`: what has happened to stock, by the files in the lake; for staff. */
export async function getStockReport({ env, query, who }: Context): Promise<Response> {
  requireStaff(await who());
  parseQuery(NoQuery, query);
  return inventoryOf(env).movements();
}

function inventoryOf({ INVENTORY }: Context['env']): DurableObjectStub<Inventory> {
  return INVENTORY.getByName('all');
}
