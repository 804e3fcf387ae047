import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { Point } from '../history/point.ts';
import { OP } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import { describe, type SqlParameter, type SqlParameters } from '../value/parameter.ts';
import { withoutTriggers } from './apply.ts';
import { Condition } from './condition.ts';
import { Eraser, keepEnd, type Erased } from './erase.ts';
import { eraseHistory } from './forget.ts';
import { assertMain, mainPlaces } from './place.ts';
import { worded } from './unchecked.ts';

/**
 * What to erase of a table.
 *
 * - `where`: every row for which the condition holds, or ever held, with all of its past.
 * - `before` with `column`: every row whose `column` is less than `before`, or was when it was deleted, with all of
 *   its past.
 * - `before` alone: the table's past before that point. Rows that are there stay.
 */
export type PurgeTarget =
  | { readonly where: string; readonly params?: SqlParameters | undefined; readonly keepKeys?: boolean }
  | { readonly before: SqlParameter; readonly column: string; readonly keepKeys?: boolean }
  | { readonly before: Point; readonly column?: undefined };

/** What was erased. */
export interface ErasureReport extends Erased {
  readonly table: string;
  /** The same for each table, with those whose rows went along by foreign keys. */
  readonly tables: Readonly<Record<string, Erased>>;
  /** Branches and files that something was erased from. */
  readonly branches: number;
  readonly files: number;
  /** The log's end after it. */
  readonly lsn: bigint;
}

/**
 * Erases rows of a table and their past, so that no query, no history and no stream finds them any more. What
 * foreign keys delete along with them is erased as well. The caller holds the gate.
 *
 * No trigger of the user's fires: it might write down what is being erased. Those who follow the log are told by a
 * deletion that has the row's key and no other value; `keepKeys: false` leaves not even that, for keys that are
 * personal themselves, and then they are told nothing.
 *
 * SQLite keeps the bytes of what was deleted until it uses their space again, and the platform keeps 30 days of its
 * own backups: neither can be reached from here.
 *
 * @throws DoSQLError `NO_SUCH_TABLE`, `BAD_PARAMETER`, `SYNTAX`, `FORBIDDEN` while a branch holds rows, `CONSTRAINT_FOREIGNKEY` when other rows refer to
 * these and their foreign key does not say what becomes of them; then nothing has been erased.
 */
export async function purge(
  engine: Engine,
  table: string,
  target: PurgeTarget,
  branch: number = MAIN,
): Promise<ErasureReport> {
  assertMain(branch, 'purge()');
  if (typeof table !== 'string')
    throw new DoSQLError('BAD_PARAMETER', `${describe(table)} is no name of a table`);
  const isObject = typeof target === 'object' && target !== null;
  if (!isObject || 'where' in target === 'before' in target)
    throw new DoSQLError('BAD_PARAMETER', `purge() of "${table}" takes { where } or { before }`);
  const erase = (): ErasureReport => {
    engine.tick();
    const named = tablesNamed(engine, table);
    if (!('where' in target) && target.column === undefined)
      return eraseHistory(engine, named, target.before);
    assertNoCopies(engine);
    const [current] = named as [Relation, ...Relation[]];
    const condition =
      'where' in target
        ? new Condition(engine, current, target.where, target.params)
        : olderThan(engine, current, target.column, target.before);
    const when = 'where' in target ? 'ever' : 'last';
    return eraseRows(engine, named, condition, when, target.keepKeys ?? true);
  };
  const report = await worded(() => engine.transaction(async () => erase()));
  engine.points.clear();
  engine.rewriter.clear();
  return report;
}

/** The tables that have, or had, this name, the present one first; each as its last version. */
function tablesNamed({ catalog }: Engine, name: string): Relation[] {
  const all = catalog.relationsOf(MAIN);
  const ids = new Set(all.filter((relation) => sameName(relation.name, name)).map(({ tableId }) => tableId));
  const last = [...ids].map((id) => all.findLast(({ tableId }) => tableId === id) as Relation);
  const isNow = ({ until, name: now }: Relation): boolean => until === undefined && sameName(now, name);
  // A table that has got another name since is no longer the one that is meant, if there is one of this name.
  const found = last.some(isNow)
    ? last.filter((relation) => isNow(relation) || relation.until !== undefined)
    : last;
  if (found.length === 0) throw new DoSQLError('NO_SUCH_TABLE', `no such table: ${describe(name)}`);
  return found.toSorted((a, b) => Number(isNow(b)) - Number(isNow(a)));
}

/** A branch keeps rows, and their past, under a name of its own for each table that it has written to. */
function assertNoCopies({ catalog, storage }: Engine): void {
  const copy = catalog.current().find(({ branch }) => branch > MAIN);
  if (copy === undefined) return;
  const [name] = all<[string]>(storage.sql, 'SELECT name FROM __dosql_branch WHERE id = ?', copy.branch);
  throw new DoSQLError(
    'FORBIDDEN',
    `branch "${name?.[0] ?? copy.branch}" has rows of its own, which would keep what is erased from main: merge it and drop it first`,
  );
}

function olderThan(engine: Engine, relation: Relation, column: string, before: SqlParameter): Condition {
  if (typeof column !== 'string' || !relation.columns.some(({ name }) => sameName(name, column)))
    throw new DoSQLError('NO_SUCH_COLUMN', `"${relation.name}" has no column ${describe(column)}`);
  return new Condition(engine, relation, `${quoteName(column)} < ?`, [before]);
}

function eraseRows(
  engine: Engine,
  tables: readonly Relation[],
  condition: Condition,
  when: 'ever' | 'last',
  keepKeys: boolean,
): ErasureReport {
  const { catalog, log, storage } = engine;
  const since = log.end();
  const counts = new Map<string, { rows: number; logEntries: number }>();
  const count = (name: string, rows: number, logEntries: number): void => {
    const before = counts.get(name) ?? { rows: 0, logEntries: 0 };
    counts.set(name, { rows: before.rows + rows, logEntries: before.logEntries + logEntries });
  };
  const erasers = new Map(tables.map((relation) => [relation.id, new Eraser(engine, relation)]));
  for (const eraser of erasers.values()) eraser.choose(condition, when);
  withoutTriggers(engine, mainPlaces(storage.sql, catalog), () => {
    for (const eraser of erasers.values()) eraser.deleteRows();
  });
  for (const relation of deletedFrom(engine, since)) {
    const eraser = erasers.get(relation.id) ?? new Eraser(engine, relation);
    erasers.set(relation.id, eraser);
    eraser.chooseDeleted(since);
  }
  for (const [id, eraser] of erasers) {
    const logEntries = eraser.eraseChanges(since);
    count(catalog.relation(id).name, eraser.eraseDeletions(since, keepKeys), logEntries);
    eraser.close();
  }
  keepEnd(engine, since);
  const name = (tables[0] as Relation).name;
  const own = counts.get(name) ?? { rows: 0, logEntries: 0 };
  return {
    table: name,
    ...own,
    tables: Object.fromEntries(counts),
    branches: 0,
    files: 0,
    lsn: BigInt(log.end()),
  };
}

/** The tables that rows have been deleted from since. */
function deletedFrom({ storage, catalog }: Engine, since: number): Relation[] {
  const rows = all<[number]>(
    storage.sql,
    `SELECT DISTINCT rel FROM __dosql_log WHERE lsn > ? AND op = ${OP.delete}`,
    since,
  );
  return rows.map(([id]) => catalog.relation(id));
}
