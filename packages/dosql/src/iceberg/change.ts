/**
 * Changes of an Iceberg table as pure functions: from its state to the objects that are to be put and the state after.
 */
import { DoSQLError } from '../error.ts';
import type { WriteColumn } from '../scan/parquet/write-schema.ts';
import { icebergType, type DataFile } from './data-file.ts';
import { absolute, addedEntry, describeManifest, fileEntry } from './entries.ts';
import {
  STATUS,
  writeManifest,
  writeManifestList,
  type FileEntry,
  type ManifestEntry,
  type ManifestFile,
} from './manifest.ts';
import {
  currentSchema,
  currentSnapshot,
  currentSpec,
  printJson,
  type PartitionField,
  type PartitionSpec,
  type Schema,
  type Snapshot,
  type SnapshotId,
  type TableMetadata,
  type Transform,
} from './metadata.ts';

/** What the outside gives to a change. */
export interface Effects {
  /** Milliseconds since the epoch. */
  now(): number;
  /** So many random bytes. */
  random(count: number): Uint8Array;
}

/** The table as it is: its metadata and what its snapshot's manifest list names. */
export interface TableState {
  readonly metadata: TableMetadata;
  readonly manifests: readonly ManifestFile[];
}

/** An object that a change puts. */
export interface TableObject {
  /** Its whole URI. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** A change that is to be committed: its objects first, then its snapshot. */
export interface TableChange {
  readonly objects: readonly TableObject[];
  readonly snapshot: Snapshot;
  readonly metadata: TableMetadata;
}

/** A partition field of a new table. */
export interface NewPartition {
  readonly column: string;
  readonly transform: Transform;
  /** By default that of the column for `identity`, else with `_day`, `_month` and so on behind it. */
  readonly name?: string | undefined;
}

/** A table that is to be created. */
export interface NewTable {
  /** The URI of its folder. */
  readonly location: string;
  readonly columns: readonly WriteColumn[];
  readonly partitions?: readonly NewPartition[] | undefined;
  readonly properties?: Readonly<Record<string, string>> | undefined;
}

/** Ids of partition fields begin here, behind those of columns. */
export const FIRST_PARTITION_ID = 1000;
/** How many former metadata files the metadata names. */
export const METADATA_LOG = 100;

/** The columns with ids: their own, or their places from 1 on. Files are to be written with these. */
export function withFieldIds(columns: readonly WriteColumn[]): WriteColumn[] {
  return columns.map((column, i) => ({ ...column, fieldId: column.fieldId ?? i + 1 }));
}

/**
 * The metadata of a new table without rows.
 *
 * @throws DoSQLError `BAD_PARAMETER` for columns that Iceberg has no type for, and partitions of columns that are not there
 */
export function createTable(table: NewTable, effects: Effects): TableMetadata {
  const columns = withFieldIds(table.columns);
  const schema: Schema = {
    type: 'struct',
    'schema-id': 0,
    fields: columns.map((column) => ({
      id: column.fieldId as number,
      name: column.name,
      required: column.required === true,
      type: icebergType(column),
    })),
  };
  const spec: PartitionSpec = {
    'spec-id': 0,
    fields: (table.partitions ?? []).map((partition, i) => partitionField(partition, schema, i)),
  };
  return {
    'format-version': 2,
    'table-uuid': uuid(effects),
    location: table.location.replace(/\/+$/, ''),
    'last-sequence-number': 0,
    'last-updated-ms': effects.now(),
    'last-column-id': Math.max(0, ...schema.fields.map(({ id }) => id)),
    'current-schema-id': 0,
    schemas: [schema],
    'default-spec-id': 0,
    'partition-specs': [spec],
    'last-partition-id': FIRST_PARTITION_ID - 1 + spec.fields.length,
    'default-sort-order-id': 0,
    'sort-orders': [{ 'order-id': 0, fields: [] }],
    properties: { 'write.format.default': 'parquet', ...table.properties },
    'current-snapshot-id': -1,
    refs: {},
    snapshots: [],
    'snapshot-log': [],
    'metadata-log': [],
  };
}

/** @param i its place among those that have a number, which no other may have had */
export function partitionField(
  { column, transform, name }: NewPartition,
  schema: Schema,
  i: number,
): PartitionField {
  const source = schema.fields.find((field) => field.name === column);
  if (source === undefined)
    throw new DoSQLError('BAD_PARAMETER', `the table has no column ${column} to be partitioned by`);
  const isTime = ['date', 'timestamp', 'timestamptz'].includes(source.type);
  if ((transform !== 'identity' && !isTime) || (transform === 'hour' && source.type === 'date'))
    throw new DoSQLError('BAD_PARAMETER', `column ${column} is ${source.type} and has no ${transform}`);
  return {
    'source-id': source.id,
    'field-id': FIRST_PARTITION_ID + i,
    name: name ?? (transform === 'identity' ? column : `${column}_${transform}`),
    transform,
  };
}

/**
 * Adds files.
 *
 * @param merge manifests that become one
 * @throws DoSQLError `BAD_PARAMETER` for files that are not of the table's columns and partitions
 */
export function appendFiles(
  state: TableState,
  files: readonly DataFile[],
  effects: Effects,
  merge: readonly ManifestContent[] = [],
): TableChange {
  return change(state, 'append', files, [], merge, false, effects);
}

/** From so many small manifests on an append makes one of them. */
const MANY_MANIFESTS = 100;
const SMALL = 2 ** 20;

/** The manifests that are worth making one of; none where there are only few. */
export function mergeable(manifests: readonly ManifestFile[]): ManifestFile[] {
  const small = manifests.filter(({ manifest_length: length, content }) => length < SMALL && content === 0);
  return small.length < MANY_MANIFESTS ? [] : small;
}

/** A manifest and what it lists. */
export interface ManifestContent {
  readonly file: ManifestFile;
  readonly entries: readonly ManifestEntry[];
}

/**
 * Puts files in the place of others, or just takes others out.
 *
 * @param files those to add and to remove; with `forgets` no manifest of `contents` goes on telling of any that has gone
 * @param contents the manifests that list the removed files, at least
 * @throws DoSQLError `BAD_PARAMETER` for files that are not of the table
 */
export function overwriteFiles(
  state: TableState,
  files: {
    readonly add: readonly DataFile[];
    readonly remove: readonly string[];
    readonly forgets?: boolean | undefined;
  },
  contents: readonly ManifestContent[],
  effects: Effects,
): TableChange {
  const wanted = new Set(files.remove.map((path) => absolute(state.metadata.location, path)));
  const { forgets = false } = files;
  const affected = contents.filter(({ entries }) =>
    entries.some(({ status, data_file }) =>
      status === STATUS.DELETED ? forgets : wanted.has(data_file.file_path),
    ),
  );
  const removed = affected.flatMap(({ entries }) =>
    entries.filter(({ status, data_file }) => status !== STATUS.DELETED && wanted.has(data_file.file_path)),
  );
  const found = new Set(removed.map(({ data_file }) => data_file.file_path));
  const missing = [...wanted].find((path) => !found.has(path));
  if (missing !== undefined)
    throw new DoSQLError('BAD_PARAMETER', `${missing} is no file of the table now: read the table again`);
  const operation = files.add.length > 0 ? 'overwrite' : 'delete';
  return change(state, operation, files.add, removed, affected, forgets, effects);
}

function change(
  { metadata, manifests }: TableState,
  operation: string,
  added: readonly DataFile[],
  removed: readonly ManifestEntry[],
  affected: readonly ManifestContent[],
  forgets: boolean,
  effects: Effects,
): TableChange {
  const schema = currentSchema(metadata);
  const spec = currentSpec(metadata);
  const { location } = metadata;
  const parent = currentSnapshot(metadata);
  const id = snapshotId(metadata, effects);
  const sequenceNumber = metadata['last-sequence-number'] + 1;
  const name = uuid(effects);
  const objects: TableObject[] = [];
  const written: ManifestFile[] = [];
  const write = (entries: readonly ManifestEntry[], by: PartitionSpec): void => {
    const path = `${location}/metadata/${name}-m${objects.length}.avro`;
    const bytes = writeManifest(entries, by, schema, effects.random(16));
    objects.push({ path, bytes });
    const manifest = { path, length: bytes.length };
    written.push(describeManifest(entries, manifest, { id, sequenceNumber }, by, schema));
  };
  const entries = added.map((file) => fileEntry(file, location, schema, spec));
  if (entries.length > 0)
    write(
      entries.map((entry) => addedEntry(entry, id)),
      spec,
    );
  for (const [specId, contents] of Map.groupBy(affected, ({ file }) => file.partition_spec_id)) {
    const listed = contents
      .flatMap((content) => rewritten(content.entries, removed, id))
      .filter(({ status }) => !forgets || status !== STATUS.DELETED);
    if (listed.length > 0) write(listed, specOf(metadata, specId));
  }
  const isAffected = new Set(affected.map(({ file }) => file.manifest_path));
  const kept = manifests.filter(
    (manifest) =>
      !isAffected.has(manifest.manifest_path) &&
      manifest.added_files_count + manifest.existing_files_count > 0,
  );
  const list = `${location}/metadata/snap-${id}-1-${name}.avro`;
  const parentId = parent?.['snapshot-id'];
  const bytes = writeManifestList(
    [...written, ...kept],
    { id, parent: parentId, sequenceNumber },
    effects.random(16),
  );
  objects.push({ path: list, bytes });
  const snapshot: Snapshot = {
    'snapshot-id': id,
    ...(parentId === undefined ? {} : { 'parent-snapshot-id': parentId }),
    'sequence-number': sequenceNumber,
    'timestamp-ms': Math.max(effects.now(), metadata['last-updated-ms']),
    'manifest-list': list,
    summary: summarise(operation, entries, removed, parent),
    'schema-id': schema['schema-id'],
  };
  return { objects, snapshot, metadata: withSnapshot(metadata, snapshot) };
}

/** The entries of a manifest after a removal: what is left, and what has just gone. */
function rewritten(
  entries: readonly ManifestEntry[],
  removed: readonly ManifestEntry[],
  snapshot: SnapshotId,
): ManifestEntry[] {
  const gone = new Set(removed);
  return entries
    .filter(({ status }) => status !== STATUS.DELETED)
    .map((entry) =>
      gone.has(entry)
        ? {
            ...entry,
            status: STATUS.DELETED,
            snapshot_id: snapshot,
            data_file: withoutValues(entry.data_file),
          }
        : { ...entry, status: STATUS.EXISTING },
    );
}

/** Nobody prunes by the values of a file that has gone, and some may have been erased. */
function withoutValues(file: FileEntry): FileEntry {
  return { ...file, lower_bounds: null, upper_bounds: null };
}

function specOf(metadata: TableMetadata, id: number): PartitionSpec {
  const spec = metadata['partition-specs'].find((one) => one['spec-id'] === id);
  if (spec === undefined)
    throw new DoSQLError('CORRUPT_FILE', `a manifest is of partition spec ${id}, which is not there`);
  return spec;
}

function summarise(
  operation: string,
  added: readonly FileEntry[],
  removed: readonly ManifestEntry[],
  parent: Snapshot | undefined,
): Record<string, string> {
  const gone = removed.map(({ data_file }) => data_file);
  const sum = (files: readonly FileEntry[], of: (file: FileEntry) => number): number =>
    files.reduce((total, file) => total + of(file), 0);
  const records = ({ record_count }: FileEntry): number => record_count;
  const size = ({ file_size_in_bytes }: FileEntry): number => file_size_in_bytes;
  const partitions = new Set([...added, ...gone].map(({ partition }) => printJson(partition)));
  const total = (key: string, change: number): string => `${Number(parent?.summary[key] ?? 0) + change}`;
  const counts: Record<string, number> = {
    'added-data-files': added.length,
    'added-records': sum(added, records),
    'added-files-size': sum(added, size),
    'deleted-data-files': gone.length,
    'deleted-records': sum(gone, records),
    'removed-files-size': sum(gone, size),
    'changed-partition-count': partitions.size,
  };
  const told = Object.entries(counts).filter(([, count]) => count > 0);
  return {
    operation,
    ...Object.fromEntries(told.map(([key, count]) => [key, `${count}`])),
    'total-data-files': total('total-data-files', added.length - gone.length),
    'total-records': total('total-records', sum(added, records) - sum(gone, records)),
    'total-files-size': total('total-files-size', sum(added, size) - sum(gone, size)),
    'total-delete-files': total('total-delete-files', 0),
    'total-position-deletes': total('total-position-deletes', 0),
    'total-equality-deletes': total('total-equality-deletes', 0),
  };
}

function withSnapshot(metadata: TableMetadata, snapshot: Snapshot): TableMetadata {
  const id = snapshot['snapshot-id'];
  const at = snapshot['timestamp-ms'];
  return {
    ...metadata,
    'last-sequence-number': snapshot['sequence-number'],
    'last-updated-ms': at,
    'current-snapshot-id': id,
    snapshots: [...(metadata.snapshots ?? []), snapshot],
    'snapshot-log': [...(metadata['snapshot-log'] ?? []), { 'snapshot-id': id, 'timestamp-ms': at }],
    refs: { ...metadata.refs, main: { ...metadata.refs?.main, 'snapshot-id': id, type: 'branch' } },
  };
}

/** Metadata that will be written after the file `previous`. */
export function afterFile(metadata: TableMetadata, previous: string, at: number): TableMetadata {
  const entry = { 'metadata-file': previous, 'timestamp-ms': at };
  return { ...metadata, 'metadata-log': [...(metadata['metadata-log'] ?? []), entry].slice(-METADATA_LOG) };
}

/** A positive number that JSON holds exactly everywhere. */
function snapshotId(metadata: TableMetadata, effects: Effects): number {
  for (;;) {
    const bytes = effects.random(8);
    const id = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0) >> 11n);
    if (id > 0 && metadata.snapshots?.some((one) => one['snapshot-id'] === id) !== true) return id;
  }
}

/** A random UUID (version 4). */
export function uuid(effects: Effects): string {
  const bytes = effects.random(16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
