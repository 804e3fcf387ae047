import type { FieldBlock } from './fields.ts';
import { TextFault } from './text-fault.ts';

/** How fields and rows of a CSV file are told apart. */
export interface Dialect {
  readonly delimiter: number;
  /** The byte that ends a row: LF, in front of which a CR is left out, or CR. */
  readonly newline: number;
}

const QUOTE = 34;
const CR = 13;
const LF = 10;

/** A field that stands as it is. */
export const PLAIN = 0;
/** One in quotes. */
export const QUOTED = 1;
/** One in quotes, with doubled ones in it. */
export const ESCAPED = 2;

/** Which rows and fields to look at. */
export interface CsvWanted {
  /** For each field of a row the slot that it goes to, -1 for none. */
  readonly slots: Int32Array;
  readonly slotCount: number;
  readonly maxRows: number;
  /** Rows, rising, whose fields are wanted; all by default. The others get fields that are empty. */
  readonly rows?: Uint32Array | undefined;
}

/**
 * Finds the fields of the rows from `from` on, up to the last row that is whole. Nothing is copied.
 *
 * Fields behind the last wanted one are not looked at: where no quote is near, the row's end is looked for by the
 * runtime's own search. So a row with too few or too many fields is noticed as far as it is read.
 *
 * @param bytes has a newline at `end`, which is not part of the data and stops every search.
 * @throws TextFault
 */
export function readBlock(
  bytes: Uint8Array,
  from: number,
  end: number,
  isLast: boolean,
  { delimiter, newline }: Dialect,
  wanted: CsvWanted,
): FieldBlock {
  const { slots, slotCount, maxRows, rows } = wanted;
  const width = slots.length;
  const lastWanted = lastSlot(slots);
  let capacity = Math.min(maxRows, rows === undefined ? 1024 : maxRows);
  let starts = new Int32Array(capacity * slotCount);
  let ends = new Int32Array(capacity * slotCount);
  let kinds = new Uint8Array(capacity * slotCount);
  let nextQuote = find(bytes, QUOTE, from, end);
  let nextNewline = -1;
  let nextRow = 0;
  let lineCount = 0;
  let done = from;
  let pos = from;
  let row = 0;
  rows: while (row < maxRows && pos < end) {
    const rowStart = pos;
    let lines = 1;
    // A blank line is a row only where rows have one field.
    if (
      width > 1 &&
      (bytes[pos] === newline || (bytes[pos] === CR && newline === LF && bytes[pos + 1] === LF))
    ) {
      const after = bytes[pos] === newline ? pos + 1 : pos + 2;
      if (after > end && !isLast) break;
      pos = after;
      done = pos;
      lineCount++;
      continue;
    }
    if (row === capacity) {
      capacity = Math.min(capacity * 4, maxRows);
      starts = grown(starts, new Int32Array(capacity * slotCount));
      ends = grown(ends, new Int32Array(capacity * slotCount));
      kinds = grown(kinds, new Uint8Array(capacity * slotCount));
    }
    let last = lastWanted;
    if (rows !== undefined) {
      if (rows[nextRow] === row) nextRow++;
      else last = -1;
    }
    for (let field = 0; ; field++) {
      if (field > last) {
        if (field >= width)
          throw new TextFault(rowStart, `there are more fields than the ${width} of the header`);
        if (nextQuote < pos) nextQuote = find(bytes, QUOTE, pos, end);
        const stop = bytes.indexOf(newline, pos);
        if (stop < nextQuote || nextQuote === end) {
          if (stop === end && !isLast) break rows;
          pos = stop + 1;
          break;
        }
      }
      let start = pos;
      let stop: number;
      let kind = PLAIN;
      let next: number;
      if (bytes[pos] === QUOTE && pos < end) {
        start = pos + 1;
        kind = QUOTED;
        stop = bytes.indexOf(QUOTE, start);
        while (stop >= 0 && stop + 1 < end && bytes[stop + 1] === QUOTE) {
          kind = ESCAPED;
          stop = bytes.indexOf(QUOTE, stop + 2);
        }
        if (stop < 0 || stop >= end) {
          if (!isLast) break rows;
          throw new TextFault(pos, 'a quote that opens here is never closed');
        }
        next = stop + 1;
        if (bytes[next] === CR && newline === LF && bytes[next + 1] === LF && next < end) next++;
        if (next >= end && !isLast) break rows;
        if (bytes[next] !== delimiter && bytes[next] !== newline)
          throw new TextFault(next, 'there is text behind the quote that closes a field');
        if (nextNewline < pos) nextNewline = bytes.indexOf(newline, pos);
        while (nextNewline < stop) {
          lines++;
          nextNewline = bytes.indexOf(newline, nextNewline + 1);
        }
      } else {
        next = pos;
        let byte = bytes[next] as number;
        while (byte !== delimiter && byte !== newline) byte = bytes[++next] as number;
        stop = next;
        if (byte === newline) {
          if (next === end && !isLast) break rows;
          if (newline === LF && stop > start && bytes[stop - 1] === CR) stop--;
        }
      }
      const slot = slots[field] as number;
      if (slot >= 0 && field <= last) {
        const at = row * slotCount + slot;
        starts[at] = start;
        ends[at] = stop;
        kinds[at] = kind;
      }
      pos = next + 1;
      if (bytes[next] !== newline) continue;
      if (field < last)
        throw new TextFault(
          rowStart,
          `there ${field === 0 ? 'is 1 field' : `are ${field + 1} fields`}, of ${width} of the header`,
        );
      break;
    }
    lineCount += lines;
    row++;
    done = pos;
  }
  return {
    rowCount: row,
    starts,
    ends,
    kinds,
    slotCount,
    end: Math.min(done, end),
    lineCount,
    text: fieldText,
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/** The text of a field, with doubled quotes made single. */
function fieldText(bytes: Uint8Array, { starts, ends, kinds }: FieldBlock, at: number): string {
  const text = utf8.decode(bytes.subarray(starts[at], ends[at]));
  return kinds[at] === ESCAPED ? text.replaceAll('""', '"') : text;
}

function find(bytes: Uint8Array, byte: number, from: number, end: number): number {
  const at = bytes.indexOf(byte, from);
  return at < 0 || at > end ? end : at;
}

function lastSlot(slots: Int32Array): number {
  let last = slots.length - 1;
  while (last >= 0 && (slots[last] as number) < 0) last--;
  return last;
}

function grown<T extends Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
