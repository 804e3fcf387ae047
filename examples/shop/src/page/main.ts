import { byId, fieldsOf, fillSelect, onSubmit, reportIn } from '@dotdo/example-shared/page/dom';
import { Refusal } from '@dotdo/example-shared/page/request';
import { join, openShop, products, type Product, type Session } from './api.ts';
import { openCrowd } from './crowd.ts';
import { Mine } from './mine.ts';
import { Sale } from './sale.ts';
import { openShopPanel } from './shop.ts';

const STORED_AT = 'session';
const joinForm = byId<HTMLFormElement>('join');
const staffForm = byId<HTMLFormElement>('staff');

onSubmit(joinForm, async () => {
  keep(await join(fieldsOf(joinForm)['name'] ?? ''));
});

onSubmit(staffForm, async () => {
  const { name = '', key = '' } = fieldsOf(staffForm);
  keep(await openShop(name, key));
});

byId('leave').addEventListener('click', leave);

const stored = localStorage.getItem(STORED_AT);
byId('door').hidden = stored !== null;
if (stored !== null) await reportIn(joinForm, () => open(JSON.parse(stored) as Session));

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

  try {
    select.addEventListener('change', () => show(select.value));
    openCrowd(() => select.value || undefined);
    if (session.isStaff) openShopPanel(session, load);
    await load();
    await mine?.load();
    byId('room').hidden = false;
  } catch (error) {
    byId('door').hidden = false;
    // A token that is refused will not become better; a server that is away will come back.
    if (error instanceof Refusal && error.status < 500) localStorage.removeItem(STORED_AT);
    throw error;
  }
}

/** Every visit begins alike, with the session that is kept. */
function keep(session: Session): void {
  localStorage.setItem(STORED_AT, JSON.stringify(session));
  location.reload();
}

function leave(): void {
  localStorage.removeItem(STORED_AT);
  location.reload();
}
