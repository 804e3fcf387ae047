/**
 * Avro's object container files (https://avro.apache.org/docs/1.11.1/specification/), as far as Iceberg's manifests
 * need them: records, arrays, maps, unions with null, fixed.
 */
import { inflateRawSync } from 'node:zlib';
import { DoSQLError } from '../error.ts';

/** A schema as the file's header has it; what Iceberg adds to it, such as `field-id`, goes along. */
export type AvroSchema =
  | 'null'
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'bytes'
  | 'string'
  | readonly AvroSchema[]
  | AvroComplex;

/** A schema that has parts or attributes. */
export interface AvroComplex {
  readonly type: string;
  readonly name?: string;
  readonly fields?: readonly AvroField[];
  readonly items?: AvroSchema;
  readonly values?: AvroSchema;
  readonly size?: number;
  readonly [attribute: string]: unknown;
}

/** A field of a record. */
export interface AvroField {
  readonly name: string;
  readonly type: AvroSchema;
  readonly [attribute: string]: unknown;
}

/** A value: records and maps are objects, bytes are Uint8Array; a long comes as bigint where a number is not exact. */
export type AvroValue =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly AvroValue[]
  | { readonly [name: string]: AvroValue };

/**
 * A name that Avro allows, as other writers of Iceberg make it: what is no ASCII letter, digit or `_` as `_x` and its
 * code in hexadecimal.
 */
export function avroName(name: string): string {
  const safe = name.replaceAll(
    /[^A-Za-z0-9_]/g,
    (unit) => `_x${unit.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return /^\d/.test(safe) ? `_${safe}` : safe;
}

const MAGIC = [0x4f, 0x62, 0x6a, 1];
const SYNC_LENGTH = 16;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/**
 * A container file with `records`, uncompressed: manifests are small.
 *
 * @param sync 16 bytes that no other file has
 */
export function writeAvro(
  schema: AvroSchema,
  metadata: Readonly<Record<string, string>>,
  records: readonly AvroValue[],
  sync: Uint8Array,
): Uint8Array {
  const out = new Sink();
  for (const byte of MAGIC) out.byte(byte);
  const pairs = Object.entries({ 'avro.schema': JSON.stringify(schema), 'avro.codec': 'null', ...metadata });
  out.long(BigInt(pairs.length));
  for (const [key, value] of pairs) {
    out.bytes(encoder.encode(key));
    out.bytes(encoder.encode(value));
  }
  out.byte(0);
  out.append(sync);
  if (records.length > 0) {
    const block = new Sink();
    for (const record of records) writeValue(block, schema, record);
    out.long(BigInt(records.length));
    out.bytes(block.take());
    out.append(sync);
  }
  return out.take();
}

class Sink {
  #bytes = new Uint8Array(1024);
  #length = 0;

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  bytes(bytes: Uint8Array): void {
    this.long(BigInt(bytes.length));
    this.append(bytes);
  }

  /** Zigzag, in groups of seven bits. */
  long(value: bigint): void {
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    while (rest > 127n) {
      this.byte(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    this.byte(Number(rest));
  }

  float(value: number, size: 4 | 8): void {
    const view = new DataView(new ArrayBuffer(size));
    if (size === 4) view.setFloat32(0, value, true);
    else view.setFloat64(0, value, true);
    this.append(new Uint8Array(view.buffer));
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

function writeValue(out: Sink, schema: AvroSchema, value: AvroValue): void {
  if (Array.isArray(schema)) {
    const branches = schema as readonly AvroSchema[];
    const branch = branches.findIndex(
      (type) => (type === 'null') === (value === null || value === undefined),
    );
    out.long(BigInt(branch));
    writeValue(out, branches[branch] as AvroSchema, value);
    return;
  }
  const type = typeof schema === 'string' ? schema : (schema as AvroComplex).type;
  const parts = (typeof schema === 'string' ? { type } : schema) as AvroComplex;
  switch (type) {
    case 'null':
      return;
    case 'boolean':
      out.byte(value === true ? 1 : 0);
      return;
    case 'int':
    case 'long':
      out.long(BigInt(value as number | bigint));
      return;
    case 'float':
    case 'double':
      out.float(Number(value), type === 'float' ? 4 : 8);
      return;
    case 'bytes':
      out.bytes(value as Uint8Array);
      return;
    case 'fixed':
      out.append(value as Uint8Array);
      return;
    case 'string':
      out.bytes(encoder.encode(value as string));
      return;
    case 'record':
      for (const field of parts.fields ?? [])
        writeValue(out, field.type, (value as Readonly<Record<string, AvroValue>>)[field.name]);
      return;
    case 'array': {
      const items = value as readonly AvroValue[];
      if (items.length > 0) out.long(BigInt(items.length));
      for (const item of items) writeValue(out, parts.items as AvroSchema, item);
      out.byte(0);
      return;
    }
    default:
      throw new Error(`no value of Avro type ${type} is written`);
  }
}

/** What a container file holds. */
export interface AvroFile {
  readonly metadata: ReadonlyMap<string, string>;
  readonly records: readonly Readonly<Record<string, AvroValue>>[];
}

/**
 * Reads a container file of records, by the schema that it has itself.
 *
 * @param name how messages call it
 * @throws DoSQLError `CORRUPT_FILE`
 */
export function readAvro(bytes: Uint8Array, name: string): AvroFile {
  try {
    return readContainer(new Source(bytes));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DoSQLError('CORRUPT_FILE', `${name} is no Avro file that can be read: ${reason}`, {
      cause: error,
    });
  }
}

class Source {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Error('it ends too early');
    return byte;
  }

  take(length: number): Uint8Array {
    if (!(length >= 0 && this.#at + length <= this.#bytes.length)) throw new Error('it ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  long(): number | bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) {
        const signed = BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
        return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
      }
    }
    throw new Error('a number has no end');
  }

  count(): number {
    return Number(this.long());
  }

  bytes(): Uint8Array {
    return this.take(this.count());
  }

  text(): string {
    return decoder.decode(this.bytes());
  }
}

function readContainer(source: Source): AvroFile {
  if (MAGIC.some((byte) => source.byte() !== byte)) throw new Error('it does not begin as one');
  const metadata = new Map<string, string>();
  readBlocks(source, () => metadata.set(source.text(), source.text()));
  const sync = source.take(SYNC_LENGTH).slice();
  const schema = JSON.parse(metadata.get('avro.schema') ?? '') as AvroSchema;
  const codec = metadata.get('avro.codec') ?? 'null';
  const records: Record<string, AvroValue>[] = [];
  while (!source.isAtEnd) {
    const count = source.count();
    const body = source.bytes();
    const block = new Source(codec === 'deflate' ? inflateRawSync(body) : body);
    if (codec !== 'deflate' && codec !== 'null') throw new Error(`its codec ${codec} is not known`);
    for (let i = 0; i < count; i++) records.push(readValue(block, schema) as Record<string, AvroValue>);
    const mark = source.take(SYNC_LENGTH);
    if (!block.isAtEnd || mark.some((byte, i) => byte !== sync[i])) throw new Error('a block is damaged');
  }
  return { metadata, records };
}

/** The blocks of an array or a map; a negative count is followed by the size in bytes. */
function readBlocks(source: Source, item: () => unknown): void {
  for (let count = source.count(); count !== 0; count = source.count()) {
    if (count < 0) source.long();
    for (let i = Math.abs(count); i > 0; i--) item();
  }
}

function readValue(source: Source, schema: AvroSchema): AvroValue {
  if (Array.isArray(schema)) {
    const branch = (schema as readonly AvroSchema[])[source.count()];
    if (branch === undefined) throw new Error('a union has no such branch');
    return readValue(source, branch);
  }
  const type = typeof schema === 'string' ? schema : (schema as AvroComplex).type;
  const parts = (typeof schema === 'string' ? { type } : schema) as AvroComplex;
  switch (type) {
    case 'null':
      return null;
    case 'boolean':
      return source.byte() === 1;
    case 'int':
    case 'long':
      return source.long();
    case 'float':
    case 'double':
      return readFloat(source.take(type === 'float' ? 4 : 8));
    case 'bytes':
      return source.bytes().slice();
    case 'fixed':
      return source.take(parts.size ?? 0).slice();
    case 'string':
      return source.text();
    case 'record':
      return Object.fromEntries(
        (parts.fields ?? []).map(({ name, type }) => [name, readValue(source, type)]),
      );
    case 'array': {
      const items: AvroValue[] = [];
      readBlocks(source, () => items.push(readValue(source, parts.items as AvroSchema)));
      return items;
    }
    case 'map': {
      const entries: [string, AvroValue][] = [];
      readBlocks(source, () => entries.push([source.text(), readValue(source, parts.values as AvroSchema)]));
      return Object.fromEntries(entries);
    }
    default:
      throw new Error(`it has values of type ${type}`);
  }
}

function readFloat(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return bytes.length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
}
