import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { Budget } from '../../src/scan/index.ts';
import { openSource, type Source, type SourceOptions } from '../../src/scan/source/source.ts';
import type { ColumnType } from '../../src/scan/vector.ts';
import { Random } from '../support/random.ts';
import { storeOf } from './disk-store.ts';
import { expectSame, openDuck } from './duckdb-compare.ts';
import { duckColumn } from './duckdb-expressions.ts';
import { DuckQueries } from './duckdb-queries.ts';
import { likeTable, randomTable, randomWriter, type TableColumn } from './duckdb-tables.ts';

const seed = Number(process.env['VITE_SEED'] ?? 2026);
const runs = Number(process.env['VITE_RUNS'] ?? 70);
/** Queries over each table. */
const QUERIES = 10;

const folder = mkdtempSync(join(tmpdir(), 'dosql-differential-files-'));
let duck: DuckDBConnection;

beforeAll(async () => {
  console.log(`VITE_SEED=${seed}`);
  duck = await openDuck();
});

afterAll(() => {
  duck.closeSync();
  rmSync(folder, { recursive: true });
});

function open(root: string, url: string, options: Partial<SourceOptions> = {}): Promise<Source> {
  const environment = { files: storeOf(root), fetcher: fetch, random: () => 0.5 };
  return openSource(url, environment, { budget: new Budget(), ...options });
}

async function compare(
  random: Random,
  columns: readonly TableColumn[],
  source: Source,
  from: string,
  label: string,
  hasOrder: boolean,
): Promise<void> {
  await duck.run(`CREATE OR REPLACE VIEW t AS SELECT ${columns.map(duckColumn).join(', ')} FROM ${from}`);
  const queries = new DuckQueries(random, columns, hasOrder);
  for (let i = 0; i < QUERIES; i++) await expectSame(queries.query(), source, duck, `${label}, query ${i}`);
}

/** Columns that the folders make. */
const FOLDERS: readonly TableColumn[] = [
  {
    name: 'year',
    kind: 'integer',
    write: { name: 'year', type: 'int64' },
    duck: '',
    values: [2019, 2020, 2021],
  },
  { name: 'sort', kind: 'text', write: { name: 'sort', type: 'utf8' }, duck: '', values: ['a', 'b c', 'Z'] },
  {
    name: 'on_day',
    kind: 'date',
    write: { name: 'on_day', type: 'date' },
    duck: '',
    values: [18_000, 18_001],
  },
];

function folderOf(random: Random): string {
  const none = '__HIVE_DEFAULT_PARTITION__';
  const year = random.pick(['2019', '2020', '2021', none]);
  const sort = random.pick(['a', 'b c', 'Z', none]);
  return `year=${year}/sort=${sort}/on_day=${random.pick(['2019-04-14', '2019-04-15', '2020-01-01'])}`;
}

describe('queries over the files of folders are answered as DuckDB answers them', () => {
  for (let run = 0; run < Math.ceil(runs / QUERIES / 2); run++)
    it(`with seed ${seed + run}`, async () => {
      const random = new Random((seed + run) * 104_729);
      const root = join(folder, String(run));
      const tables: TableColumn[][] = [];
      const writers: string[] = [];
      for (let file = 0; file < 2 + random.int(4); file++) {
        const whole = likeTable(random, random.pick([1, 40, 700, 1500]), file * 10_000);
        // Files lack some of the columns that others have.
        const table = whole.filter(({ name }) => file === 0 || name === 'id' || random.chance(0.9));
        const path = join(root, folderOf(random), `${file}.parquet`);
        mkdirSync(dirname(path), { recursive: true });
        const writer = randomWriter(random);
        await writer.write(path, table, duck);
        tables.push(table);
        writers.push(writer.name);
      }
      const columns = (tables[0] as TableColumn[]).map((column) => ({
        ...column,
        values: tables.flatMap((table) => table.find(({ name }) => name === column.name)?.values ?? [null]),
      }));
      await compare(
        random,
        [...columns, ...FOLDERS],
        await open(root, 'fsx://**/*.parquet'),
        `read_parquet('${root}/**/*.parquet', hive_partitioning = true, union_by_name = true)`,
        writers.join('; '),
        false,
      );
    });
});

const TYPES: Readonly<Record<string, ColumnType>> = {
  integer: 'integer',
  big: 'integer',
  real: 'real',
  wild: 'real',
  text: 'text',
  timestamp: 'timestamp',
  date: 'date',
  time: 'time',
};

describe('queries over files of text are answered as DuckDB answers them', () => {
  for (let run = 0; run < Math.ceil(runs / QUERIES / 2); run++)
    it(`with seed ${seed + run}`, async () => {
      const random = new Random((seed + run) * 15_485_863);
      const root = join(folder, `text-${run}`);
      mkdirSync(root);
      const isCsv = random.chance(0.5);
      // Bytes have no form in either, infinities none in JSON, whose times are read to the microsecond.
      const table = randomTable(random, random.pick([1, 30, 900, 2500])).filter(
        ({ name, kind }) => kind !== 'blob' && (isCsv || (name !== 'ns' && kind !== 'wild')),
      );
      const base = join(folder, `text-${run}.parquet`);
      await randomWriter(new Random(2)).write(base, table, duck);
      const path = join(root, `x.${isCsv ? 'csv' : 'ndjson'}`);
      const values = table.map((column) => duckColumn(column)).join(', ');
      await duck.run(
        `COPY (SELECT ${values} FROM '${base}') TO '${path}' (${isCsv ? 'FORMAT csv, HEADER, FORCE_QUOTE (few, many)' : 'FORMAT json'})`,
      );
      const types = Object.fromEntries(
        table.flatMap(({ name, kind }) => {
          const type = TYPES[kind];
          return type === undefined || (isCsv && name === 'ns') ? [] : [[name, type]];
        }),
      );
      const duckTypes = table.map(({ name, kind, duck: type }) => {
        const plain =
          kind === 'text'
            ? 'VARCHAR'
            : kind === 'real' || kind === 'wild'
              ? 'DOUBLE'
              : kind === 'integer'
                ? 'BIGINT'
                : type;
        return `'${name}': '${plain === 'TIMESTAMPTZ' ? 'TIMESTAMP' : plain}'`;
      });
      const reader = isCsv
        ? `read_csv('${path}', header = true, allow_quoted_nulls = false, `
        : `read_json('${path}', format = 'newline_delimited', `;
      await compare(
        random,
        table,
        await open(root, `fsx://x.${isCsv ? 'csv' : 'ndjson'}`, { types }),
        `${reader} columns = {${duckTypes.join(', ')}})`,
        isCsv ? 'CSV' : 'JSON',
        true,
      );
    });
});
