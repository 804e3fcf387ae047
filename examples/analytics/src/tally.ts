import { ALL } from './aggregates.ts';
import { Sketch } from './sketch.ts';

/** Pages that a minute tells apart, those with the most events; events on others count for their type alone. */
const MAX_PAGES = 200;
/** Types that a minute tells apart; events of others count for all types together. */
const MAX_TYPES = 50;
/** Hashes that are remembered between counts, at most: some 20 MB. */
const MAX_REMEMBERED = 200_000;

/** What one session did of one kind within a minute. */
export interface Group {
  readonly event_type: string;
  readonly page_path: string;
  readonly session_hash: string;
  readonly user_hash: string | null;
  readonly events: number;
  readonly first_seen: number;
  readonly last_seen: number;
  /** The last of these events. */
  readonly seq: number;
}

/** A row of a type and a page. */
export interface Counted {
  readonly event_type: string;
  readonly page_path: string;
  readonly events: number;
  readonly sessions: number;
  readonly users: number;
  readonly sketch: Uint8Array;
}

/** Names a row among others of its minute or day. */
export function keyOf({ event_type, page_path }: Pick<Counted, 'event_type' | 'page_path'>): string {
  return JSON.stringify([event_type, page_path]);
}

/** What is known of a minute: of all types, of each type, and of each page of a type. */
export class MinuteTally {
  /** The last event that is counted in. */
  seq = 0;
  readonly #tallies = new Map<string, Tally>();

  add(group: Group): void {
    const { event_type, page_path } = group;
    this.seq = Math.max(this.seq, group.seq);
    this.#tally(ALL, ALL).add(group);
    this.#tally(event_type, ALL).add(group);
    this.#tally(event_type, page_path).add(group);
  }

  /** The minute's rows. */
  counted(): Map<string, Counted> {
    const tallies = [...this.#tallies.values()];
    const types = tallies.filter(({ event_type, page_path }) => event_type !== ALL && page_path === ALL);
    const pages = tallies.filter(({ page_path }) => page_path !== ALL);
    const left = new Set([...mostFrequent(types).slice(MAX_TYPES), ...mostFrequent(pages).slice(MAX_PAGES)]);
    return new Map(
      tallies.filter((tally) => !left.has(tally)).map((tally) => [keyOf(tally), tally.counted()]),
    );
  }

  /** Hashes that it remembers. */
  get size(): number {
    return [...this.#tallies.values()].reduce((size, tally) => size + tally.size, 0);
  }

  #tally(event_type: string, page_path: string): Tally {
    const key = keyOf({ event_type, page_path });
    let tally = this.#tallies.get(key);
    if (tally === undefined) this.#tallies.set(key, (tally = new Tally(event_type, page_path)));
    return tally;
  }
}

function mostFrequent(tallies: readonly Tally[]): Tally[] {
  return tallies.toSorted((a, b) => b.events - a.events);
}

/** Sessions and users by their hashes, so that each counts once. */
class Tally {
  readonly event_type: string;
  readonly page_path: string;
  events = 0;
  readonly #sessions = new Set<string>();
  readonly #users = new Set<string>();
  readonly #sketch = new Sketch();

  constructor(event_type: string, page_path: string) {
    this.event_type = event_type;
    this.page_path = page_path;
  }

  add({ events, session_hash, user_hash }: Group): void {
    // Who has not said who they are is a user for as long as the session.
    const user = user_hash ?? session_hash;
    this.events += events;
    this.#sessions.add(session_hash);
    if (this.#users.has(user)) return;
    this.#users.add(user);
    this.#sketch.add(user);
  }

  counted(): Counted {
    const { event_type, page_path, events } = this;
    const [sessions, users] = [this.#sessions.size, this.#users.size];
    return { event_type, page_path, events, sessions, users, sketch: this.#sketch.encode() };
  }

  get size(): number {
    return this.#sessions.size + this.#users.size;
  }
}

/**
 * What has been counted of the last minutes, so that a minute in which much happens is not read from its beginning
 * each time. It saves time and nothing else: without it everything is read again, and comes to the same.
 *
 * Invariant: it agrees with what is committed. So it is cleared whenever a count is undone, and when events are
 * erased.
 */
export class Tallies {
  readonly #minutes = new Map<string, MinuteTally>();

  get(minute: string): MinuteTally | undefined {
    return this.#minutes.get(minute);
  }

  /** Remembers a minute, and forgets those that were counted longest ago if it is too much. */
  keep(minute: string, tally: MinuteTally): void {
    this.#minutes.delete(minute);
    this.#minutes.set(minute, tally);
    let size = [...this.#minutes.values()].reduce((sum, { size }) => sum + size, 0);
    for (const [oldest, { size: less }] of this.#minutes) {
      if (size <= MAX_REMEMBERED && this.#minutes.size <= 10) return;
      this.#minutes.delete(oldest);
      size -= less;
    }
  }

  clear(): void {
    this.#minutes.clear();
  }
}
