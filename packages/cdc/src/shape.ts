import {
  lowerCase,
  type Change,
  type ChangeLog,
  type RowCondition,
  type Selection,
  type TableSelection,
} from './change-log.ts';
import { Masking, type Publication, type PublishedTable } from './publication.ts';
import type { ChangeEvent } from './reader.ts';

/** What of the database's changes to read. */
export interface ShapeOptions {
  /** Only changes of these tables; all, or all of the publication, by default. */
  readonly tables?: readonly string[] | undefined;
  /**
   * By table: the columns of `before` and `after`. Updates that change none of them are left out; one that changes the
   * primary key carries that, too.
   */
  readonly columns?: Readonly<Record<string, readonly string[]>> | undefined;
  /**
   * By table: a condition in SQL over the row, without subqueries: a row that begins to satisfy it is inserted, one
   * that ceases to is deleted.
   */
  readonly where?: Readonly<Record<string, string>> | undefined;
  /** Only these, as `columns` and `where` leave them; all by default. Rows of a snapshot always come. */
  readonly operations?: readonly Operation[] | undefined;
}

/** What happens to a row. */
export type Operation = Change['op'];

const OPERATIONS: readonly unknown[] = ['insert', 'update', 'delete'] satisfies Operation[];

/** A part of the database's changes, as a consumer sees it. */
export interface Shape {
  /** What to read of the log; undefined for everything. */
  readonly selection: Selection | undefined;
  /** The name, in lower case, of the table to read after `table` in a snapshot, or of the first. */
  tableAfter(table: string): Promise<string | undefined>;
  /** Events as they may leave. */
  shown(events: ChangeEvent[]): Promise<ChangeEvent[]>;
  /** Whether the key of a table's events, as they leave, is masked. */
  isKeyMasked(change: Change): boolean;
}

/**
 * The part of a publication, or of the whole database, that `options` describe.
 *
 * @throws an error with code `BAD_PARAMETER` for tables and columns that are not published, in the same words whether
 * there are such.
 */
export function shapeOf(log: ChangeLog, options: ShapeOptions, publication: Publication | undefined): Shape {
  const selection = selectionOf(log, options, publication);
  const operations = operationsOf(log, options);
  const masking = publication && new Masking(publication);
  return {
    selection,
    tableAfter: async (table) => {
      const names = (await log.tables()).map(({ name }) => lowerCase(name)).sort();
      return names.find((name) => name > table && (selection === undefined || selection.has(name)));
    },
    shown: async (events) => {
      const wanted =
        operations === undefined ? events : events.filter((event) => isWanted(event, operations));
      if (masking === undefined || masking.isEmpty) return wanted;
      return Promise.all(wanted.map(async (event) => ('key' in event ? masking.shown(event) : event)));
    },
    isKeyMasked: (change) => masking?.isKeyMasked(change) === true,
  };
}

function operationsOf(
  log: ChangeLog,
  { operations }: ShapeOptions,
): readonly ChangeEvent['op'][] | undefined {
  const unknown = operations?.find((operation) => !OPERATIONS.includes(operation));
  if (unknown !== undefined)
    throw log.error(
      'BAD_PARAMETER',
      `there is no operation ${JSON.stringify(unknown)}, only insert, update and delete`,
    );
  return operations;
}

function isWanted(event: ChangeEvent, operations: readonly ChangeEvent['op'][]): boolean {
  return !('key' in event) || event.isSnapshot === true || operations.includes(event.op);
}

function selectionOf(
  log: ChangeLog,
  { tables, columns = {}, where = {} }: ShapeOptions,
  publication: Publication | undefined,
): Selection | undefined {
  const columnsOf = byTable(columns);
  const whereOf = byTable(where);
  const names = tables?.map(lowerCase) ?? (publication && [...publication.tables.keys()]);
  const known = names ?? [...columnsOf.keys(), ...whereOf.keys()];
  for (const name of [...columnsOf.keys(), ...whereOf.keys()])
    if (!known.includes(name))
      throw log.error(
        'BAD_PARAMETER',
        `columns or where name the table "${name}", which is not among tables`,
      );
  if (names === undefined) {
    if (known.length === 0) return undefined;
    throw log.error(
      'BAD_PARAMETER',
      `columns and where need tables: give { tables: ${JSON.stringify(known)} }`,
    );
  }
  return new Map(
    names.map((name) => {
      const own = tableSelection(columnsOf.get(name), whereOf.get(name));
      if (publication === undefined) return [name, own];
      const published = publication.tables.get(name);
      if (published === undefined)
        throw log.error('BAD_PARAMETER', `publication "${publication.name}" has no table "${name}"`);
      return [name, within(log, name, own, published)];
    }),
  );
}

function tableSelection(columns: readonly string[] | undefined, where: string | undefined): TableSelection {
  return { columns, where: where === undefined ? [] : [{ sql: where }] };
}

/** What a consumer asks for, inside what is published. */
function within(
  log: ChangeLog,
  table: string,
  { columns, where = [] }: TableSelection,
  published: PublishedTable,
): TableSelection {
  const allowed = published.columns?.map(lowerCase);
  const unknown = allowed && columns?.find((column) => !allowed.includes(lowerCase(column)));
  if (unknown !== undefined)
    throw log.error('BAD_PARAMETER', `the publication has no column "${unknown}" of table "${table}"`);
  const masked = Object.keys(published.mask ?? {});
  const conditions: RowCondition[] = where.map(({ sql }) => ({
    sql,
    columns: published.columns,
    hidden: masked,
  }));
  if (published.where !== undefined) conditions.unshift({ sql: published.where });
  return {
    columns: columns ?? published.columns,
    hidesKey: published.columns !== undefined,
    masked,
    where: conditions,
  };
}

function byTable<T>(options: Readonly<Record<string, T>>): Map<string, T> {
  return new Map(Object.entries(options).map(([table, value]) => [lowerCase(table), value]));
}
