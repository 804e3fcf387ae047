import { LiveClient } from '@dotdo/cdc/client';
import { HttpClient, startApp, type Answer, type LocalApp } from '@dotdo/example-shared/local/app';

/** What the locally started shop is opened with. */
export const STAFF_KEY = 'a key that is known to these tests only';
/** What its payment provider signs with. */
export const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** Starts the shop on a free port, with storage that lasts until `harness.close()`. */
export async function startLocally(vars: Readonly<Record<string, string>> = {}): Promise<LocalApp> {
  return startApp(import.meta.dirname, {
    vars: { SIMULATED_PAYMENTS: 'yes', LAKE_LINGER_MS: '100', ...vars },
    secrets: { STAFF_KEY, WEBHOOK_SECRET },
  });
}

/** What is in stock of a SKU. */
export interface Stock {
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly stocked: number;
  readonly lsn: number;
}

/** An order, as it is told. */
export interface Order {
  readonly id: string;
  readonly status: string;
  readonly total: number;
  readonly lsn: number;
  readonly payments: readonly { readonly id: string; readonly status: string; readonly amount: number }[];
  readonly lines: readonly { readonly sku: string; readonly quantity: number; readonly unit_price: number }[];
}

/** What a checkout is answered with. */
export interface CheckedOut {
  readonly id: string;
  readonly status: string;
  readonly total: number;
  readonly error?: string;
}

/** A client of the shop, a customer's or the staff's. */
export class Client extends HttpClient {
  readonly #url: URL;

  constructor(url: URL, token = '') {
    super(url.origin, token);
    this.#url = url;
  }

  /** A new customer. */
  static async customer(url: URL, name = 'Cleo'): Promise<Client> {
    const { token } = await new Client(url).post<{ token: string }>('/customers', { name });
    return new Client(url, token);
  }

  /** Someone of the staff. */
  static async staff(url: URL, name = 'Sam'): Promise<Client> {
    const { token } = await new Client(url).post<{ token: string }>('/staff', { key: STAFF_KEY, name });
    return new Client(url, token);
  }

  /** Staff: puts a product on sale, so many of it. */
  async stock(sku: string, quantity: number, price = 1_000): Promise<Stock> {
    await this.put(`/products/${sku}`, { name: `The ${sku}`, category: 'lamps', price });
    const restocked = await this.restock(sku, quantity);
    if (restocked.status !== 200) throw new Error(`restock: ${restocked.status}`);
    return this.get<Stock>(`/inventory/${sku}`);
  }

  /** Staff: more units come. */
  restock<T = { available: number }>(
    sku: string,
    quantity: number,
    key: string = newKey(),
  ): Promise<Answer<T>> {
    return this.send<T>('POST', `/inventory/${sku}/restock`, { quantity }, { 'idempotency-key': key });
  }

  /** Customer: orders these items, or the cart. */
  checkout(items?: Readonly<Record<string, number>>, key: string = newKey()): Promise<Answer<CheckedOut>> {
    const list = items && Object.entries(items).map(([sku, quantity]) => ({ sku, quantity }));
    return this.send<CheckedOut>('POST', '/checkout', list === undefined ? {} : { items: list }, {
      'idempotency-key': key,
    });
  }

  /** Customer: pays an order, or cannot. */
  pay(orderId: string, outcome: 'succeed' | 'fail' = 'succeed'): Promise<Answer<unknown>> {
    return this.send('POST', `/orders/${orderId}/simulated-payment`, { outcome });
  }

  /** A connection that follows a SKU's stock. */
  live(sku: string): LiveClient {
    const url = new URL(`/inventory/${sku}/live`, this.#url);
    return new LiveClient({ url, publication: 'sale', protocols: [`bearer.${this.token}`] });
  }
}

/** A key for a command that has not been sent before. */
export function newKey(): string {
  return crypto.randomUUID();
}
