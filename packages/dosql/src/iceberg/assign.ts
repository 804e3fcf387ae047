/** What a table is to be, as a change of what it is. */
import { DoSQLError } from '../error.ts';
import type { WriteColumn } from '../scan/parquet/write-schema.ts';
import {
  appendFiles,
  FIRST_PARTITION_ID,
  mergeable,
  overwriteFiles,
  partitionField,
  withFieldIds,
  type Effects,
  type ManifestContent,
  type NewPartition,
  type TableChange,
  type TableState,
} from './change.ts';
import { icebergType, type DataFile } from './data-file.ts';
import { absolute } from './entries.ts';
import { STATUS, type ManifestEntry } from './manifest.ts';
import {
  currentSchema,
  currentSpec,
  printJson,
  type PartitionField,
  type Schema,
  type SchemaField,
  type TableMetadata,
} from './metadata.ts';

/** What a table is to be. */
export interface WantedTable {
  /** A column that keeps its id is the same one, whatever it is called; a new one has an id that none has had. */
  readonly columns: readonly WriteColumn[];
  readonly partitions: readonly NewPartition[];
  readonly files: readonly DataFile[];
  /** No manifest is to tell of files that have gone: their paths and partitions may have values that are erased. */
  readonly forgets?: boolean | undefined;
}

/**
 * The change that makes a table have just these columns, partitions and files; undefined where it has them.
 *
 * @param contents all manifests of the table's data files
 * @throws DoSQLError `BAD_PARAMETER` for columns and files that the table cannot have
 */
export function assignFiles(
  state: TableState,
  { columns, partitions, files, forgets = false }: WantedTable,
  contents: readonly ManifestContent[],
  effects: Effects,
): TableChange | undefined {
  const metadata = withSpec(withSchema(state.metadata, columns), partitions);
  const { location } = metadata;
  const wanted = new Set(files.map(({ path }) => absolute(location, path)));
  const there = new Set(
    contents.flatMap(({ entries }) =>
      entries.flatMap(({ status, data_file }) => (status === STATUS.DELETED ? [] : [data_file.file_path])),
    ),
  );
  const add = files.filter(({ path }) => !there.has(absolute(location, path)));
  const remove = [...there].filter((path) => !wanted.has(path));
  const evolved = { ...state, metadata };
  const isGone = ({ status }: ManifestEntry): boolean => status === STATUS.DELETED;
  if (remove.length > 0 || (forgets && contents.some(({ entries }) => entries.some(isGone))))
    return overwriteFiles(evolved, { add, remove, forgets }, contents, effects);
  if (add.length === 0 && metadata === state.metadata) return undefined;
  const small = new Set(mergeable(state.manifests));
  const merge = contents.filter(({ file }) => small.has(file));
  return appendFiles(evolved, add, effects, merge);
}

/** The metadata with a schema of these columns as the current one. */
function withSchema(metadata: TableMetadata, columns: readonly WriteColumn[]): TableMetadata {
  const fields = withFieldIds(columns).map((column): SchemaField => ({
    id: column.fieldId as number,
    name: column.name,
    required: false,
    type: icebergType(column),
  }));
  const isSame = (schema: Schema): boolean => fieldsOf(schema.fields) === fieldsOf(fields);
  if (isSame(currentSchema(metadata))) return metadata;
  // Before there are files it does not matter what the columns have been, as where a catalog has numbered them.
  const former = metadata['last-sequence-number'] === 0 ? [] : currentSchema(metadata).fields;
  for (const { id, name, type } of former) {
    const after = fields.find((field) => field.id === id);
    if (after !== undefined && after.type !== type)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `column ${name} of the Iceberg table is ${type} and cannot become ${after.type}: begin a new table`,
      );
  }
  const known = metadata.schemas.find(isSame);
  if (known !== undefined) return { ...metadata, 'current-schema-id': known['schema-id'] };
  const id = 1 + Math.max(...metadata.schemas.map((schema) => schema['schema-id']));
  return {
    ...metadata,
    'last-column-id': Math.max(metadata['last-column-id'], ...fields.map((field) => field.id)),
    'current-schema-id': id,
    schemas: [...metadata.schemas, { type: 'struct', 'schema-id': id, fields }],
  };
}

function fieldsOf(fields: readonly SchemaField[]): string {
  return JSON.stringify(fields.map(({ id, name, type }) => [id, name, type]));
}

/** The metadata with these partitions as those of new files. */
function withSpec(metadata: TableMetadata, partitions: readonly NewPartition[]): TableMetadata {
  const schema = currentSchema(metadata);
  const specs = metadata['partition-specs'];
  let next = metadata['last-partition-id'] + 1;
  const fields = partitions.map((partition): PartitionField => {
    const field = partitionField(partition, schema, next - FIRST_PARTITION_ID);
    const former = specs.flatMap((spec) => spec.fields).find((one) => isSameField(one, field));
    if (former === undefined) next++;
    return former ?? field;
  });
  const isSame = (spec: { readonly fields: readonly PartitionField[] }): boolean =>
    printJson(spec.fields.map((field) => field['field-id'])) ===
    printJson(fields.map((field) => field['field-id']));
  if (isSame(currentSpec(metadata))) return metadata;
  const known = specs.find(isSame);
  if (known !== undefined) return { ...metadata, 'default-spec-id': known['spec-id'] };
  const id = 1 + Math.max(...specs.map((spec) => spec['spec-id']));
  return {
    ...metadata,
    'default-spec-id': id,
    'partition-specs': [...specs, { 'spec-id': id, fields }],
    'last-partition-id': next - 1,
  };
}

function isSameField(a: PartitionField, b: PartitionField): boolean {
  return a['source-id'] === b['source-id'] && a.transform === b.transform && a.name === b.name;
}
