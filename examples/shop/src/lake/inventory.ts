import { createCDC, receive, type Batch } from '@dotdo/cdc';
import type { Database } from '@dotdo/dosql';
import { Stored } from '../stored.ts';
import { salesBySku, stockMovements } from './report.ts';

/**
 * Knows every SKU and its stock, as the SKUs' objects tell it: a moment late, and none of them ever waits for it.
 * Asks the lake, too.
 */
export class Inventory extends Stored {
  protected override readonly folder = 'inventory';
  protected override readonly options = { buckets: { lake: this.env.LAKE } };

  /** Takes a SKU's stock. */
  async receiveChanges(batch: Batch): Promise<void> {
    const db = await this.create('inventory');
    await receive(db, batch, async (event, tx) => {
      if (!('key' in event) || event.after === null) return;
      await tx.run(
        `INSERT INTO skus (sku, product_name, available, reserved, sold, stocked, updated_at)
         VALUES (:sku, :product_name, :available, :reserved, :sold, :stocked, :updated_at)
             ON CONFLICT (sku) DO UPDATE
            SET product_name = excluded.product_name, available = excluded.available, reserved = excluded.reserved,
                sold = excluded.sold, stocked = excluded.stocked, updated_at = excluded.updated_at`,
        event.after,
      );
    });
  }

  /** The SKUs by name, from one on. */
  async list(after: string, limit: number): Promise<Response> {
    await this.create('inventory');
    return this.answer('inventory', async (db) => ({
      skus: await db.query('SELECT * FROM skus WHERE sku > ? ORDER BY sku LIMIT ?', [after, limit]),
      totals: await db.get(
        `SELECT count(*) AS skus, ifnull(sum(available), 0) AS available, ifnull(sum(reserved), 0) AS reserved,
                ifnull(sum(sold), 0) AS sold, ifnull(sum(stocked), 0) AS stocked
           FROM skus`,
      ),
    }));
  }

  /** What was sold, as the lake's files tell it. */
  async sales(): Promise<Response> {
    await this.create('inventory');
    return this.answer('inventory', async (db) => ({ skus: await salesBySku(db) }));
  }

  /** What has happened to stock, as the lake's files tell it. */
  async movements(): Promise<Response> {
    await this.create('inventory');
    return this.answer('inventory', async (db) => ({ movements: await stockMovements(db) }));
  }

  protected override async wake(db: Database): Promise<void> {
    createCDC(db);
  }
}
