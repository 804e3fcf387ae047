import type { Transaction } from '@dotdo/dosql';
import { HttpError } from '@dotdo/example-shared/http';

/** What an order can be. */
export type Status =
  | 'PENDING'
  | 'RESERVED'
  | 'PAYMENT_PENDING'
  | 'PAID'
  | 'PROCESSING'
  | 'SHIPPED'
  | 'DELIVERED'
  | 'CANCELLED'
  | 'REFUNDED';

/** What an order has to do with others next: see `saga.ts`. */
export type Step = 'reserve' | 'charge' | 'confirm' | 'return' | 'refund';

/** What an order can become. */
const NEXT: Readonly<Record<Status, readonly Status[]>> = {
  PENDING: ['RESERVED', 'CANCELLED'],
  RESERVED: ['PAYMENT_PENDING', 'PAID', 'CANCELLED'],
  PAYMENT_PENDING: ['PAID', 'CANCELLED'],
  PAID: ['PROCESSING', 'CANCELLED'],
  PROCESSING: ['SHIPPED', 'CANCELLED'],
  SHIPPED: ['DELIVERED'],
  DELIVERED: ['REFUNDED'],
  CANCELLED: ['REFUNDED'],
  REFUNDED: [],
};

/** Where an order stands. */
export interface Standing {
  readonly id: string;
  readonly status: Status;
  readonly step: Step | null;
}

/** Who moves an order, why, and what it has to do then. */
export interface Move {
  readonly to: Status;
  readonly actor: string;
  readonly reason: string;
  readonly step: Step | null;
}

/** How long after a step was begun it is begun again, unless it is done. */
const STEP_MS = 3_000;

/** Where the order stands; undefined while it is not there. */
export async function standing(tx: Pick<Transaction, 'get'>): Promise<Standing | undefined> {
  return (await tx.get<Standing>('SELECT id, status, step FROM order_header')) ?? undefined;
}

/** Whether an order may become something. */
export function mayBecome(from: Status, to: Status): boolean {
  return NEXT[from].includes(to);
}

/**
 * Moves an order on, with a note of who and why.
 *
 * @throws HttpError 409 where it cannot become that.
 */
export async function move(
  tx: Transaction,
  order: Standing,
  { to, actor, reason, step }: Move,
): Promise<void> {
  const { id, status } = order;
  if (!mayBecome(status, to))
    throw new HttpError(409, `the order is ${status} and cannot become ${to}`, { status });
  const now = new Date();
  await tx.batch([
    {
      sql: 'UPDATE order_header SET status = :to, step = :step, updated_at = :now',
      params: { to, step, now },
    },
    {
      sql: `INSERT INTO status_log (order_id, from_status, to_status, reason, actor, created_at)
            VALUES (:id, :status, :to, :reason, :actor, :now)`,
      params: { id, status, to, reason, actor, now },
    },
  ]);
}

/** When a step that has just become due is to be looked at again, should whoever does it now not end. */
export function stepDue(): Date {
  return new Date(Date.now() + STEP_MS);
}
