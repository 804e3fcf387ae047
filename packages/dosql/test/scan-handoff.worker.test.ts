import { describe, expect, it } from 'vitest';
import { Budget } from '../src/scan/budget.ts';
import { handOff, HandOffBuilder, type HandedColumn, type HandOff } from '../src/scan/handoff.ts';
import type { Batch } from '../src/scan/table.ts';
import type { ColumnType, Vector } from '../src/scan/vector.ts';
import type { SqlValue } from '../src/value/row.ts';
import { failure, withDatabase } from './support/database.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

/** What SQLite gives for a query over rows that are handed over. */
function run(storage: DurableObjectStorage, sql: string, { bindings }: HandOff): SqlStorageValue[][] {
  return [...storage.sql.exec(sql, ...bindings).raw()];
}

const at = <T>(use: (storage: DurableObjectStorage) => T): Promise<T> =>
  withDatabase((_, { storage }) => Promise.resolve(use(storage)));

const column = (name: string, type: ColumnType): HandedColumn => ({ name, type });

/** A value as SQLite shows it exactly: class and content. */
function shown(value: SqlValue): string {
  if (value === null) return 'null';
  if (typeof value === 'bigint') return `integer ${value}`;
  if (typeof value === 'string') return `text ${hex(new TextEncoder().encode(value))}`;
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? `integer ${value}` : `real`;
  return `blob ${hex(value)}`;
}

const hex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join('');

const SHOWN = (name: string): string =>
  `CASE typeof(${name}) WHEN 'null' THEN 'null' WHEN 'integer' THEN 'integer ' || ${name} WHEN 'real' THEN 'real' ELSE typeof(${name}) || ' ' || hex(${name}) END`;

const VALUES: readonly SqlValue[] = [
  null,
  0,
  -1,
  9,
  10,
  99_999_999_999,
  999_999_999_999,
  -123_456_789_012,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  9_007_199_254_740_993n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  0.1,
  -0,
  1e300,
  5e-324,
  1e21,
  '',
  'a',
  "it's",
  'a\0b',
  '"\\/\n\t\u{1}',
  'añ 𝄞',
  'x'.repeat(11),
  'x'.repeat(12),
  'y'.repeat(255),
  'y'.repeat(256),
  'é'.repeat(70_000),
  '[1]',
  'null',
  new Uint8Array(0),
  new Uint8Array([0]),
  new Uint8Array([0xff, 0x00, 0xc3]),
  new Uint8Array(300).fill(0xfe),
];

describe('rows handed to SQLite', () => {
  it('arrive with every value as it was, in a column of any class', async () => {
    const rows = VALUES.map((value, i): SqlValue[] => [i, value]);
    const handed = handOff([column('i', 'integer'), column('v', 'any')], rows);
    const result = await at((storage) =>
      run(storage, `SELECT i, ${SHOWN('v')}, v FROM (${handed.sql}) ORDER BY i`, handed),
    );
    expect(result.map(([i, text]) => [i, text])).toEqual(VALUES.map((value, i) => [i, shown(value)]));
    result.forEach(([, text, v], i) => {
      if (text === 'real') expect(Object.is(v, VALUES[i]), String(VALUES[i])).toBe(true);
    });
  });

  it('arrive in columns that have one class each, with its affinity', async () => {
    const columns = (['integer', 'real', 'text', 'blob', 'timestamp', 'any'] as const).map((type) =>
      column(type, type),
    );
    const blob = new Uint8Array([1, 2]);
    const rows: SqlValue[][] = [
      [5, 5, '5', blob, '2026-01-02T00:00:00.000Z', '5'],
      [null, null, null, null, null, null],
    ];
    const handed = handOff(columns, rows);
    const [first, second] = await at((storage) =>
      run(
        storage,
        `SELECT typeof(integer), typeof(real), typeof(text), typeof(blob), integer = '5', real = '5.0', text = 5, any = 5, timestamp > 3 FROM (${handed.sql})`,
        handed,
      ),
    );
    expect(first).toEqual(['integer', 'real', 'text', 'blob', 1, 1, 1, 0, 0]);
    expect(second).toEqual(['null', 'null', 'null', 'null', null, null, null, null, null]);
    expect(handed.unaffined).toEqual([]);
  });

  it('compare as those of the column that they come from, by affinity and collation', async () => {
    const columns: HandedColumn[] = [
      { name: 'n', type: 'any', affinity: 'numeric' },
      { name: 't', type: 'any', affinity: 'text', collation: 'NOCASE' },
      { name: 'r', type: 'any', affinity: 'real' },
    ];
    const values: SqlValue[][] = [
      [1.5, 'Ab', 3],
      [9_007_199_254_740_993n, 'aB', -0],
      [2, null, null],
    ];
    const handed = handOff(columns, values);
    await at((storage) => {
      storage.sql.exec(
        "CREATE TABLE c(n NUMERIC, t TEXT COLLATE NOCASE, r REAL); INSERT INTO c VALUES (1.5, 'Ab', 3), (9007199254740993, 'aB', -0.0), (2, NULL, NULL)",
      );
      for (const test of [
        `SELECT n FROM x WHERE n = '1.5' OR n = '9007199254740993'`,
        `SELECT t, count(*) FROM x GROUP BY t`,
        `SELECT t FROM x WHERE t = 'AB' ORDER BY t`,
        `SELECT typeof(r), typeof(n) FROM x`,
        `SELECT a.n FROM x a JOIN (SELECT '2' AS k) b ON a.n = b.k`,
        `SELECT DISTINCT t FROM x`,
        `SELECT x.t FROM x, (SELECT 'AB' COLLATE BINARY AS k) WHERE t = k`,
      ])
        expect(run(storage, `WITH x AS (${handed.sql}) ${test}`, handed), test).toEqual([
          ...storage.sql.exec(`WITH x AS (SELECT * FROM c) ${test}`).raw(),
        ]);
    });
  });

  it('keep their values where the affinity would change them, and tell so', async () => {
    const handed = handOff(
      [
        { name: 'n', type: 'any', affinity: 'integer' },
        { name: 't', type: 'any', affinity: 'text' },
      ],
      [
        ['abc', new Uint8Array([65])],
        [new Uint8Array([49]), 'x'],
        [7, null],
      ],
    );
    expect(handed.unaffined).toEqual(['n', 't']);
    const result = await at((storage) =>
      run(storage, `SELECT ${SHOWN('n')}, ${SHOWN('t')} FROM (${handed.sql})`, handed),
    );
    expect(result).toEqual([
      ['text 616263', 'blob 41'],
      ['blob 31', 'text 78'],
      ['integer 7', 'null'],
    ]);
  });

  it('give infinities, and NULL for what is no number', async () => {
    const rows = [Infinity, -Infinity, NaN, -0].map((value) => [value, value]);
    const handed = handOff([column('r', 'real'), column('a', 'any')], rows);
    const result = await at((storage) => run(storage, handed.sql, handed));
    expect(result).toEqual([
      [Infinity, Infinity],
      [-Infinity, -Infinity],
      [null, null],
      [-0, -0],
    ]);
  });

  it('give U+FFFD for what UTF-8 cannot hold, as binding does', async () => {
    const handed = handOff([column('t', 'text')], [['a\ud800b'], ['\udc00'.repeat(70)]]);
    const result = await at((storage) => run(storage, handed.sql, handed));
    expect(result).toEqual([['a\ufffdb'], ['\ufffd'.repeat(70)]]);
  });

  it('have any names, in any number up to 100, and none', async () => {
    const names = ["it's", '"', 'a b', '__proto__', 'é', 'select', '$[0]', ''];
    const columns = [...names, ...Array.from({ length: 92 }, (_, i) => `c${i}`)];
    const handed = handOff(
      columns.map((name) => column(name, 'integer')),
      [columns.map((_, i) => i)],
    );
    await at((storage) => {
      const cursor = storage.sql.exec(`SELECT * FROM (${handed.sql})`, ...handed.bindings);
      expect(cursor.columnNames).toEqual(columns);
      expect([...cursor.raw()]).toEqual([columns.map((_, i) => i)]);
      const none = handOff([], [[], [], []]);
      expect(run(storage, `SELECT count(*) FROM (${none.sql})`, none)).toEqual([[3]]);
    });
    const tooMany = await failure(() =>
      handOff(
        Array.from({ length: 101 }, () => column('a', 'any')),
        [],
      ),
    );
    expect(tooMany.code).toBe('TOO_BIG');
    expect((await failure(() => handOff([column('a\0', 'any')], []))).code).toBe('BAD_PARAMETER');
  });

  it('may be none', async () => {
    const handed = handOff([column('a', 'text'), column('b', 'real')], []);
    expect(await at((storage) => run(storage, `SELECT count(*) FROM (${handed.sql})`, handed))).toEqual([
      [0],
    ]);
  });

  it('are bound in chunks of less than 2 MB, from the parameter on that is asked for', async () => {
    const builder = new HandOffBuilder([column('id', 'integer'), column('t', 'text')]);
    for (let i = 0; i < 60; i++)
      builder.addRows(Array.from({ length: 1000 }, (_, k) => [i * 1000 + k, `${'x'.repeat(100)}${k}`]));
    const handed = builder.finish(2);
    expect(handed.bindings.length).toBe(4);
    expect(handed.rowCount).toBe(60_000);
    for (const bytes of handed.bindings) expect(bytes.length).toBeLessThan(2_000_000);
    const sql = `SELECT ?1, count(*), count(DISTINCT id), sum(length(t)), min(id), max(id) FROM (${handed.sql})`;
    const rows = await at((storage) => [...storage.sql.exec(sql, 'first', ...handed.bindings).raw()]);
    expect(rows).toEqual([['first', 60_000, 60_000, 60_000 * 100 + 60 * 2890, 0, 59_999]]);
  });

  it('may be large, but not beyond what SQLite or the limit takes', async () => {
    const columns = [column('b', 'blob')];
    const large = new Uint8Array(2 ** 21).fill(7);
    const handed = handOff(columns, [[null], [large], [new Uint8Array(1)]]);
    const rows = await at((storage) => run(storage, `SELECT length(b) FROM (${handed.sql})`, handed));
    expect(rows).toEqual([[null], [2 ** 21], [1]]);
    expect((await failure(() => handOff(columns, [[new Uint8Array(2 ** 22)]]))).message).toMatch(
      /^TOO_BIG: row 1 takes/,
    );
    const total = await failure(() =>
      handOff(
        columns,
        Array.from({ length: 20 }, () => [large]),
        { limitBytes: 2 ** 24 },
      ),
    );
    expect(total.message).toMatch(/^TOO_BIG: after 8 rows.*filter or aggregate/);
    const budget = new Budget({ rows: 2 });
    expect((await failure(() => handOff(columns, [[null], [null], [null]], { budget }))).code).toBe(
      'TOO_BIG',
    );
  });

  it('join by an index that SQLite builds, not by unpacking them for every row', async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => [i, `name ${i}`]);
    const handed = handOff([column('id', 'integer'), column('name', 'text')], rows);
    await at((storage) => {
      storage.sql.exec(
        'CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19999) SELECT i AS id FROM n',
      );
      for (const sql of [
        `SELECT count(*) FROM t JOIN (${handed.sql}) USING (id)`,
        `SELECT count(*) FROM t LEFT JOIN (${handed.sql}) r ON r.id = t.id WHERE r.name > ''`,
        `SELECT count((SELECT name FROM (${handed.sql}) r WHERE r.id = t.id)) FROM t`,
        `SELECT count(*) FROM t WHERE id IN (SELECT id FROM (${handed.sql}))`,
      ]) {
        const start = Date.now();
        expect(run(storage, sql, handed)).toEqual([[20_000]]);
        // Twenty thousand times twenty thousand rows would take minutes.
        expect(Date.now() - start, sql).toBeLessThan(5_000);
      }
    });
  });
});

/** A batch over vectors that are there. */
function batchOf(vectors: Readonly<Record<string, Vector>>, rowCount: number): Batch {
  return { rowCount, column: (name) => vectors[name] as Vector, fetch: () => Promise.resolve() };
}

describe('batches handed to SQLite', () => {
  it('arrive from vectors of all kinds', async () => {
    const text = new TextEncoder().encode('aébc');
    const bytes = { kind: 'bytes', data: text, offsets: new Uint32Array([0, 1, 1, 3, 5]) } as const;
    const vectors: Record<string, Vector> = {
      n: {
        kind: 'number',
        length: 4,
        nulls: new Uint8Array([0, 1, 0, 0]),
        values: new Int32Array([1, 2, -3, 4]),
      },
      f: { kind: 'number', length: 4, nulls: undefined, values: new Float64Array([1, 2.5, -0, NaN]) },
      b: { kind: 'bigint', length: 4, nulls: undefined, values: new BigInt64Array([1n, -1n, 2n ** 62n, 0n]) },
      t: { ...bytes, length: 4, nulls: new Uint8Array([0, 1, 0, 0]) },
      x: { ...bytes, length: 4, nulls: undefined },
      d: {
        kind: 'dictionary',
        length: 4,
        nulls: new Uint8Array([0, 0, 1, 0]),
        codes: new Uint8Array([3, 0, 9, 2]),
        dictionary: { ...bytes, length: 4, nulls: undefined },
      },
      r: {
        kind: 'runs',
        length: 4,
        nulls: undefined,
        ends: new Uint32Array([1, 1, 3, 4]),
        values: { kind: 'mixed', length: 4, nulls: undefined, values: ['a', 'none', null, 7] },
      },
      ts: {
        kind: 'bigint',
        length: 4,
        nulls: undefined,
        values: new BigInt64Array([0n, -1n, 1_500_000n, 123_456_789n]),
      },
      day: {
        kind: 'number',
        length: 4,
        nulls: undefined,
        values: new Int32Array([0, -1, 20_000, 2_932_896]),
      },
      tm: {
        kind: 'number',
        length: 4,
        nulls: undefined,
        values: new Int32Array([0, 1, 86_399_999, 86_400_000]),
      },
    };
    const columns: HandedColumn[] = [
      column('n', 'integer'),
      column('f', 'real'),
      column('b', 'integer'),
      column('t', 'text'),
      column('x', 'blob'),
      column('d', 'text'),
      column('r', 'any'),
      { name: 'ts', type: 'timestamp', unit: 'ns', isUtc: true },
      column('day', 'date'),
      column('tm', 'time'),
    ];
    const builder = new HandOffBuilder(columns);
    builder.addBatch(batchOf(vectors, 4));
    builder.addBatch(batchOf(vectors, 4), new Uint32Array([1, 3]));
    const handed = builder.finish();
    const rows = await at((storage) =>
      run(storage, `SELECT n, f, cast(b AS TEXT), t, hex(x), d, r, ts, day, tm FROM (${handed.sql})`, handed),
    );
    const all = [
      [1, 1, '1', 'a', '61', 'bc', 'a', '1970-01-01T00:00:00.000Z', '1970-01-01', '00:00:00'],
      [null, 2.5, '-1', null, '', 'a', null, '1969-12-31T23:59:59.999999999Z', '1969-12-31', '00:00:00.001'],
      [
        -3,
        -0,
        String(2n ** 62n),
        'é',
        'C3A9',
        null,
        null,
        '1970-01-01T00:00:00.001500Z',
        '2024-10-04',
        '23:59:59.999',
      ],
      [4, null, '0', 'bc', '6263', 'é', 7, '1970-01-01T00:00:00.123456789Z', '9999-12-31', '24:00:00'],
    ];
    expect(rows).toEqual([...all, all[1], all[3]]);
  });
});

/** A double of random bits; half of them subnormal, short or whole. */
function double(random: Random, view: DataView): number {
  view.setUint32(0, random.int(2 ** 32));
  view.setUint32(4, random.int(2 ** 32));
  const kind = random.int(8);
  if (kind === 0) view.setUint32(0, view.getUint32(0) & 0x800fffff);
  const value = view.getFloat64(0);
  if (Number.isNaN(value)) return 0;
  if (kind === 1) return random.int(1e9) / 10 ** random.int(12);
  if (kind === 2) return Math.trunc(random.next() * 2 ** random.int(80));
  return value;
}

it.each(seeds(20_261_121))('hands 100,000 random doubles over bit by bit, seed %i', async (seed) => {
  const random = new Random(seed);
  const view = new DataView(new ArrayBuffer(8));
  const rows = random.times(100_000, (i) => [i, double(random, view)]);
  const handed = handOff([column('i', 'integer'), column('r', 'real')], rows);
  const result = await at((storage) => run(storage, `SELECT r FROM (${handed.sql})`, handed));
  expect(result.length).toBe(rows.length);
  const wrong = result.findIndex(([value], i) => !Object.is(value, rows[i]?.[1]));
  expect(wrong < 0 ? undefined : [rows[wrong], result[wrong]]).toBeUndefined();
});

it.each(seeds(20_261_121))('hands random rows over as SQLite stores them, seed %i', async (seed) => {
  const random = new Random(seed);
  const value = (): SqlValue => {
    const kind = random.int(10);
    if (kind < 6)
      return random.pick(VALUES.filter((each) => !(typeof each === 'string' && each.length > 999)));
    if (kind === 6) return random.int(10 ** random.int(16)) * (random.chance(0.5) ? 1 : -1) + 0;
    if (kind === 7) return BigInt.asIntN(64, BigInt(Math.trunc(random.next() * 2 ** 53)) ** 2n);
    if (kind === 8) return String.fromCodePoint(...random.times(random.int(90), () => random.int(0xd800)));
    return new Uint8Array(random.times(random.int(90), () => random.int(256)));
  };
  for (let round = 0; round < 20; round++) {
    const width = 1 + random.int(8);
    const rows = random.times(200, () => random.times(width, value));
    const columns = random.times(width, (i) => column(`c${i}`, 'any'));
    const handed = handOff(columns, rows);
    const result = await at((storage) =>
      run(
        storage,
        `SELECT ${columns.map(({ name }) => SHOWN(name)).join(', ')} FROM (${handed.sql})`,
        handed,
      ),
    );
    expect(result).toEqual(
      rows.map((row) => row.map((each) => (Object.is(each, -0) ? 'real' : shown(each)))),
    );
  }
});
