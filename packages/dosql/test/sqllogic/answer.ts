import { createHash } from 'node:crypto';
import type { QueryRecord, SortMode } from './script.ts';

/** A value as SQLite gives it to a Durable Object, to Node, or to DoSQL. */
export type Value = string | number | bigint | null | ArrayBuffer | Uint8Array;

/** The names and rows of an answer. */
export interface Answer {
  /** Undefined where an answer without rows does not tell. */
  readonly names: readonly string[] | undefined;
  readonly rows: readonly (readonly Value[])[];
}

/** The lines that a script has for an answer: its values, in the order that the record asks for, or their hash. */
export function linesOf(record: QueryRecord, hashThreshold: number, { rows }: Answer): string[] {
  const texts = rows.map((row) => {
    if (row.length !== record.types.length)
      throw new Error(`${row.length} columns where "${record.types}" says ${record.types.length}`);
    return row.map((value, i) => printed(value, record.types.charAt(i)));
  });
  const values = sorted(texts, record.sort);
  if (hashThreshold === 0 || values.length <= hashThreshold) return values;
  const hash = createHash('md5')
    .update(values.map((value) => `${value}\n`).join(''))
    .digest('hex');
  return [`${values.length} values hashing to ${hash}`];
}

/** An answer as texts that tell all values apart, in the order that the record asks for. */
export function exactly({ sort }: QueryRecord, { rows }: Answer): string[] {
  return sorted(
    rows.map((row) => row.map(exact)),
    sort,
    ' | ',
  );
}

function sorted(rows: readonly (readonly string[])[], sort: SortMode, between = '\n'): string[] {
  if (sort === 'valuesort') return rows.flat().sort();
  if (sort === 'rowsort')
    return rows
      .map((row) => row.join(between))
      .sort()
      .flatMap((row) => row.split(between));
  return rows.flat();
}

/** A value as the format writes it. */
function printed(value: Value, type: string): string {
  if (value === null) return 'NULL';
  if (type === 'I') return String(Math.trunc(Number(value)) || 0);
  if (type === 'R') return (Number(value) || 0).toFixed(3);
  const text = typeof value === 'object' ? hexOf(value) : String(value);
  return text === '' ? '(empty)' : text.replaceAll(/[^ -~]/g, '@');
}

function exact(value: Value): string {
  if (value === null) return 'null';
  if (typeof value === 'object') return `x'${hexOf(value)}'`;
  if (typeof value === 'string') return JSON.stringify(value);
  // Of 0 and -0.0 SQLite shows any where it groups them.
  return String(value || 0);
}

function hexOf(bytes: ArrayBuffer | Uint8Array): string {
  const view = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
  return [...view].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
