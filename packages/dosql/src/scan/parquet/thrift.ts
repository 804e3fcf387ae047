import { malformed } from './malformed.ts';

/** Wire types of Thrift's compact protocol. */
export const WIRE = {
  TRUE: 1,
  FALSE: 2,
  I8: 3,
  I16: 4,
  I32: 5,
  I64: 6,
  DOUBLE: 7,
  BINARY: 8,
  LIST: 9,
  SET: 10,
  MAP: 11,
  STRUCT: 12,
} as const;

/** Whether a wire type is that of an integer, of any width. */
export function isInteger(type: number): boolean {
  return type >= WIRE.I8 && type <= WIRE.I64;
}

/** Structures of Parquet nest about six deep; a damaged file may claim any depth. */
const MAX_DEPTH = 64;

const utf8 = new TextDecoder();

/**
 * Reads Thrift's compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
 *
 * Reading past the end reads zeros, which ends every loop; {@link ThriftReader.check} then finds it. Every count is
 * compared with what is left before it is looped over.
 */
export class ThriftReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  pos: number;
  /** The field that {@link ThriftReader.field} has come to. */
  id = 0;

  constructor(bytes: Uint8Array, pos = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.pos = pos;
    this.end = end;
  }

  /** @throws Malformed when more has been read than there is. */
  check(): void {
    if (this.pos > this.end) malformed('its metadata ends early');
  }

  /** Calls `visit` for each field of a structure; what it does not read, and so returns false for, is skipped. */
  struct(visit: (id: number, type: number) => boolean): void {
    const outer = this.id;
    this.id = 0;
    for (let type = this.field(); type !== 0; type = this.field()) if (!visit(this.id, type)) this.skip(type);
    this.id = outer;
    this.check();
  }

  /** Steps to the next field of a structure: its wire type, 0 at the end. */
  field(): number {
    if (this.pos >= this.end) malformed('its metadata ends early');
    const header = this.bytes[this.pos++] as number;
    if (header === 0) return 0;
    const delta = header >>> 4;
    this.id = delta === 0 ? this.zigzag() : this.id + delta;
    return header & 15;
  }

  /** An unsigned number; those beyond 2^53 are rounded. */
  varint(): number {
    const { bytes } = this;
    let byte = bytes[this.pos++] as number;
    if (!(byte & 128)) return byte;
    let value = byte & 127;
    let factor = 128;
    do {
      byte = bytes[this.pos++] as number;
      value += (byte & 127) * factor;
      factor *= 128;
    } while (byte & 128 && factor < 2 ** 70);
    this.check();
    return value;
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  }

  /** An integer of any width. */
  integer(type: number): number {
    if (!isInteger(type)) malformed('its metadata has something else where a number is due');
    if (type === WIRE.I8) return ((this.bytes[this.pos++] as number) << 24) >> 24;
    return this.zigzag();
  }

  /** An integer that counts something, or tells a place. */
  size(type: number): number {
    const value = this.integer(type);
    if (!Number.isSafeInteger(value) || value < 0) malformed(`its metadata has a size of ${value}`);
    return value;
  }

  bool(type: number): boolean {
    if (type !== WIRE.TRUE && type !== WIRE.FALSE)
      malformed('its metadata has something else where a boolean is due');
    return type === WIRE.TRUE;
  }

  /** A view of the bytes. */
  binary(type: number): Uint8Array {
    if (type !== WIRE.BINARY) malformed('its metadata has something else where a text is due');
    const length = this.varint();
    if (length > this.end - this.pos) malformed('a text of its metadata goes past the end');
    this.pos += length;
    return this.bytes.subarray(this.pos - length, this.pos);
  }

  text(type: number): string {
    return utf8.decode(this.binary(type));
  }

  /** How many elements of `element` follow. Booleans of a list take a byte each. */
  list(type: number, element: number): number {
    if (type !== WIRE.LIST && type !== WIRE.SET)
      malformed('its metadata has something else where a list is due');
    const header = this.bytes[this.pos++] as number;
    const count = header >>> 4 === 15 ? this.varint() : header >>> 4;
    if (count > this.end - this.pos) malformed(`a list of its metadata has ${count} elements`);
    const has = header & 15;
    const isSame = has === element || (element === WIRE.TRUE && has === WIRE.FALSE);
    if (count > 0 && !isSame) malformed('a list of its metadata has other elements than are due');
    return count;
  }

  /** The same for a structure that is a field's value. */
  nested(type: number, visit: (id: number, type: number) => boolean): void {
    if (type !== WIRE.STRUCT) malformed('its metadata has something else where a structure is due');
    this.struct(visit);
  }

  /** Steps over a value. */
  skip(type: number, depth = 0): void {
    const { bytes } = this;
    switch (type) {
      case WIRE.TRUE:
      case WIRE.FALSE:
        return;
      case WIRE.I8:
        this.pos++;
        return;
      case WIRE.I16:
      case WIRE.I32:
      case WIRE.I64:
        while ((bytes[this.pos++] as number) & 128);
        return;
      case WIRE.DOUBLE:
        this.pos += 8;
        return;
      case WIRE.BINARY: {
        const length = this.varint();
        if (length > this.end - this.pos) malformed('a text of its metadata goes past the end');
        this.pos += length;
        return;
      }
      case WIRE.LIST:
      case WIRE.SET:
        this.skipList(depth);
        return;
      case WIRE.MAP:
        this.skipMap(depth);
        return;
      case WIRE.STRUCT:
        this.skipStruct(depth);
        return;
      default:
        malformed(`its metadata has the unknown wire type ${type}`);
    }
  }

  private skipStruct(depth: number): void {
    if (depth > MAX_DEPTH) malformed('its metadata nests too deep');
    const { bytes, end } = this;
    while (this.pos < end) {
      const header = bytes[this.pos++] as number;
      if (header === 0) return;
      if (header >>> 4 === 0) this.varint();
      this.skip(header & 15, depth + 1);
    }
    malformed('its metadata ends early');
  }

  private skipList(depth: number): void {
    const header = this.bytes[this.pos++] as number;
    const count = header >>> 4 === 15 ? this.varint() : header >>> 4;
    this.skipElements(header & 15, count, depth);
  }

  private skipMap(depth: number): void {
    const count = this.varint();
    if (count === 0) return;
    const types = this.bytes[this.pos++] as number;
    if (count > this.end - this.pos) malformed(`a map of its metadata has ${count} elements`);
    for (let i = 0; i < count; i++) {
      this.skipElements(types >>> 4, 1, depth);
      this.skipElements(types & 15, 1, depth);
    }
  }

  private skipElements(element: number, count: number, depth: number): void {
    if (depth > MAX_DEPTH) malformed('its metadata nests too deep');
    if (count > this.end - this.pos) malformed(`a list of its metadata has ${count} elements`);
    if (element === WIRE.TRUE || element === WIRE.FALSE) this.pos += count;
    else for (let i = 0; i < count && this.pos < this.end; i++) this.skip(element, depth + 1);
  }
}
