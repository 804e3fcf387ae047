import type { FileStore } from '@dotdo/fsx';
import { DoSQLError } from '../error.ts';
import type { Relation } from '../schema/relation.ts';
import { ROW_COLUMN } from '../tier/cold-table.ts';
import { Manifest, type FileColumn } from '../tier/manifest.ts';
import { getFile } from './cold-file.ts';
import type { BackupManifest } from './manifest.ts';
import { openRows } from './rows-file.ts';
import type { TableFiller } from './restore-table.ts';
import type { TierFileRow } from './tiers.ts';

/**
 * Refers to a tiered table's cold files, after each has been checked. A row of one that has changed since the base is in
 * the table itself, or gone.
 */
export async function restoreTiers(
  sql: SqlStorage,
  cold: FileStore,
  { base, tierFiles }: BackupManifest,
  relation: Relation,
  filler: TableFiller,
  counts: { rows: number; files: number; bytes: number },
): Promise<void> {
  const tier = base.tiers.find(({ tableId }) => tableId === relation.tableId);
  if (tier === undefined) return;
  new Manifest(sql).open();
  sql.exec('INSERT INTO __dosql_tier(table_id, policy) VALUES(?, ?)', tier.tableId, tier.policy);
  for (const row of tier.files) {
    const [, path, , rows] = row;
    const info = tierFiles.find((file) => file.path === path);
    if (info === undefined)
      throw new DoSQLError('CORRUPT_FILE', `the backup does not say what "${path}" is to be`);
    const bytes = await getFile(cold, info);
    const columns = JSON.parse(row[7]) as FileColumn[];
    const gone = bitsOf(
      row,
      await filler.gone(await openRows(path, bytes), keyNames(relation, columns), ROW_COLUMN),
    );
    counts.files++;
    counts.bytes += bytes.length;
    if (gone.count < rows) insertFile(sql, row, gone);
  }
}

function keyNames({ key }: Relation, columns: readonly FileColumn[]): string[] {
  const ids = key.kind === 'rowid' ? [key.columnId ?? -1] : key.columnIds;
  return ids.map((id) => columns.find((column) => column.id === id)?.name as string);
}

function bitsOf(
  [, , , rows, , , , , , hex]: TierFileRow,
  more: readonly number[],
): { bits: Uint8Array; count: number } {
  const bits = new Uint8Array(Math.ceil(rows / 8));
  if (hex !== null && hex !== '')
    bits.set(Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)));
  for (const position of more) bits[position >> 3] = (bits[position >> 3] as number) | (1 << (position & 7));
  let count = 0;
  for (let byte of bits) for (; byte !== 0; byte &= byte - 1) count++;
  return { bits, count };
}

function insertFile(
  sql: SqlStorage,
  [tableId, path, partition, rows, sizeBytes, etag, lsn, columns, ranges]: TierFileRow,
  { bits, count }: { readonly bits: Uint8Array; readonly count: number },
): void {
  sql.exec(
    "INSERT INTO __dosql_tier_file(table_id, path, place, partition, rows, size, etag, lsn, columns, ranges, gone, gone_count) VALUES(?, ?, 'cold', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    tableId,
    path,
    partition,
    rows,
    sizeBytes,
    etag,
    lsn,
    columns,
    ranges,
    count === 0 ? null : bits,
    count,
  );
}
