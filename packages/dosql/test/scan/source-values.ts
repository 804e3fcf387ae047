import type { DuckDBConnection } from '@duckdb/node-api';
import { dateText, timestampText, timeText } from '../../src/scan/time.ts';
import type { Batch, ScanTable } from '../../src/scan/table.ts';
import { Budget } from '../../src/scan/budget.ts';
import { normalise, toScalars } from '../../src/scan/values.ts';
import type { ScanColumn } from '../../src/scan/vector.ts';

/** A value as text that tells its class. */
export type Shown = string | null;

const shownNumber = (value: number): string => (Number.isNaN(value) ? 'null' : `${value}`);

function shownColumn(batch: Batch, column: ScanColumn): Shown[] {
  const values = toScalars(normalise(column, batch.column(column.name)));
  return values.map((value) => {
    if (value === null) return null;
    if (typeof value === 'number') return shownNumber(value);
    return value instanceof Uint8Array ? `x${Buffer.from(value).toString('hex')}` : String(value);
  });
}

/** All rows of a table, with some columns fetched late. */
export async function rowsOf(
  table: ScanTable,
  late: (name: string) => boolean = () => false,
): Promise<Shown[][]> {
  const budget = new Budget();
  const names = table.columns.map(({ name }) => name);
  const rows: Shown[][] = [];
  for await (const batch of table.scan({
    columns: names.filter((name) => !late(name)),
    conditions: [],
    budget,
  })) {
    await batch.fetch(names.filter(late));
    const columns = table.columns.map((column) => shownColumn(batch, column));
    for (let i = 0; i < batch.rowCount; i++) rows.push(columns.map((values) => values[i] ?? null));
  }
  return rows;
}

/** What DuckDB reads, in the same words, by the types that the table has. */
export async function duckRows(
  duck: DuckDBConnection,
  from: string,
  columns: readonly ScanColumn[],
): Promise<Shown[][]> {
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  const expressions = columns.map(({ name, type }) => {
    const column = quoted(name);
    if (type === 'integer') return `CAST(CAST(${column} AS BIGINT) AS VARCHAR)`;
    if (type === 'real') return `CAST(${column} AS DOUBLE)`;
    if (type === 'timestamp') return `epoch_ns(CAST(${column} AS TIMESTAMP_NS))`;
    if (type === 'date') return `CAST(${column} - DATE '1970-01-01' AS BIGINT)`;
    if (type === 'time') return `epoch_ns(${column})`;
    return `CAST(${column} AS VARCHAR)`;
  });
  const reader = await duck.runAndReadAll(`SELECT ${expressions.join(', ')} FROM ${from}`);
  return reader.getRows().map((row) =>
    row.map((value, i) => {
      const { type, isUtc = true } = columns[i] as ScanColumn;
      if (value === null) return null;
      if (type === 'real') return Number.isNaN(value) ? null : shownNumber(value as number);
      if (type === 'timestamp') return timestampText(value as bigint, 'ns', isUtc);
      if (type === 'date') return dateText(Number(value));
      if (type === 'time') return timeText(value as bigint, 'ns');
      return String(value);
    }),
  );
}
