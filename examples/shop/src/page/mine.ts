import { byId, create, onSubmit, reportIn } from '@dotdo/example-shared/page/dom';
import { ask, buyOne, money, type Order, type Product, type Session } from './api.ts';

const SHOWN = 8;

/** What this customer has ordered, and the button to order more. */
export class Mine {
  readonly #session: Session;
  #product: Product | undefined;
  #orders: readonly Order[] = [];

  constructor(session: Session) {
    this.#session = session;
    const form = byId<HTMLFormElement>('buy');
    onSubmit(form, async () => {
      if (this.#product === undefined) return;
      try {
        await buyOne(session, this.#product.sku);
      } finally {
        await this.load();
      }
    });
    byId('mine').hidden = false;
  }

  /** Shows what can be bought. */
  show(product: Product): void {
    this.#product = product;
    byId('price').textContent = `${money(product.price)}, and tax and shipping`;
  }

  /** Reads the orders. */
  async load(): Promise<void> {
    const { orders } = await ask<{ orders: Order[] }>(this.#session, 'GET', `/orders?limit=${SHOWN}`);
    this.#orders = await Promise.all(
      orders.map(({ id }) => ask<Order>(this.#session, 'GET', `/orders/${id}`)),
    );
    byId('orders').replaceChildren(...this.#orders.map((order) => this.#item(order)));
  }

  #item(order: Order): HTMLLIElement {
    const item = create(
      'li',
      {},
      create('span', { className: 'status' }, order.status.toLowerCase().replaceAll('_', ' ')),
      create('span', {}, money(order.total)),
    );
    if (order.status === 'PAYMENT_PENDING')
      item.append(this.#button('Pay', `/orders/${order.id}/simulated-payment`, { outcome: 'succeed' }));
    if (['PAYMENT_PENDING', 'PROCESSING'].includes(order.status))
      item.append(this.#button('Cancel', `/orders/${order.id}/cancel`));
    return item;
  }

  #button(text: string, path: string, body?: unknown): HTMLButtonElement {
    const button = create('button', {}, text);
    button.addEventListener('click', () => {
      void reportIn(byId<HTMLFormElement>('buy'), async () => {
        await ask(this.#session, 'POST', path, body);
        await this.load();
      });
    });
    return button;
  }
}
