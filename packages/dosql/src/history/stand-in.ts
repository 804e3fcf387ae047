import type { Lineage } from '../schema/line.ts';
import type { Column, Relation } from '../schema/relation.ts';
import type { TableReference } from '../sql/scan.ts';
import type { Statement } from '../sql/statement.ts';
import { quoteName } from '../sql/token.ts';
import { nullOf, type BaseAccess, type Past } from './as-of.ts';
import { hintEnd, mentions, namedColumns, rowidName, type Edit } from './mention.ts';
import { versionColumns, versionsOf, type VersionColumn } from './period.ts';
import type { Interval } from './point.ts';

/** How the versions of a table's rows are read for one reference. */
export interface VersionsReading {
  /** The version whose columns are read. */
  readonly shape: Relation;
  readonly past: Past;
  readonly lineage: Lineage;
  readonly interval: Interval;
  readonly access: BaseAccess;
  /** Whether only the changes of one key are looked at. */
  readonly isKeyed: boolean;
}

/** Puts `source` in the place of a reference. */
export function standIn(statement: Statement, reference: TableReference, source: string): Edit {
  const { whole, alias, name, kind } = reference;
  if (kind === 'in') return { ...whole, text: source.startsWith('(') ? source : `(SELECT * FROM ${source})` };
  // Which index to use can be asked of a table only: without, the answer is the same.
  const end = source.startsWith('(') ? hintEnd(statement, reference) : whole.end;
  return { start: whole.start, end, text: `${source} AS ${quoteName(alias ?? name)}` };
}

/** The version columns that a statement can mean, beside the columns of a table. */
export function wantedOf(statement: Statement, { columns }: Relation): VersionColumn[] {
  return versionColumns(columns, mentions(statement));
}

/** The columns that a reference needs; IN reads them all. */
export function columnsRead(
  statement: Statement,
  { kind }: TableReference,
  shape: Relation,
): readonly Column[] {
  return kind === 'in' ? shape.columns : namedColumns(statement, shape);
}

/** The past with the columns that a reference needs. */
export function narrowed(statement: Statement, reference: TableReference, shape: Relation, past: Past): Past {
  return { ...past, at: { ...past.at, columns: columnsRead(statement, reference, shape) } };
}

/** What stands in for a reference to versions; `bound` is SQL for what `periodBinding` gives. */
export function versionsStandIn(
  statement: Statement,
  reference: TableReference,
  { shape, past, lineage, interval, access, isKeyed }: VersionsReading,
  bound: string,
): string {
  const source = versionsOf(
    {
      past: narrowed(statement, reference, shape, past),
      lineage,
      wanted: wantedOf(statement, shape),
      access,
      rowid: rowidName(statement, shape),
      isKeyed,
    },
    bound,
  );
  return frozen(statement, interval.isEmpty ? `(SELECT * FROM ${source} WHERE 0)` : source, undefined);
}

/** What stands in for a table that was not there yet: no rows, of the columns that it has now. */
export function nothingStandIn(statement: Statement, shape: Relation, isOfVersions: boolean): string {
  const rowid = rowidName(statement, shape);
  const columns = [
    ...(rowid === undefined ? [] : [`NULL AS ${quoteName(rowid)}`]),
    ...shape.columns.map((column) => `${nullOf(column)} AS ${quoteName(column.name)}`),
    ...(isOfVersions ? wantedOf(statement, shape).map((name) => `NULL AS ${name}`) : []),
  ];
  return `(SELECT ${columns.join(', ')} WHERE 0)`;
}

/**
 * `source` for a statement whose subqueries may run while it is changing rows: read whole when it is first asked
 * for, so that what the statement has changed by then is not taken for the past.
 */
export function frozen({ references }: Statement, source: string, rowid: string | undefined): string {
  if (!references.some(({ kind }) => kind === 'update' || kind === 'delete')) return source;
  const columns = rowid === undefined ? '*' : `${rowid}, *`;
  return `(WITH __dosql_past AS MATERIALIZED (SELECT ${columns} FROM ${source}) SELECT * FROM __dosql_past)`;
}
