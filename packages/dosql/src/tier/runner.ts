import type { Engine, Outcome, RunOptions } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { ColdRows, FileStatements, Pass } from '../outcome.ts';
import { Budget, type Limits, type ScanCounts } from '../scan/budget.ts';
import { isUrl, type Statement } from '../sql/statement.ts';
import { exactRows } from '../value/integer.ts';
import { orderParameters, type SqlParameter, type SqlParameters } from '../value/parameter.ts';
import type { RawValue } from '../value/row.ts';
import type { Analytics } from './analytics.ts';
import type { Names } from './names.ts';
import type { Reads } from './reads.ts';
import type { Writes } from './writes.ts';

/** What a statement has read of files, and who has computed what. */
export interface FileReport extends ScanCounts {
  /** `scan` where the scan has computed the whole answer, `sqlite` where SQLite has, over rows that the scan read. */
  readonly engine: 'scan' | 'sqlite';
}

const WRITTEN = new Set(['into', 'update', 'delete']);
/** A statement is run so often while what it reads keeps changing under it. */
const MAX_ATTEMPTS = 50;

/** What it takes to run statements that read files. */
export interface RunnerParts {
  readonly engine: Engine;
  readonly names: Names;
  readonly reads: Reads;
  readonly writes: Writes;
  readonly analytics: Analytics;
  readonly cold: ColdRows;
  readonly limits: Partial<Limits>;
}

/** Runs statements that have to wait for files: those that name a URL, and those about a table with cold rows. */
export class FileRunner implements FileStatements {
  readonly cold: ColdRows;
  readonly #parts: RunnerParts;
  readonly #rolledBack: () => void;

  constructor(parts: RunnerParts, rolledBack: () => void) {
    this.#parts = parts;
    this.cold = parts.cold;
    this.#rolledBack = rolledBack;
  }

  concerns(statement: Statement): boolean {
    return (statement.kind === 'read' || statement.kind === 'write') && this.#parts.names.concerns(statement);
  }

  rolledBack(): void {
    this.#rolledBack();
  }

  refuse(statement: Statement, branch?: number): void {
    this.#parts.names.refuse(statement, branch !== undefined || this.#parts.engine.hasBranchesNow);
  }

  /** Runs a query for what it reads of files. */
  async report(
    statement: Statement,
    params: SqlParameters | undefined,
    options: RunOptions,
    pass: Pass,
  ): Promise<FileReport | undefined> {
    if (statement.kind !== 'read')
      throw new DoSQLError(
        'READ_ONLY',
        'only a query that reads files can be explained: a write would be made',
        { sql: statement.sql },
      );
    let files: FileReport | undefined;
    await this.run(statement, params, options, pass, (report) => (files = report));
    return files;
  }

  /** Runs a statement; `report` is told what it has read. */
  async run(
    statement: Statement,
    params: SqlParameters | undefined,
    { integers, ...options }: RunOptions & { readonly integers?: 'number' | 'bigint' | undefined },
    pass: Pass,
    report?: (report: FileReport) => void,
  ): Promise<Outcome> {
    const { reads, writes, analytics, limits, engine } = this.#parts;
    const values = orderParameters(statement, params);
    const budget = new Budget(limits);
    const tell = (by: FileReport['engine']): void => report?.({ ...budget.counts, engine: by });
    const written = statement.references.find(({ kind, name }) => WRITTEN.has(kind) && isUrl(name));
    if (written !== undefined)
      throw new DoSQLError('READ_ONLY', `"${written.name}" cannot be written by a statement: use db.copy()`, {
        sql: statement.sql,
      });
    if (statement.kind === 'write') {
      const outcome = await writes.run(statement, values, options, pass, budget);
      tell('sqlite');
      return outcome;
    }
    const isExact = integers === 'bigint';
    const scanned = await analytics.run(statement, values, options, isExact, pass, budget);
    if (scanned !== undefined) {
      tell('scan');
      return scanned;
    }
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const needs = await pass(() => reads.needs(statement, values, options));
      const instead = await reads.fetch(needs, budget);
      if (instead === undefined) continue;
      const outcome = await pass(() => {
        if (!reads.isCurrent(needs)) return undefined;
        const redirected = { ...options, redirect: reads.redirect(instead) };
        return isExact
          ? exactOutcome(engine, statement, values, redirected)
          : engine.run(statement, values, redirected);
      });
      if (outcome === undefined) continue;
      tell('sqlite');
      return outcome;
    }
    throw new DoSQLError(
      'STORAGE_UNAVAILABLE',
      `what the statement reads has changed ${MAX_ATTEMPTS} times while it was read: try it again`,
      { sql: statement.sql },
    );
  }
}

function exactOutcome(
  engine: Engine,
  statement: Statement,
  values: readonly SqlParameter[],
  options: RunOptions,
): Outcome {
  const rows = exactRows(engine, statement, values, options);
  const names = Object.keys(rows[0] ?? {});
  const raw = rows.map((row) => names.map((name) => row[name] as RawValue));
  return { names, raw, rowsRead: 0, rowsWritten: 0, changes: 0, lastRowId: 0, lsn: engine.log.end() };
}
