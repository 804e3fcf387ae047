import { lowerCase, type Change, type ChangeLog, type ChangeRow, type ChangeValue } from './change-log.ts';
import { encodeHex } from './hex.ts';

/**
 * What leaves in a column's place. `'null'`: nothing. `'hash'`: the HMAC-SHA-256 of the value, as 64 hex digits,
 * equal for equal values of one key: `{ hash: key }` gives the key, which has to be given. `{ truncate: n }`: the
 * first n characters of a text, the first n bytes of a blob, and nothing of a number. `{ constant: value }`.
 */
export type Mask =
  | 'null'
  | { readonly hash: string }
  | { readonly truncate: number }
  | { readonly constant: ChangeValue };

/** What may leave of one table. */
export interface PublishedTable {
  /** The columns; all, also those to come, by default. */
  readonly columns?: readonly string[] | undefined;
  /** The rows: a condition in SQL over the row, which may name any column. */
  readonly where?: string | undefined;
  /** What leaves in place of a column's values. */
  readonly mask?: Readonly<Record<string, Mask>> | undefined;
}

/** What may leave the database. */
export interface PublicationOptions {
  readonly tables: Readonly<Record<string, PublishedTable | true>>;
}

/** A publication, by the names of its tables in lower case. */
export interface Publication {
  readonly name: string;
  readonly tables: ReadonlyMap<string, PublishedTable>;
}

/** @throws an error with code `BAD_PARAMETER` for what says nothing about tables. */
export function definePublication(log: ChangeLog, name: string, { tables }: PublicationOptions): Publication {
  const refuse = (what: string): Error => log.error('BAD_PARAMETER', `publication "${name}" ${what}`);
  if (typeof name !== 'string' || name === '') throw log.error('BAD_PARAMETER', 'a publication has a name');
  if (typeof tables !== 'object' || tables === null || Object.keys(tables).length === 0)
    throw refuse('names no tables: give { tables: { name: { columns } } }');
  const entries = Object.entries(tables).map(([table, given]) => {
    const published = given === true ? {} : given;
    for (const [column, mask] of Object.entries(published.mask ?? {}))
      if (!isMask(mask))
        throw refuse(
          `masks "${table}"."${column}" with ${JSON.stringify(mask)}: give 'null', { hash: key }, { truncate: n } or { constant: value }`,
        );
    return [lowerCase(table), published] as const;
  });
  return { name, tables: new Map(entries) };
}

function isMask(mask: unknown): mask is Mask {
  if (mask === 'null') return true;
  if (typeof mask !== 'object' || mask === null) return false;
  if ('hash' in mask) return typeof mask.hash === 'string' && mask.hash !== '';
  if ('truncate' in mask) return Number.isSafeInteger(mask.truncate) && (mask.truncate as number) >= 0;
  return 'constant' in mask && mask.constant !== undefined;
}

/** Puts masks in the place of values. */
export class Masking {
  readonly #masks = new Map<string, ReadonlyMap<string, Mask>>();
  readonly #keys = new Map<string, Promise<CryptoKey>>();

  constructor({ tables }: Publication) {
    for (const [table, { mask = {} }] of tables) {
      const masks = Object.entries(mask).map(([column, how]) => [lowerCase(column), how] as const);
      if (masks.length > 0) this.#masks.set(table, new Map(masks));
    }
  }

  /** True when there is nothing to mask. */
  get isEmpty(): boolean {
    return this.#masks.size === 0;
  }

  /** Whether the key of a change is masked, wholly or in part. */
  isKeyMasked({ table, key }: Change): boolean {
    const masks = this.#masks.get(lowerCase(table));
    return masks !== undefined && Object.keys(key).some((column) => masks.has(lowerCase(column)));
  }

  /** The change as it may leave. */
  async shown(change: Change): Promise<Change> {
    const masks = this.#masks.get(lowerCase(change.table));
    if (masks === undefined) return change;
    const { key, before, after } = change;
    return {
      ...change,
      key: await this.#row(key, masks),
      before: before && (await this.#row(before, masks)),
      after: after && (await this.#row(after, masks)),
    };
  }

  async #row(row: ChangeRow, masks: ReadonlyMap<string, Mask>): Promise<ChangeRow> {
    const entries: [string, ChangeValue][] = [];
    for (const [column, value] of Object.entries(row)) {
      const mask = masks.get(lowerCase(column));
      entries.push([column, mask === undefined ? value : await this.#masked(value, mask)]);
    }
    return Object.fromEntries(entries);
  }

  async #masked(value: ChangeValue, mask: Mask): Promise<ChangeValue> {
    if (mask === 'null') return null;
    if ('constant' in mask) return mask.constant;
    if (value === null) return null;
    if ('truncate' in mask) {
      if (typeof value === 'string') return Array.from(value).slice(0, mask.truncate).join('');
      return value instanceof Uint8Array ? value.slice(0, mask.truncate) : null;
    }
    return this.#hash(value, mask.hash);
  }

  async #hash(value: ChangeValue, secret: string): Promise<string> {
    let key = this.#keys.get(secret);
    if (key === undefined) {
      const algorithm = { name: 'HMAC', hash: 'SHA-256' };
      key = crypto.subtle.importKey('raw', new TextEncoder().encode(secret), algorithm, false, ['sign']);
      this.#keys.set(secret, key);
    }
    // A blob and the text of the same bytes are different values, and so are a text and a number.
    const kind = value instanceof Uint8Array ? 'b' : typeof value === 'string' ? 't' : 'n';
    const bytes = value instanceof Uint8Array ? value : new TextEncoder().encode(String(value));
    const message = new Uint8Array(bytes.length + 1);
    message[0] = kind.charCodeAt(0);
    message.set(bytes, 1);
    const digest = new Uint8Array(await crypto.subtle.sign('HMAC', await key, message));
    return encodeHex(digest);
  }
}
