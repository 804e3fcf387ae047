import { DoSQLError } from '../../error.ts';
import type { RangeFile } from '../file.ts';
import type { ScanRequest } from '../table.ts';
import { BLOOM_HEADER, bloomSize, mayContain, readBloom } from './bloom.ts';
import { boundsOf, mayFulfil, testsOf, type Test } from './bounds.ts';
import type { Fetcher } from './fetch.ts';
import type { Footer } from './footer.ts';
import { malformed } from './malformed.ts';
import { readChunk, type ColumnChunk, type Place } from './metadata.ts';
import {
  intersect,
  readColumnIndex,
  readOffsetIndex,
  rowsThatMay,
  type PageLocations,
} from './page-index.ts';
import { decoding } from './row-group.ts';
import type { Leaf } from './schema.ts';
import type { RowRange } from './take.ts';

/** A row group that is to be read: which rows, and where its columns are. */
export interface GroupPlan {
  readonly index: number;
  readonly rowCount: number;
  /** Rising; all rows where nothing is left out. */
  readonly ranges: readonly RowRange[];
  readonly columns: readonly ColumnPlan[];
  /** How many bytes its columns take. */
  readonly size: number;
}

/** A column of a row group that is to be read. */
export interface ColumnPlan {
  readonly leaf: Leaf;
  readonly chunk: ColumnChunk;
  /** What is read: all of the chunk, or its dictionary, where it has one, and some pages. */
  readonly whole: Place | undefined;
  readonly dictionary: Place | undefined;
  /** By the number of the page. */
  readonly pages: ReadonlyMap<number, Place>;
  readonly locations: PageLocations | undefined;
}

/** So many row groups are planned together, so that what is read for it is read at once. */
export const GROUPS_AT_ONCE = 64;
/** For fewer bytes than this it does not pay to ask an index, or to read single pages. */
const SMALL = 2 ** 16;

/** What is planned with: the file, what is asked of it, and who reads. */
export interface PlanContext {
  readonly file: RangeFile;
  readonly footer: Footer;
  readonly request: ScanRequest;
  readonly fetcher: Fetcher;
  readonly leaves: readonly Leaf[];
  readonly tests: readonly Test[];
}

/** The leaves and tests of a request. */
export function resolve(
  file: RangeFile,
  footer: Footer,
  request: ScanRequest,
): Pick<PlanContext, 'leaves' | 'tests'> {
  return {
    leaves: [...new Set(request.columns)].map((name) => leafOf(file.name, footer, name)),
    tests: testsOf(request.conditions, footer.schema.byName),
  };
}

/** The leaf of a name that is asked for. */
export function leafOf(fileName: string, { schema }: Footer, name: string): Leaf {
  const leaf = schema.byName.get(name);
  if (leaf !== undefined) return leaf;
  const unreadable = schema.unreadable.find((column) => column.name === name);
  if (unreadable !== undefined)
    throw new DoSQLError('SYNTAX', `the column "${name}" of ${fileName} cannot be read: ${unreadable.why}`);
  throw new DoSQLError('NO_SUCH_COLUMN', `${fileName} has no column "${name}"`);
}

/** The chunk of a leaf, checked to be what the schema says. */
export function chunkOf(
  file: RangeFile,
  { metadata, schema }: Footer,
  group: number,
  leaf: Leaf,
): ColumnChunk {
  return decoding(file.name, () => {
    const { chunkAt, rowCount } = metadata.rowGroups[group] ?? malformed('a row group of it is missing');
    if (chunkAt.length !== schema.chunkCount)
      malformed(`a row group of it has ${chunkAt.length} columns, the schema ${schema.chunkCount}`);
    const chunk = readChunk(metadata, chunkAt[leaf.index] as number, file.size);
    if (chunk.type !== leaf.type || chunk.valueCount !== rowCount)
      malformed(`its column "${leaf.column.name}" is not as the schema says`);
    return chunk;
  });
}

/** A row group that its statistics have not ruled out. */
interface Candidate {
  readonly index: number;
  readonly rowCount: number;
  readonly chunks: ReadonlyMap<Leaf, ColumnChunk>;
  /** How many bytes the asked columns take. */
  readonly size: number;
}

/** Plans the row groups from `from` up to `to`: statistics first, then bloom filters, then the page index. */
export async function planGroups(context: PlanContext, from: number, to: number): Promise<GroupPlan[]> {
  const { rowGroups } = context.request.budget.counts;
  rowGroups.total += to - from;
  const all: Candidate[] = [];
  for (let index = from; index < to; index++) {
    const candidate = candidateOf(context, index);
    if (candidate !== undefined) all.push(candidate);
  }
  const passed = await passBlooms(context, all);
  const plans = await planPages(context, passed);
  rowGroups.read += plans.length;
  rowGroups.pruned += to - from - plans.length;
  return plans;
}

function candidateOf(context: PlanContext, index: number): Candidate | undefined {
  const { file, footer, leaves, tests } = context;
  const rowCount = footer.metadata.rowGroups[index]?.rowCount ?? 0;
  if (rowCount === 0) return undefined;
  const chunks = new Map<Leaf, ColumnChunk>();
  const chunk = (leaf: Leaf): ColumnChunk => {
    let found = chunks.get(leaf);
    if (found === undefined) chunks.set(leaf, (found = chunkOf(file, footer, index, leaf)));
    return found;
  };
  for (const test of tests)
    if (!mayFulfil(test, boundsOf(test.leaf, chunk(test.leaf).statistics, rowCount))) return undefined;
  const size = leaves.reduce((sum, leaf) => sum + chunk(leaf).place.length, 0);
  return { index, rowCount, chunks, size };
}

/** Those candidates that the bloom filters do not rule out. A filter is read where it is small beside what it may save. */
async function passBlooms(context: PlanContext, candidates: readonly Candidate[]): Promise<Candidate[]> {
  const { tests, fetcher, file, footer } = context;
  const asked: { candidate: Candidate; test: Test; place: Place }[] = [];
  for (const candidate of candidates)
    for (const test of tests) {
      const bloom =
        test.operator === '=' || test.operator === 'in' ? candidate.chunks.get(test.leaf)?.bloom : undefined;
      if (bloom === undefined || test.values.includes(undefined) || bloom.offset >= file.size) continue;
      const length = bloom.length ?? (await bloomLength(context, bloom.offset));
      if (length > candidate.size / 4 || bloom.offset + length > file.size) continue;
      asked.push({ candidate, test, place: { offset: bloom.offset, length } });
    }
  if (asked.length === 0) return [...candidates];
  const found = await fetcher.read(asked.map(({ place }) => place));
  const out = new Set<Candidate>();
  for (const { candidate, test, place } of asked) {
    const filter = decoding(file.name, () => readBloom(found.get(place) as Uint8Array, footer.isSealed));
    if (filter !== undefined && !mayContain(filter, test)) out.add(candidate);
  }
  return candidates.filter((candidate) => !out.has(candidate));
}

/** The length of a filter that the footer does not tell; Infinity for one that cannot be used. */
async function bloomLength({ fetcher, file }: PlanContext, offset: number): Promise<number> {
  const place = { offset, length: Math.min(BLOOM_HEADER, file.size - offset) };
  const bytes = (await fetcher.read([place])).get(place) as Uint8Array;
  return decoding(file.name, () => bloomSize(bytes)?.size ?? Infinity);
}

/** Narrows the candidates to the pages that may have wanted rows, where they have an index that tells. */
async function planPages(context: PlanContext, candidates: readonly Candidate[]): Promise<GroupPlan[]> {
  const { tests, leaves, fetcher } = context;
  const places: Place[] = [];
  const isAsked = ({ chunks, size }: Candidate): boolean =>
    size > SMALL && tests.some(({ leaf }) => hasIndex(chunks.get(leaf)));
  for (const candidate of candidates) {
    if (!isAsked(candidate)) continue;
    const { chunks } = candidate;
    for (const leaf of new Set([...leaves, ...tests.map((test) => test.leaf)])) {
      const chunk = chunks.get(leaf);
      if (chunk?.offsetIndex !== undefined) places.push(chunk.offsetIndex);
      if (chunk?.columnIndex !== undefined && tests.some((test) => test.leaf === leaf))
        places.push(chunk.columnIndex);
    }
  }
  const found = await fetcher.read(places);
  const plans: GroupPlan[] = [];
  for (const candidate of candidates) {
    const plan = isAsked(candidate) ? narrowed(context, candidate, found) : planOf(context, candidate);
    if (plan !== undefined) plans.push(plan);
  }
  return plans;
}

function hasIndex(chunk: ColumnChunk | undefined): boolean {
  return chunk?.columnIndex !== undefined && chunk.offsetIndex !== undefined;
}

function narrowed(
  context: PlanContext,
  candidate: Candidate,
  found: ReadonlyMap<Place, Uint8Array>,
): GroupPlan | undefined {
  const { file, footer, tests } = context;
  const { chunks, rowCount } = candidate;
  return decoding(file.name, () => {
    const located = new Map<Leaf, PageLocations>();
    for (const [leaf, { offsetIndex, place }] of chunks) {
      const bytes = offsetIndex === undefined ? undefined : found.get(offsetIndex);
      if (bytes !== undefined) located.set(leaf, readOffsetIndex(bytes, place, rowCount, footer.isSealed));
    }
    let ranges: readonly RowRange[] = [{ start: 0, end: rowCount }];
    for (const test of tests) {
      const { columnIndex } = chunks.get(test.leaf) ?? {};
      const bytes = columnIndex === undefined ? undefined : found.get(columnIndex);
      const pages = located.get(test.leaf)?.pages;
      if (bytes === undefined || pages === undefined) continue;
      const bounds = readColumnIndex(bytes, test.leaf, pages, footer.isSealed);
      ranges = intersect(ranges, rowsThatMay(test, pages, bounds));
    }
    return ranges.length === 0 ? undefined : planOf(context, candidate, ranges, located);
  });
}

function planOf(
  { leaves }: PlanContext,
  { index, rowCount, chunks }: Candidate,
  ranges: readonly RowRange[] = [{ start: 0, end: rowCount }],
  located?: ReadonlyMap<Leaf, PageLocations>,
): GroupPlan {
  const columns = leaves.map((leaf) =>
    columnPlan(leaf, chunks.get(leaf) as ColumnChunk, rowCount, ranges, located?.get(leaf)),
  );
  const size = columns.reduce(
    (sum, column) => sum + placesOf(column).reduce((sum, { length }) => sum + length, 0),
    0,
  );
  return { index, rowCount, ranges, columns, size };
}

/** How to read the rows of `ranges` of a chunk: single pages where that saves a good part. */
export function columnPlan(
  leaf: Leaf,
  chunk: ColumnChunk,
  rowCount: number,
  ranges: readonly RowRange[],
  locations: PageLocations | undefined,
): ColumnPlan {
  const all: ColumnPlan = {
    leaf,
    chunk,
    whole: chunk.place,
    dictionary: undefined,
    pages: new Map(),
    locations: undefined,
  };
  if (locations === undefined || chunk.place.length <= SMALL / 4) return all;
  const [only] = ranges;
  if (ranges.length === 1 && only?.start === 0 && only.end === rowCount) return all;
  const first = locations.pages[0] ?? malformed('an index of its pages is empty');
  const dictionarySize = first.offset - chunk.place.offset;
  const pages = new Map<number, Place>();
  let size = dictionarySize;
  let at = 0;
  locations.pages.forEach(({ offset, length, firstRow, rowCount }, i) => {
    while (at < ranges.length && (ranges[at] as RowRange).end <= firstRow) at++;
    const range = ranges[at];
    if (range === undefined || range.start >= firstRow + rowCount) return;
    pages.set(i, { offset, length });
    size += length;
  });
  if (size > 0.8 * chunk.place.length) return all;
  const dictionary = dictionarySize > 0 ? { offset: chunk.place.offset, length: dictionarySize } : undefined;
  return { leaf, chunk, whole: undefined, dictionary, pages, locations };
}

/** All that a column's plan has to read. */
export function placesOf({ whole, dictionary, pages }: ColumnPlan): Place[] {
  if (whole !== undefined) return [whole];
  return dictionary === undefined ? [...pages.values()] : [dictionary, ...pages.values()];
}
