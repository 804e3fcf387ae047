import type { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import type { Batch, ScanRequest, ScanTable } from '../table.ts';
import type { ScanColumn } from '../vector.ts';
import { boundsOf, compare, type Bounds, type Comparable } from './bounds.ts';
import { extremesOf } from './extremes.ts';
import { openFooter, type Footer } from './footer.ts';
import { corruptFile, isOfBytes, malformed } from './malformed.ts';
import { chunkOf } from './plan.ts';
import { Scan } from './scan.ts';
import type { UnreadableColumn } from './schema.ts';
import { CHECKSUMS_KEY } from './write-checksum.ts';

/**
 * A Parquet file to be scanned.
 *
 * ```ts
 * const file = await openParquet(rangeFile, new Budget());
 * for await (const batch of file.scan({ columns: ['sensor'], conditions: [], budget })) batch.column('sensor');
 * ```
 *
 * @throws DoSQLError `CORRUPT_FILE`, `TOO_BIG`, and what reading the file throws.
 */
export async function openParquet(file: RangeFile, budget: Budget): Promise<ParquetFile> {
  try {
    return new ParquetFile(file, await openFooter(file, budget));
  } catch (error) {
    throw isOfBytes(error) ? corruptFile(file.name, error) : error;
  }
}

/** What is known of a column's values without reading them: bounds, how many there are, and how many of them are NULL. */
export type ColumnStats = Bounds;

/** An open Parquet file. */
export class ParquetFile implements ScanTable {
  readonly columns: readonly ScanColumn[];
  /** Columns that the file has, but that SQL has no value for. */
  readonly unreadable: readonly UnreadableColumn[];
  readonly rowCount: number;
  /** What the writer noted. */
  readonly keyValue: ReadonlyMap<string, string>;
  readonly #file: RangeFile;
  readonly #footer: Footer;
  readonly #checksums: readonly (readonly number[])[] | undefined;

  constructor(file: RangeFile, footer: Footer) {
    const { metadata, schema } = footer;
    this.#file = file;
    this.#footer = footer;
    this.columns = schema.leaves.map(({ column }) => column);
    this.unreadable = schema.unreadable;
    this.rowCount = metadata.rowCount;
    this.keyValue = metadata.keyValue;
    this.#checksums = readChecksums(footer);
  }

  /**
   * What the statistics of all row groups together tell of a column; undefined for one that it does not have or that
   * cannot be read. No value is less than `min` or more than `max`, but texts may be cut, so that none needs to be
   * equal. Times are ms, dates days since the epoch, texts UTF-8.
   *
   * @throws DoSQLError `CORRUPT_FILE`
   */
  stats(name: string): ColumnStats | undefined {
    const leaf = this.#footer.schema.byName.get(name);
    if (leaf === undefined) return undefined;
    let all: ColumnStats | undefined;
    for (const [index, { rowCount }] of this.#footer.metadata.rowGroups.entries()) {
      if (rowCount === 0) continue;
      const bounds = boundsOf(leaf, chunkOf(this.#file, this.#footer, index, leaf).statistics, rowCount);
      all = all === undefined ? bounds : joined(all, bounds);
    }
    return all ?? { min: undefined, max: undefined, nullCount: 0, valueCount: 0 };
  }

  /**
   * Its rows, in the order that they have there, but for row groups and pages of which the statistics tell that none
   * of their rows fulfils the conditions.
   *
   * @throws DoSQLError `NO_SUCH_COLUMN`; `SYNTAX` for a column that cannot be read; `CORRUPT_FILE`; `TOO_BIG`; and
   * what reading the file throws.
   */
  scan(request: ScanRequest): AsyncIterable<Batch> {
    return {
      [Symbol.asyncIterator]: () => new Scan(this.#file, this.#footer, this.#checksums, request).batches(),
    };
  }

  /** The extremes of its columns, by the statistics where these tell; else all rows. */
  async *extremes(request: ScanRequest): AsyncGenerator<Batch, void, undefined> {
    const batch = extremesOf(this.#file, this.#footer, request);
    if (batch === undefined) yield* this.scan(request);
    else yield batch;
  }
}

/** The bounds of both; unknown where either is, unless that has no value at all. */
function joined(a: Bounds, b: Bounds): Bounds {
  const isEmpty = ({ nullCount, valueCount }: Bounds): boolean => nullCount === valueCount;
  const side = (name: 'min' | 'max', sign: 1 | -1): Comparable | undefined => {
    const [left, right] = [a[name], b[name]];
    if (left === undefined || right === undefined) return isEmpty(a) ? right : isEmpty(b) ? left : undefined;
    return sign * compare(left, right) <= 0 ? left : right;
  };
  const nullCount =
    a.nullCount === undefined || b.nullCount === undefined ? undefined : a.nullCount + b.nullCount;
  return { min: side('min', 1), max: side('max', -1), nullCount, valueCount: a.valueCount + b.valueCount };
}

/** The checksums of the chunks, where the file has them, as `write-checksum.ts` says. */
function readChecksums({ metadata, schema, isSealed }: Footer): readonly (readonly number[])[] | undefined {
  const text = metadata.keyValue.get(CHECKSUMS_KEY);
  if (text === undefined) {
    if (isSealed) malformed('it lacks the checksums of its columns');
    return undefined;
  }
  const { algorithm, chunks } = parseJson(text) as { algorithm?: unknown; chunks?: unknown };
  const isSound =
    algorithm === 'crc32' &&
    Array.isArray(chunks) &&
    chunks.length === metadata.rowGroups.length &&
    chunks.every((sums: unknown) => Array.isArray(sums) && sums.length === schema.chunkCount);
  if (!isSound) malformed('its checksums are not those of its columns');
  return chunks as number[][];
}

function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
