import { lowerName } from '../sql/token.ts';
import type { Batch, Condition, ScanRequest, ScanTable } from './table.ts';
import { constantValues, normalise, toScalars } from './values.ts';
import type { ScanColumn, Vector } from './vector.ts';

/**
 * The rows of several tables, one after the other, as one table: columns are matched by name, and are NULL where a table
 * lacks them. A column that is of different types is of type `any`, with the values that each has.
 */
export function unionTable(tables: readonly ScanTable[]): ScanTable {
  const [only] = tables;
  if (only !== undefined && tables.length === 1) return only;
  const columns = unionColumns(tables);
  return {
    columns,
    async *scan(request: ScanRequest) {
      for (const table of tables) yield* scanOne(table, columns, request);
    },
  };
}

function unionColumns(tables: readonly ScanTable[]): ScanColumn[] {
  const byName = new Map<string, ScanColumn>();
  for (const { columns } of tables)
    for (const column of columns) {
      const name = lowerName(column.name);
      const known = byName.get(name);
      if (known === undefined) byName.set(name, column);
      else if (!isSame(known, column)) byName.set(name, { name: known.name, type: 'any' });
    }
  return [...byName.values()];
}

function isSame(a: ScanColumn, b: ScanColumn): boolean {
  if (a.type !== b.type) return false;
  if (a.type !== 'timestamp' && a.type !== 'time') return true;
  return (a.unit ?? 'ms') === (b.unit ?? 'ms') && (a.isUtc ?? true) === (b.isUtc ?? true);
}

async function* scanOne(
  table: ScanTable,
  union: readonly ScanColumn[],
  request: ScanRequest,
): AsyncGenerator<Batch> {
  const own = new Map(table.columns.map((column) => [lowerName(column.name), column]));
  const types = new Map(union.map((column) => [lowerName(column.name), column]));
  const named = (names: readonly string[]): string[] =>
    names.flatMap((name) => own.get(lowerName(name))?.name ?? []);
  const isShared = (name: string): boolean => {
    const [a, b] = [own.get(lowerName(name)), types.get(lowerName(name))];
    return a !== undefined && b !== undefined && isSame(a, b);
  };
  const conditions: Condition[] = request.conditions
    .filter(({ column }) => isShared(column))
    .map((condition) => ({ ...condition, column: own.get(lowerName(condition.column))?.name ?? '' }));
  const wanted = { ...request, columns: named(request.columns), late: named(request.late ?? []), conditions };
  for await (const batch of table.scan(wanted))
    yield {
      rowCount: batch.rowCount,
      column(name): Vector {
        const column = own.get(lowerName(name));
        if (column === undefined) return constantValues(null, batch.rowCount).vector;
        const vector = batch.column(column.name);
        if (isShared(name) || column.type === 'any') return vector;
        const values = toScalars(normalise(column, vector));
        return { kind: 'mixed', length: values.length, nulls: undefined, values };
      },
      fetch: (names, rows) => batch.fetch(named(names), rows),
    };
}
