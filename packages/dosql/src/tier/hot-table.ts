import type { Engine } from '../engine.ts';
import type { Pass } from '../outcome.ts';
import type { Relation } from '../schema/relation.ts';
import type { Batch, ScanRequest, ScanTable } from '../scan/table.ts';
import type { ScanColumn, Vector } from '../scan/vector.ts';
import { balanced } from '../sql/compound.ts';
import { quoteName } from '../sql/token.ts';
import type { SqlValue } from '../value/row.ts';
import { scanColumn } from './cold-table.ts';
import { conditionSql, readExact } from './rows.ts';

const BATCH_ROWS = 16_384;

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

  async *scan({ columns, conditions }: ScanRequest): AsyncGenerator<Batch> {
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
    const isMixed = columns.map((name) => this.columns.find((column) => column.name === name)?.type === 'any');
    for (let start = 0; start < rows.length; start += BATCH_ROWS)
      yield batchOf(columns, isMixed, rows.slice(start, start + BATCH_ROWS));
  }

  /** In a column of no affinity 5.0 is another value than 5, but the platform gives both as the same number. */
  #assertClear(columns: readonly string[], from: string, values: readonly SqlValue[]): void {
    const unclear = this.#relation.columns
      .filter(({ name, affinity }) => affinity === 'blob' && columns.includes(name))
      .map(({ name }) => `(typeof(${quoteName(name)}) = 'real' AND ${quoteName(name)} = round(${quoteName(name)}))`);
    if (unclear.length === 0) return;
    const isIn = balanced(unclear, 'OR');
    if (readExact(this.#engine, [`max(${isIn})`], from, values)[0]?.[0] === 1) throw new Unclear('unclear');
  }
}

/** Thrown where rows are not as the scan would take them: SQLite has to look at them itself. */
export class Unclear extends Error {}

/** Rows of several tables with the same columns, one table after the other. */
export function unionTable(tables: readonly ScanTable[]): ScanTable {
  return {
    columns: tables[0]?.columns ?? [],
    async *scan(request) {
      for (const table of tables) yield* table.scan(request);
    },
  };
}

function batchOf(columns: readonly string[], isMixed: readonly boolean[], rows: readonly SqlValue[][]): Batch {
  const known = new Map<string, Vector>();
  return {
    rowCount: rows.length,
    column: (name) => {
      let vector = known.get(name);
      const at = columns.indexOf(name);
      if (vector === undefined)
        known.set(name, (vector = isMixed[at] === true ? mixedOf(rows, at) : vectorOf(rows, at)));
      return vector;
    },
    fetch: () => Promise.resolve(),
  };
}

/** A column of rows: doubles where all values are numbers that they hold, else values one by one. */
function vectorOf(rows: readonly SqlValue[][], at: number): Vector {
  const { length } = rows;
  const values = new Float64Array(length);
  let nulls: Uint8Array | undefined;
  for (let i = 0; i < length; i++) {
    const value = rows[i]?.[at] ?? null;
    if (typeof value === 'number') values[i] = value;
    else if (value === null) (nulls ??= new Uint8Array(length))[i] = 1;
    else return mixedOf(rows, at);
  }
  return { kind: 'number', length, nulls, values };
}

function mixedOf(rows: readonly SqlValue[][], at: number): Vector {
  return { kind: 'mixed', length: rows.length, nulls: undefined, values: rows.map((row) => row[at] ?? null) };
}
