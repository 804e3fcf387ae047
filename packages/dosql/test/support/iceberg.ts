import { zstdDecompressSync } from 'node:zlib';
import type { FileStore } from '@dotdo/fsx';
import { parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { IcebergTable } from '../../src/iceberg/index.ts';
import { currentSchema, type SchemaField } from '../../src/iceberg/metadata.ts';

/** What others call the cold store of a test. */
export const LAKE = 's3://lake/cold';

/** A row as others see it. */
export type LakeRow = Record<string, unknown>;

/** The rows that the manifests of an Iceberg table lead to: its columns by their ids, whatever files call them. */
export async function lakeRows(store: FileStore, folder: string): Promise<LakeRow[]> {
  const table = new IcebergTable({ store, folder });
  const { fields } = currentSchema(await table.metadata());
  const rows: LakeRow[] = [];
  for (const file of await table.files()) {
    const bytes = await store.read(file.file_path.slice(LAKE.length + 1));
    if (bytes?.length !== file.file_size_in_bytes)
      throw new Error(`${file.file_path} is not as it is listed`);
    const read = await fileRows(bytes, fields);
    if (read.length !== file.record_count) throw new Error(`${file.file_path} has ${read.length} rows`);
    rows.push(...read);
  }
  return rows;
}

async function fileRows(bytes: Uint8Array, fields: readonly SchemaField[]): Promise<LakeRow[]> {
  const file = bytes.slice().buffer;
  const metadata = await parquetMetadataAsync(file);
  const names = new Map(metadata.schema.map((column) => [column.field_id, column.name]));
  const compressors = { ZSTD: (input: Uint8Array) => new Uint8Array(zstdDecompressSync(input)) };
  const rows = await parquetReadObjects({ file, metadata, compressors });
  return rows.map((row) =>
    Object.fromEntries(fields.map(({ id, name }) => [name, row[names.get(id) ?? ''] ?? null])),
  );
}

/** The paths of a store that begin so. */
export async function pathsIn(store: FileStore, prefix: string): Promise<string[]> {
  const paths: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list(prefix, cursor === undefined ? {} : { cursor });
    paths.push(...page.files.map(({ path }) => path));
    ({ cursor } = page);
  } while (cursor !== undefined);
  return paths;
}
