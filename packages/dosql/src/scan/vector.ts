import type { SqlValue } from '../value/row.ts';

/**
 * What the values of a column are to SQL.
 *
 * `integer`, `real`, `text` and `blob` are SQLite's storage classes. `timestamp`, `date` and `time` are those of
 * files: they are given as ISO 8601 text and compare, against each other and against any time text, as the instants
 * that they are. `any` has values of several classes, as a column of JSON or of SQLite can.
 */
export type ColumnType = 'integer' | 'real' | 'text' | 'blob' | 'timestamp' | 'date' | 'time' | 'any';

/** What a `timestamp` or `time` vector counts: milliseconds, microseconds or nanoseconds. */
export type TimeUnit = 'ms' | 'us' | 'ns';

/** A column of something that can be scanned. */
export interface ScanColumn {
  readonly name: string;
  readonly type: ColumnType;
  /** For `timestamp` and `time`; `ms` by default. */
  readonly unit?: TimeUnit | undefined;
  /** For `timestamp`: false where it is the time of no particular zone, which is given without `Z`. */
  readonly isUtc?: boolean | undefined;
}

interface VectorBase {
  /** How many values it has. */
  readonly length: number;
  /** 1 at the positions that are NULL; undefined when none is. What stands in the values there means nothing. */
  readonly nulls: Uint8Array | undefined;
}

/**
 * Integers within ±2^53, reals, timestamps since the epoch in the column's unit, days since the epoch of a `date`,
 * time since midnight of a `time`.
 */
export interface NumberVector extends VectorBase {
  readonly kind: 'number';
  readonly values: Int32Array | Float64Array;
}

/** Integers of which some are beyond ±2^53. */
export interface BigintVector extends VectorBase {
  readonly kind: 'bigint';
  readonly values: BigInt64Array;
}

/** Text as UTF-8, or blobs: value `i` is `data[offsets[i]]` up to `data[offsets[i + 1]]`. */
export interface BytesVector extends VectorBase {
  readonly kind: 'bytes';
  readonly data: Uint8Array;
  /** One more than there are values, from low to high; a NULL takes no bytes. */
  readonly offsets: Uint32Array;
}

/**
 * Each value is one of a few: `dictionary` at its code. The dictionary has no NULLs and may repeat a value.
 *
 * What is read from files has its codes in a Uint32Array, however few there are: code that meets arrays of one class only
 * is compiled better, by more than reading fewer bytes saves.
 */
export interface DictionaryVector extends VectorBase {
  readonly kind: 'dictionary';
  readonly codes: Uint8Array | Uint16Array | Uint32Array;
  readonly dictionary: PlainVector;
}

/** Values that stand in runs: run `i` has the value `values` at `i`, NULL where that is, up to row `ends[i]`. */
export interface RunsVector extends VectorBase {
  readonly kind: 'runs';
  readonly nulls: undefined;
  /** Rising; the last is the length. */
  readonly ends: Uint32Array;
  readonly values: PlainVector;
}

/** Values as JavaScript has them, of any class; null is NULL. Integers beyond ±2^53 are bigint. */
export interface MixedVector extends VectorBase {
  readonly kind: 'mixed';
  readonly nulls: undefined;
  readonly values: readonly SqlValue[];
}

/** A vector that holds its values themselves. */
export type PlainVector = NumberVector | BigintVector | BytesVector | MixedVector;

/** The values of one column over consecutive rows. */
export type Vector = PlainVector | DictionaryVector | RunsVector;
