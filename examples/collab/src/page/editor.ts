import { byId, create } from '@dotdo/example-shared/page/dom';
import type { Block } from '../block.ts';
import type { DocumentClient } from '../client/document-client.ts';
import type { Peer } from '../messages.ts';
import { mergeText } from '../text.ts';
import type { Session } from './api.ts';
import { arrange, BlockView, hueOf, type BlockActions } from './block-view.ts';
import { askForText } from './dialogs.ts';
import { openClient, type Listener } from './unsent.ts';

const STATUS_TEXTS = { connecting: 'connecting', live: 'live', offline: 'offline', ended: 'closed' } as const;
/** Someone who stops for so long has done one thing: what comes then is undone by itself. */
const PAUSE_MS = 800;

/** A page that is open, on main or on a branch: draws it, and does what is typed. */
export class Editor {
  readonly #client: DocumentClient;
  readonly #views = new Map<string, BlockView>();
  readonly #onChange: () => void;
  #past: readonly Block[] | undefined;
  #lastBlock = '';
  #pause: ReturnType<typeof setTimeout> | undefined;
  #drawing: number | undefined;
  readonly #listening = new AbortController();

  constructor(session: Session, document: string, branch: string, { onChange, notify }: Listener) {
    this.#onChange = onChange;
    this.#client = openClient(session, document, branch, { onChange: () => this.#drawSoon(), notify });
    const { signal } = this.#listening;
    // The browser knows of the network before the connection does.
    window.addEventListener('offline', () => this.#client.disconnect(), { signal });
    window.addEventListener('online', () => this.#client.connect(), { signal });
  }

  get client(): DocumentClient {
    return this.#client;
  }

  /** Shows the page as it was, which cannot be written; undefined shows it as it is. */
  showPast(blocks: readonly Block[] | undefined): void {
    this.#past = blocks;
    this.draw();
  }

  close(): void {
    if (this.#drawing !== undefined) cancelAnimationFrame(this.#drawing);
    clearTimeout(this.#pause);
    this.#listening.abort();
    this.#client.finish();
    arrange([]);
  }

  takeBack(what: 'undo' | 'redo'): void {
    this.#client.replica.takeBack(what);
    this.#client.changed();
  }

  draw(): void {
    const { status, reason, replica, role, key } = this.#client;
    const live = byId('live');
    live.textContent = status === 'ended' ? reason : STATUS_TEXTS[status];
    live.classList.toggle('on', status === 'live');
    const peers = [...replica.peers.values()].filter((peer) => peer.key !== key);
    this.#drawPeople(peers);
    const isReadOnly = this.#past !== undefined || role === 'viewer' || status === 'ended';
    let blocks = this.#past ?? replica.blocks;
    // An empty page has a first line to begin with.
    if (blocks.length === 0 && status === 'live' && !isReadOnly) {
      replica.insert(null, 'paragraph');
      this.#client.changed();
      blocks = replica.blocks;
    }
    const shown = new Set(blocks.map(({ id }) => id));
    for (const id of this.#views.keys()) if (!shown.has(id)) this.#views.delete(id);
    arrange(
      blocks.map((block) => {
        const view = this.#viewOf(block);
        const here = this.#past === undefined ? peers.filter(({ cursor }) => cursor?.block === block.id) : [];
        view.show(block, here, isReadOnly);
        return view.element;
      }),
    );
    this.#onChange();
  }

  /** Many frames a second may come; the screen shows 60. */
  #drawSoon(): void {
    if (this.#listening.signal.aborted) return;
    this.#drawing ??= requestAnimationFrame(() => {
      this.#drawing = undefined;
      this.draw();
    });
  }

  #viewOf(block: Block): BlockView {
    let view = this.#views.get(block.id);
    if (view === undefined) this.#views.set(block.id, (view = new BlockView(block, this.#actions)));
    return view;
  }

  #drawPeople(peers: readonly Peer[]): void {
    byId('people').replaceChildren(
      ...peers.map(({ user, name }) => {
        const initials = name
          .split(/\s+/)
          .map((part) => part.slice(0, 1))
          .join('')
          .slice(0, 2);
        const avatar = create('li', { className: 'avatar', title: name }, initials);
        avatar.style.setProperty('--hue', String(hueOf(user)));
        return avatar;
      }),
    );
  }

  readonly #actions: BlockActions = {
    write: (id, shown, text) => {
      if (id !== this.#lastBlock) this.#begin(id);
      clearTimeout(this.#pause);
      this.#pause = setTimeout(() => this.#begin(''), PAUSE_MS);
      const { replica } = this.#client;
      replica.write(id, mergeText(shown, replica.textOf(id) ?? shown, text));
      this.#client.changed();
    },
    refresh: () => this.draw(),
    set: (id, change) => {
      if (change.kind === 'image')
        askForText('Image', 'Its address', 'https://', async (url) => {
          this.#do((replica) => replica.set(id, { kind: 'image', properties: { url } }));
        });
      else this.#do((replica) => replica.set(id, change));
    },
    split: (id, at) => {
      const block = this.#blocks.find((block) => block.id === id);
      if (block === undefined) return;
      const next = block.kind === 'list' ? 'list' : 'paragraph';
      const { indent, done } = block.properties;
      const properties =
        next === 'list' ? { indent, ...(done === undefined ? {} : { done: false }) } : { indent };
      let added = '';
      this.#do((replica) => {
        replica.write(id, block.text.slice(0, at));
        added = replica.insert(id, next, block.text.slice(at), properties);
      });
      this.#views.get(added)?.focus(0);
    },
    join: (id) => {
      const blocks = this.#blocks;
      const at = blocks.findIndex((block) => block.id === id);
      const [block, above] = [blocks[at], blocks[at - 1]];
      if (block === undefined || above === undefined) return;
      this.#do((replica) => {
        replica.write(above.id, above.text + block.text);
        replica.remove(id);
      });
      this.#views.get(above.id)?.focus(above.text.length);
    },
    shift: (id, by) => {
      const ids = this.#blocks.map((block) => block.id);
      const at = ids.indexOf(id);
      if (at + by < 0 || at + by >= ids.length) return;
      this.#do((replica) => replica.move(id, by === 1 ? (ids[at + 1] ?? null) : (ids[at - 2] ?? null)));
      this.#views.get(id)?.focus(0);
    },
    step: (id, by) => {
      const blocks = this.#blocks;
      const next = blocks[blocks.findIndex((block) => block.id === id) + by];
      if (next !== undefined) this.#views.get(next.id)?.focus(by === 1 ? 0 : next.text.length);
    },
    cursor: (block, from, to) => this.#client.moveTo({ block, from, to }),
  };

  get #blocks(): readonly Block[] {
    return this.#client.replica.blocks;
  }

  /** Does one thing, which is undone by itself, and draws it at once. */
  #do(work: (replica: DocumentClient['replica']) => void): void {
    this.#begin('');
    work(this.#client.replica);
    this.#client.changed();
    this.draw();
    this.#begin('');
  }

  /** What comes now is another thing that a person does. */
  #begin(block: string): void {
    clearTimeout(this.#pause);
    this.#lastBlock = block;
    this.#client.replica.nextRun();
  }
}
