import type { Engine } from '../engine.ts';
import type { Pass } from '../outcome.ts';
import type { Relation } from '../schema/relation.ts';
import type { Batch, ScanRequest, ScanTable } from '../scan/table.ts';
import { rowsTable } from '../scan/rows-table.ts';
import type { ScanColumn } from '../scan/vector.ts';
import { balanced } from '../sql/compound.ts';
import { quoteName } from '../sql/token.ts';
import type { SqlValue } from '../value/row.ts';
import { scanColumn } from './cold-table.ts';
import { conditionSql, readExact } from './rows.ts';

/** A table's own rows in SQLite, of the present or as of an LSN, all read within one turn. */
export class HotTable implements ScanTable {
  readonly columns: readonly ScanColumn[];
  readonly #engine: Engine;
  readonly #relation: Relation;
  readonly #lsn: number | undefined;
  readonly #pass: Pass;
  readonly #assertCurrent: () => void;

  /** `assertCurrent` is called in the turn in which the rows are read: it throws when what goes with them has changed. */
  constructor(
    engine: Engine,
    relation: Relation,
    lsn: number | undefined,
    pass: Pass,
    assertCurrent: () => void,
  ) {
    this.#engine = engine;
    this.#relation = relation;
    this.#lsn = lsn;
    this.#pass = pass;
    this.#assertCurrent = assertCurrent;
    this.columns = relation.columns.map(scanColumn);
  }

  async *scan(request: ScanRequest): AsyncGenerator<Batch> {
    const { conditions } = request;
    // What may be fetched later is read now: later the rows may be others.
    const columns = [...new Set([...request.columns, ...(request.late ?? [])])];
    const parts = conditions.map(conditionSql);
    const where = parts.length === 0 ? '' : ` WHERE ${parts.map(({ sql }) => sql).join(' AND ')}`;
    const values = parts.flatMap((part) => part.values);
    const at = this.#lsn === undefined ? '' : ` FOR SYSTEM_TIME AS OF LSN ${this.#lsn}`;
    const from = `FROM main.${quoteName(this.#relation.name)}${at}${where}`;
    const names = columns.length === 0 ? ['1'] : columns.map(quoteName);
    const rows = await this.#pass(() => {
      this.#assertCurrent();
      this.#assertClear(columns, from, values);
      return readExact(this.#engine, names, from, values);
    });
    const wanted = columns.map((name) => this.columns.find((column) => column.name === name) as ScanColumn);
    yield* rowsTable(wanted, rows).scan(request);
  }

  /** In a column of no affinity 5.0 is another value than 5, but the platform gives both as the same number. */
  #assertClear(columns: readonly string[], from: string, values: readonly SqlValue[]): void {
    const unclear = this.#relation.columns
      .filter(({ name, affinity }) => affinity === 'blob' && columns.includes(name))
      .map(
        ({ name }) =>
          `(typeof(${quoteName(name)}) = 'real' AND ${quoteName(name)} = round(${quoteName(name)}))`,
      );
    if (unclear.length === 0) return;
    const isIn = balanced(unclear, 'OR');
    if (readExact(this.#engine, [`max(${isIn})`], from, values)[0]?.[0] === 1) throw new Unclear('unclear');
  }
}

/** Thrown where rows are not as the scan would take them: SQLite has to look at them itself. */
export class Unclear extends Error {}
