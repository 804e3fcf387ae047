import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Budget } from '../../src/scan/budget.ts';
import { MemoryFile } from '../../src/scan/source/files.ts';
import { openJson, type JsonOptions } from '../../src/scan/source/json.ts';
import { Random } from '../support/random.ts';
import { rowsOf, type Shown } from './source-values.ts';

const seed = Number(process.env['VITE_SEED'] ?? 20_261_121);
const runs = Number(process.env['VITE_RUNS'] ?? 700);

const folder = mkdtempSync(join(tmpdir(), 'dosql-json-'));
let duck: DuckDBConnection;
beforeAll(async () => {
  duck = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
});
afterAll(() => {
  duck.closeSync();
  rmSync(folder, { recursive: true });
});

const utf8 = new TextEncoder();
const memory = (content: string | Uint8Array): MemoryFile =>
  new MemoryFile('x.json', typeof content === 'string' ? utf8.encode(content) : content, 'etag');

async function read(
  content: string | Uint8Array,
  options: JsonOptions = {},
): Promise<{ types: string; rows: Shown[][] }> {
  const table = await openJson(memory(content), new Budget(), options);
  const rows = await rowsOf(table);
  return { types: table.columns.map(({ name, type }) => `${name} ${type}`).join(', '), rows };
}

describe('a JSON file', () => {
  it.each<[string, string, string, Shown[][]]>([
    [
      'objects by line',
      '{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n',
      'a integer, b text',
      [
        ['1', 'x'],
        ['2', 'y'],
      ],
    ],
    ['an array', ' [ {"a":1} ,\n{"a":2} ] \n', 'a integer', [['1'], ['2']]],
    [
      'one object',
      '{\n  "a": 1,\n  "b": {"c": [1, 2.50]}\n}',
      'a integer, b text',
      [['1', '{"c": [1, 2.50]}']],
    ],
    ['objects of many lines', '{\n"a":1\n}\n{\n"a":2\n}', 'a integer', [['1'], ['2']]],
    ['objects without anything between', '{"a":1}{"a":2}', 'a integer', [['1'], ['2']]],
    ['CRLF and a BOM', '\ufeff{"a":1}\r\n{"a":2}\r\n', 'a integer', [['1'], ['2']]],
    ['an array without objects', '[]', '', []],
    ['nothing', ' \n', '', []],
    [
      'keys that come and go',
      '{"a":1}\n{"b":2}\n{"b":3,"a":null}',
      'a integer, b integer',
      [
        ['1', null],
        [null, '2'],
        [null, '3'],
      ],
    ],
    ['keys twice', '{"a":1,"a":2}\n{"a":3,"a":null}', 'a integer', [['2'], [null]]],
    [
      'odd keys',
      '{"__proto__":1,"constructor":2,"":3,"a\\u0062":4,"A":5,"a":6}',
      '__proto__ integer, constructor integer, column2 integer, ab integer, A integer, a_1 integer',
      [['1', '2', '3', '4', '5', '6']],
    ],
    [
      'escapes',
      '{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud834\\udd1e\\u0000"}',
      'a text',
      [['"\\/\b\f\n\r\té𝄞\0']],
    ],
    ['half of a surrogate pair', '{"a":"x\\ud834y"}', 'a text', [['x\ufffdy']]],
    [
      'large integers',
      '{"a":9007199254740993}\n{"a":-9223372036854775808}',
      'a integer',
      [['9007199254740993'], ['-9223372036854775808']],
    ],
    ['larger integers', '{"a":9223372036854775808}\n{"a":1}', 'a real', [['9223372036854776000'], ['1']]],
    ['integers and reals', '{"a":1}\n{"a":1.0}\n{"a":-2e-3}', 'a real', [['1'], ['1'], ['-0.002']]],
    [
      'booleans',
      '{"a":true,"b":true}\n{"a":false,"b":2}',
      'a integer, b integer',
      [
        ['1', '1'],
        ['0', '2'],
      ],
    ],
    [
      'values of several classes',
      '{"a":1}\n{"a":"1"}\n{"a":true}\n{"a":9007199254740993}\n{"a":[1]}\n{"a":null}',
      'a any',
      [['1'], ['1'], ['1'], ['9007199254740993'], ['[1]'], [null]],
    ],
    ['nothing but null', '{"a":null}', 'a text', [[null]]],
  ])('may have %s', async (_, text, types, rows) => {
    expect(await read(text)).toEqual({ types, rows });
  });

  it('takes the types that are given', async () => {
    const text = '{"a":"1","t":"2026-01-02T03:04:05Z","n":5}\n{"a":"2","t":null,"n":6}';
    expect(await read(text, { types: { a: 'integer', t: 'timestamp', n: 'text' } })).toEqual({
      types: 'a integer, t timestamp, n text',
      rows: [
        ['1', '2026-01-02T03:04:05.000', '5'],
        ['2', null, '6'],
      ],
    });
  });

  it.each<[string, RegExp]>([
    ['[{"a":1}', /^CORRUPT_FILE: x.json, line 1: the file ends within its array$/],
    ['[{"a":1},', /the file ends within its array/],
    ['[{"a":1},]', /line 1: there is "\]" where an object should begin/],
    ['[{"a":1}] {"a":2}', /there is text behind the end of the array/],
    ['[{"a":1} {"a":2}]', /there is no comma/],
    ['{"a":1}\n{"a":1', /line 2: the file ends within the object that begins here/],
    ['{"a":1}\n{"a":"1', /line 2: the file ends within/],
    ['{"a":1}\n2', /line 2: there is "2" where an object should begin: rows are objects/],
    ['{"a":1,}', /where a key should be/],
    ['{"a" 1}', /no colon behind a key/],
    ['{"a":1 "b":2}', /where a comma should be/],
    ['{"a":nul}', /where a value should be/],
    ['{"a":}', /where a value should be/],
    ['{"a":[}]}', /a bracket closes that is not open/],
    [`{"a":${'['.repeat(2000)}`, /nested more than 1000 times/],
    ['{"a":"\\x"}', /is no JSON string/],
    [
      `${'{"a":1}\n'.repeat(20_001)}{"a":"x"}`,
      /line 20,002: the column "a" has "x", which is not an integer/,
    ],
    [`${'{"a":1}\n'.repeat(20_001)}{"a":1.5}`, /line 20,002: .*types: \{ "a": 'real' \}/],
    [`${'{"a":"1"}\n'.repeat(40_001)}{"b":1}`, /^it was read$/],
  ])('says what is wrong in %.60j', async (text, expected) => {
    const outcome = await read(text).then(
      () => 'it was read',
      (error: unknown) => (error as Error).message,
    );
    expect(outcome).toMatch(expected);
  });

  it('may be gzip', async () => {
    const text = Array.from({ length: 30_000 }, (_, i) => JSON.stringify({ i, name: `name ${i}` })).join(
      '\n',
    );
    const found = await read(gzipSync(text));
    expect(found.rows.length).toBe(30_000);
    expect(found.rows[29_999]).toEqual(['29999', 'name 29999']);
  });
});

const TEXTS = [
  '',
  'a',
  'red',
  'é𝄞',
  '"',
  '\\',
  '\n\t',
  '\u{1}',
  '{"a":[1,"}"]}',
  '/',
  "it's",
  'x'.repeat(50),
  ' ',
];

function text(random: Random): string {
  return random.times(random.int(4), () => random.pick(TEXTS)).join('');
}

function number(random: Random): string {
  return random.pick([
    () => String(random.int(1000) - 500),
    () => String(BigInt(random.int(2 ** 31)) * 4_294_967_296n - 2n ** 62n),
    () => String((random.next() - 0.5) * 10 ** random.int(20)),
    () => `${random.int(100)}E${random.pick(['+', '-', ''])}${random.int(300)}`,
    () => '-0.0',
  ])();
}

/** JSON written in some way, spaces and escapes included. */
function json(random: Random, depth: number): string {
  const kind = random.int(depth > 0 ? 8 : 6);
  if (kind < 2) return number(random);
  if (kind < 4) return string(random, text(random));
  if (kind === 4) return random.pick(['true', 'false']);
  if (kind === 5) return 'null';
  const parts = random.times(random.int(3), (i) =>
    kind === 6
      ? json(random, depth - 1)
      : `${string(random, `k${i}`)}:${space(random)}${json(random, depth - 1)}`,
  );
  return kind === 6 ? `[${parts.join(`,${space(random)}`)}]` : `{${parts.join(`,${space(random)}`)}}`;
}

function string(random: Random, value: string): string {
  const written = JSON.stringify(value);
  return random.chance(0.1)
    ? written
        .replace(/[a-z]/, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .replace(/\\\\u/, '\\\\\\u')
    : written;
}

const space = (random: Random): string => random.pick(['', '', '', ' ', '\n', '\t ']);

const KINDS: readonly ((random: Random) => string)[] = [
  (random) => String(random.int(1e6)),
  number,
  (random) => string(random, text(random)),
  (random) => random.pick(['true', 'false']),
  (random) => json(random, 3),
  (random) => `[${json(random, 1)}]`,
];

function generate(random: Random): string {
  const columns = random.times(1 + random.int(6), (i) => ({
    name: random.pick([`c${i}`, `key ${i}`, `é${i}`, `"${i}"`, `\\${i}`]),
    kind: random.pick(KINDS),
    share: random.pick([1, 1, 0.7]),
  }));
  const objects = random.times(1 + random.int(40), () => {
    const own = random.chance(0.8) ? columns : columns.toReversed();
    const fields = own
      .filter(({ share }) => random.chance(share))
      .map(
        ({ name, kind }) =>
          `${JSON.stringify(name)}:${space(random)}${random.chance(0.1) ? 'null' : kind(random)}`,
      );
    return `{${fields.join(`,${space(random)}`)}}`;
  });
  return random.chance(0.4)
    ? `[${objects.join(`,${space(random)}`)}]`
    : objects.join(random.pick(['\n', '\r\n', '\n\n']));
}

/** What a raw JSON value is in the words of the tests. */
function shown(raw: string | null, type: string): unknown {
  if (raw === null || raw === 'null') return null;
  if (raw.startsWith('"')) return JSON.parse(raw);
  if (raw === 'true') return type === 'text' ? raw : '1';
  if (raw === 'false') return type === 'text' ? raw : '0';
  if (/^[{[]/.test(raw)) return JSON.parse(raw);
  return type === 'integer' || (type === 'any' && /^-?\d+$/.test(raw))
    ? String(BigInt(raw))
    : `${Number(raw)}`;
}

it(`reads ${runs} generated files as DuckDB does, seed ${seed}`, async () => {
  const random = new Random(seed);
  let unread = 0;
  for (let i = 0; i < runs; i++) {
    const content = generate(random);
    const path = join(folder, `${i}.json`);
    writeFileSync(path, content);
    const bytes = utf8.encode(content);
    const table = await openJson(memory(bytes), new Budget());
    const rows = await rowsOf(table, (name) => i % 3 === 0 && name.includes('1'));
    const columns = table.columns.map(({ name }) => `'${name.replaceAll("'", "''")}': 'JSON'`).join(', ');
    if (columns === '') continue;
    const from = `read_json('${path}', columns = {${columns}}, format = '${content.startsWith('[') ? 'array' : 'unstructured'}')`;
    const select = table.columns
      .map(({ name }) => `CAST("${name.replaceAll('"', '""')}" AS VARCHAR)`)
      .join(', ');
    const reader = await duck.runAndReadAll(`SELECT ${select} FROM ${from}`).catch(() => undefined);
    if (reader === undefined) {
      unread++;
      continue;
    }
    const expected = reader
      .getRows()
      .map((row) => row.map((raw, c) => shown(raw as string | null, table.columns[c]?.type ?? '')));
    // Objects and arrays come with the spaces that they are written with.
    const found = rows.map((row, r) =>
      row.map((value, c) =>
        typeof expected[r]?.[c] === 'object' && value !== null ? (JSON.parse(value) as unknown) : value,
      ),
    );
    expect(found, `run ${i}: ${content}`).toEqual(expected);
    const size = 300 + random.int(900);
    const types = Object.fromEntries(table.columns.map(({ name, type }) => [name, type]));
    const again = await openJson(memory(bytes), new Budget(), { types, chunkBytes: size }).catch(
      () => undefined,
    );
    if (again !== undefined && again.columns.length === table.columns.length && i % 2 === 0) {
      const order = table.columns.map(({ name }) =>
        again.columns.findIndex((column) => column.name === name),
      );
      const same = (await rowsOf(again)).map((row) => order.map((c) => row[c]));
      expect(same, `run ${i} by ${size} bytes: ${content}`).toEqual(rows);
    }
  }
  expect(unread / runs).toBeLessThan(0.05);
}, 60_000);
