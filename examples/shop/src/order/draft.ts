import type { Database } from '@dotdo/dosql';
import { stepDue } from './status.ts';

/** One line of an order, at the price of the moment that it was made. */
export interface DraftLine {
  readonly sku: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPrice: number;
}

/** An order as its customer's cart makes it. */
export interface Draft {
  readonly id: string;
  readonly customerId: string;
  readonly lines: readonly DraftLine[];
  readonly subtotal: number;
  readonly tax: number;
  readonly shipping: number;
  readonly total: number;
  /** JSON. */
  readonly shippingAddress: string | null;
  /** ISO 8601, UTC. */
  readonly payBy: string;
}

/** Writes an order and what it has to do first; nothing where it is written already. */
export async function placeOrder(db: Database, draft: Draft): Promise<void> {
  await db.transaction(async (tx) => {
    if ((await tx.get('SELECT 1 FROM order_header')) !== null) return;
    const { lines, ...header } = draft;
    const now = new Date();
    await tx.batch([
      {
        sql: `INSERT INTO order_header (id, customer_id, status, step, subtotal, tax, shipping, total,
                                        shipping_address, pay_by, created_at, updated_at)
              VALUES (:id, :customerId, 'PENDING', 'reserve', :subtotal, :tax, :shipping, :total,
                      :shippingAddress, :payBy, :now, :now)`,
        params: { ...header, now },
      },
      {
        sql: `INSERT INTO order_lines (order_id, sku, product_name, quantity, unit_price, line_total)
              SELECT ?, value ->> 'sku', value ->> 'name', value ->> 'quantity', value ->> 'unitPrice',
                     (value ->> 'quantity') * (value ->> 'unitPrice')
                FROM json_each(?)`,
        params: [draft.id, JSON.stringify(lines)],
      },
      {
        sql: `INSERT INTO status_log (order_id, from_status, to_status, reason, actor, created_at)
              VALUES (?, NULL, 'PENDING', 'checked out', ?, ?)`,
        params: [draft.id, draft.customerId, now],
      },
    ]);
    await db.schedule('step', stepDue());
    await db.schedule('deadline', new Date(draft.payBy));
  });
}
