import { createCDC, file, receive, type Batch, type ChangeEvent } from '@dotdo/cdc';
import { parquet } from '@dotdo/cdc/parquet';
import type { Database, Transaction } from '@dotdo/dosql';
import { createR2Backend } from '@dotdo/dosql/fsx';
import { Stored } from '../stored.ts';

/** How many objects gather orders: each takes some thousand a second. */
const SHARDS = 8;

/** The object that gathers an order. */
export function salesShardOf(orderId: string): string {
  // An order's id is a random UUID: any digits of it are as good as a hash.
  return `sales-${Number.parseInt(orderId.slice(0, 8), 16) % SHARDS}`;
}

/**
 * Gathers orders, so that the lake has few large files rather than one or more for each order. What an order tells
 * takes effect here exactly once, and leaves as Parquet files in R2.
 */
export class Sales extends Stored {
  protected override readonly folder = 'sales';

  /** Takes changes of an order's tables. */
  async receiveChanges(batch: Batch): Promise<void> {
    const db = await this.create(salesShardOf(batch.source));
    await receive(db, batch, applyChange);
  }

  protected override async wake(db: Database): Promise<void> {
    const target = createR2Backend(this.env.LAKE);
    await createCDC(db).deliver('lake', file(target, { prefix: 'sales', format: parquet }), {
      tables: ['orders', 'order_lines'],
      snapshot: 'initial',
      batch: { changes: 10_000, bytes: 8_000_000 },
      lingerMs: Number(this.env.LAKE_LINGER_MS ?? 60_000),
    });
  }
}

async function applyChange(event: ChangeEvent, tx: Transaction): Promise<void> {
  if (!('key' in event) || event.after === null) return;
  const { after } = event;
  if (event.table === 'order_lines')
    await tx.run(
      `INSERT INTO order_lines (order_id, sku, quantity, unit_price, line_total) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (order_id, sku) DO NOTHING`,
      [after['order_id'], after['sku'], after['quantity'], after['unit_price'], after['line_total']],
    );
  else
    await tx.run(
      `INSERT INTO orders (id, customer, status, total, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at`,
      [
        after['id'],
        after['customer_id'],
        after['status'],
        after['total'],
        after['created_at'],
        after['updated_at'],
      ],
    );
}
