import type { Database, Transaction } from '@dotdo/dosql';
import type { PaymentProvider } from '../payment/provider.ts';
import type { Sku, SkuAnswer } from '../sku/sku.ts';
import { move, standing, stepDue, type Move, type Standing, type Step } from './status.ts';

/** What the steps of an order are about. */
export interface Header {
  readonly id: string;
  readonly total: number;
  readonly pay_by: string;
}

/** One line of an order, as far as stock goes. */
export interface Line {
  readonly sku: string;
  readonly quantity: number;
}

/** Whom an order has to do with. */
export interface Partners {
  sku(name: string): Pick<DurableObjectStub<Sku>, 'reserve' | 'confirm' | 'giveBack'>;
  readonly payments: PaymentProvider;
}

interface StepContext {
  readonly db: Database;
  readonly partners: Partners;
  readonly header: Header;
  readonly lines: readonly Line[];
}

/** Stock is held this much longer than the order waits for its money, so that it is the order that gives up first. */
const GRACE_MS = 60_000;

/**
 * Does what the order still has to do with others, until nothing is left.
 *
 * The order's row says which step is next, and a timer that is set in the same transaction begins it again should the
 * object end anywhere in between. So each step may run twice, also at once: whatever it asks of others it asks under
 * the order's id, which they take for one request, and what came of it is written only while the step is still due.
 */
export async function advance(db: Database, partners: Partners): Promise<void> {
  for (;;) {
    const order = await standing(db);
    if (order === undefined || order.step === null) return;
    const header = (await db.get<Header>('SELECT id, total, pay_by FROM order_header')) as Header;
    const lines = await db.query<Line>('SELECT sku, quantity FROM order_lines ORDER BY sku');
    await STEPS[order.step]({ db, partners, header, lines });
  }
}

/** Sets what an order has to do next, and the timer that sees to it; for a move or without one. */
export async function setStep(tx: Transaction, db: Database, step: Step | null): Promise<void> {
  await tx.run('UPDATE order_header SET step = ?', [step]);
  if (step === null) await db.cancel('step');
  else await db.schedule('step', stepDue());
}

/** Moves an order on, and sets the timer for what it has to do then. */
export async function moveOn(tx: Transaction, db: Database, order: Standing, to: Move): Promise<void> {
  await move(tx, order, to);
  await setStep(tx, db, to.step);
}

const STEPS: Readonly<Record<Step, (context: StepContext) => Promise<void>>> = {
  /** Every SKU at once; if one refuses, none is kept. */
  async reserve(context) {
    const { header, lines, partners } = context;
    const expiresAt = new Date(Date.parse(header.pay_by) + GRACE_MS).toISOString();
    const refused = await refusedOf(lines, ({ sku, quantity }) =>
      partners.sku(sku).reserve(header.id, quantity, expiresAt),
    );
    await finish(context, 'reserve', async (tx, order, db) => {
      if (refused.length > 0) {
        const move = cancelled(`not in stock: ${refused.join(', ')}`);
        // Where nobody had any there is nothing to give back: most of those who come to a sale too late.
        return moveOn(tx, db, order, refused.length === lines.length ? { ...move, step: null } : move);
      }
      // Written before the provider is asked: what it tells may come before its answer does.
      await tx.run(
        `INSERT INTO payments (id, order_id, provider, amount, status, created_at)
         VALUES (?, ?, ?, ?, 'PENDING', ?)`,
        [paymentId(header.id), header.id, partners.payments.name, header.total, new Date()],
      );
      return moveOn(tx, db, order, {
        to: 'RESERVED',
        ...BY_SYSTEM,
        reason: 'all is in stock',
        step: 'charge',
      });
    });
  },

  async charge(context) {
    const { header, partners } = context;
    const { id: orderId, total: amount } = header;
    await partners.payments.charge({ id: paymentId(orderId), orderId, amount });
    await finish(context, 'charge', (tx, order, db) =>
      moveOn(tx, db, order, {
        to: 'PAYMENT_PENDING',
        ...BY_SYSTEM,
        reason: 'the payment has begun',
        step: null,
      }),
    );
  },

  /** Sells what is reserved. Who pays so late that it is sold to others gets the money back. */
  async confirm(context) {
    const { header, lines, partners } = context;
    const refused = await refusedOf(lines, ({ sku }) => partners.sku(sku).confirm(header.id));
    await finish(context, 'confirm', (tx, order, db) =>
      refused.length > 0
        ? moveOn(tx, db, order, cancelled(`paid too late, sold out: ${refused.join(', ')}`))
        : moveOn(tx, db, order, { to: 'PROCESSING', ...BY_SYSTEM, reason: 'all is sold', step: null }),
    );
  },

  /** Gives all stock back, also what may have been reserved without our hearing of it. */
  async return(context) {
    const { header, lines, partners } = context;
    await refusedOf(lines, ({ sku }) => partners.sku(sku).giveBack(header.id));
    await finish(context, 'return', async (tx, _order, db) => {
      const hasPayment = (await tx.get('SELECT 1 FROM payments')) !== null;
      await setStep(tx, db, hasPayment ? 'refund' : null);
    });
  },

  /** Gives the money back, or ends a payment that has not been made. */
  async refund(context) {
    const { header, partners } = context;
    await partners.payments.refund(paymentId(header.id));
    await finish(context, 'refund', async (tx, order, db) => {
      const { changes: refunded } = await tx.run(
        "UPDATE payments SET status = 'REFUNDED', completed_at = ? WHERE status = 'SUCCEEDED'",
        [new Date()],
      );
      await tx.run("UPDATE payments SET status = 'FAILED', completed_at = ? WHERE status = 'PENDING'", [
        new Date(),
      ]);
      if (refunded === 0) return setStep(tx, db, null);
      return moveOn(tx, db, order, { to: 'REFUNDED', ...BY_SYSTEM, reason: 'the money is back', step: null });
    });
  },
};

const BY_SYSTEM = { actor: 'system' } as const;

/** What an order becomes that comes to nothing; what it has taken goes back. */
export function cancelled(reason: string, actor = 'system'): Move {
  return { to: 'CANCELLED', actor, reason, step: 'return' };
}

/** The one payment of an order. */
export function paymentId(orderId: string): string {
  return `pay-${orderId}`;
}

/**
 * Asks for all lines at once; the SKUs that have refused.
 *
 * @throws when one cannot be reached or has too much to do, so that the step is done again later.
 */
async function refusedOf(lines: readonly Line[], ask: (line: Line) => Promise<SkuAnswer>): Promise<string[]> {
  const asked = await Promise.allSettled(lines.map(ask));
  const refused: string[] = [];
  for (const [i, result] of asked.entries()) {
    const sku = lines[i]?.sku ?? '';
    if (result.status === 'rejected') throw result.reason;
    if (result.value.refusal === 'busy') throw new Error(`${sku} has too much to do`);
    if (result.value.refusal !== undefined) refused.push(sku);
  }
  return refused;
}

/** Writes what a step came to, unless the order has gone another way meanwhile. */
async function finish(
  { db }: StepContext,
  step: Step,
  write: (tx: Transaction, order: Standing, db: Database) => Promise<void>,
): Promise<void> {
  await db.transaction(async (tx) => {
    const order = await standing(tx);
    if (order?.step === step) await write(tx, order, db);
  });
}
