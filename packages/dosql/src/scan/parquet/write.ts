import { DoSQLError } from '../../error.ts';
import type { Vector } from '../vector.ts';
import { bloomFilter } from './write-bloom.ts';
import { ColumnBuffer } from './write-buffer.ts';
import { writeChunk, type ChunkOptions, type WrittenChunk } from './write-chunk.ts';
import type { Codec } from './write-codec.ts';
import { writeTail, type SortedBy, type WrittenGroup } from './write-footer.ts';
import { asDictionary, rowsWithin, type DirectVector } from './write-flat.ts';
import { checkColumns, physicalType, type WriteColumn } from './write-schema.ts';
import { joinBounds, type StatValue } from './write-stats.ts';

/** How a Parquet file is written. */
export interface WriteOptions {
  readonly columns: readonly WriteColumn[];
  /** `zstd` by default. A chunk that it makes no smaller is stored as it is, one that it cannot take with `gzip`. */
  readonly codec?: Codec | undefined;
  /** Rows of a row group; 131,072 by default. */
  readonly rowGroupRows?: number | undefined;
  /** Most rows of a page, the least that a reader can skip; 20,000 by default, fewer where they take 40,000 bytes. */
  readonly pageRows?: number | undefined;
  /** How the rows are sorted, which the file then says. They are written in the order that they come in. */
  readonly sortedBy?: readonly SortedBy[] | undefined;
  readonly keyValue?: Readonly<Record<string, string>> | undefined;
  /** Columns that are looked up by single values: chunks that do not have one are then passed over. */
  readonly bloom?: readonly string[] | undefined;
  /** Takes the file's bytes as they are made; without it `finish` gives them all. */
  readonly sink?: ((bytes: Uint8Array) => void) | undefined;
}

/** What a column holds over the whole file. */
export interface ColumnSummary {
  readonly name: string;
  readonly sizeBytes: number;
  /** NULLs included. */
  readonly valueCount: number;
  readonly nullCount: number;
  readonly nanCount: number;
  /** In the column's unit; text and blobs as bytes, uncut. Undefined where no value has an order. */
  readonly min: StatValue | undefined;
  readonly max: StatValue | undefined;
}

/** What a file holds. */
export interface FileSummary {
  readonly rowCount: number;
  readonly sizeBytes: number;
  /** Where each row group starts. */
  readonly splitOffsets: readonly number[];
  readonly columns: readonly ColumnSummary[];
}

/** Writes one Parquet file, synchronously. */
export interface ParquetWriter {
  /**
   * Adds rows: a vector for each column, in their order and of one length. They are copied.
   *
   * @throws DoSQLError `BAD_PARAMETER` for values that a column has no place for
   */
  write(vectors: readonly Vector[]): void;
  /** Ends the file and gives its bytes in pieces, none of them with a sink. */
  finish(): Uint8Array[];
  /** What has been written; after `finish`. */
  summary(): FileSummary;
}

const ROW_GROUP_ROWS = 131_072;
const PAGE_ROWS = 20_000;
/** A row group is closed when its values take this much, so that large ones do not fill the memory. */
const ROW_GROUP_BYTES = 2 ** 25;
/** How many rows are taken over between two looks at the memory. */
const STEP_ROWS = 4096;
const MAGIC = new Uint8Array([0x50, 0x41, 0x52, 0x31]);

/**
 * A writer of one file.
 *
 * ```ts
 * const writer = createParquetWriter({ columns: [{ name: 'id', type: 'int64', required: true }] });
 * writer.write([{ kind: 'number', length: 3, nulls: undefined, values: Float64Array.of(1, 2, 3) }]);
 * const file = new Blob(writer.finish());
 * ```
 *
 * @throws DoSQLError `BAD_PARAMETER` for columns and options that do not go together
 */
export function createParquetWriter(options: WriteOptions): ParquetWriter {
  return new FileWriter(options);
}

class FileWriter implements ParquetWriter {
  readonly #options: WriteOptions;
  readonly #columns: readonly WriteColumn[];
  readonly #buffers: readonly ColumnBuffer[];
  readonly #chunkOptions: ChunkOptions;
  readonly #rowGroupRows: number;
  readonly #groups: WrittenGroup[] = [];
  readonly #blooms: (Uint8Array | undefined)[][] = [];
  readonly #parts: Uint8Array[] = [];
  #rows = 0;
  #offset = 0;
  #isFinished = false;

  constructor(options: WriteOptions) {
    const { codec = 'zstd', pageRows = PAGE_ROWS, rowGroupRows = ROW_GROUP_ROWS } = options;
    this.#options = options;
    this.#columns = checkColumns(options.columns);
    const names = new Set(this.#columns.map(({ name }) => name));
    for (const name of [...(options.bloom ?? []), ...(options.sortedBy ?? []).map(({ column }) => column)])
      if (!names.has(name))
        throw new DoSQLError(
          'BAD_PARAMETER',
          `there is no column ${name}: bloom and sortedBy name columns of the file`,
        );
    this.#rowGroupRows = atLeastOne('rowGroupRows', rowGroupRows);
    this.#chunkOptions = {
      pageRows: atLeastOne('pageRows', pageRows),
      codec,
    };
    this.#buffers = this.#columns.map((column) => new ColumnBuffer(column));
    this.#emit(MAGIC);
  }

  write(vectors: readonly Vector[]): void {
    if (this.#isFinished) throw new DoSQLError('BAD_PARAMETER', 'the file is finished: write another one');
    const count = vectors[0]?.length ?? 0;
    if (vectors.length !== this.#columns.length || vectors.some(({ length }) => length !== count))
      throw new DoSQLError(
        'BAD_PARAMETER',
        `rows are ${this.#columns.length} vectors of one length, not ${vectors.length} of ${vectors.map(({ length }) => length).join(', ')}`,
      );
    // The row of a run would be looked for anew at each step.
    const direct = vectors.map((vector) => (vector.kind === 'runs' ? asDictionary(vector) : vector));
    for (let from = 0; from < count;) {
      const most = Math.min(count - from, this.#rowGroupRows - this.#rows, STEP_ROWS);
      const to = from + rowsWithin(direct, from, most, ROW_GROUP_BYTES);
      this.#buffers.forEach((buffer, i) => buffer.append(direct[i] as DirectVector, from, to));
      this.#rows += to - from;
      from = to;
      if (this.#rows === this.#rowGroupRows || this.#bufferedBytes() > ROW_GROUP_BYTES) this.#flush();
    }
  }

  finish(): Uint8Array[] {
    if (this.#isFinished) return this.#parts;
    if (this.#rows > 0) this.#flush();
    this.#isFinished = true;
    const { sortedBy = [], keyValue = {} } = this.#options;
    const footer = { columns: this.#columns, sortedBy, keyValue };
    for (const part of writeTail(this.#groups, this.#blooms, footer, this.#offset)) this.#emit(part);
    return this.#parts;
  }

  summary(): FileSummary {
    return {
      rowCount: this.#groups.reduce((sum, { rows }) => sum + rows, 0),
      sizeBytes: this.#offset,
      splitOffsets: this.#groups.map(({ chunks }) => chunks[0]?.offset ?? 0),
      columns: this.#columns.map(({ name }, i) =>
        summarise(
          name,
          this.#groups.map(({ chunks }) => chunks[i] as WrittenChunk),
        ),
      ),
    };
  }

  #bufferedBytes(): number {
    return this.#buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  #flush(): void {
    const blooms: (Uint8Array | undefined)[] = [];
    const chunks = this.#columns.map((column, i) => {
      const data = (this.#buffers[i] as ColumnBuffer).take();
      const isBloom = this.#options.bloom?.includes(column.name) === true;
      blooms.push(isBloom ? bloomFilter(data, physicalType(column)) : undefined);
      return writeChunk(column, data, this.#offset, this.#chunkOptions, (bytes) => this.#emit(bytes));
    });
    this.#groups.push({ rows: this.#rows, chunks });
    this.#blooms.push(blooms);
    this.#rows = 0;
  }

  #emit(bytes: Uint8Array): void {
    this.#offset += bytes.length;
    if (this.#options.sink === undefined) this.#parts.push(bytes);
    else this.#options.sink(bytes);
  }
}

function summarise(name: string, chunks: readonly WrittenChunk[]): ColumnSummary {
  const { min, max, nanCount } = joinBounds(chunks.map(({ bounds }) => bounds));
  return {
    name,
    sizeBytes: chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    valueCount: chunks.reduce((sum, { rows }) => sum + rows, 0),
    nullCount: chunks.reduce((sum, { nullCount }) => sum + nullCount, 0),
    nanCount,
    min,
    max,
  };
}

function atLeastOne(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new DoSQLError('BAD_PARAMETER', `${name} is ${value}: give a whole number from 1 on`);
}
