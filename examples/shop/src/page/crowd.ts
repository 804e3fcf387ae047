import { byId, create, fieldsOf, onSubmit } from '@dotdo/example-shared/page/dom';
import { ask, buyOne, join } from './api.ts';

/** How many of a crowd are at the counter at once. */
const AT_ONCE = 8;

const ENDS = ['paid', 'changed their minds', 'walked away', 'came too late'] as const;
type End = (typeof ENDS)[number];

/** Many customers who want the same, each with a token of their own: what a sale has to bear. */
export function openCrowd(sku: () => string | undefined): void {
  const form = byId<HTMLFormElement>('send-crowd');
  onSubmit(form, async () => {
    const wanted = sku();
    if (wanted === undefined) throw new Error('nothing is on sale');
    const ends = new Map<End, number>();
    let waiting = Number(fieldsOf(form)['buyers'] ?? 0);
    const serve = async (): Promise<void> => {
      while (waiting > 0) {
        waiting--;
        const end = await buy(wanted, waiting);
        ends.set(end, (ends.get(end) ?? 0) + 1);
        draw(ends, waiting);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, serve));
  });
}

/** One customer's visit: of ten, seven pay, two cancel, and one is never seen again. */
async function buy(sku: string, number: number): Promise<End> {
  const session = await join(`Buyer ${number}`);
  const order = await buyOne(session, sku).catch(() => undefined);
  if (order === undefined) return 'came too late';
  const kind = number % 10;
  if (kind === 9) return 'walked away';
  if (kind >= 7) {
    await ask(session, 'POST', `/orders/${order.id}/cancel`);
    return 'changed their minds';
  }
  await ask(session, 'POST', `/orders/${order.id}/simulated-payment`, { outcome: 'succeed' });
  return 'paid';
}

function draw(ends: ReadonlyMap<End, number>, waiting: number): void {
  const rows = ENDS.map((end) => [end, ends.get(end) ?? 0] as const);
  const tally = [...rows, ['in the queue', waiting] as const].flatMap(([text, count]) => [
    create('dt', {}, text),
    create('dd', {}, String(count)),
  ]);
  byId('tally').replaceChildren(...tally);
}
