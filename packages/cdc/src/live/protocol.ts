import type { JsonEvent } from '../json.ts';

/** The tag of our sockets among those that an object has accepted. */
export const SOCKET_TAG = 'dosql:cdc';

/** The WebSocket subprotocol, chosen when a client offers it. */
export const SUBPROTOCOL = 'dosql.cdc';

/** What a client sends to begin a stream. */
export interface SubscribeMessage {
  readonly type: 'subscribe';
  /** The client's name for the stream, up to 64 characters; one that is in use is replaced. */
  readonly id: string;
  /** One of those that the socket was opened for; not needed when it is the only one. */
  readonly publication?: string;
  readonly tables?: readonly string[];
  readonly columns?: Readonly<Record<string, readonly string[]>>;
  readonly where?: Readonly<Record<string, string>>;
  /**
   * The `position` of the last message that the client has handled. Without one the stream begins with a snapshot,
   * if `snapshot` asks for it, or with the present; 0 is the log's beginning.
   */
  readonly from?: string | number;
  readonly snapshot?: 'none' | 'initial';
  /**
   * The client keeps rows by their keys: a stream whose keys do not tell its rows apart is refused, and one whose
   * table is altered or dropped ends with `LSN_EXPIRED`.
   */
  readonly keyed?: boolean;
}

/** What a client sends. `ping` and `pong` go as plain text and do not wake the object. */
export type ClientMessage =
  | SubscribeMessage
  | { readonly type: 'unsubscribe'; readonly id: string }
  /** The number that came as `ack` in a message that has been handled. */
  | { readonly type: 'ack'; readonly ack: number };

/**
 * What a server sends. After `error` the stream of that id is over: with code `LSN_EXPIRED` the client starts again
 * from a snapshot, with `INTERNAL` it may try again, with another the request was wrong.
 */
export type ServerMessage =
  | {
      readonly type: 'changes';
      readonly id: string;
      readonly events: readonly JsonEvent[];
      /** Where to resume after these; inside a snapshot it is sealed, since it holds a key. */
      readonly position: string;
      /** To be sent back when this has been handled: who falls too far behind with that is not sent more. */
      readonly ack?: number;
    }
  /** All that was committed when the stream began has been sent. */
  | { readonly type: 'ready'; readonly id: string; readonly position: string }
  | { readonly type: 'error'; readonly id?: string; readonly code: string; readonly message: string };

/** Longer messages close the socket. */
export const MAX_MESSAGE_LENGTH = 16_384;
const MAX_ID_LENGTH = 64;
const MAX_WHERE_LENGTH = 1_000;

/** A message that is none: what to tell the client. */
export class BadMessage extends Error {
  readonly id: string | undefined;

  constructor(message: string, id?: string) {
    super(message);
    this.id = id;
  }
}

/** The message in a text that a client has sent. @throws BadMessage */
export function parseMessage(text: string): ClientMessage {
  const message = parseObject(text);
  const { type, id, ack } = message;
  if (type === 'ack') {
    if (typeof ack !== 'number') throw new BadMessage('ack is a number that came with a message');
    return { type, ack };
  }
  if (type !== 'subscribe' && type !== 'unsubscribe')
    throw new BadMessage('a message has the type subscribe, unsubscribe or ack');
  if (typeof id !== 'string' || id === '' || id.length > MAX_ID_LENGTH)
    throw new BadMessage(`id is a text of up to ${MAX_ID_LENGTH} characters`);
  return type === 'unsubscribe' ? { type, id } : subscribeMessage(message, id);
}

function parseObject(text: string): Record<string, unknown> {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    throw new BadMessage('a message is a JSON object');
  }
  if (!isObject(message)) throw new BadMessage('a message is a JSON object');
  return message;
}

function subscribeMessage(message: Record<string, unknown>, id: string): SubscribeMessage {
  const { publication, tables, columns, where, from, snapshot, keyed } = message;
  const check = (isRight: boolean, what: string): void => {
    if (!isRight) throw new BadMessage(what, id);
  };
  check(publication === undefined || typeof publication === 'string', 'publication is a name');
  check(tables === undefined || (isTexts(tables) && tables.length > 0), 'tables is an array of names');
  check(
    columns === undefined || (isObject(columns) && Object.values(columns).every(isTexts)),
    'columns is an object of arrays of names, by table',
  );
  check(
    where === undefined || (isObject(where) && Object.values(where).every(isCondition)),
    `where is an object of conditions of up to ${MAX_WHERE_LENGTH} characters, by table`,
  );
  check(from === undefined || typeof from === 'string' || typeof from === 'number', 'from is a position');
  check(
    snapshot === undefined || snapshot === 'none' || snapshot === 'initial',
    'snapshot is none or initial',
  );
  check(keyed === undefined || typeof keyed === 'boolean', 'keyed is true or false');
  // Only what is known is kept with the socket.
  const known = { type: 'subscribe', id, publication, tables, columns, where, from, snapshot, keyed };
  return known as SubscribeMessage;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function isCondition(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_WHERE_LENGTH;
}
