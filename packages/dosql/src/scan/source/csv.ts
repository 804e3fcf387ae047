import type { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import { openText, plainHead } from './bytes.ts';
import { readBlock } from './csv-block.ts';
import { readHead, type CsvHead } from './csv-dialect.ts';
import { csvValues } from './csv-values.ts';
import type { FieldBlock } from './fields.ts';
import type { Types } from './text-columns.ts';
import { linesBetween, textError, TextTable, type FileTable, type TextFormat } from './text-table.ts';
import { TextFault } from './text-fault.ts';

/** How to read a CSV file where its first rows do not say it right. */
export interface CsvOptions {
  readonly types?: Types | undefined;
  /** How many bytes to read at a time; 4 MiB by default. */
  readonly chunkBytes?: number | undefined;
  /** One ASCII character; found out by default. */
  readonly delimiter?: string | undefined;
}

/**
 * A CSV file (RFC 4180) as a table. The first row has the names; the delimiter and the types are told by the first
 * rows. Fields that are empty are NULL.
 *
 * @throws DoSQLError `CORRUPT_FILE`
 */
export async function openCsv(
  file: RangeFile,
  budget: Budget,
  options: CsvOptions = {},
  signal?: AbortSignal,
): Promise<FileTable> {
  const text = await openText(file, budget, signal, options.chunkBytes);
  const { bytes: plain, isWhole } = await plainHead(text, budget);
  const bytes = new Uint8Array(plain.length + 1);
  bytes.set(plain);
  let head: CsvHead;
  try {
    head = readHead(bytes, plain.length, isWhole, options.types ?? {}, options.delimiter?.charCodeAt(0));
  } catch (error) {
    if (!(error instanceof TextFault)) throw error;
    throw textError(file.name, error, 1 + linesBetween(bytes, 0, error.at));
  }
  return new TextTable(text, csvFormat(head));
}

function csvFormat({ dialect, columns, start, lineCount }: CsvHead): TextFormat<FieldBlock, undefined> {
  return {
    columns,
    start,
    startLine: 1 + lineCount,
    startState: undefined,
    sentinel: dialect.newline,
    read({ bytes, end, isLast }, from, _, wanted, maxRows, rows) {
      const slots = new Int32Array(columns.length).fill(-1);
      wanted.forEach((number, i) => (slots[number] = i));
      return readBlock(bytes, from, end, isLast, dialect, { slots, slotCount: wanted.length, maxRows, rows });
    },
    stateAfter: () => undefined,
    values: ({ bytes }, block, i, column) => csvValues(bytes, block, i, column),
  };
}
