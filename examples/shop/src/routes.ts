import type { Routes } from '@dotdo/example-shared/router';
import { deleteCartItem, getCart, postCheckout, putCartItem, putSavedItem } from './cart/handlers.ts';
import { getProduct, getProductHistory, listProducts, putProduct } from './catalog/handlers.ts';
import { getSalesReport, getStockReport, listInventory } from './lake/handlers.ts';
import {
  cancelOrder,
  deliverOrder,
  getOrder,
  getOrderHistory,
  listOrders,
  refundOrder,
  shipOrder,
} from './order/handlers.ts';
import { postWebhook, simulatePayment } from './payment/handlers.ts';
import {
  confirm,
  followStock,
  getStock,
  getStockHistory,
  release,
  reserve,
  restock,
} from './sku/handlers.ts';
import { addCustomer, addStaff, type Who } from './who.ts';
import type { Env } from './worker.ts';

/** What a handler works with. */
export interface Context {
  readonly env: Env;
  readonly request: Request;
  readonly query: URLSearchParams;
  /** What the path names. */
  readonly params: Readonly<Record<string, string>>;
  /** Asks whose token the request carries; throws a 401 where it carries none. */
  readonly who: () => Promise<Who>;
}

type Handler = (context: Context) => Promise<Response>;

/** The shop's HTTP interface. */
export const ROUTES: Routes<Handler> = [
  [/^\/customers$/, { POST: addCustomer }],
  [/^\/staff$/, { POST: addStaff }],
  [/^\/products$/, { GET: listProducts }],
  [/^\/products\/(?<sku>[^/]+)$/, { GET: getProduct, PUT: putProduct }],
  [/^\/products\/(?<sku>[^/]+)\/history$/, { GET: getProductHistory }],
  [/^\/inventory$/, { GET: listInventory }],
  [/^\/inventory\/(?<sku>[^/]+)$/, { GET: getStock }],
  [/^\/inventory\/(?<sku>[^/]+)\/history$/, { GET: getStockHistory }],
  [/^\/inventory\/(?<sku>[^/]+)\/live$/, { GET: followStock }],
  [/^\/inventory\/(?<sku>[^/]+)\/restock$/, { POST: restock }],
  [/^\/inventory\/(?<sku>[^/]+)\/reserve$/, { POST: reserve }],
  [/^\/inventory\/(?<sku>[^/]+)\/confirm$/, { POST: confirm }],
  [/^\/inventory\/(?<sku>[^/]+)\/release$/, { POST: release }],
  [/^\/cart$/, { GET: getCart }],
  [/^\/cart\/items\/(?<sku>[^/]+)$/, { PUT: putCartItem, DELETE: deleteCartItem }],
  [/^\/cart\/saved\/(?<sku>[^/]+)$/, { PUT: putSavedItem, DELETE: deleteCartItem }],
  [/^\/checkout$/, { POST: postCheckout }],
  [/^\/orders$/, { GET: listOrders }],
  [/^\/orders\/(?<id>[^/]+)$/, { GET: getOrder }],
  [/^\/orders\/(?<id>[^/]+)\/history$/, { GET: getOrderHistory }],
  [/^\/orders\/(?<id>[^/]+)\/cancel$/, { POST: cancelOrder }],
  [/^\/orders\/(?<id>[^/]+)\/ship$/, { POST: shipOrder }],
  [/^\/orders\/(?<id>[^/]+)\/deliver$/, { POST: deliverOrder }],
  [/^\/orders\/(?<id>[^/]+)\/refund$/, { POST: refundOrder }],
  [/^\/orders\/(?<id>[^/]+)\/simulated-payment$/, { POST: simulatePayment }],
  [/^\/payments\/webhook$/, { POST: postWebhook }],
  [/^\/reports\/sales$/, { GET: getSalesReport }],
  [/^\/reports\/stock$/, { GET: getStockReport }],
];
