import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { OP } from '../schema/capture.ts';
import type { Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { describe } from '../value/parameter.ts';
import { apply, violationError } from './apply.ts';
import { forgotten } from './forget.ts';
import type { Match } from './fields.ts';
import { imagesOf, type Stretch } from './images.ts';
import type { Place } from './place.ts';
import { conflictError, ThreeWay } from './three-way.ts';

/** What undoing a transaction, or making it again, has done. */
export interface PickResult {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  /** The log's end after it. */
  readonly lsn: bigint;
}

/** Which transaction to make again, or to undo, and where. */
export interface Pick {
  /** Any LSN of the transaction. */
  readonly tx: bigint | number;
  readonly direction: 'again' | 'undo';
  /** All tables of the line that is written. */
  readonly places: readonly Place[];
  /** How rows are told apart; the rowids of another line are not those of this one. */
  readonly match?: Match | undefined;
}

/**
 * Makes the changes of one transaction again, or undoes them, as new changes. The caller holds a transaction in
 * which foreign keys are not enforced.
 *
 * Cell by cell: where others have changed the same rows since, what they changed stays, as long as the cells that
 * the transaction changed hold what it found there (or left there, to undo it).
 *
 * @throws DoSQLError `MERGE_CONFLICT` with `conflicts` when they do not, `CONSTRAINT_*` when the rows do not fit
 * the others, `HISTORY_EXPIRED` for a transaction that the log holds no more, `NO_SUCH_TABLE` for one whose table
 * is gone, `FORBIDDEN` for one that changed the schema.
 */
export function pick(
  engine: Engine,
  { tx, direction, places, match }: Pick,
  areEnforced: boolean,
): PickResult {
  const { sql } = engine.storage;
  const stretch = stretchOf(engine, tx);
  const what = `${direction === 'undo' ? 'undoing' : 'making'} transaction ${stretch.upTo}${direction === 'undo' ? '' : ' again'}`;
  const merges = relationsIn(engine, stretch).map((relation, i) => {
    const place = placeOf(places, relation, direction);
    const images = { place, past: relation, versions: [relation], stretch, match };
    const before = imagesOf({ ...images, side: 'before' });
    const after = imagesOf({ ...images, side: 'after' });
    const [base, theirs] = direction === 'undo' ? [after, before] : [before, after];
    return new ThreeWay(sql, { place, base, theirs, match }, i);
  });
  const count = merges.reduce((sum, { conflictCount }) => sum + conflictCount, 0);
  if (count > 0)
    throw conflictError(
      what,
      count,
      merges.flatMap((merge) => merge.conflicts()),
    );
  const { violations, ...counts } = apply(
    engine,
    places,
    merges.map((merge) => merge.change()),
    areEnforced,
  );
  if (violations.length > 0) throw violationError(what, violations);
  for (const merge of merges) merge.close();
  return { ...counts, lsn: BigInt(engine.log.end()) };
}

/** The changes of the transaction that has the LSN `tx`. */
function stretchOf(engine: Engine, tx: bigint | number): Stretch {
  const lsn = Number(tx);
  if (!Number.isSafeInteger(lsn) || (typeof tx !== 'bigint' && typeof tx !== 'number') || lsn < 1)
    throw new DoSQLError('BAD_PARAMETER', `${describe(tx)} is no LSN: give that of a change`);
  const { log, storage } = engine;
  const earliest = log.earliest().lsn;
  if (lsn <= earliest)
    throw new DoSQLError(
      'HISTORY_EXPIRED',
      `transaction ${lsn} is gone from the log, which begins after LSN ${earliest}`,
    );
  const end = log.end();
  if (lsn > end)
    throw new DoSQLError('BAD_PARAMETER', `LSN ${lsn} lies past the last change, which has LSN ${end}`);
  const [range] = all<[number, number]>(
    storage.sql,
    'SELECT first, last FROM __dosql_tx WHERE last >= ? ORDER BY last LIMIT 1',
    lsn,
  );
  const erased = Math.max(0, ...forgotten(storage.sql).values());
  if (lsn <= erased)
    throw new DoSQLError(
      'HISTORY_EXPIRED',
      `of transaction ${lsn} only a part may be left: a table's past up to LSN ${erased} has been erased`,
    );
  const isInside = range !== undefined && range[0] <= lsn;
  return isInside ? { after: range[0] - 1, upTo: range[1] } : { after: lsn - 1, upTo: lsn };
}

/** The versions of tables that a transaction changed rows of, each table in one. */
function relationsIn(engine: Engine, { after, upTo }: Stretch): Relation[] {
  const rows = all<[number, number]>(
    engine.storage.sql,
    `SELECT rel, max(op IN (${OP.schema}, ${OP.rewrite})) FROM __dosql_log WHERE lsn > ? AND lsn <= ? AND op <> ${OP.more} GROUP BY rel ORDER BY rel`,
    after,
    upTo,
  );
  const altered = rows.find(([, isAltered]) => isAltered === 1);
  if (altered !== undefined)
    throw new DoSQLError(
      'FORBIDDEN',
      `transaction ${upTo} changed the schema of "${engine.catalog.relation(altered[0]).name}", which cannot be undone or made again: restore() sets rows back`,
    );
  return rows.map(([id]) => engine.catalog.relation(id));
}

function placeOf(
  places: readonly Place[],
  { tableId, name, branch }: Relation,
  direction: Pick['direction'],
): Place {
  const place = places.find(({ relation }) => relation.tableId === tableId);
  if (place === undefined)
    throw new DoSQLError('NO_SUCH_TABLE', `the transaction changed "${name}", which is not there any more`);
  if (direction === 'undo' && place.relation.branch !== branch)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `the transaction changed "${name}" on another branch: undo it there`,
    );
  return place;
}
