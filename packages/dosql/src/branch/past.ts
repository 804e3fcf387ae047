import type { Engine } from '../engine.ts';
import { asOf, type Past } from '../history/as-of.ts';
import { addedOf } from '../history/generated.ts';
import { rowidName } from '../history/mention.ts';
import type { Interval } from '../history/point.ts';
import { lineageOf, versionsOn } from '../history/row-key.ts';
import { frozen, narrowed } from '../history/stand-in.ts';
import { MAIN } from '../schema/line.ts';
import { bareRowid, type Relation } from '../schema/relation.ts';
import type { TableReference } from '../sql/scan.ts';
import type { Statement } from '../sql/statement.ts';
import { lowerName } from '../sql/token.ts';
import type { SqlParameter } from '../value/parameter.ts';
import type { Branch, Branches } from './branches.ts';

/** A reference of a statement to the past of a table. */
export interface PastReference {
  readonly statement: Statement;
  readonly reference: TableReference;
  readonly values: readonly SqlParameter[];
  /** The version whose columns are read. */
  readonly shape: Relation;
  /** Whether present rows of main's are all in its tables. */
  readonly canSeek: boolean;
}

/** Reads tables of a line as they were, and the versions of their rows: its own log's, and before it forked its parent's. */
export class BranchPast {
  readonly #engine: Engine;
  readonly #branches: Branches;

  constructor(engine: Engine, branches: Branches) {
    this.#engine = engine;
    this.#branches = branches;
  }

  /** What stands in for a table as of `lsn`. */
  asOf(line: number, past: PastReference, lsn: number): string {
    const { catalog, history } = this.#engine;
    const { rewriter } = history;
    const { statement, reference, values, shape, canSeek } = past;
    if (line === MAIN) return rewriter.source(statement, reference, values, shape, lsn, canSeek);
    const branch = this.#branches.branch(line);
    if (lsn < branch.base) return this.asOf(branch.parent, past, lsn);
    const all = catalog.versions(shape.tableId, line);
    // What the branch has not got of its own it sees as its origin had it.
    if (all.length === 0) return this.asOf(MAIN, past, branch.origin);
    const versions = all.filter(({ until }) => until === undefined || until > lsn);
    const own = narrowed(statement, reference, shape, this.#past(branch, shape, versions));
    return frozen(statement, asOf(own, String(lsn), 'probe', rowidName(statement, shape)), undefined);
  }

  /** What stands in for the versions of a table's rows. */
  versions(line: number, past: PastReference, interval: Interval): string {
    const { points, rewriter } = this.#engine.history;
    const { statement, reference, values, shape, canSeek } = past;
    const versions = versionsOn(this.#engine, shape.tableId, line);
    if (reference.systemTime?.kind === 'all') points.reachAll(versions);
    if (line === MAIN) return rewriter.source(statement, reference, values, shape, interval, canSeek);
    return rewriter.versions(
      statement,
      reference,
      values,
      shape,
      this.#past(this.#branches.branch(line), shape, versions),
      lineageOf(this.#engine, line),
      interval,
    );
  }

  /** The past of a branch's table that these versions make, read back from its present rows. */
  #past(branch: Branch, shape: Relation, versions: readonly Relation[]): Past {
    return { at: shape, ...this.#present(branch, shape.tableId), versions, ...addedOf(shape) };
  }

  /** The present version of a table on a branch, and where its rows are. */
  #present(branch: Branch, tableId: number): { now: Relation | undefined; rows: string | undefined } {
    const { catalog, history } = this.#engine;
    this.#branches.watch(branch);
    const own = catalog.versions(tableId, branch.id);
    if (own.length === 0) {
      const now = catalog.tablesAt(branch.origin).find((relation) => relation.tableId === tableId);
      const isBehind = now !== undefined && this.#branches.isBehind(branch, now);
      return { now, rows: isBehind ? history.rewriter.rowsAt(now, branch.origin) : undefined };
    }
    const now = own.find(({ until }) => until === undefined);
    const table = now && this.#branches.tables(branch.id).get(lowerName(now.name));
    return { now, rows: table?.rows(now && bareRowid(now)) };
  }
}
