import { byId, create, fillSelect } from '@dotdo/example-shared/page/dom';
import { MAX_TEXT_LENGTH, type Block, type Kind, type Properties } from '../block.ts';
import type { Peer } from '../messages.ts';
import { diff, moved } from '../text.ts';

/** What a block asks the page to do. */
export interface BlockActions {
  /** Someone has made of the text that is shown another, and others' changes may not be shown yet. */
  write(id: string, shown: string, text: string): void;
  /** Shows what has come and is not shown yet. */
  refresh(): void;
  set(id: string, change: { kind?: Kind; properties?: Properties }): void;
  /** Enter, Backspace at the beginning, Alt and an arrow, an arrow out of the block. */
  split(id: string, at: number): void;
  join(id: string): void;
  shift(id: string, by: 1 | -1): void;
  step(id: string, by: 1 | -1): void;
  cursor(id: string, from: number, to: number): void;
}

/** What one can choose in the margin. */
const CHOICES: readonly (readonly [value: string, text: string])[] = [
  ['paragraph', 'Text'],
  ['heading 1', 'Heading 1'],
  ['heading 2', 'Heading 2'],
  ['heading 3', 'Heading 3'],
  ['list', 'List'],
  ['task', 'Task'],
  ['code', 'Code'],
  ['image', 'Image'],
  ['table', 'Table'],
];

/** A block on the page: a field with its text, and behind it the same text, which holds the others' cursors. */
export class BlockView {
  readonly element = create('section', { className: 'block' });
  readonly #field = create('textarea', {
    rows: 1,
    spellcheck: false,
    maxLength: MAX_TEXT_LENGTH,
  });
  readonly #mirror = create('div', { className: 'mirror', ariaHidden: 'true' });
  readonly #kind = create('select', { ariaLabel: 'Kind' });
  readonly #tick = create('input', { type: 'checkbox', ariaLabel: 'Done' });
  readonly #extra = create('div', { className: 'extra' });
  readonly #actions: BlockActions;
  #block: Block;
  #shown: Block | undefined;
  /** What the field shows, until someone types. */
  #text = '';

  constructor(block: Block, actions: BlockActions) {
    this.#block = block;
    this.#actions = actions;
    const paper = create('div', { className: 'paper' }, this.#mirror, this.#field);
    this.element.append(this.#kind, this.#tick, create('div', { className: 'body' }, this.#extra, paper));
    const { id } = block;
    this.#field.addEventListener('input', () => this.#typed());
    this.#field.addEventListener('keydown', (event) => this.#key(event));
    for (const type of ['select', 'keyup', 'pointerup', 'focus'])
      this.#field.addEventListener(type, () =>
        actions.cursor(id, this.#field.selectionStart, this.#field.selectionEnd),
      );
    this.#extra.addEventListener('click', () => this.focus(this.#field.value.length));
    this.#kind.addEventListener('change', () => actions.set(id, this.#chosen()));
    this.#tick.addEventListener('change', () =>
      actions.set(id, { properties: { done: this.#tick.checked } }),
    );
  }

  /** Whether one is writing here. */
  get isActive(): boolean {
    return document.activeElement === this.#field;
  }

  /** Begins to write here. */
  focus(at: number): void {
    this.#field.focus();
    this.#field.setSelectionRange(at, at);
  }

  /** Shows the block as it is, and where others are in it. One's own cursor stays where it is in the text. */
  show(block: Block, peers: readonly Peer[], isReadOnly: boolean): void {
    const { text, kind, properties } = block;
    const { level = 1, indent = 0, done } = properties;
    this.#block = block;
    this.element.dataset['kind'] = kind;
    this.element.dataset['level'] = String(level);
    this.element.dataset['indent'] = String(indent);
    this.element.classList.toggle('done', done === true);
    this.#field.readOnly = isReadOnly;
    this.#kind.disabled = isReadOnly;
    this.#tick.disabled = isReadOnly;
    this.#tick.hidden = kind !== 'list' || done === undefined;
    this.#tick.checked = done === true;
    fillSelect(this.#kind, CHOICES, choiceOf(block));
    if (this.#field.value !== text) this.#write(text);
    if (this.#shown !== block) this.#showExtra(block);
    this.#shown = block;
    this.#showCursors(text, peers);
  }

  #typed(): void {
    const { value } = this.#field;
    this.#actions.write(this.#block.id, this.#text, value);
    this.#text = value;
  }

  #write(text: string): void {
    const { value, selectionStart, selectionEnd } = this.#field;
    const change = diff(value, text);
    const [from, to] = [moved(selectionStart, change), moved(selectionEnd, change)];
    this.#field.value = text;
    this.#text = text;
    if (this.isActive) this.#field.setSelectionRange(from, to);
  }

  #showCursors(text: string, peers: readonly Peer[]): void {
    const places = peers
      .flatMap(({ name, user, cursor }) => (cursor === null ? [] : [{ name, user, at: cursor.to }]))
      .sort((a, b) => a.at - b.at);
    const parts: (Node | string)[] = [];
    let done = 0;
    for (const { name, user, at } of places) {
      const place = Math.min(at, text.length);
      parts.push(text.slice(done, place));
      const cursor = create('span', { className: 'cursor' }, create('b', {}, name));
      cursor.style.setProperty('--hue', String(hueOf(user)));
      parts.push(cursor);
      done = place;
    }
    // A last line that is empty is as high as the others.
    this.#mirror.replaceChildren(...parts, `${text.slice(done)}\u200b`);
  }

  /** The picture above a caption, and the cells above a table's text. */
  #showExtra({ kind, text, properties }: Block): void {
    const { url } = properties;
    if (kind === 'image' && url !== undefined)
      this.#extra.replaceChildren(create('img', { src: url, alt: text, loading: 'lazy' }));
    else if (kind === 'table')
      this.#extra.replaceChildren(
        create(
          'table',
          {},
          ...text
            .split('\n')
            .map((row) => create('tr', {}, ...row.split('\t').map((cell) => create('td', {}, cell)))),
        ),
      );
    else this.#extra.replaceChildren();
  }

  #chosen(): { kind: Kind; properties?: Properties } {
    const [kind = 'paragraph', level] = this.#kind.value.split(' ');
    if (kind === 'task') return { kind: 'list', properties: { done: false } };
    return level === undefined
      ? { kind: kind as Kind }
      : { kind: kind as Kind, properties: { level: Number(level) } };
  }

  #key(event: KeyboardEvent): void {
    const { id, kind, properties, text } = this.#block;
    const { selectionStart: from, selectionEnd: to } = this.#field;
    const { indent = 0 } = properties;
    const hasLines = kind === 'code' || kind === 'table';
    const act = (work: () => void): void => {
      event.preventDefault();
      this.#actions.refresh();
      work();
    };
    if (event.isComposing || this.#field.readOnly) return;
    if (event.key === 'Enter' && !event.shiftKey && !hasLines)
      act(() => this.#actions.split(id, this.#field.selectionStart));
    else if (event.key === 'Backspace' && from === 0 && to === 0) act(() => this.#actions.join(id));
    else if (event.key === 'Tab' && kind === 'table') act(() => this.#insert('\t'));
    else if (event.key === 'Tab')
      act(() =>
        this.#actions.set(id, {
          properties: { indent: Math.min(8, Math.max(0, indent + (event.shiftKey ? -1 : 1))) },
        }),
      );
    else if (event.key === 'ArrowUp' && event.altKey) act(() => this.#actions.shift(id, -1));
    else if (event.key === 'ArrowDown' && event.altKey) act(() => this.#actions.shift(id, 1));
    else if (event.key === 'ArrowUp' && !text.slice(0, from).includes('\n') && from === 0)
      act(() => this.#actions.step(id, -1));
    else if (event.key === 'ArrowDown' && to === text.length) act(() => this.#actions.step(id, 1));
  }

  #insert(text: string): void {
    this.#field.setRangeText(text, this.#field.selectionStart, this.#field.selectionEnd, 'end');
    this.#typed();
  }
}

/** The colour of a person, the same in every window. */
export function hueOf(user: string): number {
  let sum = 0;
  for (const character of user) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 9973;
  return (sum * 137) % 360;
}

/** Puts views on the page in this order, moving only those that are elsewhere: one that is moved loses its focus. */
export function arrange(elements: readonly HTMLElement[]): void {
  const page = byId('page');
  const stays = new Set<Element>(elements);
  for (const child of Array.from(page.children)) if (!stays.has(child)) child.remove();
  elements.forEach((element, i) => {
    if (page.children[i] !== element) page.insertBefore(element, page.children[i] ?? null);
  });
}

function choiceOf({ kind, properties }: Block): string {
  if (kind === 'heading') return `heading ${properties.level ?? 1}`;
  return kind === 'list' && properties.done !== undefined ? 'task' : kind;
}
