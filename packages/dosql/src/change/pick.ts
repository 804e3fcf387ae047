import type { Branches } from '../branch/branches.ts';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { NO_RELATION, OP } from '../schema/capture.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { describe } from '../value/parameter.ts';
import { aligned, assertColumns, assertKeys } from './aligned.ts';
import { apply, violationError } from './apply.ts';
import { Fields, type Match } from './fields.ts';
import { forgotten } from './forget.ts';
import { imagesOf, type Images, type Stretch } from './images.ts';
import { Places } from './places.ts';
import { conflictError, ThreeWay } from './three-way.ts';

/** What undoing a transaction, or making it again, has done. */
export interface PickResult {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  /** The log's end after it. */
  readonly lsn: bigint;
}

/** Where to make a transaction again. */
export interface PickOptions {
  /** A branch; by default that of the handle. */
  readonly onto?: string | undefined;
}

/** Which transaction to make again, or to undo, and where. */
export interface Pick {
  /** Any LSN of the transaction. */
  readonly tx: bigint | number;
  readonly direction: 'again' | 'undo';
  /** The line that is written. */
  readonly line: number;
}

/**
 * Makes the changes of one transaction again, or undoes them, as new changes. The caller holds a transaction in
 * which foreign keys are not enforced.
 *
 * Cell by cell: where others have changed the same rows since, what they changed stays, as long as the cells that
 * the transaction changed hold what it found there (or left there, to undo it). Rows of another line are found by
 * their primary key; of a table without one by their rowid, if they are the same there.
 *
 * @throws DoSQLError `MERGE_CONFLICT` with `conflicts` when they do not, `CONSTRAINT_*` when the rows do not fit
 * the others, `HISTORY_EXPIRED` for a transaction that the log holds no more, `NO_SUCH_TABLE` for one whose table
 * is gone, `NO_SUCH_COLUMN` for one that wrote a column that is not there, `FORBIDDEN` for one that changed the
 * schema, `BAD_PARAMETER` to undo one that the line has not got.
 */
export function pick(
  engine: Engine,
  branches: Branches | undefined,
  { tx, direction, line }: Pick,
  areEnforced: boolean,
): PickResult {
  const { sql } = engine.storage;
  const stretch = stretchOf(engine, tx);
  const what = `${direction === 'undo' ? 'undoing' : 'making'} transaction ${stretch.upTo}${direction === 'undo' ? '' : ' again'}`;
  const relations = relationsIn(engine, stretch, Number(tx), direction === 'undo' ? line : undefined);
  if (direction === 'undo') assertOwn(engine, branches, relations, stretch, line);
  if (line !== MAIN) branches?.watch(branches.branch(line));
  const places = new Places(engine, branches, line);
  const merges = relations.map((relation, i) => {
    const { place, ...images } = imagesFor(engine, places, relation, stretch, line);
    const before = imagesOf({ place, ...images, side: 'before' });
    const after = imagesOf({ place, ...images, side: 'after' });
    const [base, theirs] = direction === 'undo' ? [after, before] : [before, after];
    const isForeign =
      direction === 'again' && relation.branch !== line && place.relation.primaryKey.length === 0;
    return new ThreeWay(sql, { place, base, theirs, match: images.match, isForeign }, i);
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
    places.all(),
    merges.map((merge) => merge.change()),
    areEnforced,
  );
  if (violations.length > 0) throw violationError(what, violations);
  for (const merge of merges) merge.close();
  return { ...counts, lsn: BigInt(engine.log.end()) };
}

/** Where the changes of a table are to be made, and how their images are read; the rows in question are there. */
function imagesFor(
  engine: Engine,
  places: Places,
  relation: Relation,
  stretch: Stretch,
  line: number,
): Omit<Images, 'side'> {
  const { sql } = engine.storage;
  const now = places.find(relation);
  if (now === undefined)
    throw new DoSQLError(
      'NO_SUCH_TABLE',
      `the transaction changed "${relation.name}", which is not there any more`,
    );
  const place = places.named(now.name);
  const past = aligned(relation, place.relation);
  const match: Match = relation.branch === line ? 'key' : 'primaryKey';
  const images = { place, past, versions: [past], stretch, match };
  if (relation.branch !== line) {
    assertColumns(sql, images);
    assertKeys(sql, images);
  }
  if (line !== MAIN) copyUp(sql, places, images);
  return images;
}

/** What a branch sees of main's rows is looked at, and written, in its own table only. */
function copyUp(sql: SqlStorage, places: Places, images: Omit<Images, 'side'>): void {
  const { place, match } = images;
  const fields = new Fields(place.relation, match);
  const keys = '__dosql_picked';
  sql.exec(fields.keysTable(keys));
  const names = fields.all.map((_, i) => `v${i}`);
  const values = fields.key.map((field) => names[fields.all.indexOf(field)]);
  for (const side of ['before', 'after'] as const)
    sql.exec(
      `WITH __dosql_rows(${names.join(', ')}) AS (${imagesOf({ ...images, side })}) ` +
        `INSERT OR IGNORE INTO ${keys}(${fields.keyNames().join(', ')}) SELECT ${values.join(', ')} FROM __dosql_rows`,
    );
  places.copyUp(
    place,
    keys,
    fields.key.map(({ name }) => name),
  );
  sql.exec(`DROP TABLE ${keys}`);
}

/** The changes of the transaction that has the LSN `tx`. */
function stretchOf(engine: Engine, tx: bigint | number): Stretch {
  const lsn = Number(tx);
  if (!Number.isSafeInteger(lsn) || (typeof tx !== 'bigint' && typeof tx !== 'number') || lsn < 1)
    throw new DoSQLError('BAD_PARAMETER', `${describe(tx)} is no LSN: give that of a change`);
  const { history, log, storage } = engine;
  if (!history.points.reach(lsn - 1, `transaction ${lsn}`))
    throw new DoSQLError(
      'HISTORY_EXPIRED',
      `transaction ${lsn} is gone from the log, which begins after LSN ${log.earliest().lsn}`,
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

/**
 * The versions of tables that a transaction changed rows of, each table in one. Where it wrote several lines, of one:
 * of `line`, or else of that which the LSN is of.
 */
function relationsIn(
  { storage, catalog }: Engine,
  { after, upTo }: Stretch,
  lsn: number,
  line: number | undefined,
): Relation[] {
  const rows = all<[number, number]>(
    storage.sql,
    `SELECT rel, max(op IN (${OP.schema}, ${OP.rewrite})) FROM __dosql_log WHERE lsn > ? AND lsn <= ? AND op BETWEEN ${OP.insert} AND ${OP.schema} GROUP BY rel ORDER BY rel`,
    after,
    upTo,
  );
  const changed = rows.filter(([id]) => id !== NO_RELATION).map(([id]) => catalog.relation(id));
  const altered = rows.find(([, isAltered]) => isAltered === 1)?.[0];
  if (altered !== undefined)
    throw isNoPick(upTo, altered === NO_RELATION ? undefined : catalog.relation(altered));
  if (changed.some(({ branch }) => branch === line)) return changed.filter(({ branch }) => branch === line);
  const [at] = all<[number]>(
    storage.sql,
    `SELECT rel FROM __dosql_log WHERE lsn > ? AND lsn <= ? AND op BETWEEN ${OP.insert} AND ${OP.rewrite} ORDER BY lsn <= ? DESC, abs(lsn - ?) LIMIT 1`,
    after,
    upTo,
    lsn,
    lsn,
  );
  const branch = at === undefined ? undefined : catalog.relation(at[0]).branch;
  return changed.filter((relation) => relation.branch === branch);
}

/** The error for what is not about rows. */
function isNoPick(tx: number, relation: Relation | undefined): DoSQLError {
  const what =
    relation === undefined
      ? 'is about a view, an index, a trigger or a merge'
      : relation.name === ''
        ? 'erased rows'
        : `changed the schema of "${relation.name}"`;
  return new DoSQLError(
    'FORBIDDEN',
    `transaction ${tx} ${what}, which cannot be undone or made again: restore() sets rows back`,
  );
}

/** What is undone is a change that the line has: its own, or one of before it forked. */
function assertOwn(
  { branching }: Engine,
  branches: Branches | undefined,
  relations: readonly Relation[],
  { upTo }: Stretch,
  line: number,
): void {
  const lineage = branching?.lineage(line) ?? [{ line: MAIN, upTo: Infinity }];
  const strange = relations.find(
    ({ branch }) => !lineage.some((part) => part.line === branch && upTo <= part.upTo),
  );
  if (strange === undefined) return;
  const { name, branch } = strange;
  const where = branches?.list().find(({ id }) => id === branch)?.name ?? (branch === MAIN ? 'main' : branch);
  throw new DoSQLError(
    'BAD_PARAMETER',
    `transaction ${upTo} changed "${name}" on "${where}", after this branch had forked or apart from it: undo it there`,
  );
}
