import { parseInstant, parseTime } from '../time.ts';
import type { ScanColumn, TimeUnit } from '../vector.ts';
import type { FileColumn } from './columns.ts';
import { readBlock, type Dialect } from './csv-block.ts';
import { parseInteger, parseReal } from './field-values.ts';
import type { FieldBlock } from './fields.ts';
import { givenType, typed, uniqueNames, type Types } from './text-columns.ts';
import { TextFault } from './text-fault.ts';

const DELIMITERS = [44, 59, 9, 124];
const SNIFFED_ROWS = 100;
/** Rows that types are told by. */
const SAMPLE_ROWS = 2_000;

/** How a file is written, by its start, behind which it puts a newline: the delimiter is the one that cuts all rows into the same number of fields. */
export function sniffDialect(bytes: Uint8Array, end: number, isWhole: boolean): Dialect {
  const newline = sniffNewline(bytes, end);
  // What stops searches.
  bytes[end] = newline;
  let best: { dialect: Dialect; score: number } | undefined;
  for (const delimiter of DELIMITERS) {
    const dialect = { delimiter, newline };
    const { widths, isSound } = widthsOf(bytes, end, isWhole, dialect);
    const [first = 1] = widths;
    const agreeing = widths.filter((width) => width === first).length;
    // First that rows agree, then that there are more fields; a file of one column has none of the delimiters.
    const score =
      first === 1 ? 0 : (agreeing / widths.length) * (isSound ? 1000 : 500) + Math.min(first, 999) / 1000;
    if (best === undefined || score > best.score) best = { dialect, score };
  }
  return best?.dialect ?? { delimiter: DELIMITERS[0] as number, newline };
}

/** The first end of a line outside of quotes: CR where no LF follows. */
function sniffNewline(bytes: Uint8Array, end: number): number {
  let isQuoted = false;
  for (let i = 0; i < end; i++) {
    const byte = bytes[i];
    if (byte === 34) isQuoted = !isQuoted;
    else if (isQuoted) continue;
    else if (byte === 10) return 10;
    else if (byte === 13) return i + 1 < end && bytes[i + 1] !== 10 ? 13 : 10;
  }
  return 10;
}

/** How many fields each of the first rows has, and whether its quotes fit the delimiter. */
function widthsOf(
  bytes: Uint8Array,
  end: number,
  isWhole: boolean,
  dialect: Dialect,
): { widths: number[]; isSound: boolean } {
  const widths: number[] = [];
  let at = 0;
  while (widths.length < SNIFFED_ROWS && at < end) {
    const row = readWidth(bytes, at, end, dialect);
    if (row === 'fault') return { widths, isSound: false };
    if (row === undefined || (row.end > end && !isWhole)) break;
    at = row.end;
    // A blank line is no row of one field.
    if (row.width > 0) widths.push(row.width);
  }
  return { widths, isSound: true };
}

function readWidth(
  bytes: Uint8Array,
  from: number,
  end: number,
  { delimiter, newline }: Dialect,
): { width: number; end: number } | 'fault' | undefined {
  let width = 0;
  for (let at = from; ; at++) {
    if (bytes[at] === 34 && at < end) {
      let close = bytes.indexOf(34, at + 1);
      while (close >= 0 && close + 1 < end && bytes[close + 1] === 34) close = bytes.indexOf(34, close + 2);
      if (close < 0 || close >= end) return width === 0 && from === 0 ? 'fault' : undefined;
      at = close + 1;
      if (bytes[at] === 13 && bytes[at + 1] === 10) at++;
      if (at < end && bytes[at] !== delimiter && bytes[at] !== newline) return 'fault';
    } else while (bytes[at] !== delimiter && bytes[at] !== newline) at++;
    width++;
    if (at < end && bytes[at] === delimiter) continue;
    const isBlank = width === 1 && (at === from || (at === from + 1 && bytes[from] === 13));
    return { width: isBlank ? 0 : width, end: at + 1 };
  }
}

/** The columns of a CSV file, and where its rows begin. */
export interface CsvHead {
  readonly dialect: Dialect;
  readonly columns: readonly FileColumn[];
  /** The first byte after the header. */
  readonly start: number;
  /** The lines of the header. */
  readonly lineCount: number;
}

/** Reads the header and tells types by the first rows; `bytes` has room for one more byte at `end`. */
export function readHead(
  bytes: Uint8Array,
  end: number,
  isWhole: boolean,
  types: Types,
  given: number | undefined,
): CsvHead {
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
    throw new TextFault(0, 'it is UTF-16: write it as UTF-8');
  const bom = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const rest = bytes.subarray(bom);
  const sniffed = sniffDialect(rest, end - bom, isWhole);
  const dialect = given === undefined ? sniffed : { ...sniffed, delimiter: given };
  const row = firstRow(rest, end - bom, dialect);
  if (row === undefined) return { dialect, columns: [], start: end, lineCount: 0 };
  const width = row.width;
  const all = { slots: Int32Array.from({ length: width }, (_, i) => i), slotCount: width };
  const header = readBlock(bytes, bom + row.start, end, isWhole, dialect, { ...all, maxRows: 1 });
  if (header.rowCount === 0)
    throw new TextFault(bom, `its header is longer than ${end.toLocaleString('en')} bytes`);
  const names = uniqueNames(Array.from({ length: width }, (_, i) => header.text(bytes, header, i)));
  const sample = readBlock(bytes, header.end, end, isWhole, dialect, { ...all, maxRows: SAMPLE_ROWS });
  const columns = names.map((name, i): FileColumn => {
    const found = columnOf(name, bytes, sample, i);
    const type = givenType(types, name);
    return type === undefined ? found : { column: typed(found.column, type), isUnknown: false };
  });
  return { dialect, columns, start: header.end, lineCount: row.lineCount + header.lineCount };
}

/** The first row that is not blank. */
function firstRow(
  bytes: Uint8Array,
  end: number,
  dialect: Dialect,
): { start: number; width: number; lineCount: number } | undefined {
  for (let at = 0, lineCount = 0; at < end; lineCount++) {
    const row = readWidth(bytes, at, end, dialect);
    if (row === undefined || row === 'fault') return { start: at, width: 1, lineCount };
    if (row.width > 0) return { start: at, width: row.width, lineCount };
    at = row.end;
  }
  return undefined;
}

/** A column whose type all values of the sample are of. */
function columnOf(name: string, bytes: Uint8Array, block: FieldBlock, slot: number): FileColumn {
  const kinds = new KindCounts();
  for (let row = 0, at = slot; row < block.rowCount; row++, at += block.slotCount) {
    // Empty text in quotes is none of the types, but says nothing against them either: some writers quote all fields.
    if (block.starts[at] === block.ends[at]) continue;
    const text = block.text(bytes, block, at).trim();
    const kind = kindOf(text);
    if (kind === undefined) return { column: { name, type: 'text' }, isUnknown: false };
    kinds.add(kind, text);
  }
  return { column: kinds.column(name), isUnknown: kinds.count === 0 };
}

/** How many values of a column are of each kind, and how times among them are written. */
class KindCounts {
  count = 0;
  readonly #counts: Record<Kind, number> = {
    integer: 0,
    boolean: 0,
    real: 0,
    word: 0,
    date: 0,
    timestamp: 0,
    time: 0,
  };
  #hasZone = false;
  #digits = 0;

  add(kind: Kind, text: string): void {
    this.count++;
    this.#counts[kind]++;
    if (kind !== 'timestamp' && kind !== 'time') return;
    this.#hasZone ||= /(?:[Zz]|[+-]\d\d:?\d\d)$/.test(text);
    this.#digits = Math.max(this.#digits, /[.,](\d+)/.exec(text)?.[1]?.length ?? 0);
  }

  /** The column that has all the values. */
  column(name: string): ScanColumn {
    const { integer, boolean, real, word, date, timestamp, time } = this.#counts;
    const all = this.count;
    const unit: TimeUnit = this.#digits <= 3 ? 'ms' : this.#digits <= 6 ? 'us' : 'ns';
    if (all === 0) return { name, type: 'text' };
    if (integer === all || boolean === all) return { name, type: 'integer' };
    if (integer + real + word === all && word < all) return { name, type: 'real' };
    if (date === all) return { name, type: 'date' };
    if (date + timestamp === all) return { name, type: 'timestamp', unit, isUtc: this.#hasZone };
    return time === all ? { name, type: 'time', unit } : { name, type: 'text' };
  }
}

type Kind = 'integer' | 'boolean' | 'real' | 'word' | 'date' | 'timestamp' | 'time';

function kindOf(text: string): Kind | undefined {
  if (/^[+-]?\d/.test(text)) {
    // 007 is a name and not a number: as one it would lose its zeros.
    if (/^[+-]?0\d/.test(text) && !/[-:]/.test(text.slice(1))) return undefined;
    if (/^[+-]?\d+$/.test(text)) return parseInteger(text) === undefined ? 'real' : 'integer';
    if (parseReal(text) !== undefined) return 'real';
    if (parseInstant(text) !== undefined) return text.length > 10 ? 'timestamp' : 'date';
    return parseTime(text) === undefined ? undefined : 'time';
  }
  if (/^(?:true|false)$/i.test(text)) return 'boolean';
  if (parseReal(text) === undefined) return undefined;
  return /\d/.test(text) ? 'real' : 'word';
}
