import { byId, fieldsOf, onSubmit } from '@dotdo/example-shared/page/dom';
import { ask, command, type Session } from './api.ts';

/** The staff's part of the page: puts products on sale. `done` is called with each. */
export function openShopPanel(session: Session, done: (sku: string) => Promise<void>): void {
  byId('shop').hidden = false;
  const form = byId<HTMLFormElement>('put-on-sale');
  onSubmit(form, async () => {
    const { sku = '', name = '', price, quantity } = fieldsOf(form);
    const path = encodeURIComponent(sku);
    await ask(session, 'PUT', `/products/${path}`, { name, category: 'sale', price: Number(price) });
    await command(session, `/inventory/${path}/restock`, { quantity: Number(quantity) });
    await done(sku);
  });
}
