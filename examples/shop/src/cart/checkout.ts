import type { Transaction } from '@dotdo/dosql';
import { HttpError } from '@dotdo/example-shared/http';
import type { Product } from '../catalog/catalog.ts';
import type { Draft } from '../order/draft.ts';

/** So many of a product. */
export interface Item {
  readonly sku: string;
  readonly quantity: number;
}

/** What a customer asks for: these items, or what is in the cart. */
export interface Checkout {
  readonly items?: readonly Item[] | undefined;
  readonly shipping_address?: unknown;
}

/** An order that was asked for, as the cart keeps it. */
export interface Ordered {
  readonly order_id: string;
  readonly request: string;
  /** JSON of a {@link Draft}. */
  readonly draft: string;
  readonly total: number;
}

/** How long stock is held for an order that is not paid. */
const HOLD_MS = 15 * 60_000;
/** Checkouts of one customer in that time: nobody can empty the shop without paying. */
const MAX_CHECKOUTS = 20;
const SHIPPING = 490;
const FREE_SHIPPING_FROM = 5_000;
const TAX_PERCENT = 19;

/**
 * The order that items make, at the prices of the catalog: what a client says about money is not asked.
 *
 * @throws HttpError 422 with what is not on sale.
 */
export function priced(
  customerId: string,
  checkout: Checkout,
  items: readonly Item[],
  products: readonly Product[],
): Draft {
  const found = new Map(products.map((product) => [product.sku, product]));
  const missing = items.filter(({ sku }) => found.get(sku)?.is_on_sale !== 1).map(({ sku }) => sku);
  if (missing.length > 0) throw new HttpError(422, `not on sale: ${missing.join(', ')}`, { skus: missing });
  const lines = items.map(({ sku, quantity }) => {
    const { name, price } = found.get(sku) as Product;
    return { sku, name, quantity, unitPrice: price };
  });
  const subtotal = lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0);
  const tax = Math.round((subtotal * TAX_PERCENT) / 100);
  const shipping = subtotal >= FREE_SHIPPING_FROM ? 0 : SHIPPING;
  const { shipping_address: address } = checkout;
  return {
    id: crypto.randomUUID(),
    customerId,
    lines,
    subtotal,
    tax,
    shipping,
    total: subtotal + tax + shipping,
    shippingAddress: address === undefined ? null : JSON.stringify(address),
    payBy: new Date(Date.now() + HOLD_MS).toISOString(),
  };
}

/**
 * The order that was made under this key; undefined where there is none.
 *
 * @throws HttpError 422 where something else was asked for.
 */
export async function takenUnder(
  db: Pick<Transaction, 'get'>,
  key: string,
  checkout: Checkout,
): Promise<Ordered | undefined> {
  const known = await db.get<Ordered>('SELECT * FROM checkouts WHERE idempotency_key = ?', [key]);
  if (known === null) return undefined;
  if (known.request === JSON.stringify(checkout)) return known;
  throw new HttpError(422, 'this Idempotency-Key was used for another checkout', { order: known.order_id });
}

/**
 * Notes an order under its key; the one that is there where another request was first.
 *
 * @throws HttpError 429 for a customer who has checked out too often.
 */
export async function takeCheckout(
  tx: Transaction,
  key: string,
  checkout: Checkout,
  draft: Draft,
): Promise<Ordered> {
  const known = await takenUnder(tx, key, checkout);
  if (known !== undefined) return known;
  const { recent } = (await tx.get<{ recent: number }>(
    'SELECT count(*) AS recent FROM checkouts WHERE created_at > ?',
    [new Date(Date.now() - HOLD_MS)],
  )) ?? { recent: 0 };
  if (recent >= MAX_CHECKOUTS)
    throw new HttpError(
      429,
      `${MAX_CHECKOUTS} checkouts in 15 minutes are enough`,
      {},
      { 'retry-after': '900' },
    );
  const ordered: Ordered = {
    order_id: draft.id,
    request: JSON.stringify(checkout),
    draft: JSON.stringify(draft),
    total: draft.total,
  };
  await tx.run(
    `INSERT INTO checkouts (order_id, idempotency_key, request, draft, total, created_at)
     VALUES (:order_id, :key, :request, :draft, :total, :now)`,
    { ...ordered, key, now: new Date() },
  );
  return ordered;
}
