/**
 * Manifests, which list data files, and manifest lists, which list manifests
 * (https://iceberg.apache.org/spec/#manifests), as Avro files.
 */
import {
  avroName,
  readAvro,
  writeAvro,
  type AvroComplex,
  type AvroField,
  type AvroSchema,
  type AvroValue,
} from './avro.ts';
import { DoSQLError } from '../error.ts';
import type { PartitionSpec, Schema, SnapshotId } from './metadata.ts';
import { avroType, resultType } from './values.ts';

/** What became of a file in the snapshot that a manifest was written for. */
export const STATUS = { EXISTING: 0, ADDED: 1, DELETED: 2 } as const;

/** A file as a manifest lists it, in Iceberg's own names. */
export interface FileEntry {
  readonly content: number;
  readonly file_path: string;
  readonly file_format: string;
  /** By the name of the partition field, as Avro has it. */
  readonly partition: Readonly<Record<string, AvroValue>>;
  readonly record_count: number;
  readonly file_size_in_bytes: number;
  readonly [field: string]: AvroValue;
}

/** An entry of a manifest. */
export interface ManifestEntry {
  readonly status: number;
  readonly snapshot_id: SnapshotId | null;
  /** Null where it is the manifest's own. */
  readonly sequence_number: number | null;
  readonly file_sequence_number: number | null;
  readonly data_file: FileEntry;
}

/** What all files of a manifest have in one partition field. */
export interface FieldSummary {
  readonly contains_null: boolean;
  readonly contains_nan: boolean | null;
  readonly lower_bound: Uint8Array | null;
  readonly upper_bound: Uint8Array | null;
}

/** A manifest as a manifest list names it. */
export interface ManifestFile {
  readonly manifest_path: string;
  readonly manifest_length: number;
  readonly partition_spec_id: number;
  readonly content: number;
  readonly sequence_number: number;
  readonly min_sequence_number: number;
  readonly added_snapshot_id: SnapshotId;
  readonly added_files_count: number;
  readonly existing_files_count: number;
  readonly deleted_files_count: number;
  readonly added_rows_count: number;
  readonly existing_rows_count: number;
  readonly deleted_rows_count: number;
  readonly partitions: readonly FieldSummary[] | null;
  readonly key_metadata: Uint8Array | null;
}

function field(id: number, name: string, type: AvroSchema): AvroField {
  return { name, type, 'field-id': id };
}

function optional(id: number, name: string, type: AvroSchema): AvroField {
  return { name, type: ['null', type], default: null, 'field-id': id };
}

/** Avro has maps by text only: a map by number is a list of pairs. */
function pairs(key: number, value: number, type: AvroSchema): AvroComplex {
  const fields = [field(key, 'key', 'int'), field(value, 'value', type)];
  return { type: 'array', logicalType: 'map', items: { type: 'record', name: `k${key}_v${value}`, fields } };
}

function list(id: number, items: AvroSchema): AvroComplex {
  return { type: 'array', 'element-id': id, items };
}

function entrySchema(spec: PartitionSpec, schema: Schema): AvroSchema {
  const partition = spec.fields.map((part) => {
    const source = schema.fields.find(({ id }) => id === part['source-id']);
    if (source === undefined) throw new Error(`partition field ${part.name} is of no column`);
    return optional(part['field-id'], avroName(part.name), avroType(resultType(part.transform, source.type)));
  });
  const file: AvroField[] = [
    field(134, 'content', 'int'),
    field(100, 'file_path', 'string'),
    field(101, 'file_format', 'string'),
    field(102, 'partition', { type: 'record', name: 'r102', fields: partition }),
    field(103, 'record_count', 'long'),
    field(104, 'file_size_in_bytes', 'long'),
    optional(108, 'column_sizes', pairs(117, 118, 'long')),
    optional(109, 'value_counts', pairs(119, 120, 'long')),
    optional(110, 'null_value_counts', pairs(121, 122, 'long')),
    optional(137, 'nan_value_counts', pairs(138, 139, 'long')),
    optional(125, 'lower_bounds', pairs(126, 127, 'bytes')),
    optional(128, 'upper_bounds', pairs(129, 130, 'bytes')),
    optional(131, 'key_metadata', 'bytes'),
    optional(132, 'split_offsets', list(133, 'long')),
    optional(135, 'equality_ids', list(136, 'int')),
    optional(140, 'sort_order_id', 'int'),
  ];
  return {
    type: 'record',
    name: 'manifest_entry',
    fields: [
      field(0, 'status', 'int'),
      optional(1, 'snapshot_id', 'long'),
      optional(3, 'sequence_number', 'long'),
      optional(4, 'file_sequence_number', 'long'),
      field(2, 'data_file', { type: 'record', name: 'r2', fields: file }),
    ],
  };
}

const SUMMARY: AvroComplex = {
  type: 'record',
  name: 'r508',
  fields: [
    field(509, 'contains_null', 'boolean'),
    optional(518, 'contains_nan', 'boolean'),
    optional(510, 'lower_bound', 'bytes'),
    optional(511, 'upper_bound', 'bytes'),
  ],
};

const LIST_SCHEMA: AvroSchema = {
  type: 'record',
  name: 'manifest_file',
  fields: [
    field(500, 'manifest_path', 'string'),
    field(501, 'manifest_length', 'long'),
    field(502, 'partition_spec_id', 'int'),
    field(517, 'content', 'int'),
    field(515, 'sequence_number', 'long'),
    field(516, 'min_sequence_number', 'long'),
    field(503, 'added_snapshot_id', 'long'),
    field(504, 'added_files_count', 'int'),
    field(505, 'existing_files_count', 'int'),
    field(506, 'deleted_files_count', 'int'),
    field(512, 'added_rows_count', 'long'),
    field(513, 'existing_rows_count', 'long'),
    field(514, 'deleted_rows_count', 'long'),
    optional(507, 'partitions', list(508, SUMMARY)),
    optional(519, 'key_metadata', 'bytes'),
  ],
};

/** A manifest of data files. */
export function writeManifest(
  entries: readonly ManifestEntry[],
  spec: PartitionSpec,
  schema: Schema,
  sync: Uint8Array,
): Uint8Array {
  const metadata = {
    schema: JSON.stringify(schema),
    'schema-id': `${schema['schema-id']}`,
    'partition-spec': JSON.stringify(spec.fields),
    'partition-spec-id': `${spec['spec-id']}`,
    'format-version': '2',
    content: 'data',
  };
  return writeAvro(entrySchema(spec, schema), metadata, entries as unknown as AvroValue[], sync);
}

/**
 * The entries of a manifest, sequence numbers filled in where they are the manifest's own.
 *
 * @throws DoSQLError `CORRUPT_FILE`
 */
export function readManifest(bytes: Uint8Array, file: ManifestFile): ManifestEntry[] {
  if (bytes.length !== file.manifest_length)
    throw new DoSQLError(
      'CORRUPT_FILE',
      `${file.manifest_path} has ${bytes.length} bytes, its manifest list says ${file.manifest_length}`,
    );
  const { records } = readAvro(bytes, file.manifest_path);
  return (records as unknown as ManifestEntry[]).map((entry) => ({
    ...entry,
    snapshot_id: entry.snapshot_id ?? file.added_snapshot_id,
    sequence_number: entry.sequence_number ?? file.sequence_number,
    file_sequence_number: entry.file_sequence_number ?? file.sequence_number,
  }));
}

/** A manifest list. */
export function writeManifestList(
  manifests: readonly ManifestFile[],
  snapshot: {
    readonly id: SnapshotId;
    readonly parent: SnapshotId | undefined;
    readonly sequenceNumber: number;
  },
  sync: Uint8Array,
): Uint8Array {
  const metadata = {
    'snapshot-id': `${snapshot.id}`,
    'parent-snapshot-id': `${snapshot.parent ?? 'null'}`,
    'sequence-number': `${snapshot.sequenceNumber}`,
    'format-version': '2',
  };
  return writeAvro(LIST_SCHEMA, metadata, manifests as unknown as AvroValue[], sync);
}

/** The manifests of a manifest list, also of one by a writer that has the counts under their former names. */
export function readManifestList(bytes: Uint8Array, path: string): ManifestFile[] {
  return readAvro(bytes, path).records.map((record) => ({
    ...(record as unknown as ManifestFile),
    added_files_count: count(record, 'added'),
    existing_files_count: count(record, 'existing'),
    deleted_files_count: count(record, 'deleted'),
    partitions: (record.partitions ?? null) as ManifestFile['partitions'],
    key_metadata: (record.key_metadata ?? null) as Uint8Array | null,
  }));
}

function count(record: Readonly<Record<string, AvroValue>>, kind: string): number {
  return Number(record[`${kind}_files_count`] ?? record[`${kind}_data_files_count`] ?? 0);
}
