/**
 * Starts the shop on this machine, holds a flash sale with fifty customers, and checks every claim that it prints:
 * `npm run demo -w examples/shop`.
 */
import assert from 'node:assert/strict';
import { until } from '@dotdo/example-shared/local/app';
import { line, say, step, table } from '@dotdo/example-shared/local/transcript';
import { Client, newKey, startLocally, type Order, type Stock } from './local.ts';

interface Status {
  readonly to_status: string;
  readonly reason: string;
  readonly actor: string;
}
interface Movement {
  readonly lsn: number;
  readonly operation: string;
  readonly quantity: number;
}
interface Sold {
  readonly sku: string;
  readonly orders: number;
  readonly units: number;
  readonly revenue: number;
}

const LAMPS = 20;
const BUYERS = 50;
const LAMP = 'moon-lamp';
const SHADE = 'silk-shade';

const started = performance.now();
console.log(`\n${LAMPS} lamps, ${BUYERS} buyers, and not one lamp sold twice\n`);

const { url, harness } = await startLocally();
say(`The shop runs in the Workers runtime at ${url.origin}`, started);

try {
  const staff = await Client.staff(url, 'Sam');
  const stock = (asOf = ''): Promise<Stock> => staff.get<Stock>(`/inventory/${LAMP}${asOf}`);

  const opened = await step(`Sam puts ${LAMPS} moon lamps on sale, and 5 silk shades`, async () => {
    await staff.stock(SHADE, 5, 1_500);
    return staff.stock(LAMP, LAMPS, 3_900);
  });
  const live = (await Client.customer(url)).live(LAMP);
  const watched = live.query<Stock>({ table: 'inventory' });
  let seen = 0;
  let worst = 0;
  watched.onChange((changes) => {
    for (const { after } of changes) {
      seen++;
      const { available, reserved, sold, stocked } = after as Stock;
      worst = Math.max(worst, Math.abs(available + reserved + sold - stocked));
    }
  });
  await until(() => watched.status === 'live');

  const customers = await step(`${BUYERS} customers come in, each with a token of their own`, async () =>
    Promise.all(Array.from({ length: BUYERS }, (_, i) => Client.customer(url, `Buyer ${i}`))),
  );
  const orders: { buyer: Client; id: string }[] = [];
  await step('All of them want a lamp at once, and every third asks twice, as bad networks do', async () => {
    const answers = await Promise.all(
      customers.map(async (buyer, i) => {
        const key = newKey();
        const [answer, again] = await Promise.all([
          buyer.checkout({ [LAMP]: 1 }, key),
          i % 3 === 0 ? buyer.checkout({ [LAMP]: 1 }, key) : undefined,
        ]);
        if (again !== undefined) assert.equal(again.body.id, answer.body.id);
        if (answer.status !== 409) orders.push({ buyer, id: answer.body.id });
        return answer.status;
      }),
    );
    const refused = answers.filter((status) => status === 409).length;
    assert.deepEqual([orders.length, refused], [LAMPS, BUYERS - LAMPS]);
    line(`${orders.length} hold a lamp for 15 minutes, ${refused} are told that there are no more`);
  });
  assert.deepEqual(rest(await stock()), { available: 0, reserved: LAMPS, sold: 0, stocked: LAMPS });

  await step('15 pay, 3 change their minds, and 2 are declined by their bank', async () => {
    await Promise.all(
      orders.map(async ({ buyer, id }, i) => {
        if (i < 15) await buyer.pay(id);
        else if (i < 18) await buyer.post(`/orders/${id}/cancel`);
        else await buyer.pay(id, 'fail');
      }),
    );
    const now = rest(await stock());
    assert.deepEqual(now, { available: 5, reserved: 0, sold: 15, stocked: LAMPS });
    line(`sold ${now.sold}, reserved ${now.reserved}, available ${now.available}: ${LAMPS} in all`);
  });

  await step(
    'The object of the lamps is put away, as the platform does; who watched goes on watching',
    async () => {
      await harness.getWorker().evictDurableObject('Sku', { name: LAMP, webSockets: 'hibernate' });
      await staff.restock(LAMP, 5);
      await until(() => [...watched.rows.values()].some(({ stocked }) => stocked === LAMPS + 5));
      assert.equal(worst, 0);
      line(`${seen} changes have come over the WebSocket; in each of them the parts made up the whole`);
    },
  );

  const late = await step('A lamp with a shade, of which there are too few: all or nothing', async () => {
    const [buyer] = customers;
    assert.ok(buyer);
    const before = rest(await stock());
    const { status, body } = await buyer.checkout({ [LAMP]: 1, [SHADE]: 9 });
    assert.equal(status, 409);
    assert.deepEqual(rest(await stock()), before);
    const { history } = await buyer.get<{ history: Status[] }>(`/orders/${body.id}/history`);
    for (const { to_status, reason, actor } of history) line(`${to_status}  ${reason}, ${actor.slice(0, 8)}`);
    assert.deepEqual(
      history.map(({ to_status }) => to_status),
      ['PENDING', 'CANCELLED'],
    );
    return buyer;
  });

  await step('Nobody sees the order of another', async () => {
    const [first] = orders;
    assert.ok(first);
    const other = first.buyer === late ? customers[1] : late;
    assert.equal((await other?.send('GET', `/orders/${first.id}`))?.status, 404);
    assert.equal((await first.buyer.get<Order>(`/orders/${first.id}`)).status, 'PROCESSING');
  });

  await step('What was it like when the sale began? The same query, as of then', async () => {
    const then = rest(await stock(`?as_of=lsn:${opened.lsn}`));
    assert.deepEqual(then, { available: LAMPS, reserved: 0, sold: 0, stocked: LAMPS });
    line(`LSN ${opened.lsn}: ${then.available} available, ${then.sold} sold`);
  });

  await step('Every movement is on record, without a table for it', async () => {
    const { movements } = await staff.get<{ movements: Movement[] }>(`/inventory/${LAMP}/history?limit=1000`);
    const count = (operation: string): number =>
      movements.filter((one) => one.operation === operation).length;
    const operations = ['RESTOCK', 'RESERVE', 'CONFIRM', 'RELEASE'];
    table(
      ['operation', 'movements', 'units'],
      operations.map((operation) => {
        const units = movements
          .filter((one) => one.operation === operation)
          .reduce((sum, { quantity }) => sum + quantity, 0);
        return [operation, String(count(operation)), String(units)];
      }),
    );
    assert.deepEqual(operations.map(count), [2, LAMPS + 1, 15, 6]);
  });

  await step('The lake has it all: Parquet files in R2, asked in SQL', async () => {
    const report = async (): Promise<Sold | undefined> => {
      const { skus } = await staff.get<{ skus: Sold[] }>('/reports/sales');
      return skus.find(({ sku }) => sku === LAMP);
    };
    await until(async () => (await report())?.units === 15, 20_000);
    const sold = await report();
    assert.equal(sold?.revenue, 15 * 3_900);
    line(`${sold.units} of ${sold.sku} in ${sold.orders} orders, ${(sold.revenue / 100).toFixed(2)} €`);
  });

  live.close();
  say('Every line above was checked', started);
} finally {
  await harness.close();
}

/** The four numbers of a stock. */
function rest({ available, reserved, sold, stocked }: Stock): Omit<Stock, 'lsn'> {
  return { available, reserved, sold, stocked };
}
