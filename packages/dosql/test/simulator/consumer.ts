import type { Batch, Cdc, ChangeEvent, Sink } from '@dotdo/cdc';
import { expect } from 'vitest';
import type { Random } from '../support/random.ts';
import { EMPTY, keyOf, textsOf, withRows, type Line, type Row, type Table } from './model.ts';

/** Main as it was after an LSN. */
export interface Moment {
  readonly lsn: bigint;
  main: Line;
}

/** The tables and columns that consumers follow: those that no change of the schema touches. */
const FOLLOWED: readonly string[] = [...EMPTY.keys()];

/**
 * What follows the changes: it outlives the object. Every change has to come, in order, and to fit on what came before;
 * what comes again has to be the same. At each moment that the model has noted the rows have to be those of then.
 */
export class Follower {
  readonly #moments: readonly Moment[];
  /** Up to which LSN nothing is told of a row that has been erased. */
  readonly #erased: ReadonlyMap<string, bigint>;
  readonly #seen = new Map<bigint, string>();
  readonly name: string;
  #rows: Line = EMPTY;
  #last = 0n;
  #compared = 0;
  checks = 0;

  constructor(name: string, moments: readonly Moment[], erased: ReadonlyMap<string, bigint>) {
    this.name = name;
    this.#moments = moments;
    this.#erased = erased;
  }

  /** How far it has come. */
  get last(): bigint {
    return this.#last;
  }

  apply(event: ChangeEvent): void {
    if (!('key' in event)) return;
    const { lsn, table, op, key, before, after } = event;
    const known = this.#seen.get(lsn);
    const text = JSON.stringify([table, op, key, before, after]);
    const own = EMPTY.get(table) as Table;
    const erasedAt = this.#erased.get(nameOf(table, keyOf(own, key as Row)));
    if (erasedAt !== undefined && (lsn <= erasedAt || tellsOfErasing(own, before as Row | null))) return;
    if (known !== undefined) {
      expect(text, `${this.name}: ${lsn} came again`).toBe(known);
      return;
    }
    expect(lsn > this.#last, `${this.name}: ${lsn} after ${this.#last}`).toBe(true);
    this.compareTo(lsn - 1n);
    const old = this.#rows.get(table)?.rows.get(keyOf(own, key as Row));
    expect(shown(own, before as Row | null), `${this.name}: before ${lsn}`).toEqual(shown(own, old ?? null));
    this.#rows = withRows(this.#rows, table, (rows) => {
      rows.delete(keyOf(own, key as Row));
      if (after !== null) rows.set(keyOf(own, after as Row), after as Row);
    });
    this.#seen.set(lsn, text);
    this.#last = lsn;
  }

  /** Compares with the model at each moment up to `lsn` that has not been compared. */
  compareTo(lsn: bigint): void {
    for (; this.#compared < this.#moments.length; this.#compared++) {
      const moment = this.#moments[this.#compared] as Moment;
      if (moment.lsn > lsn) return;
      this.checks++;
      expect(textsOf(followed(this.#rows)), `${this.name}: as of ${moment.lsn}`).toEqual(
        textsOf(followed(moment.main)),
      );
    }
  }

  /** Forgets a row that has been erased. */
  erase(table: string, key: string): void {
    this.#rows = withRows(this.#rows, table, (rows) => void rows.delete(key));
  }
}

/** A name for a row of a table. */
export function nameOf(table: string, key: string): string {
  return `${table} ${key}`;
}

/** Whether a change says that a row has been erased, however late: of what stood there only the key is left. */
function tellsOfErasing({ columns, key }: Table, before: Row | null): boolean {
  return (
    before !== null && columns.every((column) => key.includes(column) || (before[column] ?? null) === null)
  );
}

function shown({ columns }: Table, row: Row | null): unknown {
  return row === null ? null : columns.map((column) => row[column] ?? null);
}

function followed(line: Line): Line {
  return new Map(
    FOLLOWED.map((name) => [
      name,
      { ...(EMPTY.get(name) as Table), rows: line.get(name)?.rows ?? new Map<string, Row>() },
    ]),
  );
}

/** Reads a slot, and sometimes does not say that it has. */
export async function readSlot(
  cdc: Cdc,
  random: Random,
  follower: Follower,
  isWhole: boolean,
): Promise<void> {
  const slot = await cdc.slot('reader', { fromLSN: 0, tables: [...FOLLOWED] });
  for (;;) {
    const events = await slot.read(1 + random.int(20));
    for (const event of events) follower.apply(event);
    const last = events.at(-1);
    if (last === undefined) return;
    if (isWhole || random.chance(0.8)) await slot.ack(last.cursor ?? last.lsn);
    if (!isWhole && random.chance(0.5)) return;
  }
}

/** Takes deliveries, each event once by its number; it fails in all the ways that there are while `isKind` is false. */
export class Taker implements Sink {
  readonly follower: Follower;
  readonly #random: Random;
  readonly #taken = new Set<number>();
  isKind = false;
  /** Waits until what the object has written is safe: the platform sends nothing before. */
  sync: () => Promise<void> = async () => {};

  constructor(random: Random, follower: Follower) {
    this.#random = random;
    this.follower = follower;
  }

  async send({ sequence, events }: Batch): Promise<void> {
    await this.sync();
    const fate = this.isKind ? 1 : this.#random.next();
    if (fate < 0.2) throw new Error('the line is down');
    events.forEach((event, i) => {
      if (!this.#taken.has(sequence + i)) this.follower.apply(event);
      this.#taken.add(sequence + i);
    });
    if (fate < 0.4) throw new Error('the answer was lost');
  }

  /** Says to the database that it is there, as a program does each time that the object wakes. */
  async open(cdc: Cdc): Promise<void> {
    await cdc.deliver('taker', this, {
      tables: [...FOLLOWED],
      batch: { changes: 7 },
      retry: { attempts: 1_000, firstMs: 1 },
      timeoutMs: 60_000,
      random: () => 0.5,
    });
  }
}
