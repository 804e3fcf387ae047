import type { FileStore } from '@dotdo/fsx';
import type { Core } from '../core.ts';
import { ARCHIVE_HOLD } from '../log/holds.ts';
import { all, first } from '../sql/read.ts';
import type { SqlValue } from '../value/row.ts';
import { catalogRows, type CatalogRows } from './catalog-rows.ts';
import { putFile } from './cold-file.ts';
import type { Notes, Segment } from './notes.ts';
import { readRows, type ReadColumn } from './read-rows.ts';
import { rowsFile } from './rows-file.ts';

/** The key of {@link SegmentAbout} in a segment's metadata. */
export const SEGMENT_KEY = 'dosql.log';

/** What a segment says of itself, besides its rows. */
export interface SegmentAbout extends CatalogRows {
  readonly first: number;
  readonly last: number;
  /** Transactions of more than one change that end in it, by their first and last LSN. */
  readonly transactions: readonly (readonly [first: number, last: number])[];
}

/** Bytes that nothing refers to any more are deleted after so long: someone may be restoring from them. */
export const GRACE_MS = 86_400_000;

const SEGMENT_ROWS = 50_000;
/** A last segment with fewer rows is written anew with those that have come, so that they do not become many. */
const SMALL_ROWS = 5_000;
const SMALL_BYTES = 262_144;

/** Rows of the log that are about to be archived. */
interface Leaving {
  readonly epoch: string | undefined;
  readonly replaced: Segment | undefined;
  readonly about: SegmentAbout;
  readonly columns: readonly ReadColumn[];
  readonly rows: SqlValue[][];
  readonly path: string;
}

/** Writes the log into the cold store: each row once, in segments that follow one another without a gap. */
export class Archive {
  readonly #core: Core;
  readonly #cold: FileStore;
  readonly #notes: Notes;

  constructor(core: Core, cold: FileStore, notes: Notes) {
    this.#core = core;
    this.#cold = cold;
    this.#notes = notes;
  }

  /** The LSN up to which the log has been archived. */
  archived(): number {
    return this.#notes.lastSegment()?.last ?? this.#core.engine.log.earliest().lsn;
  }

  /** Archives what has come since, up to where the log ends now; returns how many segments it took. */
  async run(): Promise<number> {
    const { gate } = this.#core;
    let count = 0;
    const end = await gate.pass(() => this.#end());
    for (;;) {
      const leaving = await gate.pass(() => this.#next(end));
      if (leaving === undefined) return count;
      const { about, columns, rows, path, epoch } = leaving;
      const bytes = await rowsFile(path, columns, rows, { [SEGMENT_KEY]: JSON.stringify(about) });
      const file = await putFile(this.#cold, path, bytes);
      const segment: Segment = {
        ...file,
        first: about.first,
        last: about.last,
        fromAt: rows[0]?.[AT] as number,
        toAt: rows.at(-1)?.[AT] as number,
        rows: rows.length,
        logBytes: logBytes(rows),
      };
      const isNoted = await gate.pass(() => this.#note(segment, leaving.replaced, epoch));
      if (isNoted) count++;
    }
  }

  #end(): number {
    const { log } = this.#core.engine;
    log.settleClock();
    const end = log.end();
    log.skip(end);
    return end;
  }

  /** Forgets everything when the log has been trimmed past what was archived: what follows would not fit on. */
  #next(end: number): Leaving | undefined {
    const { engine } = this.#core;
    const { lsn: earliest } = engine.log.earliest();
    if (this.archived() < earliest) engine.atomically(() => forget(this.#notes, engine.nowMs() + GRACE_MS));
    const last = this.#notes.lastSegment();
    if (this.archived() >= end) return undefined;
    const isSmall = last !== undefined && last.rows < SMALL_ROWS && last.sizeBytes < SMALL_BYTES;
    if (isSmall && last.first - 1 >= earliest) {
      const joined = this.#read(last.first - 1, end, last);
      // What comes next may be too large to go with it.
      if (joined.about.last > last.last) return joined;
    }
    return this.#read(this.archived(), end, undefined);
  }

  #read(after: number, end: number, replaced: Segment | undefined): Leaving {
    const { engine } = this.#core;
    const { sql } = engine.storage;
    const columns = logColumns(sql);
    const source = {
      tail: 'FROM __dosql_log WHERE lsn > ? AND lsn <= ? ORDER BY lsn',
      bindings: [after, end],
    };
    const rows = readRows(sql, columns, source, SEGMENT_ROWS);
    let last = rows.at(-1)?.[LSN] as number;
    if (first(sql, 'SELECT 1 FROM __dosql_log WHERE lsn > ? AND lsn <= ? LIMIT 1', last, end) === undefined)
      last = end;
    else {
      // It ends with a transaction, unless that is larger than a segment.
      const whole = engine.log.wholeUpTo(last);
      if (whole > after) {
        while (rows.length > 1 && (rows.at(-1)?.[LSN] as number) > whole) rows.pop();
        last = whole;
      }
    }
    const about: SegmentAbout = {
      first: after + 1,
      last,
      transactions: all<[number, number]>(
        sql,
        'SELECT first, last FROM __dosql_tx WHERE last > ? AND last <= ? ORDER BY last',
        after,
        last,
      ),
      ...catalogRows(sql, after, last),
    };
    const path = `log/${padded(after + 1)}-${padded(last)}-${crypto.randomUUID()}.parquet`;
    engine.atomically(() => this.#notes.discard(path, engine.nowMs() + GRACE_MS));
    return { epoch: this.#notes.get('epoch'), replaced, about, columns, rows, path };
  }

  #note(segment: Segment, replaced: Segment | undefined, epoch: string | undefined): boolean {
    const { engine, holds } = this.#core;
    // Something has been erased from the log since it was read: then the file must not count.
    if (this.#notes.get('epoch') !== epoch) return false;
    engine.atomically(() => {
      if (replaced !== undefined) this.#notes.removeSegment(replaced, engine.nowMs() + GRACE_MS);
      this.#notes.addSegment(segment);
      holds.set(ARCHIVE_HOLD, BigInt(segment.last), undefined);
    });
    return true;
  }
}

const LSN = 0;
const AT = 3;
/** What a number takes, of 1 to 8 bytes. */
const NUMBER_BYTES = 4;

/** About what rows of the log take in SQLite. */
function logBytes(rows: readonly SqlValue[][]): number {
  let bytes = 0;
  for (const row of rows)
    for (const value of row) {
      bytes++;
      if (typeof value === 'string' || value instanceof Uint8Array) bytes += value.length;
      else if (value !== null) bytes += NUMBER_BYTES;
    }
  return bytes;
}

/** Forgets all that has been archived and backed up; its files are deleted after `until`. */
export function forget(notes: Notes, until: number): void {
  for (const segment of notes.segments()) notes.removeSegment(segment, until);
  for (const { path } of notes.get<{ files: readonly { path: string }[] }>('base')?.files ?? [])
    notes.discard(path, until);
  notes.set('base', undefined);
  notes.set('epoch', crypto.randomUUID());
}

/** A number that sorts as text. */
export function padded(lsn: number): string {
  return String(lsn).padStart(16, '0');
}

/** The columns of the log. */
function logColumns(sql: SqlStorage): ReadColumn[] {
  const types = { INTEGER: 'integer', TEXT: 'text', REAL: 'real', NUMERIC: 'numeric', '': 'blob' } as const;
  return all<[string, keyof typeof types]>(
    sql,
    "SELECT name, type FROM pragma_table_info('__dosql_log')",
  ).map(([name, type]) => ({ name, affinity: types[type], value: name }));
}
