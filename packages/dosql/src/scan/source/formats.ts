import { DoSQLError } from '../../error.ts';
import type { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import { openParquet } from '../parquet/index.ts';
import type { ScanTable } from '../table.ts';
import type { ScanColumn } from '../vector.ts';
import type { FileColumn } from './columns.ts';
import { openCsv } from './csv.ts';
import { openJson } from './json.ts';
import type { Types } from './text-columns.ts';

/** The formats of files. */
export type Format = 'parquet' | 'csv' | 'tsv' | 'json';

/** How to read files where they do not say it themselves. */
export interface FormatOptions {
  /** Types of columns that the first rows of CSV and JSON, or another of several files, tell otherwise. */
  readonly types?: Types | undefined;
  /** What separates the fields of CSV: one ASCII character. */
  readonly delimiter?: string | undefined;
}

/** A column that a file has, but that SQL has no value for, and the reason. */
export interface Unreadable {
  readonly name: string;
  readonly why: string;
}

/** One open file. */
export interface OpenFile {
  readonly name: string;
  readonly columns: readonly FileColumn[];
  /** Columns that it has, but that SQL has no value for. */
  readonly unreadable: readonly Unreadable[];
  /** The file as a table; of text, with its columns of the types that they have in `as`. */
  table(as: readonly ScanColumn[]): ScanTable;
}

const SUFFIXES: readonly (readonly [RegExp, Format])[] = [
  [/\.(?:parquet|pq)$/i, 'parquet'],
  [/\.csv(?:\.gz)?$/i, 'csv'],
  [/\.(?:tsv|tab)(?:\.gz)?$/i, 'tsv'],
  [/\.(?:json|ndjson|jsonl)(?:\.gz)?$/i, 'json'],
];

const CONTENT_TYPES: Readonly<Record<string, Format>> = {
  'text/csv': 'csv',
  'text/tab-separated-values': 'tsv',
  'application/json': 'json',
  'application/x-ndjson': 'json',
  'application/jsonl': 'json',
  'application/vnd.apache.parquet': 'parquet',
};

/** The format by the end of a file's name. */
export function formatOf(path: string): Format | undefined {
  return SUFFIXES.find(([pattern]) => pattern.test(path))?.[1];
}

/** The format by what a server calls the content. */
export function formatOfType(contentType: string): Format | undefined {
  return Object.hasOwn(CONTENT_TYPES, contentType) ? CONTENT_TYPES[contentType] : undefined;
}

/** @throws DoSQLError `BAD_PARAMETER` */
export function unknownFormat(name: string): DoSQLError {
  return new DoSQLError(
    'BAD_PARAMETER',
    `${name} does not tell its format: name files that end in .parquet, .csv, .tsv, .json, .ndjson or .jsonl, the texts also with .gz`,
  );
}

/** Opens a file: reads its footer, or its first rows. */
export async function openFile(
  file: RangeFile,
  format: Format,
  budget: Budget,
  { types = {}, delimiter = format === 'tsv' ? '\t' : undefined }: FormatOptions,
  signal?: AbortSignal,
): Promise<OpenFile> {
  if (format === 'parquet') {
    const table = await openParquet(file, budget);
    const columns = table.columns.map((column) => ({ column, isUnknown: false }));
    return { name: file.name, columns, unreadable: table.unreadable, table: () => table };
  }
  const text =
    format === 'json'
      ? await openJson(file, budget, { types }, signal)
      : await openCsv(file, budget, { types, delimiter }, signal);
  const columns = text.columns.map((column) => ({ column, isUnknown: text.unknown.has(column.name) }));
  return { name: file.name, columns, unreadable: [], table: (as) => text.as(as) };
}
