import { DoSQLError } from '../../error.ts';
import type { RangeFile } from '../file.ts';
import type { Budget } from '../budget.ts';
import type { Batch, ScanRequest, ScanTable } from '../table.ts';
import type { ScanColumn, Vector } from '../vector.ts';
import { chunksOf, type TextFile } from './bytes.ts';
import type { FileColumn } from './columns.ts';
import { TextFault } from './text-fault.ts';

/** One file of text as a table. */
export interface FileTable extends ScanTable {
  readonly file: RangeFile;
  /** Columns of which all first values are NULL, so that they may be of any type. */
  readonly unknown: ReadonlySet<string>;
  /** The same table with its columns of the types that they have in `columns`, by name. */
  as(columns: readonly ScanColumn[]): ScanTable;
}

/** Rows of a chunk that have been found, but not yet read. */
export interface Rows {
  readonly rowCount: number;
  /** Where the next rows begin. */
  readonly end: number;
  /** Lines of the file that they take. */
  readonly lineCount: number;
}

/**
 * How rows are found in text, and values in rows.
 *
 * `State` is what has to be known to begin in the middle of a file.
 */
export interface TextFormat<R extends Rows, State> {
  readonly columns: readonly FileColumn[];
  /** The first byte of the rows and the line that it is in. */
  readonly start: number;
  readonly startLine: number;
  readonly startState: State;
  /** The byte that ends each chunk, which searches stop at. */
  readonly sentinel: number;
  /**
   * Finds the columns `wanted`, by number, of up to `maxRows` rows that are whole.
   *
   * @throws TextFault
   */
  read(
    chunk: TextChunk,
    from: number,
    state: State,
    wanted: readonly number[],
    maxRows: number,
    rows?: Uint32Array,
  ): R;
  /** What to begin the rows after `rows` with. */
  stateAfter(rows: R): State;
  /** The values of the column that is `i`th of those wanted. */
  values(chunk: TextChunk, rows: R, i: number, column: ScanColumn): Vector;
}

/** Bytes of a file, with the format's sentinel behind them. */
export interface TextChunk {
  readonly bytes: Uint8Array;
  readonly end: number;
  /** Whether the file ends with it. */
  readonly isLast: boolean;
}

const BATCH_ROWS = 65_536;
/** A row that is longer is none that anybody wrote on purpose. */
const MAX_ROW_BYTES: number = 32 * 2 ** 20;

/** A file of text as a table. */
export class TextTable<R extends Rows, State> implements FileTable {
  readonly columns: readonly ScanColumn[];
  readonly file: RangeFile;
  readonly unknown: ReadonlySet<string>;
  readonly #text: TextFile;
  readonly #format: TextFormat<R, State>;

  constructor(
    text: TextFile,
    format: TextFormat<R, State>,
    columns: readonly ScanColumn[] = format.columns.map(({ column }) => column),
  ) {
    this.columns = columns;
    this.file = text.file;
    this.unknown = new Set(
      format.columns.filter(({ isUnknown }) => isUnknown).map(({ column }) => column.name),
    );
    this.#text = text;
    this.#format = format;
  }

  as(columns: readonly ScanColumn[]): TextTable<R, State> {
    const byName = new Map(columns.map((column) => [column.name, column]));
    const own = this.columns.map((column) => byName.get(column.name) ?? column);
    return new TextTable(this.#text, this.#format, own);
  }

  async *scan({ columns, budget, signal }: ScanRequest): AsyncGenerator<Batch, void, undefined> {
    if (this.columns.length === 0) return;
    const format = this.#format;
    const wanted = columns.map((name) => this.#number(name));
    let { startLine: line, startState: state } = format;
    let carry = new Uint8Array(0);
    let skip = format.start;
    for await (const next of this.#chunks(budget, signal)) {
      const chunk = withSentinel(carry, next, format.sentinel);
      let from = skip;
      skip = 0;
      for (;;) {
        const rows = guarded(this.file.name, chunk, from, line, () =>
          format.read(chunk, from, state, wanted, BATCH_ROWS),
        );
        if (rows.rowCount > 0)
          yield new TextBatch(this.file.name, format, this.columns, chunk, from, line, state, wanted, rows);
        from = rows.end;
        line += rows.lineCount;
        state = format.stateAfter(rows);
        if (rows.rowCount === 0) break;
        signal?.throwIfAborted();
      }
      carry = chunk.bytes.slice(from, chunk.end);
      if (carry.length > MAX_ROW_BYTES)
        throw new DoSQLError(
          'TOO_BIG',
          `${this.file.name}, line ${line.toLocaleString('en')}: a row is longer than ${MAX_ROW_BYTES.toLocaleString('en')} bytes`,
        );
    }
  }

  /** The chunks of the file, and undefined for its end, where what is left over is the last row. */
  async *#chunks(
    budget: Budget,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array | undefined, void, undefined> {
    yield* chunksOf(this.#text, budget, signal);
    yield undefined;
  }

  #number(name: string): number {
    const i = this.columns.findIndex((column) => column.name === name);
    if (i < 0) throw new RangeError(`${this.file.name} has no column ${JSON.stringify(name)}`);
    return i;
  }
}

function withSentinel(carry: Uint8Array, next: Uint8Array | undefined, sentinel: number): TextChunk {
  const end = carry.length + (next?.length ?? 0);
  const bytes = new Uint8Array(end + 1);
  bytes.set(carry);
  if (next !== undefined) bytes.set(next, carry.length);
  bytes[end] = sentinel;
  return { bytes, end, isLast: next === undefined };
}

/** Rows of text, whose values are read when a column is asked for. */
class TextBatch<R extends Rows, State> implements Batch {
  readonly rowCount: number;
  readonly #name: string;
  readonly #format: TextFormat<R, State>;
  readonly #columns: readonly ScanColumn[];
  readonly #chunk: TextChunk;
  readonly #from: number;
  readonly #line: number;
  readonly #state: State;
  readonly #found: Map<string, { readonly rows: R; readonly i: number }>;
  readonly #vectors = new Map<string, Vector>();

  constructor(
    name: string,
    format: TextFormat<R, State>,
    columns: readonly ScanColumn[],
    chunk: TextChunk,
    from: number,
    line: number,
    state: State,
    wanted: readonly number[],
    rows: R,
  ) {
    this.rowCount = rows.rowCount;
    this.#name = name;
    this.#format = format;
    this.#columns = columns;
    this.#chunk = chunk;
    this.#from = from;
    this.#line = line;
    this.#state = state;
    this.#found = new Map(wanted.map((number, i) => [(columns[number] as ScanColumn).name, { rows, i }]));
  }

  column(name: string): Vector {
    const known = this.#vectors.get(name);
    if (known !== undefined) return known;
    const found = this.#found.get(name);
    if (found === undefined) throw new RangeError(`the column ${JSON.stringify(name)} was not asked for`);
    const { rows, i } = found;
    const column = this.#columns.find((each) => each.name === name) as ScanColumn;
    const vector = guarded(this.#name, this.#chunk, this.#from, this.#line, () =>
      this.#format.values(this.#chunk, rows, i, column),
    );
    this.#vectors.set(name, vector);
    return vector;
  }

  fetch(names: readonly string[], only?: Uint32Array): Promise<void> {
    const columns = this.#columns;
    const missing = [...new Set(names)].filter((name) => !this.#found.has(name));
    const wanted = missing.map((name) => {
      const i = columns.findIndex((column) => column.name === name);
      if (i < 0) throw new RangeError(`${this.#name} has no column ${JSON.stringify(name)}`);
      return i;
    });
    if (wanted.length === 0) return Promise.resolve();
    const rows = guarded(this.#name, this.#chunk, this.#from, this.#line, () =>
      this.#format.read(this.#chunk, this.#from, this.#state, wanted, this.rowCount, only),
    );
    missing.forEach((name, i) => this.#found.set(name, { rows, i }));
    return Promise.resolve();
  }
}

/** Runs `read`; what is wrong with the file is told with the line that it is in. */
function guarded<T>(name: string, { bytes }: TextChunk, from: number, line: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof TextFault)) throw error;
    throw textError(name, error, line + linesBetween(bytes, from, error.at));
  }
}

/** What is wrong with a file of text, with the line that it is in. */
export function textError(name: string, fault: TextFault, line: number): DoSQLError {
  return new DoSQLError('CORRUPT_FILE', `${name}, line ${line.toLocaleString('en')}: ${fault.message}`, {
    cause: fault,
  });
}

/** How many lines end between two bytes: by LF, or by CR where there is none. */
export function linesBetween(bytes: Uint8Array, from: number, to: number): number {
  const byte = (at: number): number => {
    let count = 0;
    for (let i = bytes.indexOf(at, from); i >= 0 && i < to; i = bytes.indexOf(at, i + 1)) count++;
    return count;
  };
  return byte(10) || byte(13);
}
