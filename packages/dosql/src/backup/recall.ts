import type { FileStore } from '@dotdo/fsx';
import type { Core } from '../core.ts';
import { DoSQLError } from '../error.ts';
import type { ArchivedPoint } from '../log/archived.ts';
import { leaseOf, type Lease } from '../log/lease.ts';
import { toJulian } from '../log/log.ts';
import { TRIM_TIMER } from '../log/trim.ts';
import { first } from '../sql/read.ts';
import { joinCatalogs, type CatalogRows } from './catalog-rows.ts';
import { putCatalog } from './put-catalog.ts';
import type { Notes, Segment } from './notes.ts';
import { putRows, putTransactions, readSegment, type ReadSegment } from './restore-log.ts';

/** What was recalled is kept for so long after it was last read. */
const LEASE_MS = 600_000;
/** Recalling takes less than this, as a rule. */
const RECALL_MS = 30_000;
/** After so long the lease is only as deep as what is read by then: points that move on with time must not keep all. */
const DEEP_MS = 6 * LEASE_MS;

/** The piece that comes next: the rows of a segment up to `to`. */
interface Piece {
  readonly segment: Segment;
  readonly to: number;
  /** Where the window begins. */
  readonly begin: number;
  readonly epoch: string | undefined;
}

/**
 * What lies before the window's beginning though it has been recalled, since the transaction that it is of is larger
 * than a segment: the window begins with a transaction.
 */
interface Ahead {
  /** The window's beginning. */
  readonly begin: number;
  /** The log has all rows after this LSN … */
  readonly after: number;
  /** … as long as its lowest one is this. */
  readonly lowest: number | undefined;
  readonly catalogs: readonly CatalogRows[];
}

/**
 * Brings archived changes back into the log, so that the window begins earlier and all that reads the log reads them.
 *
 * A segment at a time, from the newest to the oldest, each in one transaction that moves the window's beginning with
 * it: wherever it is cut off, the window is whole. Whoever needs the same is served by the same piece. Rows keep their
 * LSNs, and what was defined at the time comes back with them.
 */
export class Recall {
  readonly #core: Core;
  readonly #cold: FileStore;
  readonly #notes: Notes;
  readonly #maxBytes: number;
  readonly #wanted = new Set<{ readonly lsn: number }>();
  #piece: Promise<void> | undefined;
  #ahead: Ahead | undefined;
  #lease: Lease | undefined;

  constructor(core: Core, cold: FileStore, notes: Notes, maxBytes: number) {
    this.#core = core;
    this.#cold = cold;
    this.#notes = notes;
    this.#maxBytes = maxBytes;
    const { history, log } = core.engine;
    this.#lease = leaseOf(log);
    history.points.onUse = (lsn) => this.#use(lsn);
  }

  /**
   * Brings the log back as far as a point.
   *
   * @throws DoSQLError `TOO_BIG`, `HISTORY_EXPIRED` when the archive has gone meanwhile, `STORAGE_UNAVAILABLE`,
   * `CORRUPT_FILE`, `NO_SUCH_FILE`; the window is whole then too.
   */
  async reach(point: ArchivedPoint): Promise<void> {
    const { gate, engine } = this.#core;
    const isMissing = (): boolean => engine.log.earliest().lsn > point.lsn;
    await gate.pass(() => this.#assertSmall(point));
    if (!(await gate.pass(isMissing))) return;
    await this.#arm();
    const wanted = { lsn: point.lsn };
    this.#wanted.add(wanted);
    try {
      while (await gate.pass(isMissing))
        await (this.#piece ??= this.#next(point).finally(() => (this.#piece = undefined)));
    } finally {
      this.#wanted.delete(wanted);
    }
  }

  /** Sets the timer that trims again, before there is something to trim: what comes after may be cut off. */
  async #arm(): Promise<void> {
    try {
      await this.#core.schedule(TRIM_TIMER, this.#core.engine.nowMs() + LEASE_MS + RECALL_MS);
    } catch (cause) {
      // A class without alarm() has no timer: its log is trimmed as it is written.
      if (cause instanceof DoSQLError) throw cause;
    }
  }

  #assertSmall({ lsn, point }: ArchivedPoint): void {
    const { log } = this.#core.engine;
    const hot = Math.max(log.earliest().lsn, leaseOf(log)?.hot ?? 0);
    let bytes = 0;
    for (const { first, last, sizeBytes, logBytes = sizeBytes } of this.#notes.segments()) {
      const share = (Math.min(last, hot) - first + 1) / (last - first + 1);
      if (last > lsn && share > 0) bytes += logBytes * share;
    }
    if (bytes <= this.#maxBytes) return;
    throw new DoSQLError(
      'TOO_BIG',
      `${point} lies so far back that ${Math.ceil(bytes)} bytes of the archive would have to be read into the object, and history.recallBytes is ${this.#maxBytes}: read a later point, or open the database with more`,
    );
  }

  async #next({ point }: ArchivedPoint): Promise<void> {
    const { gate } = this.#core;
    const piece = await gate.pass(() => this.#plan(point));
    const read = await readSegment(this.#cold, piece.segment);
    await gate.pass(() => this.#put(piece, read));
  }

  #plan(point: string): Piece {
    const begin = this.#core.engine.log.earliest().lsn;
    const to = this.#current(begin)?.after ?? begin;
    const segment = this.#notes.segments().find(({ first, last }) => first <= to && to <= last);
    if (segment !== undefined) return { segment, to, begin, epoch: this.#notes.get('epoch') };
    throw new DoSQLError(
      'HISTORY_EXPIRED',
      `${point} lies before the archive, which has the log after LSN ${to} only`,
    );
  }

  /** What has been recalled ahead of the window's beginning, if that is still so. */
  #current(begin: number): Ahead | undefined {
    if (this.#ahead?.begin === begin && this.#ahead.lowest === this.#lowest()) return this.#ahead;
    return undefined;
  }

  #lowest(): number | undefined {
    return first<[number]>(this.#core.engine.storage.sql, 'SELECT min(lsn) FROM __dosql_log')?.[0];
  }

  /** Does nothing where the log, or the archive, is another by now: rows may have been erased. */
  #put({ segment, to, begin, epoch }: Piece, read: ReadSegment): void {
    const { engine } = this.#core;
    const { log, storage, history, catalog } = engine;
    const { sql } = storage;
    const ahead = this.#current(begin);
    if (this.#notes.get('epoch') !== epoch || log.earliest().lsn !== begin || (ahead?.after ?? begin) !== to)
      return;
    const after = segment.first - 1;
    const { about } = read;
    const catalogs = [...(ahead?.catalogs ?? []), about];
    const lease = this.#leaseFor(begin);
    // Of branches only what is there now counts, and the log has that: they hold it.
    const isMains = `r.rel IN (0, ${about.relations.map(([id]) => id).join(', ') || 0})`;
    const [from, isNewCatalog] = storage.transactionSync(() =>
      engine.keepingLastRowId((): [number, boolean] => {
        sql.exec('DELETE FROM __dosql_log WHERE lsn > ? AND lsn <= ?', after, to);
        putRows(sql, read, { after, to }, isMains);
        putTransactions(sql, read, { after, to });
        const around = log.transactionOf(after);
        const from = around.first <= after && after < around.last ? Math.min(begin, around.last) : after;
        log.setMeta('lease', JSON.stringify(lease));
        if (from === begin) return [from, false];
        log.setMeta('trimmed_lsn', from);
        log.setMeta('trimmed_at', from === after ? this.#timeBefore(segment) : toJulian(log.timeOf(from)));
        return [from, putCatalog(sql, joinCatalogs(catalogs), from)];
      }),
    );
    this.#lease = lease;
    this.#ahead = from === after ? undefined : { begin: from, after, lowest: this.#lowest(), catalogs };
    history.points.clear();
    if (isNewCatalog) catalog.load();
  }

  /** When the state began that a segment goes on from. */
  #timeBefore(segment: Segment): number {
    const before = this.#notes.segments().find(({ last }) => last === segment.first - 1);
    return before?.toAt ?? segment.fromAt;
  }

  /** The lease for all that is wanted now, and for what the last one was given for if it still holds. */
  #leaseFor(begin: number): Lease {
    const { engine } = this.#core;
    const now = engine.nowMs();
    const last = leaseOf(engine.log);
    const isHeld = last !== undefined && last.untilMs > now;
    const lsns = [...this.#wanted].map(({ lsn }) => lsn);
    return {
      lsn: Math.min(...lsns, isHeld ? last.lsn : Infinity),
      untilMs: now + LEASE_MS,
      sinceMs: isHeld ? last.sinceMs : now,
      hot: Math.max(begin, last?.hot ?? 0),
    };
  }

  /** Renews the lease when something is read that was recalled; not each time, since that costs a row. */
  #use(lsn: number): void {
    const lease = this.#lease;
    if (lease === undefined || lsn >= lease.hot) return;
    const { engine } = this.#core;
    const now = engine.nowMs();
    if (lsn >= lease.lsn && lease.untilMs - now > LEASE_MS / 2) return;
    const isDeep = now - lease.sinceMs < DEEP_MS;
    this.#lease = {
      ...lease,
      lsn: isDeep ? Math.min(lsn, lease.lsn) : lsn,
      untilMs: now + LEASE_MS,
      sinceMs: isDeep ? lease.sinceMs : now,
    };
    engine.log.setMeta('lease', JSON.stringify(this.#lease));
  }
}
