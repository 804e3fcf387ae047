/**
 * Rows as JSONB, SQLite's binary JSON (https://sqlite.org/jsonb.html): an array of rows, each an array of values.
 *
 * SQLite reads it without parsing, and text of any bytes stands in it as it is, with nothing to escape. Every value
 * comes out exactly as it went in: integers are written in digits, reals in the shortest text that JavaScript reads
 * back as the same, which SQLite reads back as the same too.
 */
const INT = 3;
const FLOAT = 5;
const TEXT_RAW = 10;
const ARRAY = 11;

/** A header of 5 bytes: the size in the last 4 of them, whatever it is. */
const WIDE = 0xe0;
const WIDE_HEADER = 5;

/** What a chunk is filled to. */
const CHUNK_BYTES = 1_900_000;

/** What one value that is bound may take: the runtime's own limit, which is above the documented one. */
export const MAX_CHUNK_BYTES: number = 4 * 2 ** 20 - 64;

const utf8 = new TextEncoder();

/** Writes rows into chunks of less than 2 MB; only a row that is larger by itself makes a larger one. */
export class JsonbRows {
  readonly #chunks: Uint8Array[] = [];
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(1 << 16);
  #end: number = WIDE_HEADER;
  #rowStart = 0;
  #rowsInChunk = 0;
  #closedBytes = 0;

  /** Bytes of all that has been written. */
  get sizeBytes(): number {
    return this.#closedBytes + this.#end;
  }

  beginRow(): void {
    this.#room(WIDE_HEADER);
    this.#rowStart = this.#end;
    this.#bytes[this.#end] = WIDE | ARRAY;
    this.#end += WIDE_HEADER;
  }

  /** Ends the row, and gives how many bytes it takes. */
  endRow(): number {
    const size = this.#end - this.#rowStart;
    writeSize(this.#bytes, this.#rowStart + 1, size - WIDE_HEADER);
    if (this.#end > CHUNK_BYTES && this.#rowsInChunk > 0) this.#moveRow();
    this.#rowsInChunk++;
    return size;
  }

  /** Ends the last chunk, and gives all. */
  finish(): Uint8Array[] {
    if (this.#rowsInChunk > 0) this.#close(this.#end);
    this.#rowsInChunk = 0;
    return this.#chunks;
  }

  null(): void {
    this.#room(1);
    this.#bytes[this.#end++] = 0;
  }

  /** An integer within ±2^53. */
  integer(value: number): void {
    this.#room(24);
    const bytes = this.#bytes;
    const start = this.#end;
    const isNegative = value < 0;
    let rest = isNegative ? -value : value;
    let end = start + 1 + (isNegative ? 1 : 0) + digitsOf(rest);
    const length = end - start - 1;
    this.#end = end;
    while (rest > 0x7fffffff) {
      const next = Math.floor(rest / 10);
      bytes[--end] = 48 + (rest - next * 10);
      rest = next;
    }
    // The rest of the digits by integer arithmetic, which is several times as fast.
    let small = rest | 0;
    do {
      const next = (small / 10) | 0;
      bytes[--end] = 48 + (small - next * 10);
      small = next;
    } while (small > 0);
    if (isNegative) bytes[start + 1] = 45;
    if (length <= 11) {
      bytes[start] = (length << 4) | INT;
      return;
    }
    // Integers of 12 digits and more need a longer header; they are rare enough to move.
    bytes.copyWithin(start + 2, start + 1, this.#end);
    bytes[start] = 0xc0 | INT;
    bytes[start + 1] = length;
    this.#end++;
  }

  bigint(value: bigint): void {
    this.#ascii(INT, value.toString());
  }

  /** A real; one that is not a number becomes NULL, as SQLite has none. */
  real(value: number): void {
    if (Number.isFinite(value)) this.#ascii(FLOAT, Object.is(value, -0) ? '-0.0' : String(value));
    else if (Number.isNaN(value)) this.null();
    else this.#ascii(FLOAT, value > 0 ? '9e999' : '-9e999');
  }

  /** Text; what UTF-8 cannot hold in it becomes U+FFFD. */
  text(value: string): void {
    const length = value.length;
    if (length <= 64 && this.#shortText(value)) return;
    this.#room(WIDE_HEADER + length * 3);
    const start = this.#end;
    const { written } = utf8.encodeInto(value, this.#bytes.subarray(start + WIDE_HEADER));
    this.#bytes[start] = WIDE | TEXT_RAW;
    writeSize(this.#bytes, start + 1, written);
    this.#end = start + WIDE_HEADER + written;
  }

  /** The bytes of a text. */
  bytes(data: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.#room(WIDE_HEADER + length);
    this.#header(TEXT_RAW, length);
    const bytes = this.#bytes;
    let at = this.#end;
    if (length <= 48) for (let i = start; i < end; i++) bytes[at++] = data[i] as number;
    else bytes.set(data.subarray(start, end), at);
    this.#end += length;
  }

  /** The bytes of a blob, as a text in an array, which no other value is. */
  blob(data: Uint8Array, start: number, end: number): void {
    this.#room(2 * WIDE_HEADER + end - start);
    const array = this.#end;
    this.#bytes[array] = WIDE | ARRAY;
    this.#end += WIDE_HEADER;
    this.bytes(data, start, end);
    writeSize(this.#bytes, array + 1, this.#end - array - WIDE_HEADER);
  }

  /** Text of less than 65 characters, where all are ASCII. */
  #shortText(value: string): boolean {
    const length = value.length;
    this.#room(WIDE_HEADER + length);
    const start = this.#end;
    this.#header(TEXT_RAW, length);
    const bytes = this.#bytes;
    let at = this.#end;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.#end = start;
        return false;
      }
      bytes[at++] = code;
    }
    this.#end = at;
    return true;
  }

  #ascii(type: number, value: string): void {
    const length = value.length;
    this.#room(WIDE_HEADER + length);
    this.#header(type, length);
    const bytes = this.#bytes;
    let at = this.#end;
    for (let i = 0; i < length; i++) bytes[at++] = value.charCodeAt(i);
    this.#end = at;
  }

  #header(type: number, size: number): void {
    const bytes = this.#bytes;
    if (size <= 11) bytes[this.#end++] = (size << 4) | type;
    else if (size <= 0xff) {
      bytes[this.#end++] = 0xc0 | type;
      bytes[this.#end++] = size;
    } else {
      bytes[this.#end] = WIDE | type;
      writeSize(bytes, this.#end + 1, size);
      this.#end += WIDE_HEADER;
    }
  }

  /** Makes room for so many bytes, and then some. */
  #room(size: number): void {
    const needed = this.#end + size;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed + 64, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = grown;
  }

  /** The row that did not fit begins the next chunk. */
  #moveRow(): void {
    const row = this.#bytes.slice(this.#rowStart, this.#end);
    this.#close(this.#rowStart);
    this.#room(row.length);
    this.#bytes.set(row, this.#end);
    this.#end += row.length;
    this.#rowsInChunk = 0;
  }

  #close(end: number): void {
    const chunk = this.#bytes.slice(0, end);
    chunk[0] = WIDE | ARRAY;
    writeSize(chunk, 1, end - WIDE_HEADER);
    this.#chunks.push(chunk);
    this.#closedBytes += end;
    this.#end = WIDE_HEADER;
  }
}

function writeSize(bytes: Uint8Array, at: number, size: number): void {
  bytes[at] = size >>> 24;
  bytes[at + 1] = (size >>> 16) & 0xff;
  bytes[at + 2] = (size >>> 8) & 0xff;
  bytes[at + 3] = size & 0xff;
}

function digitsOf(value: number): number {
  let digits = 1;
  for (let power = 10; value >= power; power *= 10) digits++;
  return digits;
}
