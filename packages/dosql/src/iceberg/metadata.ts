/** Iceberg's table metadata, format version 2 (https://iceberg.apache.org/spec/#table-metadata), in its own names. */

/** Identifies a snapshot. Those of others may be beyond what a double holds. */
export type SnapshotId = number | bigint;

/** A type of a column. */
export type IcebergType =
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  | 'string'
  | 'binary';

/** A column. */
export interface SchemaField {
  readonly id: number;
  readonly name: string;
  readonly required: boolean;
  readonly type: IcebergType;
}

/** The columns of a table. */
export interface Schema {
  readonly type: 'struct';
  readonly 'schema-id': number;
  readonly fields: readonly SchemaField[];
}

/** What of a column's value a file's rows have in common: itself, or the stretch of time that it lies in (in UTC). */
export type Transform = 'identity' | 'hour' | 'day' | 'month' | 'year';

/** A field that the table is partitioned by. */
export interface PartitionField {
  readonly 'source-id': number;
  readonly 'field-id': number;
  readonly name: string;
  readonly transform: Transform;
}

/** How a table is partitioned. */
export interface PartitionSpec {
  readonly 'spec-id': number;
  readonly fields: readonly PartitionField[];
}

/** One state of the table. */
export interface Snapshot {
  readonly 'snapshot-id': SnapshotId;
  readonly 'parent-snapshot-id'?: SnapshotId | undefined;
  readonly 'sequence-number': number;
  readonly 'timestamp-ms': number;
  readonly 'manifest-list': string;
  readonly summary: Readonly<Record<string, string>>;
  readonly 'schema-id'?: number | undefined;
}

/** A branch or a tag. */
export interface SnapshotRef {
  readonly 'snapshot-id': SnapshotId;
  readonly type: 'branch' | 'tag';
  readonly 'min-snapshots-to-keep'?: number;
  readonly 'max-snapshot-age-ms'?: number;
}

/** All that a `metadata.json` says. What is not listed here is kept as it is. */
export interface TableMetadata {
  readonly 'format-version': 2;
  readonly 'table-uuid': string;
  readonly location: string;
  readonly 'last-sequence-number': number;
  readonly 'last-updated-ms': number;
  readonly 'last-column-id': number;
  readonly 'current-schema-id': number;
  readonly schemas: readonly Schema[];
  readonly 'default-spec-id': number;
  readonly 'partition-specs': readonly PartitionSpec[];
  readonly 'last-partition-id': number;
  readonly 'default-sort-order-id': number;
  readonly 'sort-orders': readonly { readonly 'order-id': number; readonly fields: readonly unknown[] }[];
  readonly properties?: Readonly<Record<string, string>>;
  /** -1 or absent while there is none. */
  readonly 'current-snapshot-id'?: SnapshotId | null;
  readonly snapshots?: readonly Snapshot[];
  readonly 'snapshot-log'?: readonly {
    readonly 'snapshot-id': SnapshotId;
    readonly 'timestamp-ms': number;
  }[];
  readonly 'metadata-log'?: readonly { readonly 'metadata-file': string; readonly 'timestamp-ms': number }[];
  readonly refs?: Readonly<Record<string, SnapshotRef>>;
}

/** The snapshot that the table is at. */
export function currentSnapshot(metadata: TableMetadata): Snapshot | undefined {
  const id = metadata['current-snapshot-id'];
  return metadata.snapshots?.find((snapshot) => snapshot['snapshot-id'] === id);
}

/** The schema and the partition spec that new files are written by. */
export function currentSchema(metadata: TableMetadata): Schema {
  const schema = metadata.schemas.find((one) => one['schema-id'] === metadata['current-schema-id']);
  if (schema === undefined) throw new Error(`there is no schema ${metadata['current-schema-id']}`);
  return schema;
}

/** The partition spec that new files are written by. */
export function currentSpec(metadata: TableMetadata): PartitionSpec {
  const spec = metadata['partition-specs'].find((one) => one['spec-id'] === metadata['default-spec-id']);
  if (spec === undefined) throw new Error(`there is no partition spec ${metadata['default-spec-id']}`);
  return spec;
}

// Both are of a proposal that V8 has and TypeScript does not list yet.
interface SourceJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context?: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}
const sourceJson = JSON as unknown as SourceJson;

/** Reads JSON in which whole numbers may be beyond what a double holds: those come as bigint. */
export function parseJson(text: string): unknown {
  return sourceJson.parse(text, (_key, value, context) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    const source = context?.source ?? '';
    return /^-?\d+$/.test(source) ? BigInt(source) : value;
  });
}

/** Writes JSON, bigint as a number. */
export function printJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? sourceJson.rawJSON(`${part}`) : part,
  );
}
