/** Iceberg's REST catalog (https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml). */
import { DoSQLError } from '../error.ts';
import { checkMetadata, type Catalog, type CatalogChange, type CatalogTable } from './catalog.ts';
import {
  currentSchema,
  currentSnapshot,
  currentSpec,
  parseJson,
  printJson,
  type TableMetadata,
} from './metadata.ts';

/** Where a REST catalog is and which of its tables is meant. */
export interface RestCatalogOptions {
  /** Without `/v1`. */
  readonly url: string;
  readonly warehouse?: string | undefined;
  /** Sent as a bearer token. */
  readonly token?: string | undefined;
  readonly namespace: readonly string[];
  readonly table: string;
  readonly fetch: typeof fetch;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** What separates the levels of a namespace in a URL. */
const LEVEL = '\u{1f}';
/** The schema or partition spec that the same commit adds, whatever number the catalog gives it. */
const LAST_ADDED = -1;

/** A table of a REST catalog. */
export class RestCatalog implements Catalog {
  readonly #options: RestCatalogOptions;
  #base: Promise<string> | undefined;

  constructor(options: RestCatalogOptions) {
    this.#options = options;
  }

  async load(): Promise<CatalogTable | undefined> {
    const { status, body } = await this.#send('GET', `tables/${encodeURIComponent(this.#options.table)}`);
    if (status === 404) return undefined;
    if (status !== 200) throw this.#refused('load', status, body);
    return this.#tableOf(body);
  }

  async create(metadata: TableMetadata): Promise<boolean> {
    const { status, body } = await this.#send('POST', 'tables', {
      name: this.#options.table,
      location: metadata.location,
      schema: currentSchema(metadata),
      'partition-spec': currentSpec(metadata),
      properties: metadata.properties,
    });
    if (status === 409) return false;
    if (status !== 200) throw this.#refused('create', status, body);
    return true;
  }

  async commit(base: CatalogTable, change: CatalogChange): Promise<boolean> {
    const { added } = change;
    const path = `tables/${encodeURIComponent(this.#options.table)}`;
    let answer: Answer | undefined;
    try {
      answer = await this.#send('POST', path, commitBody(this.#options, base.metadata, change));
    } catch (error) {
      if (!(await this.#isDone(change))) throw error;
      return true;
    }
    if (answer.status === 200 || answer.status === 204) return true;
    if (answer.status === 409) return false;
    // With these the catalog does not know itself whether the commit was done.
    const isUnknown = [500, 502, 504].includes(answer.status);
    if (isUnknown && added !== undefined && (await this.#isDone(change))) return true;
    throw this.#refused('commit', answer.status, answer.body);
  }

  /** Whether the snapshot is there: a commit that is done is not to be done twice. */
  async #isDone({ added }: CatalogChange): Promise<boolean> {
    if (added === undefined) return false;
    const table = await this.load();
    return table?.metadata.snapshots?.some((one) => one['snapshot-id'] === added['snapshot-id']) === true;
  }

  #tableOf(body: unknown): CatalogTable {
    const { metadata, 'metadata-location': location } = (body ?? {}) as Record<string, unknown>;
    try {
      return { metadata: checkMetadata(metadata), version: typeof location === 'string' ? location : '' };
    } catch (error) {
      const reason = (error as Error).message;
      throw new DoSQLError(
        'CORRUPT_FILE',
        `table ${this.#options.table} of ${this.#options.url}: ${reason}`,
        {
          cause: error,
        },
      );
    }
  }

  async #send(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> {
    this.#base ??= this.#configure();
    const base = await this.#base;
    const namespace = encodeURIComponent(this.#options.namespace.join(LEVEL));
    return this.#request(method, `${base}/namespaces/${namespace}/${path}`, body);
  }

  /** The catalog tells under which prefix the warehouse's tables are. */
  async #configure(): Promise<string> {
    const { url, warehouse } = this.#options;
    const root = `${url.replace(/\/+$/, '')}/v1`;
    const query = warehouse === undefined ? '' : `?warehouse=${encodeURIComponent(warehouse)}`;
    const { status, body } = await this.#request('GET', `${root}/config${query}`);
    if (status !== 200) throw this.#refused('configure', status, body);
    const { overrides, defaults } = (body ?? {}) as Record<string, { readonly prefix?: string } | undefined>;
    const prefix = overrides?.prefix ?? defaults?.prefix;
    return prefix === undefined || prefix === '' ? root : `${root}/${prefix}`;
  }

  async #request(method: string, url: string, body?: unknown): Promise<Answer> {
    const { token, fetch: send } = this.#options;
    const headers: Record<string, string> = { accept: 'application/json' };
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    let text: string;
    let status: number;
    try {
      // A redirect could carry the token elsewhere.
      const response = await send(url, {
        method,
        headers,
        redirect: 'manual',
        ...(body === undefined ? {} : { body: printJson(body) }),
      });
      ({ status } = response);
      text = await response.text();
    } catch (error) {
      throw new DoSQLError('STORAGE_UNAVAILABLE', `the catalog at ${this.#options.url} does not answer`, {
        cause: error,
      });
    }
    return { status, body: parsed(text) };
  }

  #refused(what: string, status: number, body: unknown): DoSQLError {
    const { error } = (body ?? {}) as { readonly error?: { readonly message?: string } };
    const code =
      status === 401 || status === 403 ? 'FORBIDDEN' : status < 500 ? 'BAD_PARAMETER' : 'STORAGE_UNAVAILABLE';
    const reason = error?.message ?? 'it does not say why';
    return new DoSQLError(
      code,
      `the catalog at ${this.#options.url} answered ${status} to ${what}: ${reason}`,
    );
  }
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    // What is no JSON, as a proxy's error page, tells nothing besides its status.
    return undefined;
  }
}

/** Only if the table is the same one and its main branch is still where the change began. */
function commitBody(
  { namespace, table }: RestCatalogOptions,
  base: TableMetadata,
  { metadata, added, removed = [] }: CatalogChange,
): unknown {
  const id = currentSnapshot(base)?.['snapshot-id'] ?? null;
  const adding =
    added === undefined
      ? []
      : [
          { action: 'add-snapshot', snapshot: added },
          {
            action: 'set-snapshot-ref',
            'ref-name': 'main',
            type: 'branch',
            'snapshot-id': added['snapshot-id'],
          },
        ];
  const removing = removed.length === 0 ? [] : [{ action: 'remove-snapshots', 'snapshot-ids': removed }];
  return {
    identifier: { namespace, name: table },
    requirements: [
      { type: 'assert-table-uuid', uuid: base['table-uuid'] },
      { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': id },
    ],
    updates: [...evolving(base, metadata), ...adding, ...removing],
  };
}

/** The schema and the partition spec that the change is made by, where they are others than before. */
function evolving(base: TableMetadata, after: TableMetadata): unknown[] {
  const updates: unknown[] = [];
  const schemaId = after['current-schema-id'];
  if (schemaId !== base['current-schema-id']) {
    const isNew = !base.schemas.some((one) => one['schema-id'] === schemaId);
    const schema = currentSchema(after);
    if (isNew) updates.push({ action: 'add-schema', schema, 'last-column-id': after['last-column-id'] });
    updates.push({ action: 'set-current-schema', 'schema-id': isNew ? LAST_ADDED : schemaId });
  }
  const specId = after['default-spec-id'];
  if (specId !== base['default-spec-id']) {
    const isNew = !base['partition-specs'].some((one) => one['spec-id'] === specId);
    if (isNew) updates.push({ action: 'add-spec', spec: currentSpec(after) });
    updates.push({ action: 'set-default-spec', 'spec-id': isNew ? LAST_ADDED : specId });
  }
  return updates;
}
