import { until } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Client, newKey, STAFF_KEY, WEBHOOK_SECRET, type Order, type Stock } from '../local.ts';
import { Workerd } from './workerd.ts';

const KILLS = 4;
const BUYERS = 12;
const SKUS = ['red', 'green', 'blue'];
const STOCKED = 24;

let workerd: Workerd;
beforeAll(async () => {
  workerd = await Workerd.create({
    TOKEN_SECRET: 'signs the tokens of these tests',
    STAFF_KEY,
    WEBHOOK_SECRET,
    SIMULATED_PAYMENTS: 'yes',
  });
  await workerd.start();
});
afterAll(() => workerd.dispose());

/** Asks until there is an answer: the server may be gone for a while. */
async function insist<T>(
  ask: () => Promise<{ status: number; body: T }>,
): Promise<{ status: number; body: T }> {
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined && answer.status < 500) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

it(
  '3,000 buyers of 300, kill -9 three times: what was promised is kept, and there is no unit more or less',
  { timeout: 180_000 },
  async () => {
    const { token } = await Client.staff(workerd.url);
    const staff = (): Client => new Client(workerd.url, token);
    await staff().stock('rush', 300);
    const held: string[] = [];
    const waiting = Array.from({ length: 3_000 }, newKey);
    const buy = async (): Promise<void> => {
      for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
        const body = { id, quantity: 1 };
        const { status } = await insist(() => staff().send('POST', '/inventory/rush/reserve', body));
        if (status === 200) held.push(id);
      }
    };
    const buyers = Promise.all(Array.from({ length: 100 }, buy));
    for (const left of [2_850, 2_000, 1_000]) {
      await until(() => waiting.length <= left, 60_000);
      await workerd.kill();
      await workerd.start();
    }
    await buyers;
    expect(held).toHaveLength(300);
    expect(await staff().get<Stock>('/inventory/rush')).toMatchObject({
      available: 0,
      reserved: 300,
      sold: 0,
      stocked: 300,
    });
    // Each of those who were told so does hold one.
    for (const id of held.slice(0, 100)) await staff().post('/inventory/rush/confirm', { id });
    expect(await staff().get<Stock>('/inventory/rush')).toMatchObject({ reserved: 200, sold: 100 });
  },
);

it(
  `kill -9, ${KILLS} times, in the middle of it all: what was promised is kept, and nothing is sold twice or lost`,
  { timeout: 180_000 },
  async () => {
    const staff = await Client.staff(workerd.url);
    for (const sku of SKUS) await staff.stock(sku, STOCKED);
    const tokens = await Promise.all(
      Array.from({ length: BUYERS }, async () => (await Client.customer(workerd.url)).token),
    );
    /** What became of each order, as its buyer was told. */
    const told = new Map<string, string>();
    const sale = { isOver: false, acknowledged: 0 };
    const at = (token: string): Client => new Client(workerd.url, token);

    const buyer = async (token: string, number: number): Promise<void> => {
      for (let round = 0; round < 6 && !sale.isOver; round++) {
        const [one, other] = [SKUS[(number + round) % 3] ?? '', SKUS[(number + round + 1) % 3] ?? ''];
        const key = newKey();
        const { status, body } = await insist(() => at(token).checkout({ [one]: 1, [other]: 1 }, key));
        sale.acknowledged++;
        if (status === 409) told.set(body.id, 'CANCELLED');
        if (status !== 201) continue;
        if (round % 3 === 2) {
          await insist(() => at(token).send('POST', `/orders/${body.id}/cancel`));
          told.set(body.id, 'CANCELLED');
        } else if ((await insist(() => at(token).pay(body.id))).status === 200) told.set(body.id, 'PAID');
      }
    };
    const buyers = tokens.map(buyer);
    for (let kill = 0; kill < KILLS; kill++) {
      const enough = sale.acknowledged + 6;
      await until(() => sale.acknowledged >= enough, 60_000);
      await workerd.kill();
      await workerd.start();
    }
    sale.isOver = true;
    await Promise.all(buyers);

    // Every order comes to its end by itself: each has a timer that outlives the process.
    const ended = async (id: string): Promise<Order> => {
      const found: { order?: Order } = {};
      await expect
        .poll(
          async () =>
            (found.order = (await insist(() => at(staff.token).send<Order>('GET', `/orders/${id}`))).body)
              .status,
          {
            timeout: 60_000,
            interval: 100,
          },
        )
        .toMatch(/^(?:PROCESSING|CANCELLED|REFUNDED)$/);
      return found.order as Order;
    };
    const orders = new Map<string, Order>();
    for (const [id, wanted] of told) {
      const order = await ended(id);
      orders.set(id, order);
      if (wanted === 'PAID') expect([id, order.status]).toEqual([id, 'PROCESSING']);
      else expect(order.status).not.toBe('PROCESSING');
    }
    for (const sku of SKUS) {
      const stock = await at(staff.token).get<Stock>(`/inventory/${sku}`);
      const bought = [...orders.values()]
        .filter(({ status }) => status === 'PROCESSING')
        .flatMap(({ lines }) => lines)
        .filter((line) => line.sku === sku)
        .reduce((sum, { quantity }) => sum + quantity, 0);
      expect(stock.available + stock.reserved + stock.sold).toBe(STOCKED);
      expect(stock.sold).toBe(bought);
      expect(stock.sold).toBeLessThanOrEqual(STOCKED);
    }
    expect(told.size).toBeGreaterThan(KILLS * 3);
  },
);
