import type { Database } from '@dotdo/dosql';
import { errorResponse, HttpError, json } from '@dotdo/example-shared/http';
import type { Status } from '../order/status.ts';
import { Stored } from '../stored.ts';
import { priced, takeCheckout, takenUnder, type Checkout, type Item, type Ordered } from './checkout.ts';

/** How many different products a cart holds. */
const MAX_ITEMS = 50;
/** How soon an order is handed on again whose first attempt did not come to its end. */
const PLACE_AGAIN_MS = 4_000;

/** One customer's cart, what is saved for later, and the orders that have come of it. */
export class Cart extends Stored {
  protected override readonly folder = 'cart';

  /** What is in the cart. */
  async list(customerId: string): Promise<Response> {
    await this.create(customerId);
    return this.answer('cart', view);
  }

  /** So many of a product in the cart, or saved for later; moves it from the one to the other. */
  async put(customerId: string, sku: string, quantity: number, isSaved: boolean): Promise<Response> {
    const db = await this.create(customerId);
    const [into, from, at] = isSaved
      ? (['saved_for_later', 'cart_items', 'saved_at'] as const)
      : (['cart_items', 'saved_for_later', 'added_at'] as const);
    try {
      const [product] = await this.env.CATALOG.getByName('catalog').products([sku]);
      if (product?.is_on_sale !== 1) throw new HttpError(422, `"${sku}" is not on sale`, { sku });
      await db.transaction(async (tx) => {
        await tx.run(`DELETE FROM ${from} WHERE sku = ?`, [sku]);
        await tx.run(
          `INSERT INTO ${into} (sku, quantity, ${at}) VALUES (?, ?, ?)
               ON CONFLICT (sku) DO UPDATE SET quantity = excluded.quantity`,
          [sku, quantity, new Date()],
        );
        const { items } = (await tx.get<{ items: number }>(`SELECT count(*) AS items FROM ${into}`)) ?? {
          items: 0,
        };
        if (items > MAX_ITEMS) throw new HttpError(409, `there is room for ${MAX_ITEMS} products`);
      });
      return json(await view(db));
    } catch (error) {
      return errorResponse(error);
    }
  }

  /** Takes a product out of the cart, and out of what is saved. */
  async remove(customerId: string, sku: string): Promise<Response> {
    const db = await this.create(customerId);
    await db.batch([
      { sql: 'DELETE FROM cart_items WHERE sku = ?', params: [sku] },
      { sql: 'DELETE FROM saved_for_later WHERE sku = ?', params: [sku] },
    ]);
    return this.answer('cart', view);
  }

  /** Makes an order of these items, or of the cart: one for each key, however often it is asked for. */
  async checkout(customerId: string, key: string, checkout: Checkout): Promise<Response> {
    try {
      const db = await this.create(customerId);
      const known = await takenUnder(db, key, checkout);
      const ordered = known ?? (await this.#take(db, customerId, key, checkout));
      const status = await this.#place(db, ordered);
      return orderResponse(ordered, status);
    } catch (error) {
      return errorResponse(error);
    }
  }

  /** The customer's orders, newest first. */
  async orders(customerId: string, limit: number): Promise<Response> {
    await this.create(customerId);
    return this.answer('cart', async (db) => ({
      orders: await db.query(
        'SELECT order_id AS id, total, created_at FROM checkouts ORDER BY created_at DESC, order_id LIMIT ?',
        [limit],
      ),
    }));
  }

  /** Whether this is an order of the customer's. */
  async has(orderId: string): Promise<boolean> {
    const db = await this.existing();
    const found = await db?.get('SELECT 1 FROM checkouts WHERE order_id = ?', [orderId]);
    return found !== null && found !== undefined;
  }

  protected override async wake(db: Database): Promise<void> {
    db.onTimer<{ orderId: string }>('place', async ({ payload }) => {
      const ordered = await db.get<Ordered>('SELECT * FROM checkouts WHERE order_id = ?', [payload.orderId]);
      if (ordered !== null) await this.#place(db, ordered);
    });
  }

  /** Notes what is ordered, at the catalog's prices, with a timer that hands it on should nobody else. */
  async #take(db: Database, customerId: string, key: string, checkout: Checkout): Promise<Ordered> {
    const items =
      checkout.items ?? (await db.query<Item>('SELECT sku, quantity FROM cart_items ORDER BY sku'));
    if (items.length === 0) throw new HttpError(422, 'the cart is empty');
    const products = await this.env.CATALOG.getByName('catalog').products(items.map(({ sku }) => sku));
    const draft = priced(customerId, checkout, items, products);
    return db.transaction(async (tx) => {
      const ordered = await takeCheckout(tx, key, checkout, draft);
      await db.schedule(`place:${ordered.order_id}`, Date.now() + PLACE_AGAIN_MS, {
        orderId: ordered.order_id,
      });
      return ordered;
    });
  }

  /** Hands the order on, which is one however often it is handed on; what was ordered leaves the cart once. */
  async #place(db: Database, ordered: Ordered): Promise<Status> {
    const { order_id: orderId, draft, request } = ordered;
    const status = await this.env.ORDER.getByName(orderId).place(JSON.parse(draft));
    const isOfCart = (JSON.parse(request) as Checkout).items === undefined;
    await db.transaction(async (tx) => {
      const sql = 'UPDATE checkouts SET is_placed = 1 WHERE order_id = ? AND is_placed = 0';
      const { changes } = await tx.run(sql, [orderId]);
      if (changes === 1 && isOfCart && status !== 'CANCELLED') await tx.run(EMPTY, [draft]);
      await db.cancel(`place:${orderId}`);
    });
    return status;
  }
}

/** What was ordered leaves the cart, as far as it is as it was ordered: a quantity changed since is a new wish. */
const EMPTY = `
  DELETE FROM cart_items
   WHERE (sku, quantity) IN (SELECT value ->> 'sku', value ->> 'quantity' FROM json_each(?, '$.lines'))`;

async function view(db: Database): Promise<unknown> {
  const [items, saved] = await Promise.all([
    db.query('SELECT sku, quantity, added_at FROM cart_items ORDER BY added_at, sku'),
    db.query('SELECT sku, quantity, saved_at FROM saved_for_later ORDER BY saved_at, sku'),
  ]);
  return { items, saved };
}

/** 201 for an order that waits for its payment, 409 for one that came to nothing, 202 for what takes longer. */
function orderResponse({ order_id: id, total }: Ordered, status: Status): Response {
  if (status === 'CANCELLED')
    return json({ error: 'not everything is in stock: GET the order tells', id, status }, { status: 409 });
  const isUnderWay = status === 'PENDING' || status === 'RESERVED';
  return json({ id, status, total }, { status: isUnderWay ? 202 : 201 });
}
