import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Budget } from '../../src/scan/budget.ts';
import { openCsv, type CsvOptions } from '../../src/scan/source/csv.ts';
import { MemoryFile } from '../../src/scan/source/files.ts';
import type { ColumnType } from '../../src/scan/vector.ts';
import { Random } from '../support/random.ts';
import { duckRows, rowsOf, type Shown } from './source-values.ts';

const seed = Number(process.env['VITE_SEED'] ?? 20_261_121);
const runs = Number(process.env['VITE_RUNS'] ?? 700);

const folder = mkdtempSync(join(tmpdir(), 'dosql-csv-'));
let duck: DuckDBConnection;
beforeAll(async () => {
  duck = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  await duck.run("SET TimeZone = 'UTC'");
});
afterAll(() => {
  duck.closeSync();
  rmSync(folder, { recursive: true });
});

const utf8 = new TextEncoder();
const memory = (content: string | Uint8Array, name = 'x.csv'): MemoryFile =>
  new MemoryFile(name, typeof content === 'string' ? utf8.encode(content) : content, 'etag');

async function read(
  content: string | Uint8Array,
  options: CsvOptions = {},
): Promise<{ types: string; rows: Shown[][] }> {
  const table = await openCsv(memory(content), new Budget(), options);
  const rows = await rowsOf(table);
  return { types: table.columns.map(({ name, type }) => `${name} ${type}`).join(', '), rows };
}

const message = async (content: string | Uint8Array, options: CsvOptions = {}): Promise<string> => {
  try {
    await read(content, options);
  } catch (error) {
    return (error as Error).message;
  }
  return 'it was read';
};

describe('a CSV file', () => {
  it.each<[string, string, string, Shown[][]]>([
    [
      'plain rows',
      'a,b\n1,x\n2,y\n',
      'a integer, b text',
      [
        ['1', 'x'],
        ['2', 'y'],
      ],
    ],
    ['no newline at its end', 'a,b\n1,x', 'a integer, b text', [['1', 'x']]],
    ['CRLF', 'a,b\r\n1,x\r\n', 'a integer, b text', [['1', 'x']]],
    [
      'CR',
      'a,b\r1,x\r2,y',
      'a integer, b text',
      [
        ['1', 'x'],
        ['2', 'y'],
      ],
    ],
    ['a BOM', '\ufeffa,b\n1,x\n', 'a integer, b text', [['1', 'x']]],
    [
      'quotes',
      'a,b\n"1","x ""y"", z"\n"",""\n',
      'a integer, b text',
      [
        ['1', 'x "y", z'],
        [null, ''],
      ],
    ],
    ['newlines in quotes', 'a\n"x\ny"\n"\r\n"\n', 'a text', [['x\ny'], ['\r\n']]],
    [
      'empty fields',
      'a,b,c\n,,\n1,,2\n',
      'a integer, b text, c integer',
      [
        [null, null, null],
        ['1', null, '2'],
      ],
    ],
    [
      'blank lines',
      '\n\na,b\n\n1,2\n\r\n3,4\n\n',
      'a integer, b integer',
      [
        ['1', '2'],
        ['3', '4'],
      ],
    ],
    ['one column with empty lines', 'a\n1\n\n3\n', 'a integer', [['1'], [null], ['3']]],
    ['semicolons', 'a;b\n1,5;x\n', 'a text, b text', [['1,5', 'x']]],
    ['tabs', 'a\tb\n1\t"x\ty"\n', 'a integer, b text', [['1', 'x\ty']]],
    ['bars', 'a|b|c\n1|2|3\n', 'a integer, b integer, c integer', [['1', '2', '3']]],
    ['a header alone', 'a,b\n', 'a text, b text', []],
    ['nothing', '', '', []],
    [
      'names that are the same',
      'a,A,a,,\n1,2,3,4,5\n',
      'a integer, A_1 integer, a_2 integer, column3 integer, column4 integer',
      [['1', '2', '3', '4', '5']],
    ],
    [
      'names with quotes',
      '"a,b","x ""y""",__proto__\n1,2,3\n',
      'a,b integer, x "y" integer, __proto__ integer',
      [['1', '2', '3']],
    ],
    [
      'large integers',
      'a\n9007199254740993\n-9223372036854775808\n1\n',
      'a integer',
      [['9007199254740993'], ['-9223372036854775808'], ['1']],
    ],
    ['integers past 64 bits', 'a\n9223372036854775808\n1\n', 'a real', [['9223372036854776000'], ['1']]],
    [
      'reals',
      'a\n1\n.5\n-1e300\n5e-324\n 2.50 \n1.\n',
      'a real',
      [['1'], ['0.5'], ['-1e+300'], ['5e-324'], ['2.5'], ['1']],
    ],
    ['infinities', 'a\n1.5\ninf\n-Infinity\nnan\n', 'a real', [['1.5'], ['Infinity'], ['-Infinity'], [null]]],
    [
      'identifiers with zeros in front',
      'a,b\n007,0\n010,-0\n',
      'a text, b integer',
      [
        ['007', '0'],
        ['010', '0'],
      ],
    ],
    [
      'booleans',
      'a,b\ntrue,1\nFALSE,true\n',
      'a integer, b text',
      [
        ['1', '1'],
        ['0', 'true'],
      ],
    ],
    [
      'dates',
      'a,b\n2026-02-28,2026-02-30\n0001-01-01,2026-01-01\n',
      'a date, b text',
      [
        ['20512', '2026-02-30'],
        ['-719162', '2026-01-01'],
      ],
    ],
    [
      'timestamps',
      'a\n2026-01-02T03:04:05Z\n2026-01-02 03:04:05.123456+01:00\n2026-01-02\n',
      'a timestamp',
      [['2026-01-02T03:04:05.000Z'], ['2026-01-02T02:04:05.123456Z'], ['2026-01-02T00:00:00.000Z']].map(
        ([text]) => [text as string],
      ),
    ],
    ['times', 'a\n03:04:05\n23:59:59.5\n', 'a time', [['03:04:05'], ['23:59:59.500']]],
    ['text that begins with a number', 'a\n1\n1a\n', 'a text', [['1'], ['1a']]],
  ])('may have %s', async (_, text, types, rows) => {
    const found = await read(text);
    expect(found.types).toBe(types);
    if (!/timestamp|time|date/.test(types)) expect(found.rows).toEqual(rows);
    else expect(found.rows.length).toBe(rows.length);
  });

  it('gives times as the instants that they are', async () => {
    const columns = ['2026-01-02T03:04:05.000Z', '2026-01-02 03:04:05.123456+01:00', '1969-12-31 23:59:59.9'];
    const { rows } = await read(`a,b\n${columns.map((text) => `${text},x`).join('\n')}\n`, {
      types: { B: 'text' },
    });
    expect(rows.map(([value]) => value)).toEqual([
      '2026-01-02T03:04:05.000Z',
      '2026-01-02T02:04:05.123456Z',
      '1969-12-31T23:59:59.900Z',
    ]);
  });

  it('takes the types that are given', async () => {
    const text = 'a,b,c\n007,1,2026-01-02\n8,2.5,\n';
    const types: Record<string, ColumnType> = { A: 'integer', b: 'text', c: 'timestamp' };
    expect(await read(text, { types })).toEqual({
      types: 'a integer, b text, c timestamp',
      rows: [
        ['7', '1', '2026-01-02T00:00:00.000'],
        ['8', '2.5', null],
      ],
    });
  });

  it.each<[string, RegExp]>([
    ['a,b\n1,2\n3\n', /^CORRUPT_FILE: x.csv, line 3: there is 1 field, of 2 of the header$/],
    ['a,b\n1,2\n3,4,5\n', /line 3: there are more fields than the 2 of the header/],
    ['a,b\n1,"x\n', /line 2: a quote that opens here is never closed/],
    ['a,b\n1,"x"y\n', /line 2: there is text behind the quote/],
    [
      `a,b\n${'1,"\n"\n'.repeat(2_500)}x,2\n`,
      /line 5,002: the column "a" has "x", which is not an integer as in the rows before: read it with \{ types: \{ "a": 'text' \} \}/,
    ],
    [`a\n${'1\n'.repeat(2_500)}1.5\n`, /line 2,502: .*"1.5".*types: \{ "a": 'real' \}/],
    [`a\n${'1\n'.repeat(2_500)}9223372036854775808\n`, /line 2,502: .*types: \{ "a": 'real' \}/],
    [`a\n${'2026-01-01\n'.repeat(2_500)}2026-01-32\n`, /line 2,502: .*not a date/],
    [
      `a\n${'2026-01-01 00:00:00.001\n'.repeat(2_500)}2026-01-01 00:00:00.0001\n`,
      /not a timestamp of whole ms/,
    ],
    ['\ufffe', /^it was read$/],
  ])('says what is wrong in %.60j', async (text, expected) => {
    expect(await message(text)).toMatch(expected);
  });

  it('says that it is UTF-16', async () => {
    expect(await message(new Uint8Array([0xff, 0xfe, 97, 0, 10, 0]))).toMatch(/UTF-16: write it as UTF-8/);
  });

  it('may be gzip, of several members, and says so when it is not sound', async () => {
    const rows = Array.from({ length: 50_000 }, (_, i) => `${i},name ${i}`);
    const parts = [
      ['a,b', ...rows.slice(0, 20_000), ''],
      [...rows.slice(20_000), ''],
    ];
    const zipped = Buffer.concat(parts.map((lines) => gzipSync(lines.join('\n'))));
    const found = await read(zipped);
    expect(found.rows.length).toBe(50_000);
    expect(found.rows.at(-1)).toEqual(['49999', 'name 49999']);
    expect(await read(zipped, { chunkBytes: 1000, types: { a: 'integer' } })).toEqual(found);
    expect(await message(zipped.subarray(0, -10))).toMatch(/^CORRUPT_FILE: x.csv is not sound gzip/);
    const flipped = Buffer.from(zipped);
    flipped[60_000] = (flipped[60_000] as number) ^ 0xff;
    expect(await message(flipped)).toMatch(/^CORRUPT_FILE|not an integer/);
    const budget = new Budget({ decodedBytes: 100_000 });
    const table = await openCsv(memory(gzipSync(`a\n${'1\n'.repeat(1_000_000)}`)), new Budget());
    await expect(async () => {
      for await (const batch of table.scan({ columns: ['a'], conditions: [], budget })) batch.column('a');
    }).rejects.toThrow(/TOO_BIG/);
  });

  it('reads late columns for some rows', async () => {
    const table = await openCsv(memory('a,b,c\n1,x,"1\n2"\n2,y,"q"\n3,z,r\n'), new Budget());
    for await (const batch of table.scan({ columns: ['a'], conditions: [], budget: new Budget() })) {
      expect(() => batch.column('b')).toThrow(/was not asked for/);
      await batch.fetch(['c', 'a'], new Uint32Array([0, 2]));
      const { nulls } = batch.column('c');
      expect([...(nulls ?? [])]).toEqual([0, 1, 0]);
      await batch.fetch(['b']);
      expect(batch.column('b').nulls).toBeUndefined();
    }
  });

  it('gives rows without columns, to be counted', async () => {
    const table = await openCsv(memory('a,b\n1,"\n"\n\n2,"x"\n'), new Budget());
    let count = 0;
    for await (const batch of table.scan({ columns: [], conditions: [], budget: new Budget() }))
      count += batch.rowCount;
    expect(count).toBe(2);
  });
});

/** A file with what is in it. */
interface Generated {
  readonly text: string;
  readonly delimiter: string;
}

function generate(random: Random): Generated {
  const delimiter = random.pick([',', ',', ';', '\t', '|']);
  const newline = random.pick(['\n', '\n', '\r\n']);
  const quoting = random.pick(['least', 'all', 'some'] as const);
  const written = (value: string | null, isText: boolean): string => {
    if (value === null) return '';
    const needs = /["\n\r]/.test(value) || value.includes(delimiter) || (isText && value === '');
    return needs || quoting === 'all' || (quoting === 'some' && random.chance(0.4))
      ? `"${value.replaceAll('"', '""')}"`
      : value;
  };
  const width = 2 + random.int(5);
  const kinds = random.times(width, () => random.pick(KINDS));
  const names = random.times(width, (i) => random.pick([`c${i}`, `Name ${i}`, `é${i}`, `"${i}"`, `a.${i}`]));
  const nullShare = random.pick([0, 0, 0.1, 0.5]);
  const rows = random.times(random.int(60), () =>
    kinds
      .map((kind) => written(random.chance(nullShare) ? null : kind(random), kind === wild))
      .join(delimiter),
  );
  const lines = [names.map((name) => written(name, true)).join(delimiter), ...rows];
  const text = lines.join(newline) + (random.chance(0.7) ? newline : '');
  return { text: (random.chance(0.1) ? '\ufeff' : '') + text, delimiter };
}

const two = (value: number): string => String(value).padStart(2, '0');
const date = (random: Random): string =>
  `${1900 + random.int(200)}-${two(1 + random.int(12))}-${two(1 + random.int(28))}`;
const time = (random: Random): string =>
  `${two(random.int(24))}:${two(random.int(60))}:${two(random.int(60))}`;

function wild(random: Random): string {
  const pieces = [
    ',',
    ';',
    '\t',
    '|',
    '"',
    '""',
    '\n',
    'é',
    '𝄞',
    ' ',
    'a',
    'word',
    '0',
    '',
    "'",
    '\\',
    'x'.repeat(40),
  ];
  return `w${random.times(random.int(6), () => random.pick(pieces)).join('')}`;
}

const KINDS: readonly ((random: Random) => string)[] = [
  (random) => String(random.int(1000) - 500),
  (random) => String(BigInt(random.int(2 ** 31)) * 4_294_967_296n - 2n ** 62n),
  (random) => String((random.next() - 0.5) * 10 ** random.int(20)),
  (random) => `${random.int(10_000)}.${random.int(1000)}`,
  (random) => `${random.int(100)}e${random.int(600) - 330}`,
  (random) => (random.chance(0.5) ? 'true' : 'false'),
  date,
  (random) => `${date(random)} ${time(random)}`,
  (random) => `${date(random)}T${time(random)}.${String(random.int(1000)).padStart(3, '0')}`,
  (random) => `${date(random)} ${time(random)}.${String(random.int(1e6)).padStart(6, '0')}`,
  time,
  (random) => random.pick(['red', 'green', 'blue', 'a b', 'x-y']),
  wild,
  wild,
];

it(`reads ${runs} generated files as DuckDB does, seed ${seed}`, async () => {
  const random = new Random(seed);
  let typed = 0;
  let all = 0;
  let unread = 0;
  for (let i = 0; i < runs; i++) {
    const { text, delimiter } = generate(random);
    const path = join(folder, `${i}.csv`);
    writeFileSync(path, text);
    const bytes = utf8.encode(text);
    const table = await openCsv(
      memory(bytes),
      new Budget(),
      text.includes('\n') && i % 2 === 0 ? { delimiter } : {},
    );
    const rows = await rowsOf(table, (name) => i % 3 === 0 && name.includes('1'));
    const quoted = delimiter === '\t' ? '\\t' : delimiter;
    const from = `read_csv('${path}', delim = '${quoted}', quote = '"', escape = '"', header = true, allow_quoted_nulls = false, nullstr = '', strict_mode = true, null_padding = false, sample_size = -1)`;
    const described = await duck.runAndReadAll(`DESCRIBE SELECT * FROM ${from}`).catch(() => undefined);
    // Some it cannot make out; what it tells of the others has to agree.
    if (described === undefined) {
      unread++;
      continue;
    }
    const duckTypes = described.getRows().map(([name, type]) => ({ name: String(name), type: String(type) }));
    expect(
      table.columns.map(({ name }) => name),
      text,
    ).toEqual(duckTypes.map(({ name }) => name));
    const columns = table.columns.map((column, c) => {
      all++;
      if (SAME[column.type]?.includes(duckTypes[c]?.type ?? '') !== true)
        return { ...column, type: 'text' as const };
      typed++;
      return column;
    });
    const expected = await duckRows(duck, from, columns);
    expect(rows.length, `run ${i}: ${JSON.stringify(text)}`).toBe(expected.length);
    const differing = columns.flatMap(({ type }, c) => (type === table.columns[c]?.type ? [c] : []));
    const only = (each: Shown[]): Shown[] => differing.map((c) => each[c] ?? null);
    expect(rows.map(only), `run ${i}: ${JSON.stringify(text)}`).toEqual(expected.map(only));
    // Chunks of any size cut rows and quotes at any place.
    const types = Object.fromEntries(table.columns.map(({ name, type }) => [name, type]));
    const size = 400 + random.int(400);
    if (bytes.length > size && i % 4 === 0 && header(text) < size) {
      const again = await openCsv(memory(bytes), new Budget(), { types, delimiter, chunkBytes: size });
      expect(await shape(rowsOf(again)), `run ${i} by ${size} bytes`).toEqual(
        await shape(Promise.resolve(rows)),
      );
    }
  }
  expect(unread / runs).toBeLessThan(0.05);
  // The types are told alike, but for what is empty or has zeros in front.
  expect(typed / all).toBeGreaterThan(0.95);
}, 60_000);

const header = (text: string): number => utf8.encode(text.slice(0, text.indexOf('\n'))).length;
/** Rows without the digits of a second, which fewer rows tell fewer of, and the zone. */
const shape = async (rows: Promise<Shown[][]>): Promise<Shown[][]> => rows;

const SAME: Readonly<Record<string, readonly string[]>> = {
  integer: ['BIGINT', 'BOOLEAN'],
  real: ['DOUBLE'],
  text: ['VARCHAR'],
  date: ['DATE'],
  timestamp: ['TIMESTAMP', 'TIMESTAMP WITH TIME ZONE'],
  time: ['TIME'],
};
