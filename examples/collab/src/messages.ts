import { text } from '@dotdo/example-shared/input';
import * as v from 'valibot';
import { KINDS, MAX_TEXT_LENGTH, type Block } from './block.ts';
import type { TextChange } from './text.ts';

// What goes over a document's socket, both ways, as JSON. The page imports the types only.

/** The longest message that is read, in characters, and the most operations in one. */
export const MAX_MESSAGE_LENGTH = 256 * 1024;
const MAX_OPERATIONS = 200;

const count = v.pipe(
  v.number('give a whole number'),
  v.safeInteger('give a whole number'),
  v.minValue(0, 'give 0 or more'),
);
const level = v.pipe(count, v.minValue(1, 'give 1 to 3'), v.maxValue(3, 'give 1 to 3'));
const indent = v.pipe(count, v.maxValue(8, 'give at most 8'));

/** Ids are the clients' own, so that a block has its id before the server has heard of it. */
export const blockId = v.pipe(
  v.string('give text'),
  v.regex(/^[\w-]{8,40}$/, 'give 8 to 40 of a-z, A-Z, 0-9, _ and -'),
);
const kind = v.picklist(KINDS, `give ${KINDS.join(', ')}`);
const blockText = v.pipe(text, v.maxLength(MAX_TEXT_LENGTH, `give at most ${MAX_TEXT_LENGTH} characters`));
const properties = v.strictObject({
  level: v.optional(level),
  indent: v.optional(indent),
  done: v.optional(v.boolean('give true or false')),
  language: v.optional(v.pipe(text, v.maxLength(40, 'give at most 40 characters'))),
  url: v.optional(
    v.pipe(
      text,
      v.maxLength(2_000, 'give at most 2000 characters'),
      v.check((url) => URL.canParse(url) && new URL(url).protocol === 'https:', 'give an https:// address'),
    ),
  ),
});
const after = v.nullable(blockId);
const change = v.pipe(
  v.array(v.strictTuple([count, count, blockText]), 'give splices'),
  v.maxLength(1_000, 'give at most 1000 splices'),
);

const operation = v.variant('op', [
  v.strictObject({ op: v.literal('insert'), id: blockId, after, kind, text: blockText, properties }),
  v.strictObject({ op: v.literal('edit'), id: blockId, change }),
  v.strictObject({
    op: v.literal('set'),
    id: blockId,
    kind: v.optional(kind),
    properties: v.optional(properties),
  }),
  v.strictObject({ op: v.literal('move'), id: blockId, after }),
  v.strictObject({ op: v.literal('delete'), id: blockId }),
]);

const cursor = v.nullable(v.strictObject({ block: blockId, from: count, to: count }));

/** What a client says. */
export const ClientMessage = v.variant('type', [
  v.strictObject({
    type: v.literal('edit'),
    /** Counts the client's messages of this kind and the next two; one that has been done is not done again. */
    seq: count,
    /** The LSN of the state that the operations were made on. */
    base: count,
    /** Counts what the person does: operations of one run are undone together. */
    run: count,
    operations: v.pipe(
      v.array(operation),
      v.minLength(1, 'give at least one'),
      v.maxLength(MAX_OPERATIONS, `give at most ${MAX_OPERATIONS}`),
      v.check((operations) => haveOneEditEach(operations), 'give one edit for each block'),
    ),
  }),
  v.strictObject({ type: v.literal('undo'), seq: count }),
  v.strictObject({ type: v.literal('redo'), seq: count }),
  v.strictObject({ type: v.literal('cursor'), cursor }),
]);
export type ClientMessage = v.InferOutput<typeof ClientMessage>;
export type Operation = v.InferOutput<typeof operation>;
export type Cursor = v.InferOutput<typeof cursor>;

/** Someone else who is there. */
export interface Peer {
  /** Names the connection. */
  readonly key: string;
  readonly user: string;
  readonly name: string;
  readonly cursor: Cursor;
}

/** A block that has changed: what of it is new; of its text, how the last one that was sent became this one. */
export interface BlockChange extends Partial<Omit<Block, 'id' | 'text'>> {
  readonly id: string;
  readonly text?: string | TextChange;
  readonly gone?: true;
}

/** What a client needs to know first. */
export interface Welcome {
  readonly type: 'welcome';
  readonly key: string;
  readonly role: 'viewer' | 'editor' | 'admin';
  readonly title: string;
  readonly lsn: number;
  /** The last of the client's messages that has been done. */
  readonly seq: number;
  /** Whether `blocks` are all that there are, or those that have changed since what the client has. */
  readonly isComplete: boolean;
  readonly blocks: readonly Block[];
  readonly removed: readonly string[];
  readonly peers: readonly Peer[];
}

/** What has happened since the last frame. */
export interface Frame {
  readonly type: 'frame';
  readonly lsn: number;
  readonly changes?: readonly BlockChange[];
  readonly title?: string;
  readonly peers?: readonly Peer[];
  readonly left?: readonly string[];
  /** The last message of this client's that is done with. */
  readonly ack?: number;
  /** Why it was not done. */
  readonly refused?: string;
}

export type ServerMessage = Welcome | Frame;

function haveOneEditEach(operations: readonly { readonly op: string; readonly id: string }[]): boolean {
  const edited = operations.filter(({ op }) => op === 'edit' || op === 'insert').map(({ id }) => id);
  return new Set(edited).size === edited.length;
}
