import {
  parseJson,
  type PartitionSpec,
  type Schema,
  type Snapshot,
  type SnapshotId,
  type TableMetadata,
} from '../../src/iceberg/metadata.ts';

interface Update {
  readonly action: string;
  readonly schema?: Schema;
  readonly 'last-column-id'?: number;
  readonly 'schema-id'?: number;
  readonly spec?: PartitionSpec;
  readonly 'spec-id'?: number;
  readonly snapshot?: Snapshot;
  readonly 'snapshot-id'?: SnapshotId;
  readonly 'snapshot-ids'?: readonly SnapshotId[];
}

interface Body {
  readonly location: string;
  readonly schema: Schema;
  readonly 'partition-spec': PartitionSpec;
  readonly properties: Record<string, string>;
  readonly requirements: readonly { readonly type: string; readonly 'snapshot-id'?: SnapshotId | null }[];
  readonly updates: readonly Update[];
}

/** A REST catalog with one table, which numbers the columns of a new table itself, as catalogs do. */
export class TestCatalog {
  metadata: TableMetadata | undefined;
  tokens: (string | null)[] = [];
  commits = 0;

  readonly fetch = async (
    url: string,
    init: { method?: string; body?: string; headers?: HeadersInit } = {},
  ): Promise<Response> => {
    const { pathname } = new URL(url);
    this.tokens.push(new Headers(init.headers).get('authorization'));
    if (pathname.endsWith('/v1/config')) return Response.json({ defaults: {}, overrides: {} });
    if (!pathname.startsWith('/v1/namespaces/events/tables')) return Response.json({}, { status: 400 });
    if (init.method === 'GET')
      return this.metadata === undefined
        ? Response.json({}, { status: 404 })
        : Response.json({ 'metadata-location': `${this.commits}`, metadata: this.metadata });
    const body = parseJson(init.body ?? '') as Body;
    return pathname.endsWith('/tables') ? this.#create(body) : this.#commit(body);
  };

  #create({ location, schema, properties, 'partition-spec': spec }: Body): Response {
    if (this.metadata !== undefined) return Response.json({}, { status: 409 });
    const ids = new Map(schema.fields.map(({ id }, i) => [id, i + 1]));
    this.metadata = {
      'format-version': 2,
      'table-uuid': 'b6f63d5a-1b1a-4d0e-9f0e-3c2f6a1b7d11',
      location,
      properties,
      'last-sequence-number': 0,
      'last-updated-ms': 1,
      'last-column-id': schema.fields.length,
      'current-schema-id': 0,
      schemas: [
        { ...schema, fields: schema.fields.map((field) => ({ ...field, id: ids.get(field.id) ?? 0 })) },
      ],
      'default-spec-id': 0,
      'partition-specs': [
        {
          'spec-id': 0,
          fields: spec.fields.map((field) => ({ ...field, 'source-id': ids.get(field['source-id']) ?? 0 })),
        },
      ],
      'last-partition-id': 999 + spec.fields.length,
      'default-sort-order-id': 0,
      'sort-orders': [],
      'current-snapshot-id': -1,
    };
    return Response.json({});
  }

  #commit({ requirements, updates }: Body): Response {
    const now = this.metadata?.['current-snapshot-id'] ?? -1;
    const isMet = requirements.every(
      (one) => one.type !== 'assert-ref-snapshot-id' || (one['snapshot-id'] ?? -1) === now,
    );
    if (this.metadata === undefined || !isMet) return Response.json({}, { status: 409 });
    this.metadata = updates.reduce(applied, this.metadata);
    this.commits++;
    return Response.json({});
  }
}

function applied(metadata: TableMetadata, update: Update): TableMetadata {
  const { schemas, 'partition-specs': specs, snapshots = [] } = metadata;
  const { schema, spec, snapshot } = update;
  switch (update.action) {
    case 'add-schema':
      return {
        ...metadata,
        schemas: [...schemas, { ...(schema as Schema), 'schema-id': schemas.length }],
        'last-column-id': update['last-column-id'] ?? 0,
      };
    case 'set-current-schema':
      return {
        ...metadata,
        'current-schema-id': update['schema-id'] === -1 ? schemas.length - 1 : (update['schema-id'] ?? 0),
      };
    case 'add-spec':
      return {
        ...metadata,
        'partition-specs': [...specs, { ...(spec as PartitionSpec), 'spec-id': specs.length }],
        'last-partition-id': metadata['last-partition-id'] + 1,
      };
    case 'set-default-spec':
      return {
        ...metadata,
        'default-spec-id': update['spec-id'] === -1 ? specs.length - 1 : (update['spec-id'] ?? 0),
      };
    case 'add-snapshot':
      return {
        ...metadata,
        snapshots: [...snapshots, snapshot as Snapshot],
        'last-sequence-number': snapshot?.['sequence-number'] ?? 0,
        'last-updated-ms': snapshot?.['timestamp-ms'] ?? 0,
      };
    case 'set-snapshot-ref':
      return { ...metadata, 'current-snapshot-id': update['snapshot-id'] ?? -1 };
    case 'remove-snapshots':
      return {
        ...metadata,
        snapshots: snapshots.filter((one) => update['snapshot-ids']?.includes(one['snapshot-id']) !== true),
      };
    default:
      throw new Error(`there is no update ${update.action}`);
  }
}
