import type { Engine } from '../engine.ts';
import type { ColdChunk, Pass } from '../outcome.ts';
import { Budget } from '../scan/budget.ts';
import { HandOffBuilder } from '../scan/handoff.ts';
import { columnOf, type Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import type { SqlValue } from '../value/row.ts';
import { ROWID_COLUMN, scanColumn } from './cold-table.ts';
import type { ColdFile, Manifest } from './manifest.ts';
import { compareValues } from './prune.ts';
import type { Reads } from './reads.ts';
import { valueAt } from './vectors.ts';

/**
 * The first `limit` cold rows of a table behind the key `after`, for which `condition`, SQL over a row, holds. Files
 * are read in the order of the least key that they have, until no other can have a lower one.
 */
export async function coldChunk(
  engine: Engine,
  manifest: Manifest,
  reads: Reads,
  relation: Relation,
  { after, limit }: { readonly after: readonly SqlValue[]; readonly limit: number },
  condition: string | undefined,
  pass: Pass,
): Promise<ColdChunk> {
  const { version } = manifest;
  const { key, columns } = relation;
  const keyIds = key.kind === 'rowid' ? [key.columnId ?? -1] : key.columnIds;
  const [first] = keyIds as [number];
  const keyNames = keyIds.map((id) => (id === -1 ? ROWID_COLUMN : columnOf(relation, id).name));
  const names = [...keyNames, ...columns.map(({ name }) => name)];
  const least = (file: ColdFile): SqlValue => file.ranges.get(first)?.min ?? null;
  const files = (manifest.tables.get(relation.tableId)?.files ?? []).toSorted((a, b) =>
    compareValues(least(a), least(b)),
  );
  const budget = new Budget({ bytes: Infinity, decodedBytes: Infinity });
  const isBehind = (row: readonly SqlValue[]): boolean => after.length === 0 || compareKeys(row, after) > 0;
  const conditions =
    after.length === 0 || first === -1
      ? []
      : [{ column: keyNames[0] as string, operator: '>=' as const, values: [after[0] as SqlValue] }];
  let kept: SqlValue[][] = [];
  for (const file of files) {
    const last = kept.length === limit ? kept.at(-1) : undefined;
    if (last !== undefined && compareValues(least(file), last[0] as SqlValue) > 0) break;
    const found: SqlValue[][] = [];
    const table = reads.coldTable(relation, [file]);
    const types = names.map((name) => table.columns.find((column) => column.name === name)?.type);
    for await (const batch of table.scan({ columns: [...new Set(names)], conditions, budget })) {
      const vectors = names.map((name) => batch.column(name));
      for (let i = 0; i < batch.rowCount; i++) {
        const row = vectors.map((vector, c) => valueAt(vector, i, types[c]));
        if (isBehind(row)) found.push(row);
      }
    }
    found.sort(compareKeys);
    const wanted =
      condition === undefined
        ? found
        : await pass(() => matching(engine, relation, found, keyIds.length, condition));
    kept = [...kept, ...wanted].sort(compareKeys).slice(0, limit);
  }
  return {
    merge: (hot) => [...hot, ...kept].sort(compareKeys).slice(0, limit),
    isCurrent: () => manifest.version === version,
  };

  function compareKeys(a: readonly SqlValue[], b: readonly SqlValue[]): number {
    for (let i = 0; i < keyIds.length; i++) {
      const by = compareValues(a[i] as SqlValue, b[i] as SqlValue);
      if (by !== 0) return by;
    }
    return 0;
  }
}

/** The rows for which the condition holds, which SQLite tells. */
function matching(
  engine: Engine,
  relation: Relation,
  rows: readonly SqlValue[][],
  keyCount: number,
  condition: string,
): SqlValue[][] {
  const columns = relation.columns.map((column) => ({
    ...scanColumn(column),
    affinity: column.affinity,
    collation: column.collation,
  }));
  const handed = new HandOffBuilder([...columns, { name: '$at', type: 'integer' }]);
  handed.addRows(rows.map((row, i) => [...row.slice(keyCount), i]));
  const { sql, bindings } = handed.finish();
  const name = quoteName(relation.name);
  return all<[number]>(
    engine.storage.sql,
    `SELECT ${name}."$at" FROM (${sql}) AS ${name} WHERE ${condition}`,
    ...bindings,
  ).map(([at]) => rows[at] as SqlValue[]);
}
