import type { Engine } from '../engine.ts';
import { Budget } from '../scan/budget.ts';
import type { Relation } from '../schema/relation.ts';
import type { SqlValue } from '../value/row.ts';
import { keyText } from './clashes.ts';
import { ROW_COLUMN } from './cold-table.ts';
import { fileOf } from './hand-over.ts';
import type { FileLayout } from './iceberg-layout.ts';
import { isGone, type ColdFile, type FileColumn, type Manifest, type TieredTable } from './manifest.ts';
import { localPath, pathOf, type Places } from './places.ts';
import { compareValues } from './prune.ts';
import type { Pass } from '../outcome.ts';
import { valueAt } from './vectors.ts';
import { GRACE_MS, type OpenStored } from './writes.ts';

/** How files of a table are written; undefined where it is no Iceberg table. */
type Layouts = (relation: Relation) => FileLayout | undefined;

/** Files with fewer rows than this are worth putting together … */
const SMALL_ROWS = 25_000;
/** … up to so many rows in one. */
const MAX_ROWS = 100_000;

/**
 * Puts small files of one partition together, or writes one anew of which most rows have gone: rows that came late, or
 * went, leave such files. Returns whether there was any. Nobody sees a change.
 */
export async function compactNext(
  engine: Engine,
  manifest: Manifest,
  places: Places,
  open: OpenStored,
  tableId: number,
  pass: Pass,
  layoutOf: Layouts,
): Promise<boolean> {
  // As it is now: what is read of the files is good for this version of the manifest only.
  const tiered = manifest.tables.get(tableId);
  const group = worthwhile(tiered?.files ?? []);
  if (tiered === undefined || group.length === 0) return false;
  await rewriteFile(engine, manifest, places, open, tiered, group, pass, layoutOf);
  return true;
}

/**
 * Writes files of one partition anew as one, without the rows that have gone from them. `group` is from the manifest as
 * it is when this is called.
 */
export async function rewriteFile(
  engine: Engine,
  manifest: Manifest,
  places: Places,
  open: OpenStored,
  { tableId, policy }: Pick<TieredTable, 'tableId' | 'policy'>,
  group: readonly ColdFile[],
  pass: Pass,
  layoutOf: Layouts,
): Promise<void> {
  const relation = engine.catalog.present(tableId);
  const [first] = group;
  if (first === undefined || relation === undefined) return;
  const { version } = manifest;
  const rows: SqlValue[][] = [];
  for (const file of group) rows.push(...(await liveRows(file, open)));
  const order = [...policy.sortBy, policy.column].flatMap((name) => {
    const id = relation.columns.find((column) => column.name === name)?.id;
    const at = first.columns.findIndex((column) => column.id === id);
    return at < 0 ? [] : [at];
  });
  rows.sort((a, b) => {
    for (const at of order) {
      const by = compareValues(a[at] as SqlValue, b[at] as SqlValue);
      if (by !== 0) return by;
    }
    return 0;
  });
  const { partition } = first;
  const layout = layoutOf(relation);
  const added = layout === undefined ? [] : addedColumns(first.columns, relation);
  const columns = [...first.columns, ...added];
  for (const row of rows) for (const { id } of added) row.push(layout?.added.get(id) ?? null);
  const lsn = Math.max(...group.map((file) => file.lsn));
  const { bytes, file } = await fileOf({ relation, partition, lsn, columns, rows }, policy.sortBy, layout);
  const path = pathOf(relation, policy, file);
  await pass(() => {
    // Something has come between: the next step sees it.
    if (manifest.version !== version) return;
    engine.atomically(() => {
      const until = engine.nowMs() + GRACE_MS;
      const { etag } = places.local.writeSync(localPath(path), bytes, { ifAbsent: true });
      manifest.add({ ...file, path, place: 'local', etag });
      for (const old of group) manifest.drop(old, until);
    });
  });
}

/** The columns that a file has not, by names that are free in it: one that is gone may have had the name. */
function addedColumns(columns: readonly FileColumn[], relation: Relation): FileColumn[] {
  const taken = new Set(columns.map(({ name }) => name));
  return relation.columns.flatMap(({ id, name }) => {
    if (columns.some((column) => column.id === id)) return [];
    let free = name;
    while (taken.has(free)) free += '$';
    taken.add(free);
    return [{ id, name: free }];
  });
}

function worthwhile(files: readonly ColdFile[]): ColdFile[] {
  const live = ({ rows, goneCount }: ColdFile): number => rows - goneCount;
  const small = files.filter((file) => live(file) < SMALL_ROWS);
  for (const alike of Map.groupBy(small, kindOf).values()) {
    const group: ColdFile[] = [];
    let rows = 0;
    for (const file of alike.toSorted((a, b) => live(a) - live(b))) {
      if (rows + live(file) > MAX_ROWS) break;
      group.push(file);
      rows += live(file);
    }
    if (group.length > 1) return group;
  }
  const hollow = files.find((file) => file.goneCount * 2 > file.rows && live(file) <= MAX_ROWS);
  return hollow === undefined ? [] : [hollow];
}

/** What files have alike that can become one, as text: time, columns, and the values that they are cut by. */
function kindOf({ partition, columns }: ColdFile): string {
  return JSON.stringify([
    partition,
    ...columns.map(({ id, name, value }) => [id, name, value === undefined ? '' : keyText([value])]),
  ]);
}

/** The rows of a file that have not gone, as its columns are. */
async function liveRows(file: ColdFile, open: OpenStored): Promise<SqlValue[][]> {
  const budget = new Budget({ bytes: Infinity, decodedBytes: Infinity });
  const table = await open(file, budget);
  const names = file.columns.map(({ name }) => name);
  const types = names.map((name) => table.columns.find((column) => column.name === name)?.type);
  const rows: SqlValue[][] = [];
  for await (const batch of table.scan({ columns: [...names, ROW_COLUMN], conditions: [], budget })) {
    const vectors = names.map((name) => batch.column(name));
    const numbers = batch.column(ROW_COLUMN);
    for (let i = 0; i < batch.rowCount; i++)
      if (!isGone(file.gone, valueAt(numbers, i) as number))
        rows.push(vectors.map((vector, c) => valueAt(vector, i, types[c])));
  }
  return rows;
}
