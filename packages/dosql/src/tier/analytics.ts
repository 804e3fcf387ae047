import type { Engine, Outcome, RunOptions } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { namedColumns, rowidMention } from '../history/mention.ts';
import type { Pass } from '../outcome.ts';
import { Budget } from '../scan/budget.ts';
import { execute } from '../scan/execute.ts';
import { planAnalytics } from '../scan/plan.ts';
import type { ScanTable } from '../scan/table.ts';
import { unionTable } from '../scan/union-table.ts';
import type { Relation } from '../schema/relation.ts';
import { isUrl, parse, splice, type Statement } from '../sql/statement.ts';
import { quoteName } from '../sql/token.ts';
import type { SqlParameter } from '../value/parameter.ts';
import type { RawValue, SqlValue } from '../value/row.ts';
import { keyText } from './clashes.ts';
import type { HiddenKeys } from './cold-table.ts';
import type { Rollup } from './expire.ts';
import { changedKeys } from './hand-over.ts';
import { HotTable, Unclear } from './hot-table.ts';
import type { ColdFile, Manifest, TieredTable } from './manifest.ts';
import { plainValues, type Reads } from './reads.ts';

const MAX_ATTEMPTS = 50;

/** Thrown where the manifest has changed before the hot rows were read. */
class Changed extends Error {}

/** What is read, as it is at one moment. */
interface Snapshot {
  readonly relation: Relation;
  readonly lsn: number | undefined;
  readonly files: readonly ColdFile[];
  readonly hidden: HiddenKeys | undefined;
  readonly version: number;
  readonly generation: number;
}

/** Runs the statements that the scan can answer by itself, over hot and cold rows as one table, or over files. */
export class Analytics {
  readonly #engine: Engine;
  readonly #manifest: Manifest;
  readonly #reads: Reads;

  constructor(engine: Engine, manifest: Manifest, reads: Reads) {
    this.#engine = engine;
    this.#manifest = manifest;
    this.#reads = reads;
  }

  /** What a statement gives; undefined where SQLite has to run it. */
  async run(
    statement: Statement,
    values: readonly SqlParameter[],
    options: RunOptions,
    isExact: boolean,
    pass: Pass,
    budget: Budget,
  ): Promise<Outcome | undefined> {
    const [reference, other] = statement.references;
    if (reference === undefined || other !== undefined || options.branch !== undefined) return undefined;
    if (reference.kind !== 'from' || reference.isCte || options.schema === 'present') return undefined;
    if (isUrl(reference.name)) {
      const table = await this.#reads.url(statement, reference, plainValues(values), options.files, budget);
      return this.#answer(statement, table, values, isExact, budget);
    }
    const present = presentText(statement);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const snapshot = await pass(() => this.#snapshot(statement, values, options));
      if (snapshot === undefined) return undefined;
      const { relation, lsn, files, hidden, version, generation } = snapshot;
      const hot = new HotTable(this.#engine, relation, lsn, pass, () => {
        if (this.#manifest.version !== version || this.#engine.catalog.generation !== generation)
          throw new Changed('changed');
      });
      const whole = unionTable([hot, this.#reads.coldTable(relation, files, hidden)]);
      // Where cold rows are is not for users to see.
      const table: ScanTable = { columns: hot.columns, scan: (request) => whole.scan(request) };
      try {
        return await this.#answer(present, table, values, isExact, budget);
      } catch (error) {
        if (error instanceof Unclear) return undefined;
        // Files may have gone with the version that named them.
        if (!(error instanceof Changed) && this.#manifest.version === version) throw error;
      }
    }
    throw new DoSQLError('STORAGE_UNAVAILABLE', 'what the statement reads kept changing: try it again', {
      sql: statement.sql,
    });
  }

  /** What a policy keeps of rows that expire. */
  readonly rollup: Rollup = async ({ tableId, policy }: TieredTable, files: readonly ColdFile[]) => {
    const relation = this.#engine.catalog.versions(tableId).at(-1);
    if (policy.rollup === undefined || relation === undefined) return [];
    const { into, select } = policy.rollup;
    const statement = this.#engine.statement(select);
    const table = this.#reads.coldTable(relation, files);
    const [reference] = statement.references;
    const plan = reference && planAnalytics(statement, reference, namesOf(table));
    if (plan === undefined || plan === null)
      throw new DoSQLError(
        'SYNTAX',
        `the rollup of "${relation.name}" is more than a SELECT of aggregates over it alone`,
        { sql: select },
      );
    const { names, rows } = await execute(
      plan,
      table,
      [],
      new Budget({ bytes: Infinity, decodedBytes: Infinity }),
    );
    const sql = `INSERT INTO ${quoteName(into)}(${names.map(quoteName).join(', ')}) VALUES(${names.map(() => '?').join(', ')})`;
    return rows.map((params) => ({ sql, params }));
  };

  async #answer(
    statement: Statement,
    table: ScanTable,
    values: readonly SqlParameter[],
    isExact: boolean,
    budget: Budget,
  ): Promise<Outcome | undefined> {
    const [reference] = statement.references;
    const plan = reference && planAnalytics(statement, reference, namesOf(table));
    if (plan === undefined || plan === null) return undefined;
    const { names, rows } = await execute(plan, table, plainValues(values), budget, { bigints: isExact });
    return {
      names,
      raw: rows as RawValue[][],
      rowsRead: 0,
      rowsWritten: 0,
      changes: 0,
      lastRowId: 0,
      lsn: this.#engine.log.end(),
    };
  }

  #snapshot(statement: Statement, values: readonly SqlParameter[], { at }: RunOptions): Snapshot | undefined {
    const { catalog, history, log } = this.#engine;
    const [reference] = statement.references;
    if (reference === undefined || reference.systemTime?.kind !== (reference.systemTime && 'as of'))
      return undefined;
    const named = history.rewriter.times.lsnOf(statement, reference, values);
    const lsn = named ?? (at === undefined ? undefined : history.points.resolve(at));
    const relation = catalog.relationAt(reference.name, lsn ?? log.end());
    const tiered = relation && this.#manifest.tables.get(relation.tableId);
    if (relation === undefined || tiered === undefined) return undefined;
    if (rowidMention(statement, relation) !== undefined) return undefined;
    // The scan compares by bytes.
    if (namedColumns(statement, relation).some(({ collation }) => collation !== undefined)) return undefined;
    const { files } = tiered;
    const last = Math.max(0, ...files.map((file) => file.lsn));
    return {
      relation,
      lsn,
      files,
      hidden: lsn === undefined || lsn >= last ? undefined : this.#hidden(relation, lsn),
      version: this.#manifest.version,
      generation: catalog.generation,
    };
  }

  /** Keys that have changed since, of which the log knows what they were then. */
  #hidden(relation: Relation, lsn: number): HiddenKeys {
    const keys = changedKeys(this.#engine, relation, lsn);
    const { key } = relation;
    const columnIds = key.kind === 'rowid' ? [key.columnId ?? -1] : key.columnIds;
    return { lsn, columnIds, has: (values: readonly SqlValue[]) => keys.has(keyText(values)) };
  }
}

function namesOf({ columns }: ScanTable): string[] {
  return columns.map(({ name }) => name);
}

/** The statement without the point that it names, its parameters by their numbers. */
function presentText(statement: Statement): Statement {
  const point = statement.references[0]?.systemTime;
  if (point === undefined) return statement;
  const parameters = statement.parameters
    .filter(({ start }) => start < point.start || start >= point.end)
    .map(({ start, end, index }) => ({ start, end, text: `?${index}` }));
  const edits = [{ start: point.start, end: point.end, text: '' }, ...parameters];
  return parse(splice(statement.sql, edits))[0] as Statement;
}
