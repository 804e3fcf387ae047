import type { SqlValue } from '../../value/row.ts';
import { compareText } from '../scalar.ts';
import type { Condition } from '../table.ts';
import { parseInstant } from '../time.ts';
import type { ColumnType, ScanColumn, Vector } from '../vector.ts';
import type { FileEntry } from './files.ts';

/** What Hive and all who write as it does call a folder of rows that have NULL. */
const NULL_VALUE = '__HIVE_DEFAULT_PARTITION__';

/** The columns that the folders of files have in their names, as `year=2026/month=11/x.parquet`. */
export interface Partitions {
  readonly columns: readonly ScanColumn[];
  /** The value of each column for a file: a number for integer and real, days for a date. */
  valuesOf(entry: FileEntry): readonly PartitionValue[];
}

/** A value of a partition column. */
export type PartitionValue = number | string | null;

/** Reads the partitions out of the paths of files: a type is that of all values of a name, text else. */
export function partitionsOf(files: readonly FileEntry[]): Partitions {
  const texts = new Map<FileEntry, ReadonlyMap<string, string | null>>();
  const types = new Map<string, ColumnType | undefined>();
  for (const file of files) {
    const found = parseFolders(file.path);
    texts.set(file, found);
    for (const [name, text] of found) {
      const known = types.get(name);
      if (!types.has(name)) types.set(name, undefined);
      if (text !== null) types.set(name, widest(known, typeOf(text)));
    }
  }
  const columns = [...types].map(([name, type]): ScanColumn => ({ name, type: type ?? 'text' }));
  return {
    columns,
    valuesOf: (file) =>
      columns.map(({ name, type }) => {
        const text = texts.get(file)?.get(name) ?? null;
        return text === null ? null : valueOf(text, type);
      }),
  };
}

function parseFolders(path: string): Map<string, string | null> {
  const found = new Map<string, string | null>();
  for (const folder of path.split('/').slice(0, -1)) {
    const match = /^([^=]+)=(.*)$/s.exec(folder);
    if (match === null) continue;
    const value = match[2] as string;
    found.set(decoded(match[1] as string), value === NULL_VALUE ? null : decoded(value));
  }
  return found;
}

/** Percent-decoded, where that gives text; as it is else. */
function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function typeOf(text: string): ColumnType {
  // A number that would be written otherwise is an identifier, but months and days do have a zero in front.
  if (/^-?\d{1,15}$/.test(text)) return 'integer';
  if (/^-?\d{1,15}\.\d{1,15}$/.test(text)) return 'real';
  return /^\d{4}-\d\d-\d\d$/.test(text) && parseInstant(text) !== undefined ? 'date' : 'text';
}

function widest(a: ColumnType | undefined, b: ColumnType): ColumnType {
  if (a === undefined || a === b) return b;
  const isNumber = (type: ColumnType): boolean => type === 'integer' || type === 'real';
  return isNumber(a) && isNumber(b) ? 'real' : 'text';
}

function valueOf(text: string, type: ColumnType): number | string {
  // Plus zero, which makes 0 of -0.
  if (type === 'integer' || type === 'real') return Number(text) + 0;
  return type === 'date' ? (parseInstant(text)?.ms ?? 0) / DAY_MS : text;
}

const DAY_MS = 86_400_000;
const utf8 = new TextEncoder();

/** A column that has one value at every row: one run. */
export function constantVector(value: PartitionValue, length: number): Vector {
  const nulls = value === null ? new Uint8Array([1]) : undefined;
  const ends = new Uint32Array([length]);
  if (typeof value === 'number')
    return {
      kind: 'runs',
      length,
      nulls: undefined,
      ends,
      values: { kind: 'number', length: 1, nulls, values: new Float64Array([value]) },
    };
  const data = utf8.encode(value ?? '');
  const offsets = new Uint32Array([0, data.length]);
  return {
    kind: 'runs',
    length,
    nulls: undefined,
    ends,
    values: { kind: 'bytes', length: 1, nulls, data, offsets },
  };
}

/** Whether a row with these values may fulfil the conditions: false only where it surely does not. */
export function mayFulfil(
  columns: readonly ScanColumn[],
  values: readonly PartitionValue[],
  conditions: readonly Condition[],
): boolean {
  return conditions.every((condition) => {
    const i = columns.findIndex(({ name }) => name === condition.column);
    const column = columns[i];
    return column === undefined || fulfils(column.type, values[i] ?? null, condition);
  });
}

function fulfils(type: ColumnType, value: PartitionValue, { operator, values }: Condition): boolean {
  if (operator === 'is null') return value === null;
  if (value === null) return false;
  if (operator === 'is not null') return true;
  const orders = values.map((constant) => order(type, value, constant));
  return orders.some((each) => each === undefined || isMet(operator, each));
}

function isMet(operator: Condition['operator'], order: number): boolean {
  if (operator === '<') return order < 0;
  if (operator === '<=') return order <= 0;
  if (operator === '>') return order > 0;
  return operator === '>=' ? order >= 0 : order === 0;
}

/** How a value compares with a constant; undefined where they are not of one kind. */
function order(type: ColumnType, value: number | string, constant: SqlValue): number | undefined {
  if (typeof value === 'string')
    return typeof constant === 'string' ? compareText(value, constant) : undefined;
  if (type === 'date') {
    const instant = typeof constant === 'string' ? parseInstant(constant) : undefined;
    return instant === undefined ? undefined : value * DAY_MS - instant.ms || -instant.ns;
  }
  if (typeof constant === 'bigint') return value < constant ? -1 : value > constant ? 1 : 0;
  return typeof constant === 'number' ? value - constant : undefined;
}
