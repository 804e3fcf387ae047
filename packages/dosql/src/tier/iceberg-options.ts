import { DoSQLError } from '../error.ts';
import { describe } from '../value/parameter.ts';

/** The REST catalog that tells others where an Iceberg table is. It must leave the table's files as they are. */
export interface IcebergCatalogOptions {
  /** Without `/v1`. */
  readonly uri: string;
  readonly warehouse?: string | undefined;
  /** Its levels, or the only one. */
  readonly namespace: string | readonly string[];
  /** By default called as the folder of the table's files is: by its name then and its number. */
  readonly table?: string | undefined;
  /**
   * Gives the bearer token, each time that it is needed. It is not kept: the options of `DB()` have to have it. It may
   * not wait for the database, which may be waiting for it.
   */
  readonly token: () => string | Promise<string>;
}

/** The Iceberg table that a table's cold rows are. */
export interface IcebergOptions {
  /**
   * What others call the cold storage: the URI of its bucket and its prefix, such as `s3://bucket/prefix`. Without it
   * only those can read the table who take it from where they find it.
   */
  readonly location?: string | undefined;
  /** By default the table's own folder has a catalog of files, as Hadoop's; with this `location` is needed. */
  readonly catalog?: IcebergCatalogOptions | undefined;
}

/** The options as they are kept. */
export interface IcebergPolicy {
  readonly location: string;
  readonly catalog?: Omit<IcebergCatalogOptions, 'token' | 'namespace'> & {
    readonly namespace: readonly string[];
  };
}

/** Where a table is that others move to where they find it. */
const NOWHERE = 'dosql://cold';

/**
 * The policy that `options`, called `name`, ask for.
 *
 * @throws DoSQLError `BAD_PARAMETER`
 */
export function icebergPolicy(
  options: true | IcebergOptions | undefined,
  name: string,
): IcebergPolicy | undefined {
  if (options === undefined) return undefined;
  if (options === true) return { location: NOWHERE };
  const refuse = (part: string, value: unknown, wanted: string): never => {
    throw new DoSQLError('BAD_PARAMETER', `${name}${part} is ${describe(value)}: give ${wanted}`);
  };
  if (typeof options !== 'object' || options === null) refuse('', options, 'true or { location, catalog }');
  const { location = NOWHERE, catalog } = options;
  if (typeof location !== 'string' || !/^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(location))
    refuse('.location', location, 'the URI of the cold storage, such as s3://bucket/prefix');
  const plain = location.replace(/\/+$/, '');
  if (catalog === undefined) return { location: plain };
  if (options.location === undefined)
    refuse('.location', undefined, 'with a catalog the URI of the cold storage, such as s3://bucket/prefix');
  const { uri, warehouse, namespace, table, token } = catalog;
  if (typeof uri !== 'string' || !/^https?:\/\/[^/]/.test(uri))
    refuse('.catalog.uri', uri, 'the URL of a REST catalog');
  const levels = typeof namespace === 'string' ? [namespace] : namespace;
  const isLevel = (level: unknown): boolean => typeof level === 'string' && level !== '';
  if (!Array.isArray(levels) || levels.length === 0 || !levels.every(isLevel))
    refuse('.catalog.namespace', namespace, 'the name of a namespace');
  for (const [part, value] of Object.entries({ warehouse, table }))
    if (value !== undefined && !isLevel(value)) refuse(`.catalog.${part}`, value, 'its name');
  // What was given may be the token itself, which is not for a log.
  if (typeof token !== 'function') refuse('.catalog.token', undefined, 'a function that gives the token');
  return { location: plain, catalog: { uri, warehouse, namespace: levels, table } };
}
