import { errorResponse } from '@dotdo/example-shared/http';
import { requireRoute } from '@dotdo/example-shared/router';
import type { Cart } from './cart/cart.ts';
import type { Catalog } from './catalog/catalog.ts';
import type { Inventory } from './lake/inventory.ts';
import type { Sales } from './lake/sales.ts';
import type { Order } from './order/order.ts';
import type { Bank } from './payment/bank.ts';
import { ROUTES } from './routes.ts';
import type { Sku } from './sku/sku.ts';
import { whoAsks } from './who.ts';

export { Cart } from './cart/cart.ts';
export { Catalog } from './catalog/catalog.ts';
export { Inventory } from './lake/inventory.ts';
export { Sales } from './lake/sales.ts';
export { Order } from './order/order.ts';
export { Bank } from './payment/bank.ts';
export { Sku } from './sku/sku.ts';

/** What wrangler.jsonc binds, and the secrets. */
export interface Env {
  readonly SKU: DurableObjectNamespace<Sku>;
  readonly INVENTORY: DurableObjectNamespace<Inventory>;
  readonly CATALOG: DurableObjectNamespace<Catalog>;
  readonly CART: DurableObjectNamespace<Cart>;
  readonly ORDER: DurableObjectNamespace<Order>;
  readonly SALES: DurableObjectNamespace<Sales>;
  readonly BANK: DurableObjectNamespace<Bank>;
  readonly LAKE: R2Bucket;
  /** Signs the tokens of customers and staff. */
  readonly TOKEN_SECRET: string;
  /** Whoever knows it is staff. */
  readonly STAFF_KEY: string;
  /** What the payment provider signs its webhooks with: base64 of 24 to 64 random bytes. */
  readonly WEBHOOK_SECRET: string;
  /** Set on a developer's machine only: a provider that takes no money. */
  readonly SIMULATED_PAYMENTS?: string;
  /** How long orders wait to go to the lake together, in ms; a minute by default. */
  readonly LAKE_LINGER_MS?: string;
}

/** Finds out what a request is about and who asks, and has the objects do it that it is about. */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      const { pathname, searchParams: query } = new URL(request.url);
      const { handler, params } = requireRoute(ROUTES, pathname, request.method);
      return await handler({ env, request, query, params, who: () => whoAsks(env, request) });
    } catch (error) {
      return errorResponse(error);
    }
  },
};
