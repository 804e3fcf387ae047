import { decodeBase64, encodeBase64 } from './base64.ts';
import type { ChangeSource } from './change-log.ts';
import { parsePosition, type From, type StreamPosition } from './position.ts';
import type { ChangeEvent } from './reader.ts';

/** What a position inside a snapshot is written as when it leaves: its LSN and the rest, which nobody else can read. */
const SEALED = /^(\d{1,19}):~([\w-]+)$/;
const KEY = 'cursor-key';
const IV_BYTES = 12;

/**
 * Writes positions for those who may see only what is published, and reads them back. A position inside a snapshot
 * holds the key of a row, which a publication may hide or mask, so it is encrypted with a key of the database's own
 * (AES-256-GCM). Nobody can make one up, either, and feel by it where hidden keys lie.
 */
export class SealedCursors {
  readonly #source: ChangeSource;
  readonly #publication: Uint8Array;
  #key: Promise<CryptoKey> | undefined;

  /** What is written for one publication is none of another's. */
  constructor(source: ChangeSource, publication: string) {
    this.#source = source;
    this.#publication = new TextEncoder().encode(publication);
  }

  /** The events as they may leave. */
  sealed(events: readonly ChangeEvent[]): Promise<ChangeEvent[]> {
    return Promise.all(
      events.map(async (event) =>
        event.cursor === undefined ? event : { ...event, cursor: await this.seal(event.cursor) },
      ),
    );
  }

  /** A position's text as it may leave. */
  async seal(text: string): Promise<string> {
    const [lsn, snapshot] = text.split(':', 2);
    if (snapshot === undefined) return text;
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const plain = new TextEncoder().encode(text);
    const sealed = await crypto.subtle.encrypt(this.#algorithm(iv), await this.#imported(), plain);
    return `${lsn}:~${toText(new Uint8Array([...iv, ...new Uint8Array(sealed)]))}`;
  }

  /**
   * The position that {@link seal} wrote, or an LSN.
   *
   * @throws an error with code `BAD_PARAMETER` for anything else.
   */
  async open(from: From): Promise<StreamPosition> {
    const sealed = typeof from === 'string' ? SEALED.exec(from)?.[2] : undefined;
    if (sealed === undefined) {
      const position = parsePosition(from, this.#source);
      if (position.snapshot === undefined) return position;
      throw this.#refused();
    }
    const bytes = fromText(sealed);
    const iv = bytes.slice(0, IV_BYTES);
    try {
      const key = await this.#imported();
      const text = await crypto.subtle.decrypt(this.#algorithm(iv), key, bytes.slice(IV_BYTES));
      return parsePosition(new TextDecoder().decode(text), this.#source);
    } catch {
      throw this.#refused();
    }
  }

  #algorithm(iv: Uint8Array): { name: 'AES-GCM'; iv: Uint8Array; additionalData: Uint8Array } {
    return { name: 'AES-GCM', iv, additionalData: this.#publication };
  }

  #refused(): Error {
    return this.#source.error(
      'BAD_PARAMETER',
      'the cursor is none that this publication gave: give the cursor, or the lsn, of the last change handled, or 0',
    );
  }

  #imported(): Promise<CryptoKey> {
    this.#key ??= this.#kept().then((text) =>
      crypto.subtle.importKey('raw', fromText(text), 'AES-GCM', false, ['encrypt', 'decrypt']),
    );
    this.#key.catch(() => (this.#key = undefined));
    return this.#key;
  }

  #kept(): Promise<string> {
    return this.#source.atomically(() => {
      const kept = this.#source.getState(KEY);
      if (kept !== undefined) return kept;
      const made = toText(crypto.getRandomValues(new Uint8Array(32)));
      this.#source.setState(KEY, made);
      return made;
    });
  }
}

function toText(bytes: Uint8Array): string {
  return encodeBase64(bytes).replace(/[+/=]/g, (char) => ({ '+': '-', '/': '_' })[char] ?? '');
}

function fromText(text: string): Uint8Array<ArrayBuffer> {
  return decodeBase64(text.replace(/[-_]/g, (char) => (char === '-' ? '+' : '/')));
}
