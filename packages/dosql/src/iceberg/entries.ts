/** Data files as entries of manifests, and what a manifest list says about those. */
import { DoSQLError } from '../error.ts';
import { avroName, type AvroValue } from './avro.ts';
import type { ColumnStats, DataFile } from './data-file.ts';
import {
  STATUS,
  type FieldSummary,
  type FileEntry,
  type ManifestEntry,
  type ManifestFile,
} from './manifest.ts';
import type { IcebergType, PartitionSpec, Schema, SnapshotId } from './metadata.ts';
import { lowerBytes, resultType, upperBytes, valueBytes, type IcebergValue } from './values.ts';

/** A path from the table's folder on as a whole URI. */
export function absolute(location: string, path: string): string {
  return path.includes('://') ? path : `${location}/${path}`;
}

/**
 * A file as a manifest lists it.
 *
 * @throws DoSQLError `BAD_PARAMETER` for a column or a partition field that the table has not
 */
export function fileEntry(file: DataFile, location: string, schema: Schema, spec: PartitionSpec): FileEntry {
  const columns = (file.columns ?? []).map((stats) => ({ stats, field: fieldOf(schema, stats.name) }));
  const list = (of: (stats: ColumnStats, type: IcebergType) => AvroValue | undefined): AvroValue => {
    const pairs = columns.flatMap(({ stats, field: { id, type } }) => {
      const value = of(stats, type);
      return value === undefined ? [] : [{ key: id, value }];
    });
    return pairs.length === 0 ? null : pairs;
  };
  return {
    content: 0,
    file_path: absolute(location, file.path),
    file_format: 'PARQUET',
    partition: partitionOf(file, schema, spec),
    record_count: file.recordCount,
    file_size_in_bytes: file.sizeBytes,
    column_sizes: list(({ sizeBytes }) => sizeBytes),
    value_counts: list(({ valueCount }) => valueCount),
    null_value_counts: list(({ nullCount }) => nullCount),
    nan_value_counts: list(({ nanCount }) => nanCount),
    lower_bounds: list(({ lower }, type) => (lower === undefined ? undefined : lowerBytes(type, lower))),
    upper_bounds: list(({ upper }, type) => (upper === undefined ? undefined : upperBytes(type, upper))),
    key_metadata: null,
    split_offsets:
      file.splitOffsets === undefined || file.splitOffsets.length === 0 ? null : file.splitOffsets,
    equality_ids: null,
    sort_order_id: null,
  };
}

function fieldOf(schema: Schema, name: string): Schema['fields'][number] {
  const field = schema.fields.find((one) => one.name === name);
  if (field !== undefined) return field;
  throw new DoSQLError('BAD_PARAMETER', `the table has no column ${name}, which a file has: add it first`);
}

function partitionOf(file: DataFile, schema: Schema, spec: PartitionSpec): Record<string, AvroValue> {
  const given = file.partition ?? {};
  for (const name of Object.keys(given))
    if (!spec.fields.some((field) => field.name === name))
      throw new DoSQLError('BAD_PARAMETER', `${file.path}: the table is not partitioned by ${name}`);
  return Object.fromEntries(
    spec.fields.map(({ name, transform, 'source-id': id }) => {
      const source = schema.fields.find((field) => field.id === id);
      const value = Object.hasOwn(given, name) ? given[name] : null;
      const type = resultType(transform, source?.type ?? 'int');
      return [avroName(name), value === null || value === undefined ? null : avroValue(type, value)];
    }),
  );
}

function avroValue(type: IcebergType, value: IcebergValue): AvroValue {
  if (type === 'string' && value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (type === 'boolean') return value === true || value === 1;
  return value;
}

/** An entry for a file that the snapshot adds; its sequence number will be the manifest's. */
export function addedEntry(file: FileEntry, snapshot: SnapshotId): ManifestEntry {
  return {
    status: STATUS.ADDED,
    snapshot_id: snapshot,
    sequence_number: null,
    file_sequence_number: null,
    data_file: file,
  };
}

/** What the manifest list says about a manifest. */
export function describeManifest(
  entries: readonly ManifestEntry[],
  manifest: { readonly path: string; readonly length: number },
  snapshot: { readonly id: SnapshotId; readonly sequenceNumber: number },
  spec: PartitionSpec,
  schema: Schema,
): ManifestFile {
  const of = (status: number): readonly ManifestEntry[] => entries.filter((entry) => entry.status === status);
  const rows = (status: number): number =>
    of(status).reduce((sum, { data_file }) => sum + data_file.record_count, 0);
  const live = entries.filter(({ status }) => status !== STATUS.DELETED);
  return {
    manifest_path: manifest.path,
    manifest_length: manifest.length,
    partition_spec_id: spec['spec-id'],
    content: 0,
    sequence_number: snapshot.sequenceNumber,
    min_sequence_number: live.reduce(
      (least, { sequence_number }) => Math.min(least, sequence_number ?? snapshot.sequenceNumber),
      snapshot.sequenceNumber,
    ),
    added_snapshot_id: snapshot.id,
    added_files_count: of(STATUS.ADDED).length,
    existing_files_count: of(STATUS.EXISTING).length,
    deleted_files_count: of(STATUS.DELETED).length,
    added_rows_count: rows(STATUS.ADDED),
    existing_rows_count: rows(STATUS.EXISTING),
    deleted_rows_count: rows(STATUS.DELETED),
    partitions: spec.fields.map(({ name, transform, 'source-id': id }) => {
      const source = schema.fields.find((field) => field.id === id);
      const type = resultType(transform, source?.type ?? 'int');
      return summarise(
        entries.map(({ data_file }) => (data_file.partition[avroName(name)] ?? null) as IcebergValue | null),
        type,
      );
    }),
    key_metadata: null,
  };
}

function summarise(values: readonly (IcebergValue | null)[], type: IcebergType): FieldSummary {
  const isNaN = (value: IcebergValue | null): boolean => typeof value === 'number' && Number.isNaN(value);
  const bounded = values.filter((value) => value !== null && !isNaN(value)) as IcebergValue[];
  const sorted = bounded.toSorted((a, b) => compare(type, a, b));
  const [low, high] = [sorted[0], sorted.at(-1)];
  return {
    contains_null: values.includes(null),
    contains_nan: values.some(isNaN),
    lower_bound: low === undefined ? null : lowerBytes(type, low),
    upper_bound: high === undefined ? null : upperBytes(type, high),
  };
}

function compare(type: IcebergType, a: IcebergValue, b: IcebergValue): number {
  if (type !== 'string' && type !== 'binary') return a < b ? -1 : a > b ? 1 : 0;
  const [left, right] = [valueBytes(type, a), valueBytes(type, b)];
  const at = left.findIndex((byte, i) => byte !== right[i]);
  if (at < 0) return left.length - right.length;
  return (left[at] as number) - (right[at] ?? -1);
}
