import { DoSQLError } from '../../error.ts';
import { lowerName } from '../../sql/token.ts';
import type { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import { parseGlob } from '../glob.ts';
import type { Batch, Condition, ScanRequest, ScanTable } from '../table.ts';
import { parseUrl, type Location } from '../url.ts';
import type { ScanColumn, Vector } from '../vector.ts';
import { ColumnUnion, converted, isSame, nullVector } from './columns.ts';
import type { SourceEnvironment } from './environment.ts';
import { matchingFiles, r2Files, storeFiles, type FileEntry } from './files.ts';
import {
  formatOf,
  formatOfType,
  openFile,
  unknownFormat,
  type Format,
  type FormatOptions,
  type OpenFile,
  type Unreadable,
} from './formats.ts';
import { constantVector, mayFulfil, partitionsOf, type Partitions, type PartitionValue } from './hive.ts';
import { openHttps } from './https.ts';

/** How to open files as one table. */
export interface SourceOptions extends FormatOptions {
  readonly budget: Budget;
  readonly signal?: AbortSignal | undefined;
  /** Their format, where their names do not tell it. */
  readonly format?: Format | undefined;
  /** Whether the table has a column `filename` with each row's file. */
  readonly filename?: boolean | undefined;
  /**
   * Conditions that are known before any file is opened, of the columns that the names of folders make up: files that
   * cannot fulfil them are never looked into.
   */
  readonly narrow?: ((partitions: readonly ScanColumn[]) => readonly Condition[]) | undefined;
}

/** Files as one table. */
export interface Source extends ScanTable {
  /** The files that match, of which some may be left out of a scan by their names. */
  readonly files: readonly FileEntry[];
  /** Columns that `*` leaves out, but that can be named: `filename`, where no file has one of its own. */
  readonly hidden: readonly ScanColumn[];
  /** Columns that files have, but that SQL has no value for. */
  readonly unreadable: readonly Unreadable[];
}

const FILENAME = 'filename';
/** Files whose columns make up those of the table; what comes behind has to fit. */
const SCHEMA_FILES = 64;
/** Files that are being opened at a time. */
const OPEN_AT_ONCE = 6;
/** Files that are opened while the one before them is read. */
const OPEN_AHEAD = 3;

/**
 * Opens what a URL in SQL names: one file, or all that a pattern matches, as one table.
 *
 * Columns are matched by name, in the order in which they first appear, NULL where a file lacks one; folders called
 * `name=value` make columns of their own behind them, in place of columns of that name.
 *
 * ```ts
 * const table = await openSource('r2://logs/day=*\/*.parquet', environment, { budget });
 * ```
 *
 * @throws DoSQLError `FORBIDDEN_URL`, `NO_SUCH_FILE`, `CORRUPT_FILE`, `STORAGE_UNAVAILABLE`, `TOO_BIG`; `BAD_PARAMETER`
 * when files do not go together.
 */
export async function openSource(
  url: string,
  environment: SourceEnvironment,
  options: SourceOptions,
): Promise<Source> {
  const found = await findFiles(parseUrl(url), environment, options);
  const { budget } = options;
  budget.counts.files.total += found.files.length;
  const partitions = partitionsOf(found.files);
  const conditions = options.narrow?.(partitions.columns) ?? [];
  const files = found.files.filter((file) =>
    mayFulfil(partitions.columns, partitions.valuesOf(file), conditions),
  );
  budget.counts.files.pruned += found.files.length - files.length;
  const opener = new Opener(found, options);
  const union = new ColumnUnion(options.types ?? {});
  const unreadable: Unreadable[] = [];
  // A table has its columns even when no file is left.
  const first = files.length === 0 ? found.files.slice(0, 1) : files.slice(0, SCHEMA_FILES);
  for (let i = 0; i < first.length; i += OPEN_AT_ONCE) {
    const opened = await Promise.all(first.slice(i, i + OPEN_AT_ONCE).map((file) => opener.open(file)));
    for (const { name, columns } of opened) union.add(name, columns);
    unreadable.push(...opened.flatMap((file) => file.unreadable));
  }
  union.checkTypes(url);
  return new FilesTable(
    { files: found.files, kept: files, partitions, union, opener, unreadable },
    options.filename === true,
  );
}

interface Found {
  readonly files: readonly FileEntry[];
  readonly format: Format;
  open(entry: FileEntry): RangeFile;
}

async function findFiles(
  location: Location,
  environment: SourceEnvironment,
  { budget, format, signal }: SourceOptions,
): Promise<Found> {
  const { url } = location;
  if (location.kind === 'https') {
    const { pathname } = new URL(location.href);
    const { file, contentType } = await openHttps(url, location.href, environment, budget, signal);
    const known = format ?? formatOf(pathname) ?? formatOfType(contentType);
    if (known === undefined) throw unknownFormat(url);
    const entry = { path: pathname.slice(1), url, size: file.size, etag: file.etag };
    return { files: [entry], format: known, open: () => file };
  }
  const system = location.kind === 'r2' ? r2Files(location, environment) : storeFiles(url, environment);
  const glob = parseGlob(location.path);
  const all = await matchingFiles(system, glob, url, budget);
  const open = (entry: FileEntry): RangeFile => system.open(entry);
  if (format !== undefined) return { files: all, format, open };
  // Beside their files many writers leave others, as _SUCCESS and checksums.
  const files = glob.isLiteral ? all : all.filter(({ path }) => formatOf(path) !== undefined);
  const formats = new Set(files.map(({ path }) => formatOf(path)));
  const [only] = formats;
  if (only === undefined) throw unknownFormat(url);
  if (formats.size > 1)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `${url} matches files of different formats, ${[...formats].join(' and ')}: end it with that of one, as *.${only}`,
    );
  return { files, format: only, open };
}

/** Opens files, each once. */
class Opener {
  readonly #found: Found;
  readonly #options: SourceOptions;
  readonly #opened = new Map<FileEntry, Promise<OpenFile>>();

  constructor(found: Found, options: SourceOptions) {
    this.#found = found;
    this.#options = options;
  }

  open(entry: FileEntry): Promise<OpenFile> {
    const { budget, signal } = this.#options;
    let opened = this.#opened.get(entry);
    if (opened === undefined) {
      opened = openFile(this.#found.open(entry), this.#found.format, budget, this.#options, signal);
      // Whoever waits for it sees that it failed; until then nobody has to.
      opened.catch(() => this.#opened.delete(entry));
      this.#opened.set(entry, opened);
    }
    return opened;
  }

  /** Forgets a file that is not among the first, which the columns are of. */
  release(entry: FileEntry, i: number): void {
    if (i >= SCHEMA_FILES) this.#opened.delete(entry);
  }
}

/** What a table of files is made of. */
interface Parts {
  readonly files: readonly FileEntry[];
  /** Those that are not left out before any is opened. */
  readonly kept: readonly FileEntry[];
  readonly partitions: Partitions;
  readonly union: ColumnUnion;
  readonly opener: Opener;
  readonly unreadable: readonly Unreadable[];
}

class FilesTable implements Source {
  readonly columns: readonly ScanColumn[];
  readonly files: readonly FileEntry[];
  readonly hidden: readonly ScanColumn[];
  readonly unreadable: readonly Unreadable[];
  readonly #kept: readonly FileEntry[];
  readonly #partitions: Partitions;
  readonly #union: ColumnUnion;
  readonly #opener: Opener;
  readonly #places: ReadonlyMap<string, Place>;

  constructor({ files, kept, partitions, union, opener, unreadable }: Parts, showsFilename: boolean) {
    this.files = files;
    this.unreadable = unreadable;
    this.#kept = kept;
    this.#partitions = partitions;
    this.#union = union;
    this.#opener = opener;
    const places = new Map<string, Place>();
    for (const column of union.columns) places.set(lowerName(column.name), { kind: 'file', column });
    partitions.columns.forEach((column, i) => {
      places.delete(lowerName(column.name));
      places.set(lowerName(column.name), { kind: 'folder', column, i });
    });
    const shown = [...places.values()].map(({ column }) => column);
    const filename: ScanColumn = { name: FILENAME, type: 'text' };
    const extra = places.has(FILENAME) ? [] : [filename];
    if (extra.length > 0) places.set(FILENAME, { kind: 'filename', column: filename });
    this.#places = places;
    this.columns = showsFilename ? [...shown, ...extra] : shown;
    this.hidden = showsFilename ? [] : extra;
  }

  scan(request: ScanRequest): AsyncIterable<Batch> {
    return this.#scan(request, false);
  }

  /** The extremes of each file's columns. */
  extremes(request: ScanRequest): AsyncIterable<Batch> {
    return this.#scan(request, true);
  }

  async *#scan(request: ScanRequest, areExtremes: boolean): AsyncGenerator<Batch, void, undefined> {
    const { counts } = request.budget;
    for (const name of request.columns) this.#place(name);
    const { columns } = this.#partitions;
    const files = this.#kept.filter((file) =>
      mayFulfil(columns, this.#partitions.valuesOf(file), request.conditions),
    );
    counts.files.pruned += this.#kept.length - files.length;
    for (const [i, file] of files.entries()) {
      for (const next of files.slice(i, i + 1 + OPEN_AHEAD)) void this.#opener.open(next).catch(() => {});
      const opened = await this.#opener.open(file);
      const before = counts.rowGroups.read;
      const groups = counts.rowGroups.total;
      counts.files.read++;
      yield* this.#scanFile(file, opened, request, areExtremes);
      // Where the statistics of all its row groups tell that nothing is wanted, none of it was read.
      if (counts.rowGroups.total > groups && counts.rowGroups.read === before) {
        counts.files.read--;
        counts.files.pruned++;
      }
      this.#opener.release(file, this.#kept.indexOf(file));
    }
  }

  async *#scanFile(
    entry: FileEntry,
    file: OpenFile,
    request: ScanRequest,
    areExtremes: boolean,
  ): AsyncGenerator<Batch, void, undefined> {
    this.#union.check(file.name, file.columns);
    const own = this.#ownColumns(file);
    const table = file.table([...own.values()].map(({ from, to }) => ({ ...to, name: from.name })));
    const actual = new Map(table.columns.map((column) => [column.name, column]));
    const conditions = request.conditions.filter(
      ({ column }) => this.#places.get(lowerName(column))?.kind === 'file',
    );
    if (
      conditions.some(
        (condition) => condition.operator !== 'is null' && !own.has(lowerName(condition.column)),
      )
    ) {
      // What a file lacks is NULL there, which fulfils none.
      return;
    }
    const named = (names: readonly string[]): string[] => [
      ...new Set(names.flatMap((name) => own.get(lowerName(name))?.from.name ?? [])),
    ];
    const folders = this.#partitions.valuesOf(entry);
    // What becomes other values in the table may be in another order there.
    const isPlain = request.columns.every((name) => {
      const found = own.get(lowerName(name));
      return found === undefined || isSame(found.from, found.to);
    });
    const asked: ScanRequest = {
      ...request,
      columns: named(request.columns),
      conditions: conditions.flatMap((condition): Condition[] => {
        const found = own.get(lowerName(condition.column));
        return found !== undefined && keepsOrder(found) ? [{ ...condition, column: found.from.name }] : [];
      }),
    };
    const scanned =
      areExtremes && isPlain && table.extremes !== undefined ? table.extremes(asked) : table.scan(asked);
    for await (const batch of scanned)
      yield {
        rowCount: batch.rowCount,
        column: (name) => this.#column(name, batch, entry, folders, own, actual),
        fetch: (names, rows) => batch.fetch(named(names), rows),
      };
  }

  #column(
    name: string,
    batch: Batch,
    entry: FileEntry,
    folders: readonly PartitionValue[],
    own: ReadonlyMap<string, OwnColumn>,
    actual: ReadonlyMap<string, ScanColumn>,
  ): Vector {
    const place = this.#place(name);
    if (place.kind === 'folder') return constantVector(folders[place.i] ?? null, batch.rowCount);
    if (place.kind === 'filename') return constantVector(entry.url, batch.rowCount);
    const found = own.get(lowerName(name));
    if (found === undefined) return nullVector(batch.rowCount);
    return converted(batch.column(found.from.name), actual.get(found.from.name) ?? found.from, found.to);
  }

  /** The columns that a file has of the table's, by lower-case name. */
  #ownColumns(file: OpenFile): Map<string, OwnColumn> {
    const own = new Map<string, OwnColumn>();
    for (const { column: from } of file.columns) {
      const place = this.#places.get(lowerName(from.name));
      // Of two that differ in case alone, the first is the table's.
      if (place?.kind === 'file' && !own.has(lowerName(from.name)))
        own.set(lowerName(from.name), { from, to: place.column });
    }
    return own;
  }

  #place(name: string): Place {
    const place = this.#places.get(lowerName(name));
    if (place !== undefined) return place;
    const found = this.unreadable.find((column) => lowerName(column.name) === lowerName(name));
    throw found === undefined
      ? new DoSQLError('NO_SUCH_COLUMN', `no file has a column ${JSON.stringify(name)}`)
      : new DoSQLError('SYNTAX', `the column ${JSON.stringify(name)} cannot be read: ${found.why}`);
  }
}

/** Where a column's values are from. */
type Place =
  | { readonly kind: 'file'; readonly column: ScanColumn }
  | { readonly kind: 'folder'; readonly column: ScanColumn; readonly i: number }
  | { readonly kind: 'filename'; readonly column: ScanColumn };

interface OwnColumn {
  readonly from: ScanColumn;
  readonly to: ScanColumn;
}

/** Whether a condition on the table's column says the same of the file's. */
function keepsOrder({ from, to }: OwnColumn): boolean {
  return (
    isSame(from, to) ||
    (from.type === 'timestamp' && to.type === 'timestamp') ||
    (from.type === 'integer' && to.type === 'real')
  );
}
