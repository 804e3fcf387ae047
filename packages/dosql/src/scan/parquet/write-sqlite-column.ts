import type { SqlValue } from '../../value/row.ts';
import type { PlainVector, Vector } from '../vector.ts';
import { formatIso, parseIso } from './write-iso.ts';
import { BytesBuffer } from './write-bytes.ts';
import { packOther } from './write-other.ts';
import type { WriteColumn } from './write-schema.ts';
import type { Affinity, StoredAs } from './write-sqlite.ts';

// Of what kind a row's value is.
const NULL = 0;
const INTEGER = 1;
const REAL = 2;
const BIGINT = 3;
const TEXT = 4;
const BLOB = 5;
const ISO = 6;
const KINDS = 7;

/** Whole numbers with fewer of others among them than this stay integers, and the others go to the companion. */
const FEW_REALS = 0.01;

/** How one column is written. */
export interface SqliteChunk {
  readonly storedAs: StoredAs;
  readonly column: Omit<WriteColumn, 'name'>;
  readonly main: Vector;
  /** The values of other classes; undefined when there are none. */
  readonly other: Vector | undefined;
}

/** How a column is stored that is to be stored so, and of which kinds its values are. */
const FIXED: Readonly<Record<StoredAs, readonly [Omit<WriteColumn, 'name'>, kinds: readonly number[]]>> = {
  integer: [{ type: 'int64' }, [INTEGER, BIGINT]],
  real: [{ type: 'double' }, [REAL]],
  number: [{ type: 'double' }, [REAL, INTEGER]],
  text: [{ type: 'utf8' }, [TEXT]],
  blob: [{ type: 'binary' }, [BLOB]],
  iso: [{ type: 'timestamp', unit: 'ms' }, [ISO]],
};

/** The type that a column has in Parquet. */
export function storedType(stored: StoredAs): Omit<WriteColumn, 'name'> {
  return FIXED[stored][0];
}

/** The values of one column of SQLite, sorted by their class as they come. */
export class SqliteColumnBuffer {
  rows = 0;
  readonly #affinity: Affinity | undefined;
  readonly #fixed: StoredAs | undefined;
  readonly #counts = new Float64Array(KINDS);
  #kinds: Uint8Array = new Uint8Array(256);
  /** By row: numbers, and the instants of ISO texts. */
  #numbers: Float64Array = new Float64Array(0);
  readonly #bigints = new Map<number, bigint>();
  readonly #texts = new BytesBuffer();
  readonly #blobs = new BytesBuffer();
  #isIso: boolean;

  /** @param fixed how the column is stored, whatever its values are */
  constructor(affinity: Affinity | undefined, fixed?: StoredAs) {
    this.#affinity = affinity;
    this.#fixed = fixed;
    this.#isIso = fixed === undefined || fixed === 'iso';
  }

  add(value: SqlValue | ArrayBuffer): void {
    const row = this.rows;
    if (row === this.#kinds.length) {
      const kinds = new Uint8Array(row * 2);
      kinds.set(this.#kinds);
      this.#kinds = kinds;
    }
    const kind = this.#take(value, row);
    this.#kinds[row] = kind;
    this.#counts[kind] = (this.#counts[kind] as number) + 1;
    this.rows++;
  }

  finish(empty: Affinity | undefined = this.#affinity): SqliteChunk {
    if (this.#fixed !== undefined) return this.#chunk(this.#fixed, ...FIXED[this.#fixed]);
    const counts = this.#counts;
    const of = (kind: number): number => counts[kind] as number;
    const numbers = of(INTEGER) + of(REAL) + of(BIGINT);
    const texts = of(TEXT) + of(ISO);
    if (texts + numbers + of(BLOB) === 0) return this.#empty(empty);
    if (texts >= numbers && texts >= of(BLOB))
      return of(ISO) > 0
        ? this.#chunk('iso', { type: 'timestamp', unit: 'ms' }, [ISO])
        : this.#chunk('text', { type: 'utf8' }, [TEXT]);
    if (of(BLOB) >= numbers) return this.#chunk('blob', { type: 'binary' }, [BLOB]);
    if (of(REAL) > numbers * FEW_REALS)
      return of(INTEGER) === 0
        ? this.#chunk('real', { type: 'double' }, [REAL])
        : this.#chunk('number', { type: 'double' }, [REAL, INTEGER]);
    return this.#chunk('integer', { type: 'int64' }, [INTEGER, BIGINT]);
  }

  /** Puts the value where those of its class are. */
  #take(value: SqlValue | ArrayBuffer, row: number): number {
    if (typeof value === 'number') {
      this.#number(row, value);
      if (this.#affinity === 'real') return REAL;
      return (Number.isSafeInteger(value) || Math.abs(value) === 2 ** 53) && !Object.is(value, -0)
        ? INTEGER
        : REAL;
    }
    if (value === null) return NULL;
    if (typeof value === 'string') return this.#text(row, value);
    if (typeof value === 'bigint') {
      this.#bigints.set(row, value);
      return BIGINT;
    }
    const blob = value instanceof Uint8Array ? value : new Uint8Array(value);
    this.#blobs.append(blob, 0, blob.length);
    return BLOB;
  }

  #text(row: number, text: string): number {
    if (this.#isIso) {
      const instant = parseIso(text);
      if (!Number.isNaN(instant)) {
        this.#number(row, instant);
        return ISO;
      }
      if (this.#fixed === undefined) this.#spellOut();
    }
    this.#texts.text(text);
    return TEXT;
  }

  /** Not all texts are ISO ones: those until now become plain text again. */
  #spellOut(): void {
    this.#isIso = false;
    if (this.#counts[ISO] === 0) return;
    for (let row = 0; row < this.rows; row++) {
      if (this.#kinds[row] !== ISO) continue;
      this.#kinds[row] = TEXT;
      this.#texts.text(formatIso(this.#numbers[row] as number));
    }
    this.#counts[TEXT] = this.#counts[ISO] as number;
    this.#counts[ISO] = 0;
  }

  #number(row: number, value: number): void {
    if (row >= this.#numbers.length) {
      const numbers = new Float64Array(Math.max(256, row * 2));
      numbers.set(this.#numbers);
      this.#numbers = numbers;
    }
    this.#numbers[row] = value;
  }

  /** A column of NULLs has the type that its affinity suggests. */
  #empty(affinity: Affinity | undefined): SqliteChunk {
    switch (affinity) {
      case 'integer':
        return this.#chunk('integer', { type: 'int64' }, [INTEGER]);
      case 'real':
        return this.#chunk('real', { type: 'double' }, [REAL]);
      case 'numeric':
        return this.#chunk('number', { type: 'double' }, [REAL]);
      case 'blob':
        return this.#chunk('blob', { type: 'binary' }, [BLOB]);
      default:
        return this.#chunk('text', { type: 'utf8' }, [TEXT]);
    }
  }

  #chunk(storedAs: StoredAs, type: Omit<WriteColumn, 'name'>, kinds: readonly number[]): SqliteChunk {
    const isMain = new Uint8Array(KINDS);
    for (const kind of kinds) isMain[kind] = 1;
    const nulls = new Uint8Array(this.rows);
    let nullCount = 0;
    for (let row = 0; row < this.rows; row++) {
      const isNull = 1 - (isMain[this.#kinds[row] as number] as number);
      nulls[row] = isNull;
      nullCount += isNull;
    }
    return {
      storedAs,
      column: { ...type, required: nullCount === 0 && this.rows > 0 },
      main: this.#main(storedAs, nullCount === 0 ? undefined : nulls),
      other: nullCount > (this.#counts[NULL] as number) ? this.#other(isMain) : undefined,
    };
  }

  #main(storedAs: StoredAs, nulls: Uint8Array | undefined): Vector {
    const length = this.rows;
    if (storedAs === 'text') return spread(this.#texts, nulls, length);
    if (storedAs === 'blob') return spread(this.#blobs, nulls, length);
    this.#number(length, 0);
    const numbers = this.#numbers.subarray(0, length);
    if (storedAs !== 'integer' || this.#bigints.size === 0)
      return { kind: 'number', length, nulls, values: numbers };
    const values = new BigInt64Array(length);
    for (let row = 0; row < length; row++)
      if (this.#kinds[row] === INTEGER) values[row] = BigInt(numbers[row] as number);
      else if (this.#kinds[row] === BIGINT) values[row] = this.#bigints.get(row) as bigint;
    return { kind: 'bigint', length, nulls, values };
  }

  /** What is of other classes, packed row by row. */
  #other(isMain: Uint8Array): Vector {
    const packed = new BytesBuffer();
    const nulls = new Uint8Array(this.rows);
    const texts = cursor(this.#texts);
    const blobs = cursor(this.#blobs);
    for (let row = 0; row < this.rows; row++) {
      const kind = this.#kinds[row] as number;
      // Every text and blob is stepped over, also those of the main column.
      const value = this.#valueAt(row, kind, texts, blobs);
      if (value === null || isMain[kind] === 1) {
        nulls[row] = 1;
        continue;
      }
      const bytes = packOther(value, kind === REAL);
      packed.append(bytes, 0, bytes.length);
    }
    return spread(packed, nulls, this.rows);
  }

  #valueAt(row: number, kind: number, texts: () => Uint8Array, blobs: () => Uint8Array): SqlValue {
    switch (kind) {
      case INTEGER:
      case REAL:
        return this.#numbers[row] as number;
      case BIGINT:
        return this.#bigints.get(row) as bigint;
      case ISO:
        return formatIso(this.#numbers[row] as number);
      case TEXT:
        return new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(texts());
      case BLOB:
        return blobs();
      default:
        return null;
    }
  }
}

/** Gives one byte string of the buffer after the other. */
function cursor(buffer: BytesBuffer): () => Uint8Array {
  const { codes, bytes } = buffer;
  const { data, offsets } = bytes;
  let next = 0;
  return () => {
    const i = codes === undefined ? next : (codes[next] as number);
    next++;
    return data.subarray(offsets[i], offsets[i + 1]);
  };
}

/** The values of a buffer at the rows that are not NULL. */
function spread(buffer: BytesBuffer, nulls: Uint8Array | undefined, length: number): Vector {
  const { codes, bytes } = buffer;
  const { data, offsets } = bytes;
  const plain: PlainVector = { kind: 'bytes', length: offsets.length - 1, nulls: undefined, data, offsets };
  if (nulls === undefined)
    return codes === undefined ? plain : { kind: 'dictionary', length, nulls, codes, dictionary: plain };
  let next = 0;
  if (codes !== undefined) {
    const all = new Uint32Array(length);
    for (let row = 0; row < length; row++) if (nulls[row] === 0) all[row] = codes[next++] as number;
    return { kind: 'dictionary', length, nulls, codes: all, dictionary: plain };
  }
  const ends = new Uint32Array(length + 1);
  for (let row = 0; row < length; row++) {
    if (nulls[row] === 0) next++;
    ends[row + 1] = offsets[next] as number;
  }
  return { kind: 'bytes', length, nulls, data, offsets: ends };
}
