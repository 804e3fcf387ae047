import type { Crypto } from '@dotdo/dosql/crypto';
import type { InferOutput } from 'valibot';
import type { NewEvent } from './input.ts';

/** An event as a region keeps it, in the order of the columns that {@link RAW_COLUMNS} names. */
export type RawEvent = readonly (string | number | null)[];

/** The columns of `raw_events` that an event fills. */
export const RAW_COLUMNS =
  'id, minute, at, session_hash, user_hash, event_type, page_path, ip_network, user_agent, referrer_host, event_data';

/** The digits of a hash that are kept: 128 bits, of which no two users have the same. */
const HASH_DIGITS = 32;
const MAX_PATH_LENGTH = 200;
/** Parts of a path that name someone or something: addresses, long numbers and codes, all that is not plain text. */
const IDENTIFIER = /@|\d{5}|^[\da-f-]{16,}$|^.{51,}$|[^\w.~ -]/iu;

/**
 * What is kept of people: no user id, no session id, no whole address, no query of a page's URL.
 *
 * Hashes are keyed, so whoever gets hold of them cannot try out e-mail addresses; the site's name is hashed with
 * them, so one person on two sites has nothing in common. A person has the same hash in all regions of a site, so
 * that sketches of regions can be merged.
 */
export class Cleaner {
  readonly #crypto: Pick<Crypto, 'hmac'>;
  readonly #site: string;
  /** A batch has many events of few people. */
  readonly #hashes = new Map<string, Promise<string>>();

  constructor(crypto: Pick<Crypto, 'hmac'>, site: string) {
    this.#crypto = crypto;
    this.#site = site;
  }

  /** The event as its region keeps it; `address` is the sender's. */
  async clean(event: InferOutput<typeof NewEvent>, address: string | null): Promise<RawEvent> {
    const { id, sessionId, userId, ipAddress = address, userAgent, eventType, eventData } = event;
    const [session, user] = await Promise.all([
      this.#hash('session', sessionId),
      userId === undefined ? null : this.userHash(userId),
    ]);
    return [
      id,
      minuteOf(event.timestamp),
      event.timestamp,
      session,
      user,
      eventType,
      pagePath(event.pageUrl),
      ipAddress === null ? null : ipNetwork(ipAddress),
      userAgent ?? null,
      event.referrer === undefined ? null : new URL(event.referrer).host,
      eventData === undefined ? null : JSON.stringify(eventData),
    ];
  }

  /** What a user is known by. */
  userHash(userId: string): Promise<string> {
    return this.#hash('user', userId);
  }

  #hash(kind: string, id: string): Promise<string> {
    const text = JSON.stringify([this.#site, kind, id]);
    let hash = this.#hashes.get(text);
    if (hash === undefined) {
      hash = this.#crypto.hmac(text).then((hex) => hex.slice(0, HASH_DIGITS));
      this.#hashes.set(text, hash);
    }
    return hash;
  }
}

/** The minute that a time in ms lies in, as ISO text. */
export function minuteOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16)}:00Z`;
}

/** The day that a time in ms lies in. */
export function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** The network that an address belongs to: the first three bytes of an IPv4 address, six of an IPv6 one. */
export function ipNetwork(address: string): string | null {
  const v4 = /^(?:::ffff:)?(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}$/i.exec(address);
  if (v4 !== null) return `${v4[1]}.0/24`;
  if (!URL.canParse(`http://[${address}]`)) return null;
  // A URL writes every form of an address one way, with at most one "::".
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const missing = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: missing }, () => '0'), ...groups(tail ?? '')];
  return `${all.slice(0, 3).join(':')}::/48`;
}

/** The page of a URL: its path, without what looks like the name or number of someone. */
export function pagePath(url: string): string {
  const parts = new URL(url).pathname
    .split('/')
    .map((part) => (IDENTIFIER.test(decode(part)) ? ':id' : part));
  return parts.join('/').slice(0, MAX_PATH_LENGTH);
}

function decode(part: string): string {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return '@';
  }
}
