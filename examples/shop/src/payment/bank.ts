import type { Database } from '@dotdo/dosql';
import { Stored } from '../stored.ts';
import type { Charge, PaymentProvider } from './provider.ts';
import type { PaymentEvent } from './webhook.ts';
import type { Env } from '../worker.ts';

interface ChargeRow {
  readonly id: string;
  readonly order_id: string;
  readonly amount: number;
  readonly status: 'PENDING' | 'FAILED' | 'SUCCEEDED' | 'REFUNDED';
}

/** A payment provider that takes no money: for development, the demo and the tests. */
export class Bank extends Stored {
  protected override readonly folder = 'bank';

  async charge({ id, orderId, amount }: Charge): Promise<void> {
    const db = await this.create('bank');
    await db.run(
      `INSERT INTO charges (id, order_id, amount, status, created_at)
       VALUES (:id, :orderId, :amount, 'PENDING', :now) ON CONFLICT (id) DO NOTHING`,
      { id, orderId, amount, now: new Date() },
    );
  }

  /** The customer pays, or cannot; returns what is told to the shop, undefined where nothing is owed. */
  async settle(id: string, outcome: 'succeed' | 'fail'): Promise<PaymentEvent | undefined> {
    const db = await this.create('bank');
    const status = outcome === 'succeed' ? 'SUCCEEDED' : 'FAILED';
    await db.run("UPDATE charges SET status = ? WHERE id = ? AND status = 'PENDING'", [status, id]);
    return eventOf((await db.get<ChargeRow>('SELECT * FROM charges WHERE id = ?', [id])) ?? undefined);
  }

  /** A payment that was not made is ended: it cannot be made any more. */
  async refund(id: string): Promise<void> {
    const db = await this.create('bank');
    await db.run(
      "UPDATE charges SET status = iif(status = 'SUCCEEDED', 'REFUNDED', 'FAILED') WHERE id = ? AND status IN ('PENDING', 'SUCCEEDED')",
      [id],
    );
  }

  protected override async wake(_db: Database): Promise<void> {
    // It has no timers and tells nobody anything by itself.
  }
}

const EVENT_OF = {
  FAILED: 'payment.failed',
  SUCCEEDED: 'payment.succeeded',
  REFUNDED: 'payment.refunded',
} as const;

function eventOf(charge: ChargeRow | undefined): PaymentEvent | undefined {
  if (charge === undefined || charge.status === 'PENDING') return undefined;
  const { id, order_id: order, amount, status } = charge;
  return { id: `${id}-${status.toLowerCase()}`, type: EVENT_OF[status], payment: id, order, amount };
}

/** The provider that the shop works with: put yours here. */
export function paymentProvider({ BANK, SIMULATED_PAYMENTS }: Env): PaymentProvider {
  if (SIMULATED_PAYMENTS === undefined)
    throw new Error('there is no payment provider: implement PaymentProvider, or set SIMULATED_PAYMENTS');
  return {
    name: 'simulated',
    charge: (charge) => BANK.getByName('bank').charge(charge),
    refund: (id) => BANK.getByName('bank').refund(id),
  };
}
