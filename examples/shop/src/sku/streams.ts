import { createCDC, durableObject, file, type Cdc } from '@dotdo/cdc';
import { parquet } from '@dotdo/cdc/parquet';
import type { Database } from '@dotdo/dosql';
import { createR2Backend } from '@dotdo/dosql/fsx';
import { requireSameOrigin } from '@dotdo/example-shared/http';
import type { Env } from '../worker.ts';

/** What those who watch a sale may see: the stock, and that units are held or sold, not by whom. */
const SALE = 'sale';

/** The change streams of a SKU: a live one for those who watch a sale. */
export function openStreams(db: Database, state: DurableObjectState, { TOKEN_SECRET }: Env): Cdc {
  const authorize = (request: Request): true => {
    requireSameOrigin(request);
    return true;
  };
  const cdc = createCDC(db, { live: { state, authorize } });
  cdc.publication(SALE, {
    tables: {
      inventory: { columns: ['sku', 'product_name', 'available', 'reserved', 'sold', 'stocked'] },
      reservations: {
        columns: ['id', 'quantity', 'status', 'expires_at'],
        mask: { id: { hash: `reservations of ${TOKEN_SECRET}` } },
      },
    },
  });
  return cdc;
}

/** Tells the coordinator the stock, and the lake every movement. */
export async function startDeliveries(cdc: Cdc, { INVENTORY, LAKE, LAKE_LINGER_MS }: Env): Promise<void> {
  await cdc.deliver(
    'inventory',
    durableObject(() => INVENTORY.getByName('all')),
    {
      tables: ['inventory'],
      snapshot: 'initial',
      lingerMs: 1_000,
    },
  );
  await cdc.deliver('lake', file(createR2Backend(LAKE), { prefix: 'stock', format: parquet }), {
    tables: ['reservations', 'restocks'],
    snapshot: 'initial',
    batch: { changes: 10_000, bytes: 8_000_000 },
    lingerMs: Number(LAKE_LINGER_MS ?? 60_000),
  });
}
