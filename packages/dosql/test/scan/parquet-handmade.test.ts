import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/scan/budget.ts';
import { StructWriter } from '../../src/scan/parquet/thrift-write.ts';
import { memoryFile, readAll, type Plain } from './parquet-support.ts';

/** Numbers of the format. */
const INT32 = 1;
const INT64 = 2;
const INT96 = 3;
const BYTE_ARRAY = 6;
const PLAIN = 0;
const RLE = 3;
const BIT_PACKED = 4;
const RLE_DICTIONARY = 8;
const GZIP = 2;
const SNAPPY = 1;
const LZ4 = 5;

interface TestPage {
  readonly kind?: 'dictionary';
  readonly values: number;
  readonly encoding: number;
  readonly levels?: number;
  /** As stored. */
  readonly body: Uint8Array;
  /** When decompressed. */
  readonly size?: number;
}

interface TestColumn {
  readonly type: number;
  readonly isOptional?: boolean;
  readonly codec?: number;
  readonly rows: number;
  readonly pages: readonly TestPage[];
  readonly converted?: number;
  /** Of Statistics: the fields by their numbers. */
  readonly statistics?: Readonly<Record<number, Uint8Array>>;
}

/** A file of one column `x`, byte by byte. */
function fileOf({ type, isOptional, codec, rows, pages, converted, statistics }: TestColumn): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from('PAR1')];
  let size = 0;
  let dictionarySize = 0;
  for (const page of pages) {
    const isDictionary = page.kind === 'dictionary';
    const header = new StructWriter()
      .int32(1, isDictionary ? 2 : 0)
      .int32(2, page.size ?? page.body.length)
      .int32(3, page.body.length);
    if (isDictionary) header.struct(7, (head) => head.int32(1, page.values).int32(2, page.encoding));
    else
      header.struct(5, (head) =>
        head
          .int32(1, page.values)
          .int32(2, page.encoding)
          .int32(3, page.levels ?? RLE)
          .int32(4, RLE),
      );
    const { bytes } = header.end();
    parts.push(bytes, page.body);
    size += bytes.length + page.body.length;
    if (isDictionary) dictionarySize = bytes.length + page.body.length;
  }
  const isRequired = isOptional !== true;
  const footer = new StructWriter()
    .int32(1, 1)
    .structs(2, ['root', 'x'], (element, name) => {
      if (name === 'root') element.text(4, name).int32(5, 1);
      else
        element
          .int32(1, type)
          .int32(3, isRequired ? 0 : 1)
          .text(4, name)
          .int32(6, converted);
    })
    .int64(3, rows)
    .structs(4, [rows], (group) => {
      group.structs(1, [type], (chunk) => {
        chunk.int64(2, 4).struct(3, (meta) => {
          meta
            .int32(1, type)
            .int32(4, codec ?? 0)
            .int64(5, rows)
            .int64(6, size)
            .int64(7, size);
          meta.int64(9, 4 + dictionarySize).int64(11, dictionarySize > 0 ? 4 : undefined);
          if (statistics !== undefined)
            meta.struct(12, (stats) => {
              for (const [field, bytes] of Object.entries(statistics)) stats.binary(Number(field), bytes);
            });
        });
      });
      group.int64(2, size).int64(3, rows);
    });
  const { bytes } = footer.end();
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return new Uint8Array(Buffer.concat([...parts, bytes, length, Buffer.from('PAR1')]));
}

const int32s = (...values: number[]): Uint8Array => new Uint8Array(Int32Array.from(values).buffer);

/** Levels or codes as the format has them in pages V1: the length in front. */
function sized(...bytes: number[]): number[] {
  return [bytes.length, 0, 0, 0, ...bytes];
}

async function valuesIn(file: Uint8Array, budget = new Budget()): Promise<Plain[]> {
  return (await readAll(memoryFile(file), { budget })).columns.get('x') as Plain[];
}

describe('what no writer here makes is read', () => {
  it('levels in the deprecated encoding BIT_PACKED, from the highest bit on', async () => {
    const rows = [1, null, null, 4, 5, null, 7, 8, null, 10];
    // 1 0 0 1 1 0 1 1, 0 1
    const body = Buffer.concat([Uint8Array.of(0b1001_1011, 0b0100_0000), int32s(1, 4, 5, 7, 8, 10)]);
    const file = fileOf({
      type: INT32,
      isOptional: true,
      rows: 10,
      pages: [{ values: 10, encoding: PLAIN, levels: BIT_PACKED, body }],
    });
    expect(await valuesIn(file)).toEqual(rows);
  });

  it('timestamps of 96 bits', async () => {
    const at = (ns: bigint, day: number): Buffer => {
      const bytes = Buffer.alloc(12);
      bytes.writeBigInt64LE(ns);
      bytes.writeInt32LE(day, 8);
      return bytes;
    };
    const body = Buffer.concat([
      at(0n, 2_440_588),
      at(1_000_000_001n, 2_440_589),
      at(86_399_999_999_999n, 2_440_587),
      at(0n, 5_000_434),
    ]);
    const file = fileOf({ type: INT96, rows: 4, pages: [{ values: 4, encoding: PLAIN, body }] });
    expect(await valuesIn(file)).toEqual([0n, 86_401_000_000n, -1n, 221_170_694_400_000_000n]);
  });

  it('a dictionary that is given up in the middle of a chunk, and pages without rows', async () => {
    const file = fileOf({
      type: INT32,
      isOptional: true,
      rows: 12,
      pages: [
        { kind: 'dictionary', values: 3, encoding: PLAIN, body: int32s(10, 20, 30) },
        // All eight there; width 2, one packed group 0 1 2 0 1 2 0 1.
        { values: 8, encoding: RLE_DICTIONARY, body: Uint8Array.of(...sized(16, 1), 2, 3, 0x24, 0x49) },
        { values: 0, encoding: PLAIN, body: Uint8Array.of(...sized()) },
        // There, NULL, there.
        {
          values: 3,
          encoding: PLAIN,
          body: Buffer.concat([Uint8Array.of(...sized(3, 0b101)), int32s(-1, -2)]),
        },
        { values: 1, encoding: RLE_DICTIONARY, body: Uint8Array.of(...sized(2, 1), 2, 2, 1) },
      ],
    });
    expect(await valuesIn(file)).toEqual([10, 20, 30, 10, 20, 30, 10, 20, -1, null, -2, 20]);
  });

  it('codes of a width of no bits', async () => {
    const file = fileOf({
      type: INT32,
      rows: 4,
      pages: [
        { kind: 'dictionary', values: 1, encoding: PLAIN, body: int32s(7) },
        { values: 4, encoding: RLE_DICTIONARY, body: Uint8Array.of(0, 8) },
      ],
    });
    expect(await valuesIn(file)).toEqual([7, 7, 7, 7]);
  });

  it('GZIP of several members', async () => {
    const bytes = int32s(1, 2, 3, 4);
    const body = Buffer.concat([gzipSync(bytes.subarray(0, 5)), gzipSync(bytes.subarray(5))]);
    const file = fileOf({
      type: INT32,
      codec: GZIP,
      rows: 4,
      pages: [{ values: 4, encoding: PLAIN, body, size: 16 }],
    });
    expect(await valuesIn(file)).toEqual([1, 2, 3, 4]);
  });

  it("LZ4 in Hadoop's frames, several in one page, and without", async () => {
    // A block of literals alone: the token has their count.
    const block = (...bytes: number[]): number[] => [bytes.length << 4, ...bytes];
    const frame = (...bytes: number[]): number[] => {
      const inner = block(...bytes);
      return [0, 0, 0, bytes.length, 0, 0, 0, inner.length, ...inner];
    };
    const [a, b] = [int32s(1, 2), int32s(3)];
    const framed = Uint8Array.of(...frame(...a), ...frame(...b));
    const bare = Uint8Array.of(...block(...int32s(1, 2, 3)));
    for (const body of [framed, bare]) {
      const file = fileOf({
        type: INT32,
        codec: LZ4,
        rows: 3,
        pages: [{ values: 3, encoding: PLAIN, body, size: 12 }],
      });
      expect(await valuesIn(file)).toEqual([1, 2, 3]);
    }
  });

  it('Snappy with every kind of piece', async () => {
    const wanted = Buffer.alloc(400);
    for (let i = 0; i < 100; i++) wanted[i] = i;
    for (let i = 100; i < 400; i++) wanted[i] = wanted[i - (i < 250 ? 100 : i < 300 ? 3 : 200)] as number;
    const pieces = [
      0x90,
      0x03,
      // A literal of 100 bytes, with its length in a byte of its own.
      60 << 2,
      99,
      ...wanted.subarray(0, 100),
      // Copies of 64, 64 and 22 bytes, 100 back, with two bytes of distance.
      (63 << 2) | 2,
      100,
      0,
      (63 << 2) | 2,
      100,
      0,
      (21 << 2) | 2,
      100,
      0,
      // 50 bytes of a pattern of three: 11 at a time, with eleven bits of distance, and 6.
      (7 << 2) | 1,
      3,
      (7 << 2) | 1,
      3,
      (7 << 2) | 1,
      3,
      (7 << 2) | 1,
      3,
      (2 << 2) | 1,
      3,
      // 100 bytes from 200 back, with four bytes of distance.
      (63 << 2) | 3,
      200,
      0,
      0,
      0,
      (35 << 2) | 3,
      200,
      0,
      0,
      0,
    ];
    const file = fileOf({
      type: INT32,
      codec: SNAPPY,
      rows: 100,
      pages: [{ values: 100, encoding: PLAIN, body: Uint8Array.from(pieces), size: 400 }],
    });
    expect(await valuesIn(file)).toEqual(Array.from({ length: 100 }, (_, i) => wanted.readInt32LE(4 * i)));
  });
});

describe('bounds are used where they are in the order of the values', () => {
  const page = {
    values: 2,
    encoding: PLAIN,
    body: Buffer.concat([int32s(2), Buffer.from('aé'.slice(0, 1) + 'b'), int32s(1), Buffer.from('c')]),
  };
  it('deprecated bounds of text are not used, those of numbers are', async () => {
    const text = fileOf({
      type: BYTE_ARRAY,
      converted: 0,
      rows: 2,
      pages: [page],
      statistics: { 1: Buffer.from('a'), 2: Buffer.from('b') },
    });
    const found = await readAll(memoryFile(text), {
      conditions: [{ column: 'x', operator: '=', values: ['c'] }],
    });
    expect(found.columns.get('x')).toEqual(['ab', 'c']);
    const number = fileOf({
      type: INT32,
      rows: 2,
      pages: [{ values: 2, encoding: PLAIN, body: int32s(1, 2) }],
      statistics: { 1: int32s(2), 2: int32s(1) },
    });
    const none = await readAll(memoryFile(number), {
      conditions: [{ column: 'x', operator: '>', values: [2] }],
    });
    expect(none.rows).toBe(0);
  });

  it('bounds that are NaN tell nothing', async () => {
    const nan = new Uint8Array(Float64Array.of(NaN).buffer);
    const file = fileOf({
      type: 5,
      rows: 1,
      pages: [{ values: 1, encoding: PLAIN, body: new Uint8Array(Float64Array.of(3).buffer) }],
      statistics: { 5: nan, 6: nan },
    });
    const found = await readAll(memoryFile(file), {
      conditions: [{ column: 'x', operator: '=', values: [3] }],
    });
    expect(found.columns.get('x')).toEqual([3]);
  });
});

describe('bytes that claim too much are refused before anything is made for them', () => {
  const dictionary: TestPage = { kind: 'dictionary', values: 1, encoding: PLAIN, body: int32s(7) };
  const cases: Record<string, TestColumn> = {
    'a run of more values than the page': {
      type: INT32,
      rows: 4,
      pages: [
        dictionary,
        { values: 4, encoding: RLE_DICTIONARY, body: Uint8Array.of(1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0) },
      ],
    },
    'a code beyond the dictionary': {
      type: INT32,
      rows: 4,
      pages: [dictionary, { values: 4, encoding: RLE_DICTIONARY, body: Uint8Array.of(1, 8, 1) }],
    },
    'a page of two billion values': {
      type: INT32,
      rows: 2e9,
      pages: [{ values: 2e9, encoding: PLAIN, body: int32s(1) }],
    },
    'more rows than values': {
      type: INT32,
      rows: 5,
      pages: [{ values: 4, encoding: PLAIN, body: int32s(1, 2, 3, 4) }],
    },
    'more values than bytes': {
      type: INT64,
      rows: 4,
      pages: [{ values: 4, encoding: PLAIN, body: int32s(1, 2, 3, 4) }],
    },
    'a dictionary of a billion entries': {
      type: INT32,
      rows: 1,
      pages: [
        { kind: 'dictionary', values: 1e9, encoding: PLAIN, body: int32s(7) },
        { values: 1, encoding: RLE_DICTIONARY, body: Uint8Array.of(1, 2, 0) },
      ],
    },
    'a Snappy page of 200 MB in 20 bytes': {
      type: INT32,
      codec: SNAPPY,
      rows: 4,
      pages: [{ values: 4, encoding: PLAIN, size: 2e8, body: new Uint8Array(20).fill(255) }],
    },
    'a text longer than its page': {
      type: BYTE_ARRAY,
      rows: 1,
      pages: [{ values: 1, encoding: PLAIN, body: int32s(-1, 0) }],
    },
    'an encoding that its type does not have': {
      type: BYTE_ARRAY,
      rows: 1,
      pages: [{ values: 1, encoding: 5, body: int32s(1, 0) }],
    },
  };
  for (const [name, column] of Object.entries(cases))
    it(name, async () => {
      await expect(valuesIn(fileOf(column))).rejects.toThrow(/CORRUPT_FILE/);
    });

  it('rows that are only counted', async () => {
    const file = fileOf({ type: INT32, rows: 2 ** 45, pages: [] });
    await expect(readAll(memoryFile(file), { columns: [] })).rejects.toThrow(/CORRUPT_FILE: .* cannot have/);
  });

  it('what zlib would make more of than the header says', async () => {
    const body = new Uint8Array(gzipSync(new Uint8Array(2 ** 24)));
    const file = fileOf({
      type: INT32,
      codec: GZIP,
      rows: 4,
      pages: [{ values: 4, encoding: PLAIN, body, size: 16 }],
    });
    await expect(valuesIn(file)).rejects.toThrow(/CORRUPT_FILE/);
  });

  it('more than the query may decode', async () => {
    const body = new Uint8Array(gzipSync(new Uint8Array(2 ** 22)));
    const file = fileOf({
      type: INT32,
      codec: GZIP,
      rows: 2 ** 20,
      pages: [{ values: 2 ** 20, encoding: PLAIN, body, size: 2 ** 22 }],
    });
    expect(await valuesIn(file)).toHaveLength(2 ** 20);
    await expect(valuesIn(file, new Budget({ decodedBytes: 2 ** 21 }))).rejects.toThrow(/TOO_BIG/);
    await expect(valuesIn(file, new Budget({ bytes: 500 }))).rejects.toThrow(/TOO_BIG/);
  });
});
