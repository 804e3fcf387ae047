import { DoSQLError } from '../error.ts';
import { HandOffBuilder, type HandedColumn } from '../scan/handoff.ts';
import type { Batch } from '../scan/table.ts';
import { quoteName } from '../sql/token.ts';
import { valueAt } from '../tier/vectors.ts';
import type { Binding } from '../value/parameter.ts';
import type { SqlValue } from '../value/row.ts';
import type { OpenRows } from './rows-file.ts';
import { unmarked } from './whole-real.ts';

/** What to do with rows of a file: `use` gets a query for some of them, without parentheses, and what it binds. */
export type UseRows = (query: string, bindings: readonly Binding[]) => void;

const ROWS_AT_ONCE = 10_000;
const LIMIT_BYTES = 2 ** 27;

/** Hands the rows of a file to SQLite, every value as it was, some thousands at a time; gives how many they were. */
export async function handRows(file: OpenRows, names: readonly string[], use: UseRows): Promise<number> {
  const columns = names.map((name): HandedColumn => {
    const type = file.columns.find((column) => column.name === name)?.type ?? 'any';
    // Without an affinity: what it is put into has one.
    return { name, type, affinity: 'blob' };
  });
  let count = 0;
  for await (const batch of file.batches(names)) {
    for (let from = 0; from < batch.rowCount; from += ROWS_AT_ONCE)
      handSome(batch, columns, from, Math.min(batch.rowCount, from + ROWS_AT_ONCE), use);
    count += batch.rowCount;
  }
  return count;
}

function handSome(
  batch: Batch,
  columns: readonly HandedColumn[],
  from: number,
  to: number,
  use: UseRows,
): void {
  const builder = new HandOffBuilder(columns, { limitBytes: LIMIT_BYTES });
  try {
    builder.addBatch(
      batch,
      Uint32Array.from({ length: to - from }, (_, i) => from + i),
    );
  } catch (error) {
    if (!(error instanceof DoSQLError) || error.code !== 'TOO_BIG') throw error;
    for (let row = from; row < to; row++) handOne(batch, columns, row, use);
    return;
  }
  const { sql, bindings } = builder.finish();
  use(sql, bindings);
}

/** A row that is too large to travel with others. */
function handOne(batch: Batch, columns: readonly HandedColumn[], row: number, use: UseRows): void {
  const bindings: Binding[] = [];
  const values = columns.map(({ name, type }) => {
    const value: SqlValue = valueAt(batch.column(name), row, type);
    const isInteger = typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value));
    bindings.push(isInteger && !Object.is(value, -0) ? String(value) : (value as Binding));
    return `${isInteger && !Object.is(value, -0) ? 'CAST(? AS INTEGER)' : '?'} AS ${quoteName(name)}`;
  });
  use(`SELECT ${values.join(', ')}`, bindings);
}

/** SQL for a column's value of a row called `r` of such a query. */
export function valueOf(file: OpenRows, name: string): string {
  const value = `r.${quoteName(name)}`;
  return file.marked.has(name) ? unmarked(value) : value;
}
