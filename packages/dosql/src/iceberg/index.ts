export { IcebergTable, type IcebergTableOptions } from './table.ts';
export { FileCatalog, type Catalog, type CatalogChange, type CatalogTable } from './catalog.ts';
export { RestCatalog, type RestCatalogOptions } from './rest-catalog.ts';
export type { WantedTable } from './assign.ts';
export { dataFile, icebergType, type ColumnStats, type DataFile } from './data-file.ts';
export {
  appendFiles,
  createTable,
  overwriteFiles,
  withFieldIds,
  type Effects,
  type ManifestContent,
  type NewPartition,
  type NewTable,
  type TableChange,
  type TableObject,
  type TableState,
} from './change.ts';
export {
  expireSnapshots,
  unreachable,
  type ExpireOptions,
  type Expiry,
  type SnapshotContent,
} from './expire.ts';
export { transformed, type IcebergValue } from './values.ts';
export type { FileEntry } from './manifest.ts';
export type { WriteColumn } from '../scan/parquet/write-schema.ts';
export type {
  PartitionField,
  PartitionSpec,
  Schema,
  Snapshot,
  SnapshotId,
  TableMetadata,
} from './metadata.ts';
