/** What an order asks for. */
export interface Charge {
  /** Names the payment, on both sides: asked for twice it is one. */
  readonly id: string;
  readonly orderId: string;
  /** In cents. */
  readonly amount: number;
}

/**
 * Who takes the customers' money.
 *
 * Treaty: both calls may come again with the same id, and then do nothing new. What becomes of a charge is told by
 * signed webhooks, at least once and in any order: see `webhook.ts`.
 */
export interface PaymentProvider {
  readonly name: string;
  /** Begins a payment, which the customer then makes with the provider. */
  charge(charge: Charge): Promise<void>;
  /** Gives the money back, or sees to it that none is taken. */
  refund(id: string): Promise<void>;
}
