import { byId, fieldsOf, fillSelect, onSubmit } from '@dotdo/example-shared/page/dom';
import { enter, keepSession, leave } from '@dotdo/example-shared/page/session';
import { join, openShop, products, type Product, type Session } from './api.ts';
import { openCrowd } from './crowd.ts';
import { Mine } from './mine.ts';
import { Sale } from './sale.ts';
import { openShopPanel } from './shop.ts';

const joinForm = byId<HTMLFormElement>('join');
const staffForm = byId<HTMLFormElement>('staff');

onSubmit(joinForm, async () => {
  keepSession(await join(fieldsOf(joinForm)['name'] ?? ''));
});

onSubmit(staffForm, async () => {
  const { name = '', key = '' } = fieldsOf(staffForm);
  keepSession(await openShop(name, key));
});

byId('leave').addEventListener('click', leave);

await enter(joinForm, open);

/** Shows the sale of the first product, and whatever else is chosen. */
async function open(session: Session): Promise<void> {
  const select = byId<HTMLSelectElement>('product');
  const mine = session.isStaff ? undefined : new Mine(session);
  let onSale: readonly Product[] = [];
  let sale: Sale | undefined;

  const show = (sku: string): void => {
    const product = onSale.find((product) => product.sku === sku);
    if (product === undefined) return;
    sale?.close();
    sale = new Sale(session, sku);
    select.value = sku;
    mine?.show(product);
  };
  const load = async (sku?: string): Promise<void> => {
    onSale = await products();
    fillSelect(
      select,
      onSale.map(({ sku, name }) => [sku, name]),
      '',
    );
    select.hidden = onSale.length < 2;
    show(sku ?? onSale[0]?.sku ?? '');
    if (onSale.length === 0) byId('product-name').textContent = 'Nothing is on sale yet';
  };

  select.addEventListener('change', () => show(select.value));
  openCrowd(() => select.value || undefined);
  if (session.isStaff) openShopPanel(session, load);
  await load();
  await mine?.load();
  byId('room').hidden = false;
}
