import type { Database, Point } from '@dotdo/dosql';
import { createCDC, durableObject } from '@dotdo/cdc';
import { errorResponse, HttpError, json, notFound } from '@dotdo/example-shared/http';
import { rowsAt } from '@dotdo/example-shared/past';
import { salesShardOf } from '../lake/sales.ts';
import { paymentProvider } from '../payment/bank.ts';
import type { PaymentEvent } from '../payment/webhook.ts';
import { Stored } from '../stored.ts';
import { placeOrder, type Draft } from './draft.ts';
import { takePayment, type Taken } from './payment.ts';
import { advance, cancelled, moveOn, setStep, type Partners } from './saga.ts';
import { mayBecome, standing, type Status } from './status.ts';

/** Who asks: a customer, or staff, which may see every order. */
export interface Asker {
  readonly id: string;
  readonly isStaff: boolean;
}

/** One order: what was bought, what has become of it, and what is left to be done about it. */
export class Order extends Stored {
  protected override readonly folder = 'order';
  /** Customer service asks about orders of last year. */
  protected override readonly options = { history: { keep: '400d' } };

  /** Takes the order and does what it can about it at once: once, however often it is called. */
  async place(draft: Draft): Promise<Status> {
    const db = await this.create(draft.id);
    await placeOrder(db, draft);
    return this.#advance(db);
  }

  /** Takes what the payment provider has told. */
  async paymentEvent(event: PaymentEvent): Promise<Taken> {
    const db = await this.existing();
    const taken = db === undefined ? 'no-payment' : await takePayment(db, event);
    if (db !== undefined && taken === 'taken') await this.#advance(db);
    return taken;
  }

  /** Cancels the order, as far as it is not on its way. What was paid goes back. */
  cancel(asker: Asker): Promise<Response> {
    return this.#command(asker, async (db) => {
      await db.transaction(async (tx) => {
        const order = await standing(tx);
        // A cancelled order stays one: whoever did not hear of it asks again.
        if (order === undefined || order.status === 'CANCELLED' || order.status === 'REFUNDED') return;
        await moveOn(tx, db, order, cancelled('as asked', asker.id));
      });
    });
  }

  /** Staff: the order is on its way, or has arrived. */
  progress(asker: Asker, to: 'SHIPPED' | 'DELIVERED'): Promise<Response> {
    return this.#command(asker, async (db) => {
      await db.transaction(async (tx) => {
        const order = await standing(tx);
        if (order === undefined || order.status === to) return;
        await moveOn(tx, db, order, { to, actor: asker.id, reason: 'as it went', step: null });
      });
    });
  }

  /** Staff: the customer gets the money back for what was delivered. */
  refund(asker: Asker): Promise<Response> {
    return this.#command(asker, async (db) => {
      await db.transaction(async (tx) => {
        const order = await standing(tx);
        if (order === undefined || order.status === 'REFUNDED') return;
        if (!mayBecome(order.status, 'REFUNDED'))
          throw new HttpError(409, `the order is ${order.status} and cannot be refunded`, {
            status: order.status,
          });
        await setStep(tx, db, 'refund');
      });
    });
  }

  /** The order now, or as it was. */
  view(asker: Asker, asOf?: Point): Promise<Response> {
    return this.#answerTo(asker, (db) => view(db, asOf));
  }

  /** Every status that the order has had: when, by whom and why. */
  history(asker: Asker): Promise<Response> {
    return this.#answerTo(asker, async (db) => ({
      history: await db.query(
        'SELECT from_status, to_status, reason, actor, created_at FROM status_log ORDER BY id',
      ),
    }));
  }

  protected override async wake(db: Database): Promise<void> {
    db.onTimer('step', () => advance(db, this.#partners));
    db.onTimer('deadline', () => this.#giveUp(db));
    const { SALES } = this.env;
    const shard = salesShardOf(db.name);
    const cdc = createCDC(db);
    cdc.publication('sales', {
      tables: {
        order_header: {
          columns: ['id', 'customer_id', 'status', 'total', 'created_at', 'updated_at'],
          // In the lake customers can be told apart, not known.
          mask: { customer_id: { hash: `customers of ${this.env.TOKEN_SECRET}` } },
        },
        order_lines: { columns: ['order_id', 'sku', 'quantity', 'unit_price', 'line_total'] },
      },
    });
    await cdc.deliver(
      'sales',
      durableObject(() => SALES.getByName(shard)),
      {
        publication: 'sales',
        snapshot: 'initial',
        lingerMs: 1_000,
      },
    );
  }

  get #partners(): Partners {
    const { SKU } = this.env;
    return { sku: (name) => SKU.getByName(name), payments: paymentProvider(this.env) };
  }

  /** Goes on as far as possible. What fails is left to the timer that has been set for it. */
  async #advance(db: Database): Promise<Status> {
    try {
      await advance(db, this.#partners);
    } catch (error) {
      console.warn(`order ${db.name} goes on later`, error);
    }
    return (await standing(db))?.status ?? 'PENDING';
  }

  /** The time to pay is over. */
  async #giveUp(db: Database): Promise<void> {
    await db.transaction(async (tx) => {
      const order = await standing(tx);
      if (order !== undefined && ['PENDING', 'RESERVED', 'PAYMENT_PENDING'].includes(order.status))
        await moveOn(tx, db, order, cancelled('not paid in time'));
    });
    await advance(db, this.#partners);
  }

  async #command(asker: Asker, work: (db: Database) => Promise<void>): Promise<Response> {
    try {
      const db = await this.#visible(asker);
      await work(db);
      await this.#advance(db);
      return json(await view(db));
    } catch (error) {
      return errorResponse(error);
    }
  }

  async #answerTo(asker: Asker, read: (db: Database) => Promise<unknown>): Promise<Response> {
    try {
      return json(await read(await this.#visible(asker)));
    } catch (error) {
      return errorResponse(error);
    }
  }

  /** The database, for those who may see it. Someone else's order is as one that there is not. */
  async #visible({ id, isStaff }: Asker): Promise<Database> {
    const db = await this.existing();
    const order = await db?.get<{ customer_id: string }>('SELECT customer_id FROM order_header');
    if (db === undefined || order?.customer_id === undefined || !(isStaff || order.customer_id === id))
      throw notFound('order');
    return db;
  }
}

async function view(db: Database, asOf?: Point): Promise<Readonly<Record<string, unknown>>> {
  const [header] = await rowsAt<Record<string, unknown>>(
    db,
    asOf,
    `SELECT id, customer_id, status, subtotal, tax, shipping, total, shipping_address, pay_by, created_at, updated_at
       FROM order_header`,
  );
  if (header === undefined) throw notFound('order at that time');
  const lines = await rowsAt(
    db,
    asOf,
    'SELECT sku, product_name, quantity, unit_price, line_total FROM order_lines ORDER BY sku',
  );
  const payments = await rowsAt(db, asOf, 'SELECT id, provider, amount, status, completed_at FROM payments');
  const address = header['shipping_address'];
  return {
    ...header,
    shipping_address: typeof address === 'string' ? (JSON.parse(address) as unknown) : null,
    lines,
    payments,
    lsn: db.lsn(),
  };
}
