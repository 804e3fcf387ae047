/**
 * Thrift's compact protocol, writing side
 * (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
 */

/** Bytes that grow as they are written. */
export class ByteSink {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** What has been written; a view that the next write may leave behind. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Four bytes, little-endian. */
  uint32(value: number): void {
    this.#reserve(4);
    for (let shift = 0; shift < 32; shift += 8) this.#bytes[this.#length++] = value >>> shift;
  }

  /** A natural number up to 2^53 in groups of seven bits. */
  varint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest > 0x7f_ff_ff_ff) {
      this.#bytes[this.#length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      this.#bytes[this.#length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  /** An integer, the small ones of either sign in few bytes. */
  zigzag(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.bytes);
    this.#bytes = grown;
  }
}

/** The types of fields and list elements that are written. */
const TRUE = 1;
const FALSE = 2;
const INT16 = 4;
const INT32 = 5;
const INT64 = 6;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

const encoder = new TextEncoder();

/**
 * Writes one struct: fields in rising order of their ids, then {@link StructWriter.end}. A field that is undefined is
 * left out.
 */
export class StructWriter {
  readonly sink: ByteSink;
  #last = 0;

  constructor(sink: ByteSink = new ByteSink()) {
    this.sink = sink;
  }

  int16(id: number, value: number | undefined): this {
    return this.#integer(id, INT16, value);
  }

  int32(id: number, value: number | undefined): this {
    return this.#integer(id, INT32, value);
  }

  int64(id: number, value: number | undefined): this {
    return this.#integer(id, INT64, value);
  }

  bool(id: number, value: boolean | undefined): this {
    if (value !== undefined) this.#field(id, value ? TRUE : FALSE);
    return this;
  }

  binary(id: number, value: Uint8Array | undefined): this {
    if (value === undefined) return this;
    this.#field(id, BINARY);
    this.sink.varint(value.length);
    this.sink.append(value);
    return this;
  }

  text(id: number, value: string | undefined): this {
    return this.binary(id, value === undefined ? undefined : encoder.encode(value));
  }

  struct(id: number, write: ((struct: StructWriter) => void) | undefined): this {
    if (write === undefined) return this;
    this.#field(id, STRUCT);
    const inner = new StructWriter(this.sink);
    write(inner);
    inner.end();
    return this;
  }

  structs<T>(id: number, items: readonly T[], write: (struct: StructWriter, item: T) => void): this {
    this.#list(id, STRUCT, items.length);
    for (const item of items) {
      const inner = new StructWriter(this.sink);
      write(inner, item);
      inner.end();
    }
    return this;
  }

  int32s(id: number, items: readonly number[]): this {
    this.#list(id, INT32, items.length);
    for (const item of items) this.sink.zigzag(item);
    return this;
  }

  int64s(id: number, items: readonly number[]): this {
    this.#list(id, INT64, items.length);
    for (const item of items) this.sink.zigzag(item);
    return this;
  }

  bools(id: number, items: readonly boolean[]): this {
    this.#list(id, TRUE, items.length);
    for (const item of items) this.sink.byte(item ? TRUE : FALSE);
    return this;
  }

  binaries(id: number, items: readonly Uint8Array[]): this {
    this.#list(id, BINARY, items.length);
    for (const item of items) {
      this.sink.varint(item.length);
      this.sink.append(item);
    }
    return this;
  }

  texts(id: number, items: readonly string[]): this {
    return this.binaries(
      id,
      items.map((item) => encoder.encode(item)),
    );
  }

  /** Writes the stop byte. */
  end(): ByteSink {
    this.sink.byte(0);
    return this.sink;
  }

  #integer(id: number, type: number, value: number | undefined): this {
    if (value === undefined) return this;
    this.#field(id, type);
    this.sink.zigzag(value);
    return this;
  }

  #field(id: number, type: number): void {
    const step = id - this.#last;
    if (step > 0 && step < 16) this.sink.byte((step << 4) | type);
    else {
      this.sink.byte(type);
      this.sink.zigzag(id);
    }
    this.#last = id;
  }

  #list(id: number, type: number, count: number): void {
    this.#field(id, LIST);
    if (count < 15) this.sink.byte((count << 4) | type);
    else {
      this.sink.byte(0xf0 | type);
      this.sink.varint(count);
    }
  }
}
