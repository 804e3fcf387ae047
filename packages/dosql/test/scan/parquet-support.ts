import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Budget } from '../../src/scan/budget.ts';
import type { RangeFile } from '../../src/scan/file.ts';
import { openParquet } from '../../src/scan/parquet/index.ts';
import type { Condition } from '../../src/scan/table.ts';
import type { PlainVector, Vector } from '../../src/scan/vector.ts';

/** Bytes as a file of a name and version of its own. */
export function memoryFile(bytes: Uint8Array, name = 'memory.parquet'): RangeFile {
  return {
    name,
    size: bytes.length,
    etag: String(++versions),
    read: (offset, length) => {
      if (offset < 0 || length < 0 || offset + length > bytes.length)
        throw new Error(`read outside: ${offset} ${length}`);
      return Promise.resolve(bytes.slice(offset, offset + length));
    },
  };
}

let versions = 0;

/** A file of the disk. */
export function diskFile(path: string): RangeFile & { close(): void } {
  const handle = openSync(path, 'r');
  const { size, mtimeMs } = fstatSync(handle);
  return {
    name: path,
    size,
    etag: String(mtimeMs),
    read: (offset, length) => {
      if (offset < 0 || length < 0 || offset + length > size)
        throw new Error(`read outside: ${offset} ${length}`);
      const bytes = new Uint8Array(length);
      readSync(handle, bytes, 0, length, offset);
      return Promise.resolve(bytes);
    },
    close: () => closeSync(handle),
  };
}

const utf8 = new TextDecoder();

/** A value as JavaScript has it, for comparisons: texts of `text` columns as strings, other bytes as hex. */
export type Plain = string | number | bigint | null;

/** The values of a vector one by one, the slow and simple way. */
export function valuesOf(vector: Vector, isText: boolean): Plain[] {
  return Array.from({ length: vector.length }, (_, i) => valueAt(vector, i, isText));
}

function valueAt(vector: Vector, i: number, isText: boolean): Plain {
  if (vector.nulls !== undefined && vector.nulls.length !== vector.length)
    throw new Error('nulls of another length');
  if (vector.nulls?.[i] === 1) return null;
  if (vector.kind === 'dictionary') {
    if (vector.codes.length !== vector.length) throw new Error('codes of another length');
    return plainAt(vector.dictionary, vector.codes[i] as number, isText);
  }
  if (vector.kind !== 'runs') return plainAt(vector, i, isText);
  if (vector.ends.at(-1) !== vector.length) throw new Error('runs of another length');
  const run = vector.ends.findIndex((end) => i < end);
  return vector.values.nulls?.[run] === 1 ? null : plainAt(vector.values, run, isText);
}

function plainAt(vector: PlainVector, i: number, isText: boolean): Plain {
  if (i >= vector.length) throw new Error('a code outside of the dictionary');
  if (vector.kind === 'bytes') {
    if (vector.offsets.length !== vector.length + 1) throw new Error('offsets of another length');
    const bytes = vector.data.subarray(vector.offsets[i], vector.offsets[i + 1]);
    return isText ? utf8.decode(bytes) : Buffer.from(bytes).toString('hex');
  }
  if (vector.kind === 'mixed') {
    const value = vector.values[i] as Plain;
    return typeof value === 'object' && value !== null ? String(value) : value;
  }
  if (vector.values.length !== vector.length) throw new Error('values of another length');
  return vector.values[i] as number | bigint;
}

/** What a file holds, column by column. */
export async function readAll(
  file: RangeFile,
  options: { columns?: readonly string[]; conditions?: readonly Condition[]; budget?: Budget } = {},
): Promise<{ columns: Map<string, Plain[]>; kinds: Map<string, Set<string>>; rows: number; budget: Budget }> {
  const budget = options.budget ?? new Budget();
  const parquet = await openParquet(file, budget);
  const names = options.columns ?? parquet.columns.map(({ name }) => name);
  const columns = new Map<string, Plain[]>(names.map((name) => [name, []]));
  const kinds = new Map<string, Set<string>>(names.map((name) => [name, new Set()]));
  let rows = 0;
  for await (const batch of parquet.scan({ columns: names, conditions: options.conditions ?? [], budget })) {
    rows += batch.rowCount;
    for (const name of names) {
      const vector = batch.column(name);
      if (vector.length !== batch.rowCount) throw new Error('a vector of another length than its batch');
      kinds.get(name)?.add(vector.kind);
      const isText = parquet.columns.find((column) => column.name === name)?.type === 'text';
      const into = columns.get(name) as Plain[];
      for (const value of valuesOf(vector, isText)) into.push(value);
    }
  }
  return { columns, kinds, rows, budget };
}
