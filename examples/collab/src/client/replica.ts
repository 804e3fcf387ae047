import { compareBlocks, type Block, type Kind, type Properties } from '../block.ts';
import type { BlockChange, ClientMessage, Frame, Operation, Peer, ServerMessage } from '../messages.ts';
import { applyChange, diff, mergeText, moved } from '../text.ts';

/** A message holds at most so many operations, and so many characters of text. */
const MAX_OPERATIONS = 100;
const MAX_CHARACTERS = 50_000;

type Edit = Extract<ClientMessage, { seq: number }>;
/** An operation, but for what a text becomes, which is known when it is sent. */
type Step = Exclude<Operation, { op: 'edit' }> | { readonly op: 'edit'; readonly id: string };
type Sent =
  | { readonly type: 'edit'; readonly seq: number; readonly run: number; readonly steps: readonly Step[] }
  | { readonly type: 'undo' | 'redo'; readonly seq: number };

/** A text that is not what the server has. */
interface Text {
  /** What it is when that which has been sent is done; undefined when nothing has been. */
  sent: string | undefined;
  /** What it is here. */
  here: string;
  /** In which run that was begun which has not been sent. */
  run: number;
}

/** A step that has not been sent, and the run that it is of. */
interface Waiting {
  readonly run: number;
  step: Step;
}

/**
 * What was done here and is not answered yet, as JSON can hold it: a later client goes on with it as this one would have,
 * under the same name, so what did come to the server is not done twice.
 */
export interface Unsent {
  /** The client that it is of. */
  readonly client: string;
  readonly seq: number;
  readonly run: number;
  readonly queue: readonly Waiting[];
  readonly takingBack: readonly ('undo' | 'redo')[];
  readonly sent: Sent | undefined;
  readonly texts: readonly (readonly [id: string, text: Text])[];
  /** The blocks of these texts, as the server had them. */
  readonly confirmed: readonly Block[];
}

/** Thrown when what comes does not fit what is here: all has to be asked for again. */
export class OutOfStep extends Error {}

/**
 * A document, as one window has it: what the server has confirmed, and on top of that what was done here and the server
 * has not answered yet.
 *
 * One message is on its way at a time. Whatever comes from the server is put below what was done here: of a text, the
 * part that was sent is merged as the server will merge it, and the part that was not yet on top of that. When all is
 * answered, the document here is the server's.
 */
export class Replica {
  lsn = 0;
  title = '';
  readonly peers = new Map<string, Peer>();
  /** Names what is sent from here, so that what is sent again is known. */
  readonly client: string = crypto.randomUUID();
  #seq = 1;
  #run = 1;
  #confirmed = new Map<string, Block>();
  #queue: Waiting[] = [];
  #takingBack: ('undo' | 'redo')[] = [];
  #sent: Sent | undefined;
  readonly #texts: Map<string, Text> = new Map();

  /** A document that is not known yet, with what an earlier client has left unsent on top of it. */
  constructor(unsent?: Unsent) {
    if (unsent === undefined) return;
    const { client, seq, run, queue, takingBack, sent, texts, confirmed } = unsent;
    this.client = client;
    this.#seq = seq;
    this.#run = run;
    this.#queue = [...queue];
    this.#takingBack = [...takingBack];
    this.#sent = sent;
    this.#texts = new Map(texts);
    this.#confirmed = new Map(confirmed.map((block) => [block.id, block]));
  }

  /** Whether all that was done here has been answered. */
  get isSettled(): boolean {
    return (
      this.#sent === undefined &&
      this.#queue.length + this.#takingBack.length === 0 &&
      [...this.#texts].every(([id, { here }]) => here === this.#confirmed.get(id)?.text)
    );
  }

  /** What is not answered yet; undefined when all is. */
  get unsent(): Unsent | undefined {
    if (this.isSettled) return undefined;
    return {
      client: this.client,
      seq: this.#seq,
      run: this.#run,
      queue: this.#queue,
      takingBack: this.#takingBack,
      sent: this.#sent,
      texts: [...this.#texts],
      confirmed: [...this.#texts.keys()]
        .map((id) => this.#confirmed.get(id))
        .filter((block) => block !== undefined),
    };
  }

  /** The blocks as they are here, in their order. */
  get blocks(): Block[] {
    const list = [...this.#confirmed.values()].sort(compareBlocks);
    const sent = this.#sent?.type === 'edit' ? this.#sent.steps : [];
    for (const step of [...sent, ...this.#queue.map(({ step }) => step)]) perform(list, step);
    return list.map((block) => {
      const text = this.#texts.get(block.id);
      return text === undefined ? block : { ...block, text: text.here };
    });
  }

  /** The text of a block here; undefined where there is none. */
  textOf(id: string): string | undefined {
    return this.#texts.get(id)?.here ?? this.blocks.find((block) => block.id === id)?.text;
  }

  /** What comes now is another thing that a person does, to be undone by itself. */
  nextRun(): void {
    this.#run++;
  }

  /** Puts a block in behind another, or at the beginning, and returns its id. */
  insert(after: string | null, kind: Kind, text = '', properties: Properties = {}): string {
    const id = crypto.randomUUID();
    this.#wait({ op: 'insert', id, after, kind, text, properties });
    return id;
  }

  /** Makes a block's text another. */
  write(id: string, here: string): void {
    const insert = this.#queue.find(({ step }) => step.op === 'insert' && step.id === id);
    // What has not been sent yet is sent as it is now.
    if (insert?.step.op === 'insert') {
      insert.step = { ...insert.step, text: here };
      return;
    }
    const { sent, run, here: before } = this.#texts.get(id) ?? {};
    const isUnsent = before !== undefined && before !== (sent ?? this.#confirmed.get(id)?.text);
    this.#texts.set(id, { sent, here, run: isUnsent ? (run ?? this.#run) : this.#run });
  }

  /** Makes a block another kind, or changes some of its properties. */
  set(id: string, change: { readonly kind?: Kind; readonly properties?: Properties }): void {
    this.#wait({ op: 'set', id, ...change });
  }

  /** Puts a block behind another, or at the beginning. */
  move(id: string, after: string | null): void {
    this.#wait({ op: 'move', id, after });
  }

  remove(id: string): void {
    this.#wait({ op: 'delete', id });
  }

  /** Takes back the last thing that this person did, or undid. */
  takeBack(what: 'undo' | 'redo'): void {
    this.#run++;
    this.#takingBack.push(what);
  }

  /** What is to be sent now: the next message, or, with `again`, the one that has not been answered. */
  next({ again = false } = {}): Edit | undefined {
    if (this.#sent !== undefined) return again ? this.#message(this.#sent) : undefined;
    const run = this.#oldestRun();
    const steps = run === undefined ? [] : this.#takeSteps(run);
    if (run !== undefined && steps.length > 0) this.#sent = { type: 'edit', seq: this.#seq++, run, steps };
    else {
      const type = this.#takingBack.shift();
      if (type === undefined) return undefined;
      this.#sent = { type, seq: this.#seq++ };
    }
    return this.#message(this.#sent);
  }

  /** The message on its way will never be done: what it was to change is taken out again. */
  giveUp(): void {
    this.#settle();
  }

  /**
   * Takes what the server says; returns why it has refused something, if it has.
   *
   * @throws OutOfStep
   */
  receive(message: ServerMessage): string | undefined {
    if (message.type === 'welcome') {
      const { isComplete, blocks, removed, seq } = message;
      const there = new Set(blocks.map(({ id }) => id));
      const gone = isComplete ? [...this.#confirmed.keys()].filter((id) => !there.has(id)) : removed;
      this.peers.clear();
      this.#seq = Math.max(this.#seq, seq + 1);
      return this.#take({
        ...message,
        type: 'frame',
        changes: [...blocks, ...gone.map((id) => ({ id, gone: true as const }))],
        ack: seq,
      });
    }
    return this.#take(message);
  }

  #take({ lsn, changes = [], title, peers = [], left = [], ack, refused }: Frame): string | undefined {
    const isAnswer = this.#sent !== undefined && ack !== undefined && ack >= this.#sent.seq;
    for (const change of changes) this.#change(change, isAnswer);
    if (isAnswer) this.#settle();
    for (const [id, { sent, here }] of this.#texts)
      if (sent === undefined && here === this.#confirmed.get(id)?.text) this.#texts.delete(id);
    this.lsn = lsn;
    if (title !== undefined) this.title = title;
    for (const peer of peers) this.peers.set(peer.key, peer);
    for (const key of left) this.peers.delete(key);
    return isAnswer ? refused : undefined;
  }

  /** Takes a change of one block, and puts what was done here on top of it. */
  #change(change: BlockChange, isAnswer: boolean): void {
    const { id } = change;
    const before = this.#confirmed.get(id);
    if (change.gone === true) {
      this.#confirmed.delete(id);
      this.#texts.delete(id);
      this.#queue = this.#queue.filter(({ step }) => step.id !== id);
      return;
    }
    const after = changed(before, change);
    this.#confirmed.set(id, after);
    const text = this.#texts.get(id);
    // The places of others' cursors are places of the text that was.
    if (before !== undefined && before.text !== after.text) this.#moveCursors(id, before.text, after.text);
    if (text === undefined) return;
    if (isAnswer && text.sent !== undefined) {
      this.#texts.set(id, { ...text, sent: undefined, here: mergeText(text.sent, after.text, text.here) });
    } else if (text.sent === undefined) {
      text.here = mergeText(before?.text ?? '', after.text, text.here);
    } else {
      const sent = mergeText(before?.text ?? '', after.text, text.sent);
      this.#texts.set(id, { ...text, sent, here: mergeText(text.sent, sent, text.here) });
    }
  }

  /** What was sent is answered: what of it has not come to anything is taken out again. */
  #settle(): void {
    this.#sent = undefined;
    for (const [id, { sent, here, run }] of this.#texts) {
      if (sent === undefined) continue;
      const confirmed = this.#confirmed.get(id)?.text;
      if (confirmed === undefined) this.#texts.delete(id);
      else this.#texts.set(id, { sent: undefined, here: mergeText(sent, confirmed, here), run });
    }
  }

  #wait(step: Step): void {
    this.#queue.push({ run: this.#run, step });
  }

  /** What was done first is sent first, each run by itself, so that each can be undone by itself. */
  #oldestRun(): number | undefined {
    const runs = this.#queue.slice(0, 1).map(({ run }) => run);
    for (const [id, { here, run }] of this.#texts) if (this.#isChanged(id, here)) runs.push(run);
    return runs.length === 0 ? undefined : Math.min(...runs);
  }

  /** Whether the text of a block that the server knows is another here. */
  #isChanged(id: string, here: string): boolean {
    const confirmed = this.#confirmed.get(id);
    return confirmed !== undefined && confirmed.text !== here;
  }

  #takeSteps(run: number): Step[] {
    const steps: Step[] = [];
    let characters = 0;
    const fits = (text: string): boolean => {
      characters += text.length;
      return steps.length === 0 || (steps.length < MAX_OPERATIONS && characters <= MAX_CHARACTERS);
    };
    for (let next = this.#queue[0]; next !== undefined && next.run === run; next = this.#queue[0]) {
      const { step } = next;
      if (!fits('text' in step ? step.text : '')) break;
      this.#queue.shift();
      steps.push(step);
      if (step.op === 'insert') this.#texts.set(step.id, { sent: step.text, here: step.text, run });
    }
    const removed = new Set(steps.filter(({ op }) => op === 'delete').map(({ id }) => id));
    for (const [id, text] of this.#texts) {
      if (text.run !== run || removed.has(id) || !this.#isChanged(id, text.here)) continue;
      if (!fits(text.here)) break;
      text.sent = text.here;
      steps.push({ op: 'edit', id });
    }
    return steps;
  }

  /** What is sent, made on what is confirmed now. */
  #message(sent: Sent): Edit {
    if (sent.type !== 'edit') return { type: sent.type, seq: sent.seq };
    const operations = sent.steps.flatMap((step): Operation[] => {
      if (step.op !== 'edit') return [step];
      const [confirmed, text] = [this.#confirmed.get(step.id), this.#texts.get(step.id)?.sent];
      if (confirmed === undefined || text === undefined) return [];
      return [{ op: 'edit', id: step.id, change: diff(confirmed.text, text).map(([...splice]) => splice) }];
    });
    // What it was about has gone: something that changes nothing gets the answer.
    if (operations.length === 0) operations.push({ op: 'delete', id: crypto.randomUUID() });
    return { type: 'edit', seq: sent.seq, base: this.lsn, run: sent.run, operations };
  }

  #moveCursors(block: string, before: string, after: string): void {
    const change = diff(before, after);
    for (const [key, peer] of this.peers) {
      if (peer.cursor?.block !== block) continue;
      const { from, to } = peer.cursor;
      this.peers.set(key, { ...peer, cursor: { block, from: moved(from, change), to: moved(to, change) } });
    }
  }
}

/** A block after a change. */
function changed(before: Block | undefined, { text, ...change }: BlockChange): Block {
  if (typeof text === 'string') return { ...before, ...change, text } as Block;
  if (before === undefined) throw new OutOfStep(`there is no block ${change.id}`);
  const after = applyChange(before.text, text ?? []);
  if (after === undefined) throw new OutOfStep(`the text of ${change.id} is another`);
  return { ...before, ...change, text: after };
}

/** Does an operation to a list of blocks. */
function perform(list: Block[], step: Step): void {
  const at = list.findIndex(({ id }) => id === step.id);
  const behind = (after: string | null): number =>
    after === null ? 0 : list.findIndex(({ id }) => id === after) + 1 || list.length;
  if (step.op === 'insert') {
    const { id, kind, text, properties } = step;
    if (at < 0) list.splice(behind(step.after), 0, { id, kind, text, properties, position: '' });
    return;
  }
  const block = list[at];
  if (block === undefined || step.op === 'edit') return;
  if (step.op === 'set') {
    const { kind = block.kind, properties = {} } = step;
    list[at] = { ...block, kind, properties: { ...block.properties, ...properties } };
  } else {
    list.splice(at, 1);
    if (step.op === 'move') list.splice(behind(step.after), 0, block);
  }
}
