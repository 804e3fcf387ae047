import { byId, create } from '@dotdo/example-shared/page/dom';
import { ask, type Session } from './api.ts';
import { askForText } from './dialogs.ts';

/** How long one has to stop typing until it is searched for. */
const TYPING_MS = 150;

interface Hit {
  readonly document: string;
  readonly title: string;
  readonly snippet: string;
}

/** The pages that one may open, and the search in them. */
export class Shelf {
  readonly #session: Session;
  readonly #open: (document: string) => void;
  readonly #notify: (message: string) => void;
  #typing: ReturnType<typeof setTimeout> | undefined;
  #asked = 0;

  constructor(
    session: Session,
    { open, notify }: { open: (document: string) => void; notify: (message: string) => void },
  ) {
    this.#session = session;
    this.#open = open;
    this.#notify = notify;
    byId('workspace').textContent = session.workspace;
    byId('search').addEventListener('input', () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#try(() => this.#search()), TYPING_MS);
    });
    byId('new-document').addEventListener('click', () =>
      askForText('New page', 'Title', '', async (title) => {
        const { id } = await ask<{ id: string }>(session, 'POST', '/documents', { title });
        open(id);
        // The workspace hears of it by its change stream, a moment later.
        setTimeout(() => this.list(), 1_000);
      }),
    );
  }

  /** Asks which pages there are. */
  list(): void {
    this.#try(() => this.#list());
  }

  async #list(): Promise<void> {
    const { documents } = await ask<{ documents: { id: string; title: string }[] }>(
      this.#session,
      'GET',
      '/documents',
    );
    byId('documents').replaceChildren(...documents.map(({ id, title }) => this.#entry(id, title, '')));
  }

  async #search(): Promise<void> {
    const q = byId<HTMLInputElement>('search').value.trim();
    const asked = ++this.#asked;
    const hits =
      q === ''
        ? []
        : (await ask<{ hits: Hit[] }>(this.#session, 'GET', `/search?${new URLSearchParams({ q })}`)).hits;
    // Answers may come in another order than they were asked for.
    if (asked !== this.#asked) return;
    byId('hits').replaceChildren(
      ...hits.map(({ document, title, snippet }) => this.#entry(document, title, snippet)),
    );
  }

  #entry(id: string, title: string, snippet: string): HTMLElement {
    const button = create('button', {}, title || 'Untitled', create('small', {}, snippet));
    button.addEventListener('click', () => this.#open(id));
    return create('li', {}, button);
  }

  #try(work: () => Promise<void>): void {
    work().catch((error: unknown) => this.#notify(error instanceof Error ? error.message : String(error)));
  }
}
