import { ask, type Session } from './api.ts';
import { byId } from '@dotdo/example-shared/page/dom';
import { snapshotAt, type Change, type Snapshot, type Status } from './model.ts';

const VERBS = { insert: 'added', update: 'changed', delete: 'deleted' } as const;
/** How soon after a change the slider reaches to it; those in between come along. */
const EXTEND_MS = 250;
const THINGS: Readonly<Record<string, string>> = { users: 'user', projects: 'project', tasks: 'task' };

/**
 * The slider over the tenant's history. It steps from change to change rather than evenly through time, so
 * a busy minute gets its room and a quiet month takes none.
 */
export class Timeline {
  readonly #session: Session;
  readonly #show: (past: Snapshot | undefined) => void;
  readonly #slider = byId<HTMLInputElement>('moment');
  readonly #when = byId('when');
  readonly #now = byId<HTMLButtonElement>('now');
  #loading: AbortController | undefined;
  #isExtending = false;

  constructor(session: Session, show: (past: Snapshot | undefined) => void) {
    this.#session = session;
    this.#show = show;
    this.#slider.addEventListener('input', () => void this.#go());
    this.#now.addEventListener('click', () => {
      this.#slider.value = this.#slider.max;
      void this.#go();
    });
    this.#label('now', false);
  }

  /** The history reaches from `earliest` to `lsn` now; who looks at the present stays in the present. */
  extend({ lsn, earliest }: Status): void {
    const wasNow = this.#isNow;
    this.#slider.min = String(earliest.lsn);
    this.#slider.max = String(lsn);
    if (wasNow) this.#slider.value = this.#slider.max;
  }

  /** Something has changed: rows that are kept in step have no LSNs, so it asks how far the history reaches. */
  extendSoon(): void {
    if (this.#isExtending) return;
    this.#isExtending = true;
    setTimeout(() => {
      this.#isExtending = false;
      ask<Status>(this.#session, 'GET', '/status').then(
        (status) => this.extend(status),
        // It is asked again at the next change, or when the page is online again.
        () => {},
      );
    }, EXTEND_MS);
  }

  /** The moment that the slider is at, as an LSN. */
  get moment(): number {
    return this.#slider.valueAsNumber;
  }

  /** Nothing of the past is shown any more; not for main, when a branch is. */
  leave(): void {
    this.#loading?.abort();
    this.#slider.value = this.#slider.max;
    this.#label('now', false);
  }

  get #isNow(): boolean {
    return this.#slider.value === this.#slider.max;
  }

  /** Shows the board as of the slider's position; only the last position asked for is shown. */
  async #go(): Promise<void> {
    this.#loading?.abort();
    if (this.#isNow) {
      this.#label('now', false);
      this.#show(undefined);
      return;
    }
    const loading = new AbortController();
    this.#loading = loading;
    const lsn = this.moment;
    try {
      const [past, text] = await Promise.all([
        snapshotAt(this.#session, lsn, loading),
        this.#describe(lsn, loading.signal),
      ]);
      if (loading.signal.aborted) return;
      this.#label(text, true);
      this.#show(past);
    } catch (error) {
      if (!loading.signal.aborted) this.#label(error instanceof Error ? error.message : String(error), true);
    }
  }

  /** When the change at `lsn` was made, and what it was. */
  async #describe(lsn: number, signal: AbortSignal): Promise<string> {
    const path = `/activity?after=${Math.max(lsn - 1, 0)}&limit=1`;
    const { changes } = await ask<{ changes: Change[] }>(this.#session, 'GET', path, undefined, signal);
    const [change] = changes;
    if (change === undefined || change.lsn > lsn) return 'no user, project or task changed';
    const row = change.after ?? change.before ?? {};
    const name = String(row['title'] ?? row['name'] ?? '');
    const when = new Date(change.timestamp).toLocaleString('en', {
      dateStyle: 'medium',
      timeStyle: 'medium',
    });
    return `${when} · ${THINGS[change.table] ?? change.table} ${VERBS[change.op]}: ${name}`;
  }

  #label(text: string, isPast: boolean): void {
    this.#when.textContent = text;
    this.#slider.setAttribute('aria-valuetext', text);
    this.#now.hidden = !isPast;
  }
}
