import { HttpClient, type LocalApp } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, newKey, startLocally, type Stock } from '../local.ts';

interface Refused {
  readonly error: string;
  readonly issues?: readonly { readonly field: string }[];
}
interface CartView {
  readonly items: readonly { readonly sku: string; readonly quantity: number }[];
  readonly saved: readonly { readonly sku: string }[];
}

let app: LocalApp;
let staff: Client;
let customer: Client;

beforeAll(async () => {
  app = await startLocally();
  staff = await Client.staff(app.url);
  customer = await Client.customer(app.url);
  await staff.stock('lamp', 100, 2_500);
  await staff.stock('shade', 100, 900);
});
afterAll(async () => app.harness.close());

const nobody = (): HttpClient => new HttpClient(app.url.origin);

describe('who may do what', () => {
  it('is told by a token: staff for stock and catalog, customers for carts', async () => {
    const staffOnly: [string, string, object?][] = [
      ['PUT', '/products/lamp', { name: 'x', category: 'y', price: 1 }],
      ['GET', '/products/lamp/history'],
      ['GET', '/inventory'],
      ['GET', '/inventory/lamp/history'],
      ['POST', '/inventory/lamp/restock', { quantity: 1 }],
      ['POST', '/inventory/lamp/reserve', { id: newKey(), quantity: 1 }],
      ['POST', '/inventory/lamp/confirm', { id: newKey() }],
      ['POST', '/inventory/lamp/release', { id: newKey() }],
      ['POST', `/orders/${newKey()}/ship`],
      ['POST', `/orders/${newKey()}/deliver`],
      ['POST', `/orders/${newKey()}/refund`],
      ['GET', '/reports/sales'],
      ['GET', '/reports/stock'],
    ];
    for (const [method, path, body] of staffOnly) {
      expect([path, (await customer.send(method, path, body)).status]).toEqual([path, 403]);
      expect([path, (await nobody().send(method, path, body)).status]).toEqual([path, 401]);
    }
    for (const [method, path] of [
      ['GET', '/cart'],
      ['POST', '/checkout'],
      ['GET', '/orders'],
    ] as const) {
      expect([path, (await staff.send(method, path, method === 'POST' ? {} : undefined)).status]).toEqual([
        path,
        403,
      ]);
      expect([path, (await nobody().send(method, path, method === 'POST' ? {} : undefined)).status]).toEqual([
        path,
        401,
      ]);
    }
    expect((await new Client(app.url, `${customer.token}x`).send('GET', '/cart')).status).toBe(401);
    expect((await nobody().send('POST', '/staff', { key: 'guess', name: 'Eve' })).status).toBe(403);
  });

  it("an order is its customer's, and as none to others", async () => {
    const { body } = await customer.checkout({ lamp: 1 });
    const other = await Client.customer(app.url);
    for (const [method, path] of [
      ['GET', `/orders/${body.id}`],
      ['GET', `/orders/${body.id}/history`],
      ['POST', `/orders/${body.id}/cancel`],
    ] as const)
      expect((await other.send(method, path)).status).toBe(404);
    expect((await other.pay(body.id)).status).toBe(404);
    expect(await other.get('/orders')).toEqual({ orders: [] });
    expect(await customer.get('/orders')).toMatchObject({ orders: [{ id: body.id }] });
    // What nobody made leaves nothing behind.
    const name = newKey();
    expect((await staff.send('GET', `/orders/${name}`)).status).toBe(404);
    const storage = await app.harness.getWorker().getDurableObjectStorage('Order', { name });
    expect(await storage.exec("SELECT name FROM sqlite_master WHERE name LIKE '%order%'")).toEqual([]);
  });
});

describe('what is sent', () => {
  it('is refused with the field that is wrong', async () => {
    const wrong: [string, string, unknown, string][] = [
      ['PUT', '/products/lamp', { name: '', category: 'a', price: 1 }, 'name'],
      ['PUT', '/products/lamp', { name: 'a', category: 'a', price: -1 }, 'price'],
      ['PUT', '/products/lamp', { name: 'a', category: 'a', price: 1.5 }, 'price'],
      ['PUT', '/products/lamp', { name: 'a', category: 'a', price: 1, secret: 1 }, 'secret'],
      ['PUT', '/products/LAMP', { name: 'a', category: 'a', price: 1 }, ''],
      ['POST', '/inventory/lamp/reserve', { id: 'short', quantity: 1 }, 'id'],
      ['POST', '/inventory/lamp/reserve', { id: newKey(), quantity: 0 }, 'quantity'],
      ['POST', '/inventory/lamp/reserve', { id: newKey(), quantity: 101 }, 'quantity'],
      ['POST', '/inventory/lamp/reserve', { id: newKey(), quantity: 1, hold_seconds: 0 }, 'hold_seconds'],
      ['POST', '/inventory/lamp/restock', { quantity: 0 }, 'quantity'],
      ['POST', '/inventory/lamp/restock', { quantity: 1 }, ''],
    ];
    for (const [method, path, body, field] of wrong) {
      const answer = await staff.send<Refused>(method, path, body);
      expect([path, answer.status, answer.body.issues?.[0]?.field]).toEqual([path, 400, field]);
    }
    const checkouts: [unknown, string][] = [
      [{ items: [] }, 'items'],
      [
        {
          items: [
            { sku: 'lamp', quantity: 1 },
            { sku: 'lamp', quantity: 2 },
          ],
        },
        'items',
      ],
      [{ items: [{ sku: 'lamp', quantity: 1, price: 1 }] }, 'items.0.price'],
      [{ total: 1 }, 'total'],
      [
        { shipping_address: { name: 'a', street: 'b', city: 'c', postcode: 'd', country: 'Germany' } },
        'shipping_address.country',
      ],
    ];
    for (const [body, field] of checkouts) {
      const answer = await customer.send<Refused>('POST', '/checkout', body, { 'idempotency-key': newKey() });
      expect([field, answer.status, answer.body.issues?.[0]?.field]).toEqual([field, 400, field]);
    }
    expect((await customer.send('POST', '/checkout', {})).status).toBe(400);
    expect((await customer.send('POST', '/checkout', '{', { 'idempotency-key': newKey() })).status).toBe(400);
    const large = { items: [{ sku: 'lamp', quantity: 1 }], more: 'x'.repeat(70_000) };
    expect((await customer.send('POST', '/checkout', large, { 'idempotency-key': newKey() })).status).toBe(
      413,
    );
    expect((await staff.send('GET', '/inventory/lamp?as_of=tomorrow')).status).toBe(400);
    expect((await staff.send('GET', '/inventory/lamp?when=now')).status).toBe(400);
    expect((await staff.send('GET', '/orders/1')).status).toBe(400);
  });

  it('leads to a 404 or a 405 where there is nothing', async () => {
    expect((await nobody().send('GET', '/nowhere')).status).toBe(404);
    expect((await customer.send('GET', '/inventory/never-made')).status).toBe(404);
    expect((await staff.send('PUT', '/orders')).headers.get('allow')).toBe('GET');
    expect((await staff.send('DELETE', '/orders')).status).toBe(405);
    expect((await staff.restock('never-made', 1)).status).toBe(404);
  });
});

describe('the catalog', () => {
  it('knows prices now and before', async () => {
    await staff.put('/products/vase', { name: 'Vase', category: 'vases', price: 1_000 });
    const before = new Date().toISOString();
    await staff.put('/products/vase', { name: 'Vase', category: 'vases', price: 800 });
    expect(await nobody().get('/products/vase')).toMatchObject({ price: 800 });
    expect(await nobody().get(`/products/vase?as_of=${before}`)).toMatchObject({ price: 1_000 });
    expect(await staff.get('/products/vase/history')).toMatchObject({
      versions: [{ row: { price: 1_000 } }, { row: { price: 800 } }],
    });
    expect(await nobody().get('/products?category=vases')).toMatchObject({ products: [{ sku: 'vase' }] });
  });
});

describe('the cart', () => {
  it('becomes an order at the price of that moment, and is empty then', async () => {
    const buyer = await Client.customer(app.url);
    await buyer.put('/cart/items/lamp', { quantity: 2 });
    await buyer.put('/cart/items/shade', { quantity: 1 });
    await buyer.put('/cart/saved/shade', { quantity: 1 });
    expect(await buyer.get<CartView>('/cart')).toMatchObject({
      items: [{ sku: 'lamp', quantity: 2 }],
      saved: [{ sku: 'shade' }],
    });
    const { status, body } = await buyer.checkout();
    expect([status, body.status, body.total]).toEqual([201, 'PAYMENT_PENDING', 5_000 + 950]);
    expect(await buyer.get<CartView>('/cart')).toMatchObject({ items: [], saved: [{ sku: 'shade' }] });
    expect((await buyer.checkout()).status).toBe(422);
    expect((await buyer.send('PUT', '/cart/items/nothing', { quantity: 1 })).status).toBe(422);
  });

  it('keeps what could not be had', async () => {
    await staff.stock('rare', 1);
    const buyer = await Client.customer(app.url);
    await buyer.put('/cart/items/rare', { quantity: 2 });
    expect((await buyer.checkout()).status).toBe(409);
    expect((await buyer.get<CartView>('/cart')).items).toMatchObject([{ sku: 'rare', quantity: 2 }]);
    expect(await staff.get<Stock>('/inventory/rare')).toMatchObject({ available: 1, reserved: 0 });
  });

  it('lets nobody hold the whole shop without paying', async () => {
    const hoarder = await Client.customer(app.url);
    const answers = await Promise.all(Array.from({ length: 22 }, () => hoarder.checkout({ shade: 1 })));
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(2);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(20);
  });
});
