import { crc32 } from 'node:zlib';
import type { Budget } from '../budget.ts';
import type { Vector } from '../vector.ts';
import { ChunkDecoder, listPages, type LeafState, type PagePart } from './chunk.ts';
import { corruptFile, isOfBytes, malformed } from './malformed.ts';
import type { Place } from './metadata.ts';
import { PAGE, readPage, type Page } from './page.ts';
import type { ColumnPlan } from './plan.ts';
import { Room, type Buffers } from './room.ts';
import type { Leaf } from './schema.ts';
import { takeRanges, type RowRange } from './take.ts';

/** What a row group's columns need to be decoded. */
export interface DecodeContext {
  readonly budget: Budget;
  /** What is learnt of a column goes from one row group to the next. */
  readonly states: Map<Leaf, LeafState>;
  /** Where columns are not kept: what others have let go of. */
  readonly buffers: Buffers | undefined;
}

/** What `work` gives; whatever it stumbles over in the file's bytes is CORRUPT_FILE. */
export function decoding<T>(fileName: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw isOfBytes(error) ? corruptFile(fileName, error) : error;
  }
}

/** The column of a plan from what was read for it; `checksum` is that of all the chunk's bytes, where there is one. */
export function loadColumn(
  plan: ColumnPlan,
  found: ReadonlyMap<Place, Uint8Array>,
  rowCount: number,
  checksum: number | undefined,
  context: DecodeContext,
): GroupColumn {
  const { leaf, chunk, whole } = plan;
  const bytes = whole === undefined ? undefined : (found.get(whole) as Uint8Array);
  if (bytes !== undefined && checksum !== undefined && crc32(bytes) !== checksum)
    malformed(`its column "${leaf.column.name}" does not have its checksum`);
  const { dictionary, parts } = bytes === undefined ? somePages(plan, found) : listPages(bytes, rowCount);
  const { pages } = context.budget.counts;
  const read = bytes === undefined ? plan.pages.size : parts.length;
  pages.total += parts.length;
  pages.read += read;
  pages.pruned += parts.length - read;
  let state = context.states.get(leaf);
  if (state === undefined) context.states.set(leaf, (state = { isWide: false }));
  const isVerified = checksum !== undefined;
  return new GroupColumn(
    new ChunkDecoder(leaf, chunk.codec, dictionary, state, context.budget, isVerified),
    parts,
    new Room(context.buffers),
  );
}

/** The pages that were read singly, among those that were not. */
function somePages(
  { leaf, dictionary, pages, locations }: ColumnPlan,
  found: ReadonlyMap<Place, Uint8Array>,
): { dictionary: Page | undefined; parts: PagePart[] } {
  const name = leaf.column.name;
  const { pages: all = [], checksums } = locations ?? {};
  const hasDictionary = dictionary !== undefined;
  const read = (place: Place, number: number): Page => {
    const bytes = found.get(place) as Uint8Array;
    const page = readPage(bytes, 0);
    if (checksums !== undefined && crc32(bytes) !== checksums[number])
      malformed(`a page of its column "${name}" does not have its checksum`);
    return page;
  };
  const entries = hasDictionary ? read(dictionary, 0) : undefined;
  const parts = all.map(({ firstRow, rowCount }, i) => {
    const place = pages.get(i);
    const page = place === undefined ? undefined : read(place, i + (hasDictionary ? 1 : 0));
    const isSound =
      page === undefined ||
      (page.valueCount === rowCount && (page.kind === PAGE.DATA || page.kind === PAGE.DATA_V2));
    if (!isSound) malformed(`an index of the pages of its column "${name}" is not sound`);
    return { firstRow, rowCount, page };
  });
  return { dictionary: entries?.kind === PAGE.DICTIONARY ? entries : undefined, parts };
}

/** A column of a row group, which is decoded for the rows that are asked for. */
export class GroupColumn {
  readonly #decoder: ChunkDecoder;
  /** Rising; together all rows of the row group. */
  readonly #parts: readonly PagePart[];
  readonly #room: Room;
  /** What was decoded last: the next rows may lie in the same page. */
  #last: { parts: readonly PagePart[]; vector: Vector } | undefined;

  constructor(decoder: ChunkDecoder, parts: readonly PagePart[], room: Room) {
    this.#decoder = decoder;
    this.#parts = parts;
    this.#room = room;
  }

  /** Where its pages begin. */
  get firstRows(): readonly number[] {
    return this.#parts.map(({ firstRow }) => firstRow);
  }

  /** The values of the rows within `ranges`, which rise. */
  values(ranges: readonly RowRange[]): Vector {
    const { parts, pieces } = covering(this.#parts, ranges);
    const last = this.#last;
    if (
      last !== undefined &&
      last.parts.length === parts.length &&
      last.parts.every((part, i) => part === parts[i])
    )
      return takeRanges(last.vector, pieces);
    // Let go of what was decoded before the next is made.
    this.leave();
    const vector = this.#decoder.decode(parts, this.#room);
    this.#last = { parts, vector };
    return takeRanges(vector, pieces);
  }

  /** Lets go of what was decoded. */
  leave(): void {
    this.#last = undefined;
    this.#room.leave();
  }
}

/** The parts that have rows of `ranges`, and where these are among all rows of those parts. */
function covering(
  all: readonly PagePart[],
  ranges: readonly RowRange[],
): { parts: PagePart[]; pieces: RowRange[] } {
  const parts: PagePart[] = [];
  const pieces: { start: number; end: number }[] = [];
  let at = 0;
  let before = 0;
  for (const part of all) {
    const { firstRow, rowCount } = part;
    const end = firstRow + rowCount;
    while (at < ranges.length && (ranges[at] as RowRange).end <= firstRow) at++;
    let isWanted = false;
    for (let i = at; i < ranges.length; i++) {
      const range = ranges[i] as RowRange;
      if (range.start >= end) break;
      isWanted = true;
      const start = before + Math.max(range.start, firstRow) - firstRow;
      const stop = before + Math.min(range.end, end) - firstRow;
      const last = pieces.at(-1);
      if (last?.end === start) last.end = stop;
      else pieces.push({ start, end: stop });
    }
    if (!isWanted) continue;
    parts.push(part);
    before += rowCount;
  }
  return { parts, pieces };
}
