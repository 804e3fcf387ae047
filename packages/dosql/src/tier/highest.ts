import { largestRowid } from '../branch/overlay.ts';
import type { Engine } from '../engine.ts';
import type { Budget } from '../scan/budget.ts';
import { physicalName } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { first } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import { keysOf } from './clashes.ts';
import { ROW_COLUMN, ROWID_COLUMN } from './cold-table.ts';
import type { ColdFile } from './manifest.ts';
import type { Reads } from './reads.ts';
import { valueAt } from './vectors.ts';

/** A cold row, by its rowid and where it is. */
export interface ColdPlace {
  readonly rowid: number | bigint;
  readonly file: number;
  readonly row: number;
}

/**
 * The highest rowid that SQLite sees of a table, after which it gives the next one: main's, or those that a branch sees
 * and its own. Undefined where it does not go by that.
 */
export function highestHot(engine: Engine, relation: Relation, branch?: number): number | undefined {
  const { key, table, name } = relation;
  if (key.kind !== 'rowid' || keysOf(engine, relation).isAutoincrement) return undefined;
  const { sql } = engine.storage;
  const read = (text: string): number => Number(first<[number | string | null]>(sql, text)?.[0] ?? -Infinity);
  const rowid = quoteName(key.name);
  if (branch === undefined) return read(`SELECT max(${rowid}) FROM main.${quoteName(table)}`);
  return Math.max(
    read(largestRowid(branch, relation) as string),
    read(`SELECT max(${rowid}) FROM main.${quoteName(physicalName(branch, name))}`),
  );
}

/** The highest rowid that some files may have: what they say may be of a row that has gone from them. */
export function highestIn(files: readonly ColdFile[], relation: Relation): number | bigint | undefined {
  const { key } = relation;
  if (key.kind !== 'rowid') return undefined;
  let highest: number | bigint | undefined;
  for (const { ranges } of files) {
    const max = ranges.get(key.columnId ?? -1)?.max as number | bigint | undefined;
    if (max !== undefined && (highest === undefined || max > highest)) highest = max;
  }
  return highest;
}

/** The cold row with the highest rowid, and where it is. */
export async function highestPlace(
  reads: Reads,
  relation: Relation,
  files: readonly ColdFile[],
  budget: Budget,
): Promise<ColdPlace | undefined> {
  const { key, columns } = relation;
  if (key.kind !== 'rowid') return undefined;
  const name = columns.find((column) => column.id === key.columnId)?.name ?? ROWID_COLUMN;
  const atMost = (file: ColdFile): number => Number(highestIn([file], relation));
  let highest: ColdPlace | undefined;
  for (const file of files.toSorted((a, b) => atMost(b) - atMost(a))) {
    if (highest !== undefined && highest.rowid >= atMost(file)) break;
    const table = reads.coldTable(relation, [file]);
    for await (const batch of table.scan({ columns: [name, ROW_COLUMN], conditions: [], budget })) {
      const [rowids, rows] = [batch.column(name), batch.column(ROW_COLUMN)];
      for (let i = 0; i < batch.rowCount; i++) {
        const rowid = valueAt(rowids, i) as number | bigint;
        if (highest === undefined || rowid > highest.rowid)
          highest = { rowid, file: file.id, row: valueAt(rows, i) as number };
      }
    }
  }
  return highest;
}
