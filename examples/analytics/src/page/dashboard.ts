import { STATUS_TEXTS } from '@dotdo/example-shared/page/live-status';
import { byId, create } from '@dotdo/example-shared/page/dom';
import { check, report, topPages, type Session } from './api.ts';
import { drawDays, drawMinutes, drawPages, drawTiles, drawTypes } from './draw.ts';
import { LiveDashboard } from './live.ts';

/** The lines move on also when nothing happens, and pages are asked for when something has, in ms. */
const TICK_MS = 5_000;

/** The dashboard of one site, which follows the server. */
export class Dashboard {
  readonly #session: Session;
  readonly #live: LiveDashboard;
  /** One visit, as long as the page is open. */
  readonly #visit = crypto.randomUUID();
  #isDrawing = false;
  #wantsPages = true;

  /**
   * Opens the site's dashboard.
   *
   * @throws Refusal for a token that is none.
   */
  static async open(session: Session): Promise<void> {
    await check(session);
    new Dashboard(session).#tick();
  }

  private constructor(session: Session) {
    this.#session = session;
    byId('site').textContent = session.site;
    document.title = `${session.site} · Analytics`;
    this.#offerKeys();
    this.#live = new LiveDashboard(session, () => this.#changed());
    setInterval(() => this.#tick(), TICK_MS);
  }

  /** Many rows change in a moment: they are drawn together. */
  #changed(): void {
    this.#wantsPages = true;
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#draw();
    });
  }

  #draw(): void {
    const { status, error, days, minutes, visits } = this.#live;
    const live = byId('live');
    live.textContent = STATUS_TEXTS[status];
    live.title = error?.message ?? '';
    live.classList.toggle('on', status === 'live');
    const now = Date.now();
    drawTiles(days.values(), visits.values(), now);
    drawMinutes(minutes.values(), now);
    drawDays(days.values(), now);
    drawTypes(days.values(), now);
    const isEmpty = status === 'live' && days.size === 0;
    if (isEmpty) this.#notify('Nothing yet. It appears a moment after the first visitor.');
    else if (status === 'live') this.#notify('');
  }

  #tick(): void {
    this.#draw();
    if (!this.#wantsPages) return;
    this.#wantsPages = false;
    topPages(this.#session).then(drawPages, (error: unknown) => {
      this.#wantsPages = true;
      this.#notify(error);
    });
  }

  /** Whoever has added the site has keys to hand on, and can try it. */
  #offerKeys(): void {
    const { write, read, admin } = this.#session;
    if (write === undefined || admin === undefined) return;
    const keys = { Write: write, Read: read, Admin: admin };
    byId('keys').replaceChildren(
      ...Object.entries(keys).map(([name, value]) =>
        create('label', {}, name, create('input', { value, readOnly: true })),
      ),
    );
    byId('show-keys').hidden = false;
    byId('show-keys').addEventListener('click', () => byId<HTMLDialogElement>('keys-dialog').showModal());
    byId('report').hidden = false;
    byId('report').addEventListener('click', () => {
      report(this.#session, write, this.#visit).catch((error: unknown) => this.#notify(error));
    });
  }

  #notify(message: unknown): void {
    byId('notice').textContent = message instanceof Error ? message.message : String(message);
  }
}
