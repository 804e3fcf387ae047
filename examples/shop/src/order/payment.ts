import type { Database, Transaction } from '@dotdo/dosql';
import type { PaymentEvent } from '../payment/webhook.ts';
import { cancelled, moveOn, setStep } from './saga.ts';
import { standing, type Standing } from './status.ts';

interface Payment {
  readonly id: string;
  readonly amount: number;
  readonly status: PaymentStatus;
}
type PaymentStatus = 'PENDING' | 'FAILED' | 'SUCCEEDED' | 'REFUNDED';

const STATUS_OF: Readonly<Record<PaymentEvent['type'], PaymentStatus>> = {
  'payment.failed': 'FAILED',
  'payment.succeeded': 'SUCCEEDED',
  'payment.refunded': 'REFUNDED',
};

/** Payments only go on in this order: whichever event comes late finds that it is over. */
const RANK: Readonly<Record<PaymentStatus, number>> = { PENDING: 0, FAILED: 1, SUCCEEDED: 2, REFUNDED: 3 };

/** What became of an event: it may be about a payment that there is not, or of another amount. */
export type Taken = 'taken' | 'no-payment' | 'other-amount';

/**
 * Takes an event of the payment provider: once, in whatever order they come.
 *
 * Invariant: the shop keeps no money for an order that is cancelled: what arrives for one is given back.
 */
export async function takePayment(db: Database, event: PaymentEvent): Promise<Taken> {
  return db.transaction(async (tx) => {
    const order = await standing(tx);
    const payment = await tx.get<Payment>('SELECT id, amount, status FROM payments WHERE id = ?', [
      event.payment,
    ]);
    if (order === undefined || payment === null) return 'no-payment';
    if (payment.amount !== event.amount) return 'other-amount';
    const { changes } = await tx.run(
      'INSERT INTO payment_events (id, type, received_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING',
      [event.id, event.type, new Date()],
    );
    const status = STATUS_OF[event.type];
    if (changes === 0 || RANK[status] <= RANK[payment.status]) return 'taken';
    await tx.run('UPDATE payments SET status = ?, completed_at = ?', [status, new Date()]);
    await react(tx, db, order, status);
    return 'taken';
  });
}

async function react(tx: Transaction, db: Database, order: Standing, payment: PaymentStatus): Promise<void> {
  const actor = 'payment provider';
  const isWaiting = order.status === 'RESERVED' || order.status === 'PAYMENT_PENDING';
  if (payment === 'FAILED' && isWaiting)
    await moveOn(tx, db, order, cancelled('the payment has failed', actor));
  if (payment === 'SUCCEEDED' && isWaiting)
    await moveOn(tx, db, order, { to: 'PAID', actor, reason: 'the payment is there', step: 'confirm' });
  // While stock is being given back, that step goes on to this one by itself.
  if (payment === 'SUCCEEDED' && order.status === 'CANCELLED' && order.step !== 'return')
    await setStep(tx, db, 'refund');
  if (payment === 'REFUNDED' && order.status === 'CANCELLED')
    await moveOn(tx, db, order, {
      to: 'REFUNDED',
      actor,
      reason: 'the money is back',
      step: order.step === 'return' ? 'return' : null,
    });
}
