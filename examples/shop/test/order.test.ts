import { HttpClient, until, type LocalApp } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Client, newKey, WEBHOOK_SECRET, type Order, type Stock } from '../local.ts';
import { signedEvent, type PaymentEvent } from '../src/payment/webhook.ts';
import type { Fault } from './faulty.worker.ts';
import { startFaulty } from './faulty.ts';

interface History {
  readonly history: readonly {
    readonly to_status: string;
    readonly reason: string;
    readonly actor: string;
  }[];
}

let app: LocalApp;
let staff: Client;
let customer: Client;
let skuCount = 0;

beforeAll(async () => {
  app = await startFaulty();
  staff = await Client.staff(app.url);
});
afterAll(async () => app.harness.close());
beforeEach(async () => {
  customer = await Client.customer(app.url);
});

/** Something on sale that no other test knows. */
async function onSale(quantity: number): Promise<string> {
  const sku = `thing-${++skuCount}`;
  await staff.stock(sku, quantity);
  return sku;
}

const stockOf = (sku: string): Promise<Stock> => staff.get<Stock>(`/inventory/${sku}`);
const orderOf = (id: string): Promise<Order> => staff.get<Order>(`/orders/${id}`);

async function statuses(id: string): Promise<string[]> {
  const { history } = await staff.get<History>(`/orders/${id}/history`);
  return history.map(({ to_status }) => to_status);
}

async function untilIs(id: string, status: string): Promise<void> {
  await until(async () => (await orderOf(id)).status === status, 40_000);
}

/** Sends what the payment provider would. */
async function tell(
  event: Partial<PaymentEvent> & { order: string },
  secret = WEBHOOK_SECRET,
): Promise<number> {
  const whole: PaymentEvent = {
    id: newKey(),
    type: 'payment.succeeded',
    payment: `pay-${event.order}`,
    amount: 0,
    ...event,
  };
  const request = await signedEvent(new URL('/payments/webhook', app.url).href, whole, secret);
  return (await fetch(request)).status;
}

describe('an order', () => {
  it('holds stock, is paid, sold, shipped and delivered, and tells all of it', async () => {
    const [lamp, shade] = [await onSale(5), await onSale(5)];
    const { status, body } = await customer.checkout({ [lamp]: 2, [shade]: 1 });
    // Tax of 19 %, and shipping.
    expect([status, body.total]).toEqual([201, 3_000 + 570 + 490]);
    expect(await stockOf(lamp)).toMatchObject({ available: 3, reserved: 2 });
    const { lsn } = await orderOf(body.id);
    expect((await customer.pay(body.id)).status).toBe(200);
    expect(await stockOf(lamp)).toMatchObject({ available: 3, reserved: 0, sold: 2 });
    expect(await stockOf(shade)).toMatchObject({ available: 4, reserved: 0, sold: 1 });
    for (const step of ['ship', 'deliver']) await staff.post(`/orders/${body.id}/${step}`);
    expect((await staff.send('POST', `/orders/${body.id}/ship`)).status).toBe(409);
    expect((await customer.send('POST', `/orders/${body.id}/cancel`)).status).toBe(409);
    const { history } = await customer.get<History>(`/orders/${body.id}/history`);
    expect(history.map(({ to_status, actor }) => `${to_status} by ${actor.slice(0, 5)}`).slice(1)).toEqual([
      'RESERVED by syste',
      'PAYMENT_PENDING by syste',
      'PAID by payme',
      'PROCESSING by syste',
      'SHIPPED by staff',
      'DELIVERED by staff',
    ]);
    expect(await customer.get(`/orders/${body.id}?as_of=lsn:${lsn}`)).toMatchObject({
      status: 'PAYMENT_PENDING',
    });
    expect((await staff.post<Order>(`/orders/${body.id}/refund`)).status).toBe('REFUNDED');
  });

  it('takes all or nothing: what one SKU has not, no other holds', async () => {
    const [many, few] = [await onSale(5), await onSale(1)];
    const { status, body } = await customer.checkout({ [many]: 2, [few]: 2 });
    expect([status, body.status]).toEqual([409, 'CANCELLED']);
    for (const sku of [many, few]) expect(await stockOf(sku)).toMatchObject({ reserved: 0, sold: 0 });
    const { history } = await customer.get<History>(`/orders/${body.id}/history`);
    expect(history.at(-1)).toMatchObject({ to_status: 'CANCELLED', reason: `not in stock: ${few}` });
  });

  it('is one for one key, also when it is sent by two at once', async () => {
    const sku = await onSale(5);
    const key = newKey();
    const answers = await Promise.all([1, 2, 3].map(() => customer.checkout({ [sku]: 1 }, key)));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await stockOf(sku)).toMatchObject({ reserved: 1 });
    expect((await customer.checkout({ [sku]: 2 }, key)).status).toBe(422);
  });

  it('gives all back when it is cancelled, before it is paid and after', async () => {
    const sku = await onSale(5);
    const { body: early } = await customer.checkout({ [sku]: 1 });
    expect(await customer.post(`/orders/${early.id}/cancel`)).toMatchObject({ status: 'CANCELLED' });
    // A payment that was begun is ended.
    expect((await customer.pay(early.id)).status).toBe(200);
    expect(await orderOf(early.id)).toMatchObject({ status: 'CANCELLED', payments: [{ status: 'FAILED' }] });
    const { body: late } = await customer.checkout({ [sku]: 1 });
    await customer.pay(late.id);
    expect(await stockOf(sku)).toMatchObject({ sold: 1 });
    expect(await customer.post(`/orders/${late.id}/cancel`)).toMatchObject({ status: 'REFUNDED' });
    expect(await stockOf(sku)).toMatchObject({ available: 5, reserved: 0, sold: 0 });
    expect(await customer.post(`/orders/${late.id}/cancel`)).toMatchObject({ status: 'REFUNDED' });
  });

  it('comes to nothing when the payment fails', async () => {
    const sku = await onSale(1);
    const { body } = await customer.checkout({ [sku]: 1 });
    await customer.pay(body.id, 'fail');
    expect(await orderOf(body.id)).toMatchObject({ status: 'CANCELLED', payments: [{ status: 'FAILED' }] });
    expect(await stockOf(sku)).toMatchObject({ available: 1, reserved: 0 });
  });
});

describe('an order that is not paid in time', () => {
  it('comes to nothing by itself, and money that comes later goes back', async () => {
    const sku = await onSale(3);
    await customer.post('/faults', { call: 'time to pay', fault: 'lost' });
    const { body } = await customer.checkout({ [sku]: 2 });
    await untilIs(body.id, 'CANCELLED');
    await until(async () => (await stockOf(sku)).available === 3);
    const { history } = await staff.get<History>(`/orders/${body.id}/history`);
    expect(history.at(-1)).toMatchObject({ reason: 'not paid in time', actor: 'system' });
    expect(await tell({ order: body.id, amount: body.total })).toBe(200);
    await untilIs(body.id, 'REFUNDED');
    expect(await stockOf(sku)).toMatchObject({ available: 3, reserved: 0, sold: 0 });
  });
});

describe('what the payment provider tells', () => {
  it('counts once, however often it comes', async () => {
    const sku = await onSale(2);
    const { body } = await customer.checkout({ [sku]: 1 });
    const event = { order: body.id, amount: body.total, id: newKey() };
    expect(await Promise.all([tell(event), tell(event), tell(event)])).toEqual([200, 200, 200]);
    expect(await tell({ ...event, id: newKey() })).toBe(200);
    expect((await statuses(body.id)).filter((status) => status === 'PAID')).toHaveLength(1);
    expect(await stockOf(sku)).toMatchObject({ available: 1, sold: 1 });
  });

  it('may come in any order', async () => {
    const sku = await onSale(2);
    // A failure that comes after the success is old news.
    const { body: paid } = await customer.checkout({ [sku]: 1 });
    await tell({ order: paid.id, amount: paid.total });
    await tell({ order: paid.id, amount: paid.total, type: 'payment.failed' });
    expect(await orderOf(paid.id)).toMatchObject({
      status: 'PROCESSING',
      payments: [{ status: 'SUCCEEDED' }],
    });
    // A success that comes after the failure is money for an order that is no more: it goes back.
    const { body: failed } = await customer.checkout({ [sku]: 1 });
    await tell({ order: failed.id, amount: failed.total, type: 'payment.failed' });
    await tell({ order: failed.id, amount: failed.total });
    expect(await orderOf(failed.id)).toMatchObject({
      status: 'REFUNDED',
      payments: [{ status: 'REFUNDED' }],
    });
    expect(await stockOf(sku)).toMatchObject({ available: 1, reserved: 0, sold: 1 });
  });

  it('is believed only if it is signed, and of the right amount', async () => {
    const sku = await onSale(1);
    const { body } = await customer.checkout({ [sku]: 1 });
    const other = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
    expect(await tell({ order: body.id, amount: body.total }, other)).toBe(401);
    expect(await tell({ order: body.id, amount: 1 })).toBe(422);
    expect(await tell({ order: newKey(), amount: 1 })).toBe(404);
    const unsigned = await new HttpClient(app.url.origin).send('POST', '/payments/webhook', {
      order: body.id,
    });
    expect(unsigned.status).toBe(401);
    const signed = await signedEvent(
      new URL('/payments/webhook', app.url).href,
      { id: 'e1', type: 'payment.succeeded', payment: `pay-${body.id}`, order: body.id, amount: body.total },
      WEBHOOK_SECRET,
    );
    const text = (await signed.text()).replace(String(body.total), '1');
    const { url, headers } = signed;
    expect((await fetch(url, { method: 'POST', headers, body: text })).status).toBe(401);
    expect((await fetch(url, { method: 'POST', headers, body: 'x'.repeat(20_000) })).status).toBe(413);
    expect(await orderOf(body.id)).toMatchObject({ status: 'PAYMENT_PENDING' });
  });
});

describe('whatever fails on the way', () => {
  const calls = ['reserve', 'charge', 'confirm'] as const;
  const faults: readonly Fault[] = ['lost', 'unanswered', 'order-ends'];

  it.concurrent.each(calls.flatMap((call) => faults.map((fault) => [call, fault] as const)))(
    '%s: %s, the order goes on by itself, and nothing is taken twice',
    async (call, fault) => {
      const [one, two] = [await onSale(3), await onSale(3)];
      const customer = await Client.customer(app.url);
      await customer.post('/faults', { call, fault });
      const { body } = await checkoutAnyhow(customer, { [one]: 1, [two]: 2 });
      await payAnyhow(customer, body.id);
      await untilIs(body.id, 'PROCESSING');
      expect(await stockOf(one)).toMatchObject({ available: 2, reserved: 0, sold: 1 });
      expect(await stockOf(two)).toMatchObject({ available: 1, reserved: 0, sold: 2 });
      // The money may be there before the provider's answer is.
      const had = (await statuses(body.id)).filter((status) => status !== 'PAYMENT_PENDING');
      expect(had).toEqual(['PENDING', 'RESERVED', 'PAID', 'PROCESSING']);
    },
  );

  it.concurrent.each(
    (['giveBack', 'refund'] as const).flatMap((call) => faults.map((fault) => [call, fault] as const)),
  )('%s: %s, all goes back in the end', async (call, fault) => {
    const sku = await onSale(3);
    const customer = await Client.customer(app.url);
    const { body } = await customer.checkout({ [sku]: 2 });
    await customer.pay(body.id);
    await customer.post('/faults', { call, fault });
    await customer.send('POST', `/orders/${body.id}/cancel`).catch(() => {});
    await untilIs(body.id, 'REFUNDED');
    expect(await stockOf(sku)).toMatchObject({ available: 3, reserved: 0, sold: 0 });
    const { payments } = await orderOf(body.id);
    expect(payments).toMatchObject([{ status: 'REFUNDED' }]);
  });

  /** Checks out as a client does that hears of failures of the server, and asks again. */
  async function checkoutAnyhow(customer: Client, items: Readonly<Record<string, number>>) {
    const key = newKey();
    for (;;) {
      const answer = await customer.checkout(items, key).catch(() => undefined);
      if (answer !== undefined && answer.status < 500) return answer;
    }
  }

  async function payAnyhow(customer: Client, id: string): Promise<void> {
    // While the order is not so far it is refused.
    const status = async (): Promise<number> =>
      (await customer.pay(id).catch(() => ({ status: 500 }))).status;
    await until(async () => (await status()) === 200, 40_000);
  }
});

describe('every alarm goes off twice', () => {
  it('and yet what expires comes back once', async () => {
    const sku = await onSale(9);
    for (const quantity of [1, 2, 3])
      await staff.post(`/inventory/${sku}/reserve`, { id: newKey(), quantity, hold_seconds: 1 });
    await staff.post(`/inventory/${sku}/reserve`, { id: newKey(), quantity: 2, hold_seconds: 600 });
    await until(async () => (await stockOf(sku)).reserved === 2, 20_000);
    expect(await stockOf(sku)).toMatchObject({ available: 7, reserved: 2, sold: 0, stocked: 9 });
  });
});

describe('the lake', () => {
  it('gets every order when R2 is back, each once, and no shop waits for it', async () => {
    const faulty = new HttpClient(app.url.origin);
    await faulty.post('/faults', { lake: 'down' });
    const sku = await onSale(20);
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) {
      const { body } = await customer.checkout({ [sku]: 2 });
      await customer.pay(body.id);
      ids.push(body.id);
    }
    await customer.post(`/orders/${ids[0]}/cancel`);
    expect(await stockOf(sku)).toMatchObject({ available: 10, sold: 10 });
    await faulty.post('/faults', { lake: 'up' });
    const sales = async (): Promise<unknown> => {
      const { skus } = await staff.get<{ skus: { sku: string }[] }>('/reports/sales');
      return skus.find((sold) => sold.sku === sku);
    };
    await expect
      .poll(sales, { timeout: 30_000, interval: 200 })
      .toEqual({ sku, orders: 5, units: 10, revenue: 10_000 });
    const { skus, totals } = await staff.get<{ skus: Stock[]; totals: Stock }>('/inventory');
    expect(skus.find((row) => (row as unknown as { sku: string }).sku === sku)).toMatchObject({ sold: 10 });
    expect(totals.available + totals.reserved + totals.sold).toBe(totals.stocked);
  });
});
