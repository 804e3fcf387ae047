import type { Affinity, Column, Relation } from '../schema/relation.ts';
import type { Batch, Condition, ScanRequest, ScanTable } from '../scan/table.ts';
import type { ColumnType, ScanColumn, Vector } from '../scan/vector.ts';
import type { SqlValue } from '../value/row.ts';
import { mayFulfil } from './prune.ts';
import { constantVector, gather, mixed, valueAt } from './vectors.ts';
import { isGone, type ColdFile } from './manifest.ts';

/** Which file a cold row is in, and where: columns that every cold table has beside its own. */
export const FILE_COLUMN = '$file';
/** See {@link FILE_COLUMN}. */
export const ROW_COLUMN = '$row';
/** What a file calls a rowid that is no column. */
export const ROWID_COLUMN = '$rowid';

/** Keys of rows that are not to be seen, as of files whose rows were last changed after `lsn`. */
export interface HiddenKeys {
  readonly lsn: number;
  /** Ids of the key's columns; -1 for a rowid that is no column. */
  readonly columnIds: readonly number[];
  has(key: readonly SqlValue[]): boolean;
}

/** What a cold table is made of. */
export interface ColdTableParts {
  /** The version of the table whose columns are wanted. */
  readonly relation: Relation;
  readonly files: readonly ColdFile[];
  /** Opens a file of them. */
  readonly open: (file: ColdFile, request: ScanRequest) => Promise<ScanTable>;
  /** What a row of an older file has in a column that was added since, by the column's id. */
  readonly defaults: ReadonlyMap<number, SqlValue>;
  readonly hidden?: HiddenKeys | undefined;
  /** Columns that the version does not have any more, by the names that they go by now. */
  readonly dropped?: readonly Column[] | undefined;
}

const TYPES: Readonly<Record<Affinity, ColumnType>> = {
  integer: 'integer',
  real: 'real',
  text: 'text',
  numeric: 'any',
  blob: 'any',
};
/** Files opened ahead of the one that is read. */
const AHEAD = 3;

/** What a column of SQLite is to a scan. */
export function scanColumn({ name, affinity }: Column): ScanColumn {
  return { name, type: TYPES[affinity] };
}

/** The cold rows of a table, as its columns are in one of its versions, whatever they were when the files were made. */
export class ColdTable implements ScanTable {
  readonly columns: readonly ScanColumn[];
  readonly #parts: ColdTableParts;

  constructor(parts: ColdTableParts) {
    const { relation } = parts;
    this.#parts = parts;
    const own = [ROWID_COLUMN, FILE_COLUMN, ROW_COLUMN].map((name): ScanColumn => ({
      name,
      type: 'integer',
    }));
    this.columns = [...relation.columns.map(scanColumn), ...(parts.dropped ?? []).map(scanColumn), ...own];
  }

  async *scan(request: ScanRequest): AsyncGenerator<Batch> {
    const { files, open } = this.#parts;
    const { counts } = request.budget;
    counts.files.total += files.length;
    const wanted = files.filter((file) => this.#mayHold(file, request.conditions));
    counts.files.pruned += files.length - wanted.length;
    const opening: Promise<ScanTable>[] = [];
    try {
      for (const [i, file] of wanted.entries()) {
        while (opening.length < Math.min(wanted.length, i + 1 + AHEAD))
          opening.push(quiet(open(wanted[opening.length] as ColdFile, request)));
        counts.files.read++;
        yield* this.#read(file, await (opening[i] as Promise<ScanTable>), request);
      }
    } finally {
      await Promise.allSettled(opening);
    }
  }

  /** Whether a file may hold rows that fulfil the conditions, by the ranges of its columns. */
  #mayHold(file: ColdFile, conditions: readonly Condition[]): boolean {
    return conditions.every((condition) => {
      const column = this.#parts.relation.columns.find(({ name }) => name === condition.column);
      if (column === undefined) return true;
      const there = file.columns.find(({ id }) => id === column.id);
      const value = there === undefined ? (this.#parts.defaults.get(column.id) ?? null) : there.value;
      if (value === undefined) return mayFulfil(condition, file.ranges.get(column.id));
      if (condition.operator === 'is null') return value === null;
      return mayFulfil(condition, { min: value, max: value });
    });
  }

  async *#read(file: ColdFile, table: ScanTable, request: ScanRequest): AsyncGenerator<Batch> {
    const { hidden } = this.#parts;
    const isHiding = hidden !== undefined && hidden.lsn < file.lsn;
    const keys = isHiding ? hidden.columnIds.map((id) => nameIn(file, id) as string) : [];
    const rows = file.gone === undefined ? [] : [ROW_COLUMN];
    const physical = (names: readonly string[]): string[] =>
      names.flatMap((name) => this.#physical(file, name) ?? []);
    const columns = [...new Set([...physical(request.columns), ...keys, ...rows])];
    const conditions = request.conditions.flatMap((condition): Condition[] => {
      const [column] = physical([condition.column]);
      return column === undefined ? [] : [{ ...condition, column }];
    });
    for await (const batch of table.scan({ ...request, columns, conditions })) {
      const seen = this.#seen(file, batch, keys, isHiding ? hidden : undefined);
      if (seen?.length === 0) continue;
      yield this.#batch(file, table, batch, seen, physical);
    }
  }

  /** Positions of a batch's rows that are to be seen; undefined when all are. */
  #seen(
    file: ColdFile,
    batch: Batch,
    keys: readonly string[],
    hidden: HiddenKeys | undefined,
  ): Uint32Array | undefined {
    if (file.gone === undefined && hidden === undefined) return undefined;
    const positions = file.gone === undefined ? undefined : batch.column(ROW_COLUMN);
    const vectors = keys.map((name) => batch.column(name));
    const seen = new Uint32Array(batch.rowCount);
    let count = 0;
    for (let i = 0; i < batch.rowCount; i++) {
      if (positions !== undefined && isGone(file.gone, valueAt(positions, i) as number)) continue;
      if (hidden?.has(vectors.map((vector) => valueAt(vector, i))) === true) continue;
      seen[count++] = i;
    }
    return count === batch.rowCount ? undefined : seen.subarray(0, count);
  }

  #batch(
    file: ColdFile,
    table: ScanTable,
    batch: Batch,
    seen: Uint32Array | undefined,
    physical: (names: readonly string[]) => string[],
  ): Batch {
    const rowCount = seen?.length ?? batch.rowCount;
    const known = new Map<string, Vector>();
    return {
      rowCount,
      column: (name) => {
        let vector = known.get(name);
        if (vector === undefined)
          known.set(name, (vector = this.#column(file, table, batch, name, rowCount, seen)));
        return vector;
      },
      fetch: async (names, rows) => {
        const at = rows === undefined || seen === undefined ? rows : rows.map((row) => seen[row] as number);
        await batch.fetch(physical(names), at);
        for (const name of names) known.delete(name);
      },
    };
  }

  #column(
    file: ColdFile,
    table: ScanTable,
    batch: Batch,
    name: string,
    rowCount: number,
    seen: Uint32Array | undefined,
  ): Vector {
    if (name === FILE_COLUMN) return constantVector(file.id, rowCount);
    const physical = this.#physical(file, name);
    if (physical === undefined) return constantVector(this.#default(name), rowCount);
    const vector = batch.column(physical);
    const seenOnly = seen === undefined ? vector : gather(vector, seen);
    const physicalColumn = table.columns.find((column) => column.name === physical);
    const declared = this.columns.find((column) => column.name === name)?.type;
    // What is in a file may be of another class than the column is declared as, or of several.
    return physicalColumn === undefined || physicalColumn.type === declared
      ? seenOnly
      : mixed(seenOnly, physicalColumn.type);
  }

  /** What the file calls a column; undefined where it does not have it. */
  #physical(file: ColdFile, name: string): string | undefined {
    if (name === ROW_COLUMN) return ROW_COLUMN;
    if (name === ROWID_COLUMN) return nameIn(file, -1);
    const column = this.#columnOf(name);
    return column === undefined ? undefined : nameIn(file, column.id);
  }

  #columnOf(name: string): Column | undefined {
    const { relation, dropped = [] } = this.#parts;
    return [...relation.columns, ...dropped].find((column) => column.name === name);
  }

  #default(name: string): SqlValue {
    const column = this.#columnOf(name);
    return (column && this.#parts.defaults.get(column.id)) ?? null;
  }
}

function nameIn({ columns }: ColdFile, id: number): string | undefined {
  return columns.find((column) => column.id === id)?.name;
}

/** A promise that may be awaited late: until then its failure is nobody's. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
