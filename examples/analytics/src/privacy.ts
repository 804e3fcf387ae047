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
/** About how many hashes are remembered before all are forgotten, and for how long in ms, when a request comes. */
const MAX_REMEMBERED = 10_000;
const REMEMBER_MS = 60_000;
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
  /** Of those who were there lately, in memory only: most events are of someone who has sent one a moment ago. */
  #hashes = new Map<string, string>();
  #forgetAt = 0;

  constructor(crypto: Pick<Crypto, 'hmac'>) {
    this.#crypto = crypto;
  }

  /** The events of a site as their region keeps them, in their order; `sender` is the address that they came from. */
  async clean(
    site: string,
    events: readonly InferOutput<typeof NewEvent>[],
    sender: string | null,
    nowMs: number,
  ): Promise<RawEvent[]> {
    const hashes = this.#remembered(nowMs);
    const names = events.map(({ sessionId, userId }) => ({
      session: nameOf(site, 'session', sessionId),
      user: userId === undefined ? undefined : nameOf(site, 'user', userId),
    }));
    const unknown = new Set<string>();
    for (const { session, user } of names)
      for (const name of [session, user]) if (name !== undefined && !hashes.has(name)) unknown.add(name);
    await Promise.all(Array.from(unknown, async (name) => hashes.set(name, await this.#hash(name))));
    return events.map((event, i) => {
      const { session = '', user } = names[i] ?? {};
      const address = event.ipAddress ?? sender;
      return [
        event.id,
        minuteOf(event.timestamp),
        event.timestamp,
        hashes.get(session) as string,
        user === undefined ? null : (hashes.get(user) as string),
        event.eventType,
        pagePath(event.pageUrl),
        address === null ? null : ipNetwork(address),
        event.userAgent ?? null,
        event.referrer === undefined ? null : new URL(event.referrer).host,
        event.eventData === undefined ? null : JSON.stringify(event.eventData),
      ];
    });
  }

  /** What a user of a site is known by. */
  userHash(site: string, userId: string): Promise<string> {
    return this.#hash(nameOf(site, 'user', userId));
  }

  /** The hashes that are known, or none where it is time to forget them. */
  #remembered(nowMs: number): Map<string, string> {
    if (nowMs >= this.#forgetAt || this.#hashes.size >= MAX_REMEMBERED) {
      this.#hashes = new Map();
      this.#forgetAt = nowMs + REMEMBER_MS;
    }
    return this.#hashes;
  }

  async #hash(name: string): Promise<string> {
    return (await this.#crypto.hmac(name)).slice(0, HASH_DIGITS);
  }
}

/** What is hashed of a person. */
function nameOf(site: string, kind: 'session' | 'user', id: string): string {
  return JSON.stringify([site, kind, id]);
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
