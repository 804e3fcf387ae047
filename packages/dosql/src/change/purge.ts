import { forgetArchive } from '../backup/forget.ts';
import type { Branches } from '../branch/branches.ts';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { Point } from '../history/point.ts';
import { dropConflicts } from '../merge/conflicts.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { quoteName } from '../sql/token.ts';
import { describe, type SqlParameter, type SqlParameters } from '../value/parameter.ts';
import { Condition } from './condition.ts';
import { loadForget } from './delivered.ts';
import type { Erased } from './erase.ts';
import { Erasure } from './erasure.ts';
import { eraseHistory } from './forget.ts';
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
  /** Dead letters of deliveries that something was erased from. */
  readonly deadLetters: number;
  readonly files: number;
  /** The log's end after it. */
  readonly lsn: bigint;
}

/**
 * Erases rows of a table and their past from main and from all branches, so that no query, no history and no stream
 * finds them any more. What foreign keys delete along with them is erased as well. The caller holds the gate. `line`
 * is where the table is called so.
 *
 * No trigger of the user's fires: it might write down what is being erased. Those who follow the log are told by a
 * deletion that has the row's key and no other value; `keepKeys: false` leaves not even that, for keys that are
 * personal themselves, and then they are told nothing.
 *
 * Deliveries forget what they keep of the rows: dead letters, and what a batch has of them that is on its way.
 *
 * SQLite keeps the bytes of what was deleted until it uses their space again, and the platform keeps 30 days of its
 * own backups: neither can be reached from here.
 *
 * @throws DoSQLError `NO_SUCH_TABLE`, `BAD_PARAMETER`, `SYNTAX`, `CONSTRAINT_FOREIGNKEY` when other rows refer to these and their foreign key does not say what becomes of them; then nothing has been erased.
 */
export async function purge(
  engine: Engine,
  branches: Branches | undefined,
  table: string,
  target: PurgeTarget,
  line: number = MAIN,
): Promise<ErasureReport> {
  if (typeof table !== 'string')
    throw new DoSQLError('BAD_PARAMETER', `${describe(table)} is no name of a table`);
  const isObject = typeof target === 'object' && target !== null;
  if (!isObject || 'where' in target === 'before' in target)
    throw new DoSQLError('BAD_PARAMETER', `purge() of "${table}" takes { where } or { before }`);
  forgetArchive(engine);
  const { files } = engine;
  // What is to be erased is looked for in SQLite, in all that there is of the table.
  if (files !== undefined && ('where' in target || target.column !== undefined))
    await files.cold.table(table);
  const forget = await loadForget(engine);
  const erase = (): ErasureReport => {
    engine.tick();
    const named = tablesNamed(engine, branches, table, line);
    const { current, tables } = named;
    if (!('where' in target) && target.column === undefined)
      return eraseHistory(engine, current, tables, target.before, forget);
    const condition =
      'where' in target
        ? new Condition(engine, current, target.where, target.params)
        : olderThan(engine, current, target.column, target.before);
    const when = 'where' in target ? 'ever' : 'last';
    const chosen = { tables, condition, when, keepKeys: target.keepKeys ?? true } as const;
    const erased = new Erasure(engine, branches, chosen, forget).run();
    dropConflicts(engine, erased.names);
    return {
      table: current.name,
      ...(erased.tables.get(current.name) ?? { rows: 0, logEntries: 0 }),
      tables: Object.fromEntries(erased.tables),
      branches: erased.branches.size,
      deadLetters: erased.deadLetters,
      files: 0,
      lsn: BigInt(engine.log.end()),
    };
  };
  const report = await worded(() => engine.transaction(async () => erase()));
  engine.loadedHistory?.clear();
  branches?.load();
  return files === undefined ? report : { ...report, files: report.files + (await files.cold.shred()) };
}

/** The tables that a name means. */
interface Named {
  /** The one that is called so on the line of the caller, whose columns a condition names. */
  readonly current: Relation;
  /** All tables that are meant, on all lines, each as its last version. */
  readonly tables: readonly Relation[];
}

/** The tables that are called `name` on `line`, or were, wherever they are; and of other lines, what is called so there. */
function tablesNamed(engine: Engine, branches: Branches | undefined, name: string, line: number): Named {
  const { catalog } = engine;
  const others = (branches?.list() ?? []).map(({ id }) => id);
  const lines = [line, ...[MAIN, ...others].filter((other) => other !== line)];
  const isMeant = new Set(called(engine, name, line).map(({ tableId }) => tableId));
  const seen = line === MAIN ? undefined : branches?.seenThrough(branches.branch(line), name);
  if (seen !== undefined) isMeant.add(seen.tableId);
  const tables = lines.flatMap((other) => {
    const own = called(engine, name, other);
    const elsewhere = [...isMeant].flatMap((tableId) => catalog.versions(tableId, other).at(-1) ?? []);
    return [...own, ...elsewhere.filter(({ tableId }) => !own.some((found) => found.tableId === tableId))];
  });
  const [first] = tables;
  const isOwn = first !== undefined && first.branch === line && first.until === undefined;
  const current = isOwn ? first : (seen ?? first);
  if (current === undefined) throw new DoSQLError('NO_SUCH_TABLE', `no such table: ${describe(name)}`);
  return { current, tables };
}

/** The tables of a line that have, or had, this name, the present one first; each as its last version. */
function called({ catalog }: Engine, name: string, line: number): Relation[] {
  const all = catalog.relationsOf(line);
  const ids = new Set(all.filter((relation) => sameName(relation.name, name)).map(({ tableId }) => tableId));
  const last = [...ids].map((id) => all.findLast(({ tableId }) => tableId === id) as Relation);
  const isNow = ({ until, name: now }: Relation): boolean => until === undefined && sameName(now, name);
  // A table that has got another name since is no longer the one that is meant, if there is one of this name.
  const found = last.some(isNow)
    ? last.filter((relation) => isNow(relation) || relation.until !== undefined)
    : last;
  return found.toSorted((a, b) => Number(isNow(b)) - Number(isNow(a)));
}

function olderThan(engine: Engine, relation: Relation, column: string, before: SqlParameter): Condition {
  if (typeof column !== 'string' || !relation.columns.some(({ name }) => sameName(name, column)))
    throw new DoSQLError('NO_SUCH_COLUMN', `"${relation.name}" has no column ${describe(column)}`);
  return new Condition(engine, relation, `${quoteName(column)} < ?`, [before]);
}
