import { byId } from '@dotdo/example-shared/page/dom';
import type { Block } from '../block.ts';
import { ask, pathOf, type Session } from './api.ts';

/** What someone has done, as the server tells it. */
interface Run {
  readonly kind: string;
  readonly user_name: string | null;
  /** The LSN before it. */
  readonly lsn: number;
  readonly at: string;
}

/** How soon after a change the slider reaches to it. */
const EXTEND_MS = 300;
const VERBS: Readonly<Record<string, string>> = {
  edit: 'wrote',
  undo: 'undid something',
  redo: 'redid something',
  restore: 'went back',
  merge: 'merged a branch',
};

/**
 * The slider over a page's history. It steps from one thing that someone did to the next, and shows the page as it was
 * before that, so a busy minute gets its room and a quiet month takes none.
 */
export class Timeline {
  readonly #session: Session;
  readonly #document: string;
  readonly #branch: string;
  readonly #show: (past: readonly Block[] | undefined) => void;
  readonly #slider = byId<HTMLInputElement>('moment');
  readonly #listening = new AbortController();
  #runs: readonly Run[] = [];
  #extending: ReturnType<typeof setTimeout> | undefined;
  #asked = 0;

  constructor(
    session: Session,
    document: string,
    branch: string,
    show: (past: readonly Block[] | undefined) => void,
  ) {
    this.#session = session;
    this.#document = document;
    this.#branch = branch;
    this.#show = show;
    const { signal } = this.#listening;
    this.#slider.addEventListener('input', () => void this.#go(), { signal });
    byId('now').addEventListener('click', () => this.leave(), { signal });
    byId('restore').addEventListener('click', () => void this.#restore(), { signal });
    this.leave();
    this.extendSoon();
  }

  close(): void {
    clearTimeout(this.#extending);
    this.#listening.abort();
  }

  /** Something has been done: the slider will reach to it. */
  extendSoon(): void {
    this.#extending ??= setTimeout(() => {
      this.#extending = undefined;
      // When there is no network, it is asked again with the next change.
      this.#extend().catch(() => {});
    }, EXTEND_MS);
  }

  /** Back to the present. */
  leave(): void {
    this.#asked++;
    this.#slider.value = this.#slider.max;
    this.#label('now', false);
    this.#show(undefined);
  }

  async #extend(): Promise<void> {
    const query = new URLSearchParams({ branch: this.#branch, limit: '500' });
    const path = `${pathOf(this.#document)}/history?${query}`;
    const { runs } = await ask<{ runs: Run[] }>(this.#session, 'GET', path);
    const [wasNow, before] = [this.#isNow, this.#runs.length];
    this.#runs = runs.toReversed();
    this.#slider.max = String(this.#runs.length);
    if (wasNow) this.#slider.value = this.#slider.max;
    else
      this.#slider.value = String(
        Math.max(0, this.#slider.valueAsNumber + Math.min(0, this.#runs.length - before)),
      );
  }

  get #isNow(): boolean {
    return this.#slider.value === this.#slider.max;
  }

  /** Shows the page as it was at the slider's position; only the last position asked for is shown. */
  async #go(): Promise<void> {
    const run = this.#runs[this.#slider.valueAsNumber];
    if (run === undefined) {
      this.leave();
      return;
    }
    const asked = ++this.#asked;
    const { lsn, at, user_name, kind } = run;
    const query = new URLSearchParams({ branch: this.#branch, as_of: `lsn:${lsn}` });
    const path = `${pathOf(this.#document)}/blocks?${query}`;
    try {
      const { blocks } = await ask<{ blocks: Block[] }>(this.#session, 'GET', path);
      if (asked !== this.#asked) return;
      const when = new Date(at).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'medium' });
      this.#label(`${when}, before ${user_name ?? 'someone'} ${VERBS[kind] ?? kind}`, true);
      this.#show(blocks);
    } catch (error) {
      if (asked === this.#asked) this.#label(error instanceof Error ? error.message : String(error), true);
    }
  }

  /** Sets the page back to what is shown, for everyone. */
  async #restore(): Promise<void> {
    const run = this.#runs[this.#slider.valueAsNumber];
    if (run === undefined) return;
    const to = { lsn: run.lsn };
    try {
      await ask(this.#session, 'POST', `${pathOf(this.#document)}/restore`, { to, branch: this.#branch });
      this.leave();
    } catch (error) {
      this.#label(error instanceof Error ? error.message : String(error), true);
    }
  }

  #label(text: string, isPast: boolean): void {
    byId('when').textContent = text;
    this.#slider.setAttribute('aria-valuetext', text);
    byId('now').hidden = !isPast;
    byId('restore').hidden = !isPast;
  }
}
