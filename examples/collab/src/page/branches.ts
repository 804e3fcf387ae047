import { byId, create, fillSelect } from '@dotdo/example-shared/page/dom';
import { Refusal } from '@dotdo/example-shared/page/request';
import type { Block } from '../block.ts';
import { ask, pathOf, type Session } from './api.ts';
import { askForText, showList, type Action } from './dialogs.ts';

const MAIN = 'main';
const NEW = ' new';
const SIGNS = { added: '+', removed: '−', modified: '~' } as const;

interface Change {
  readonly type: keyof typeof SIGNS;
  readonly before: Block | null;
  readonly after: Block | null;
}

/** The choice of a branch, and what can be done with it. */
export class Branches {
  current = MAIN;
  readonly #session: Session;
  readonly #path: string;
  readonly #open: (branch: string) => void;
  readonly #notify: (message: string) => void;
  readonly #select = byId<HTMLSelectElement>('branch');
  readonly #listening = new AbortController();

  constructor(
    session: Session,
    document: string,
    { open, notify }: { open: (branch: string) => void; notify: (message: string) => void },
  ) {
    this.#session = session;
    this.#path = `${pathOf(document)}/branches`;
    this.#open = open;
    this.#notify = notify;
    const { signal } = this.#listening;
    this.#select.addEventListener('change', () => this.#choose(), { signal });
    this.#select.addEventListener('pointerdown', () => void this.list(), { signal });
    byId('show-diff').addEventListener('click', () => this.#try(() => this.#showDiff()), { signal });
    byId('merge').addEventListener('click', () => this.#try(() => this.#merge({})), { signal });
    byId('drop').addEventListener('click', () => this.#try(() => this.#drop()), { signal });
    this.#draw([]);
    void this.list();
  }

  close(): void {
    this.#listening.abort();
  }

  /** Asks which branches there are. The editor tells when the page cannot be reached: the choice stays as it is. */
  async list(): Promise<void> {
    const answer = ask<{ branches: { name: string }[] }>(this.#session, 'GET', this.#path);
    const { branches } = await answer.catch(() => ({ branches: undefined }));
    if (branches !== undefined) this.#draw(branches.map(({ name }) => name));
  }

  #draw(names: readonly string[]): void {
    const all = new Set([MAIN, ...names, this.current]);
    fillSelect(
      this.#select,
      [...[...all].map((name) => [name, name] as const), [NEW, 'New branch…']],
      this.current,
    );
    byId('branch-bar').hidden = this.current === MAIN;
    byId('branch-text').textContent = `You are on the branch “${this.current}”: main does not change.`;
  }

  #choose(): void {
    const name = this.#select.value;
    this.#select.value = this.current;
    if (name !== NEW) {
      this.#go(name);
      return;
    }
    askForText('New branch', 'Name', '', async (name) => {
      const branch = await ask<{ name: string }>(this.#session, 'POST', this.#path, { name });
      this.#go(branch.name);
    });
  }

  #go(branch: string): void {
    this.current = branch;
    this.#draw([]);
    void this.list();
    this.#open(branch);
  }

  get #own(): string {
    return `${this.#path}/${encodeURIComponent(this.current)}`;
  }

  async #showDiff(): Promise<void> {
    const { changes } = await ask<{ changes: Change[] }>(this.#session, 'GET', `${this.#own}/diff`);
    const items = changes.map(({ type, before, after }) =>
      create(
        'span',
        { className: type },
        `${SIGNS[type]} `,
        before === null ? '' : create('del', {}, before.text),
        ' ',
        after === null ? '' : create('ins', {}, after.text),
      ),
    );
    showList(`What “${this.current}” changes`, items.length === 0 ? ['Nothing yet.'] : items, []);
  }

  /** Merges; where both sides have changed the same words, asks whose to take. */
  async #merge(body: { take?: 'ours' | 'theirs' }): Promise<void> {
    try {
      await ask(this.#session, 'POST', `${this.#own}/merge`, body);
      this.#notify(`“${this.current}” is merged.`);
      this.#go(MAIN);
    } catch (error) {
      const { conflicts } = (error instanceof Refusal ? error.body : {}) as { conflicts?: Conflict[] };
      if (conflicts === undefined) throw error;
      const take = (label: string, take: 'ours' | 'theirs'): Action => ({
        label,
        style: 'primary',
        run: () => this.#merge({ take }),
      });
      showList(
        'Both have changed the same words',
        conflicts.map(
          ({ ours, theirs }) => `main: ${ours?.text ?? '(deleted)'} · branch: ${theirs?.text ?? '(deleted)'}`,
        ),
        [take("Take main's", 'ours'), take("Take the branch's", 'theirs')],
      );
    }
  }

  async #drop(): Promise<void> {
    await ask(this.#session, 'DELETE', this.#own);
    this.#go(MAIN);
  }

  #try(work: () => Promise<void>): void {
    work().catch((error: unknown) => this.#notify(error instanceof Error ? error.message : String(error)));
  }
}

interface Conflict {
  readonly ours: { readonly text: string } | null;
  readonly theirs: { readonly text: string } | null;
}
