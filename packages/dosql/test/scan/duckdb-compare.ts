import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { expect } from 'vitest';
import { scanQuery } from '../../src/scan/index.ts';
import { DoSQLError } from '../../src/error.ts';
import { parseInstant, parseTime } from '../../src/scan/time.ts';
import type { ScanTable } from '../../src/scan/table.ts';
import type { SqlValue } from '../../src/value/row.ts';
import { MACROS } from './duckdb-expressions.ts';
import type { OutputKind, Query } from './duckdb-queries.ts';

/** DuckDB with the ways of SQLite as far as it has settings for them. */
export async function openDuck(): Promise<DuckDBConnection> {
  const duck = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  await duck.run("SET TimeZone = 'UTC'");
  // A number divided by zero is NULL.
  await duck.run('SET ieee_floating_point_ops = false');
  for (const macro of MACROS) await duck.run(macro);
  return duck;
}

/** Fails where the two do not agree; tells whether there was anything to agree on. */
export async function expectSame(
  query: Query,
  table: ScanTable,
  duck: DuckDBConnection,
  label: string,
): Promise<boolean> {
  const params = query.params.map((value) => (typeof value === 'bigint' ? `${value}n` : value));
  const where = `${label}: ${query.scan} ${JSON.stringify(params)}\nDuckDB: ${query.duck}`;
  const outcome = await answers(query, table, duck).catch((error: unknown) => {
    throw new Error(where, { cause: error });
  });
  if (outcome !== undefined) expect(outcome.scan, where).toEqual(outcome.duck);
  return outcome !== undefined;
}

/** What a query came to: rows as text, or that one of the sides has no answer by its own rules. */
interface Outcome {
  readonly scan: readonly string[];
  readonly duck: readonly string[];
}

/**
 * The rows of a query as both give them; undefined where DuckDB refuses it, as it does where integers overflow, which
 * SQLite makes reals of, and where there are more estimates than are made.
 */
async function answers(query: Query, table: ScanTable, duck: DuckDBConnection): Promise<Outcome | undefined> {
  const outputs = query.kinds.map((kind, i) => duckOutput(kind, `o${i}`)).join(', ');
  const sql = query.duck.replace(/^SELECT .*? FROM \(/, `SELECT ${outputs} FROM (`);
  let expected: string[][];
  try {
    const rows = (await duck.runAndReadAll(sql)).getRows() as DuckValue[][];
    expected = rows.map((row) => row.map((value, i) => shownDuck(query.kinds[i] as OutputKind, value)));
  } catch (error) {
    if (/Out of Range|Overflow|Conversion Error: Type DOUBLE/i.test(String(error))) return undefined;
    throw error;
  }
  let rows: SqlValue[][];
  try {
    ({ rows } = await scanQuery(query.scan, table, { params: query.params, bigints: true }));
  } catch (error) {
    if (error instanceof DoSQLError && error.message.startsWith('TOO_BIG: approx_count_distinct'))
      return undefined;
    // A sum beyond 64 bits is one on both sides.
    if (error instanceof DoSQLError && /overflow/i.test(error.message) && expected.flat().some(isBeyond))
      return undefined;
    throw error;
  }
  const got = rows.map((row) => row.map((value, i) => shownScan(query.kinds[i] as OutputKind, value)));
  sameEstimates(query.kinds, got, expected);
  const lines = (rows: readonly string[][]): string[] => rows.map((row) => row.join(' | '));
  if (query.isOrdered) return { scan: lines(got), duck: lines(expected) };
  return { scan: lines(got).toSorted(), duck: lines(expected).toSorted() };
}

/** Integers beyond 64 bits come from DuckDB's sums alone. */
function isBeyond(text: string): boolean {
  return /^i-?\d+$/.test(text) && BigInt.asIntN(64, BigInt(text.slice(1))) !== BigInt(text.slice(1));
}

/** What {@link duckOutput} makes of every value. */
type DuckValue = string | number | bigint | null;

function duckOutput(kind: OutputKind, name: string): string {
  switch (kind) {
    case 'integer':
    case 'big':
      return `CAST(${name} AS VARCHAR)`;
    case 'estimate':
      return `CAST(${name} AS BIGINT)`;
    case 'real':
    case 'wild':
      return `CAST(${name} AS DOUBLE)`;
    case 'timestamp':
      return `CAST(epoch_ns(CAST(${name} AS TIMESTAMP_NS)) AS VARCHAR)`;
    case 'date':
      return `CAST(epoch_ns(CAST(${name} AS TIMESTAMP_NS)) AS VARCHAR)`;
    case 'time':
      return `CAST(epoch_ns(${name}) AS VARCHAR)`;
    case 'blob':
      return `lower(hex(${name}))`;
    default:
      return name;
  }
}

function shownDuck(kind: OutputKind, value: DuckValue): string {
  if (value === null) return 'null';
  switch (kind) {
    case 'real':
    case 'wild':
      return shownReal(value as number);
    case 'integer':
    case 'big':
    case 'estimate':
      return `i${String(value)}`;
    case 'blob':
      return `b${String(value)}`;
    case 'timestamp':
    case 'date':
    case 'time':
      return `at ${String(value)}`;
    default:
      return `t${String(value)}`;
  }
}

function shownScan(kind: OutputKind, value: SqlValue): string {
  if (value === null) return 'null';
  if (value instanceof Uint8Array) return `b${Buffer.from(value).toString('hex')}`;
  if (typeof value === 'bigint') return `i${value}`;
  if (typeof value === 'number') return shownReal(value);
  if (kind === 'timestamp' || kind === 'date') {
    const instant = parseInstant(value);
    return instant === undefined
      ? `no time: ${value}`
      : `at ${BigInt(instant.ms) * 1_000_000n + BigInt(instant.ns)}`;
  }
  return kind === 'time' ? `at ${parseTime(value) ?? `no time: ${value}`}` : `t${value}`;
}

/** Reals whose last digits differ are the same: DuckDB adds them up in another way. */
function shownReal(value: number): string {
  if (Number.isNaN(value)) return 'null';
  return Math.abs(value) < 1e-9 ? 'r0' : `r${value.toPrecision(9)}`;
}

/** Puts the exact number in place of each estimate that is near enough, provided that the rows belong together. */
function sameEstimates(kinds: readonly OutputKind[], got: string[][], expected: readonly string[][]): void {
  const at = kinds.flatMap((kind, i) => (kind === 'estimate' ? [i] : []));
  if (at.length === 0) return;
  for (const i of at) {
    const key = (row: readonly string[]): string => row.filter((_, j) => !at.includes(j)).join(' | ');
    const exact = new Map<string, bigint[]>();
    for (const row of expected) {
      const list = exact.get(key(row)) ?? [];
      list.push(BigInt((row[i] as string).slice(1)));
      exact.set(key(row), list);
    }
    for (const row of got) {
      const near = exact
        .get(key(row))
        ?.find(
          (value) =>
            Math.abs(Number((row[i] as string).slice(1)) - Number(value)) <= 2 + Number(value) * 0.15,
        );
      if (near !== undefined) row[i] = `i${near}`;
    }
  }
}
