import type { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import type { ScanColumn } from '../vector.ts';
import { openText, plainHead } from './bytes.ts';
import type { FileColumn } from './columns.ts';
import { parseInteger } from './field-values.ts';
import type { FieldBlock } from './fields.ts';
import { JsonScanner, NULL, NUMBER, WORD, type JsonBlock, type JsonState } from './json-block.ts';
import { JsonKeys } from './json-keys.ts';
import { jsonValues } from './json-values.ts';
import { givenType, typed, uniqueNames, type Types } from './text-columns.ts';
import { TextFault } from './text-fault.ts';
import { linesBetween, textError, TextTable, type FileTable, type TextFormat } from './text-table.ts';

const QUOTE = 34;
/** Objects that columns and types are told by. */
const SAMPLE_ROWS = 20_000;

/** How to read a JSON file where its first objects do not say it right. */
export interface JsonOptions {
  readonly types?: Types | undefined;
  /** How many bytes to read at a time; 4 MiB by default. */
  readonly chunkBytes?: number | undefined;
}

/**
 * A JSON file as a table with a row for each object: of an array, or one after the other, as in NDJSON. The first
 * objects tell the columns and types; a key that an object lacks is NULL, and one that the first objects lack is none
 * of the columns.
 *
 * @throws DoSQLError `CORRUPT_FILE`
 */
export async function openJson(
  file: RangeFile,
  budget: Budget,
  { types = {}, chunkBytes }: JsonOptions = {},
  signal?: AbortSignal,
): Promise<FileTable> {
  const text = await openText(file, budget, signal, chunkBytes);
  const { bytes: plain, isWhole } = await plainHead(text, budget);
  const bytes = new Uint8Array(plain.length + 1);
  bytes.set(plain);
  bytes[plain.length] = QUOTE;
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  try {
    if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
      throw new TextFault(0, 'it is UTF-16: write it as UTF-8');
    const sample = readSample(bytes, start, plain.length, isWhole);
    return new TextTable(text, jsonFormat(sample, types, start));
  } catch (error) {
    if (!(error instanceof TextFault)) throw error;
    throw textError(file.name, error, 1 + linesBetween(bytes, 0, error.at));
  }
}

interface Sample {
  readonly keys: readonly string[];
  readonly columns: readonly FileColumn[];
}

function readSample(bytes: Uint8Array, start: number, end: number, isWhole: boolean): Sample {
  const found = new JsonKeys([]);
  new JsonScanner(bytes, end, isWhole, found, 0).read(start, 'start', SAMPLE_ROWS);
  const keys = found.names;
  const wanted = new JsonKeys(keys);
  const block = new JsonScanner(bytes, end, isWhole, wanted, keys.length).read(start, 'start', SAMPLE_ROWS);
  if (block.rowCount === 0 && block.end < end && block.state !== 'done')
    throw new TextFault(block.end, `its first object is longer than ${end.toLocaleString('en')} bytes`);
  const names = uniqueNames(keys);
  return { keys, columns: names.map((name, slot) => columnOf(name, bytes, block, slot)) };
}

/** The column that has all values of a slot: of any class where they are of several. */
function columnOf(name: string, bytes: Uint8Array, block: FieldBlock, slot: number): FileColumn {
  let integers = 0;
  let reals = 0;
  let words = 0;
  let texts = 0;
  for (let row = 0, at = slot; row < block.rowCount; row++, at += block.slotCount) {
    const kind = block.kinds[at] as number;
    if (kind === NULL) continue;
    if (kind === WORD) words++;
    else if (kind !== NUMBER) texts++;
    else if (parseInteger(block.text(bytes, block, at)) === undefined) reals++;
    else integers++;
  }
  const numbers = integers + reals + words;
  if (numbers + texts === 0) return { column: { name, type: 'text' }, isUnknown: true };
  const type: ScanColumn['type'] =
    numbers > 0 && texts > 0
      ? 'any'
      : texts > 0
        ? 'text'
        : reals === 0
          ? 'integer'
          : words > 0
            ? 'any'
            : 'real';
  return { column: { name, type }, isUnknown: false };
}

function jsonFormat(
  { keys, columns }: Sample,
  types: Types,
  start: number,
): TextFormat<JsonBlock, JsonState> {
  // The keys that are read for one choice of columns, which is the same for all chunks of a scan.
  const known = new Map<string, JsonKeys>();
  const keysOf = (wanted: readonly number[]): JsonKeys => {
    const choice = wanted.join();
    let found = known.get(choice);
    if (found === undefined) known.set(choice, (found = new JsonKeys(wanted.map((i) => keys[i] as string))));
    return found;
  };
  return {
    columns: columns.map((each) => {
      const type = givenType(types, each.column.name);
      return type === undefined ? each : { column: typed(each.column, type), isUnknown: false };
    }),
    start,
    startLine: 1,
    startState: 'start',
    sentinel: QUOTE,
    read: ({ bytes, end, isLast }, from, state, wanted, maxRows, rows) =>
      new JsonScanner(bytes, end, isLast, keysOf(wanted), wanted.length).read(from, state, maxRows, rows),
    stateAfter: (block) => block.state,
    values: ({ bytes }, block, i, column) => jsonValues(bytes, block, i, column),
  };
}
