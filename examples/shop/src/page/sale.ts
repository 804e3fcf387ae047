import { LiveClient, type LiveQuery } from '@dotdo/cdc/client';
import { chart } from '@dotdo/example-shared/page/chart';
import { byId, create } from '@dotdo/example-shared/page/dom';
import type { Session } from './api.ts';

interface Stock {
  readonly product_name: string;
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly stocked: number;
}
const PARTS = ['sold', 'reserved', 'available'] as const;
const COLORS = { sold: 'var(--accent)', reserved: 'var(--past)', available: 'var(--faint)' } as const;
/** What has just happened is told in so many lines. */
const FEED_LENGTH = 12;
/** Points of the chart, at most: a sale of some minutes. */
const MAX_POINTS = 1_000;

/** One product's sale, as it goes on: its stock, and what just happened to it. Follows the server by itself. */
export class Sale {
  readonly #client: LiveClient;
  readonly #stock: LiveQuery<Stock>;
  readonly #held: LiveQuery<object>;
  readonly #points: { at: number; stock: Stock }[] = [];
  #isDrawn = true;

  constructor({ token }: Session, sku: string) {
    byId('feed').replaceChildren();
    this.#client = new LiveClient({
      url: `/inventory/${encodeURIComponent(sku)}/live`,
      publication: 'sale',
      // A browser cannot give a WebSocket an Authorization header, but it can offer subprotocols.
      protocols: [`bearer.${token}`],
    });
    this.#stock = this.#client.query<Stock>({ table: 'inventory' });
    // One row for each order that waits: what is sold or comes back leaves the query.
    this.#held = this.#client.query({ table: 'reservations', where: "status = 'PENDING'" });
    for (const query of [this.#stock, this.#held]) query.subscribe(() => this.#changed());
  }

  /** Follows it no more. */
  close(): void {
    this.#client.close();
  }

  #changed(): void {
    const live = byId('live');
    const { status, rows } = this.#stock;
    live.textContent = status === 'live' ? 'live' : `${status}…`;
    live.classList.toggle('on', status === 'live');
    const [stock] = rows.values();
    if (stock === undefined) return;
    const last = this.#points.at(-1)?.stock;
    if (last !== undefined) this.#tell(last, stock);
    this.#points.push({ at: Date.now(), stock });
    if (this.#points.length > MAX_POINTS) this.#points.shift();
    // A sale changes faster than anyone can look.
    if (!this.#isDrawn) return;
    this.#isDrawn = false;
    requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#isDrawn = true;
    const stock = this.#points.at(-1)?.stock;
    if (stock === undefined) return;
    byId('product-name').textContent = stock.product_name;
    const bar = byId('bar');
    bar.ariaLabel = PARTS.map((part) => `${stock[part]} ${part}`).join(', ');
    for (const part of PARTS) {
      const element = bar.querySelector<HTMLElement>(`.${part}`);
      if (element !== null) element.style.flexGrow = String(stock[part]);
    }
    const numbers = [...PARTS, 'stocked' as const].flatMap((part) => [
      create('dt', {}, part),
      create('dd', { className: part }, String(stock[part])),
    ]);
    numbers.push(create('dt', {}, 'orders waiting'), create('dd', {}, String(this.#held.rows.size)));
    byId('numbers').replaceChildren(...numbers);
    const series = PARTS.map((part) => ({
      name: part,
      color: COLORS[part],
      points: this.#points.map(({ at, stock }) => [at, stock[part]] as const),
    }));
    const label = 'Sold, reserved and available over time';
    const formatX = (at: number): string => new Date(at).toLocaleTimeString('en');
    byId('chart').replaceChildren(
      chart(series, { label, height: 130, formatX, marks: [{ y: 0, color: 'transparent' }] }),
    );
  }

  /** What has become of the stock since it was last heard of. */
  #tell(last: Stock, now: Stock): void {
    const [came, sold, held] = [
      now.stocked - last.stocked,
      now.sold - last.sold,
      now.reserved - last.reserved,
    ];
    // What is neither held nor sold any more is there again.
    const back = now.available - last.available - came;
    const news = [
      came > 0 ? create('li', {}, `${came} more`) : undefined,
      sold > 0 ? create('li', { className: 'sold' }, `${sold} sold`) : undefined,
      back > 0 ? create('li', {}, `${back} came back`) : undefined,
      back < 0 && held > 0 ? create('li', { className: 'reserved' }, `${held} held`) : undefined,
    ].filter((item) => item !== undefined);
    const feed = byId('feed');
    feed.prepend(...news);
    while (feed.children.length > FEED_LENGTH) feed.lastElementChild?.remove();
  }
}
