import { imageSource, keyNames, keySlots } from '../history/as-of.ts';
import { defaultsOf } from '../history/default.ts';
import { OP } from '../schema/capture.ts';
import type { Column, Relation } from '../schema/relation.ts';
import { compound } from '../sql/compound.ts';
import { quoteName } from '../sql/token.ts';
import { Fields, type Match } from './fields.ts';
import type { Place } from './place.ts';

/** A stretch of the log: the changes after `after`, up to `upTo`. */
export interface Stretch {
  readonly after: number;
  readonly upTo: number;
}

/** Rows that a stretch of the log has changed, as they were before it or after it. */
export interface Images {
  /** Where they are to be written. */
  readonly place: Place;
  /** The version of the table that had the columns that count: the place has others' values as they are. */
  readonly past: Relation;
  /** The versions under which the changes were logged. */
  readonly versions: readonly Relation[];
  readonly stretch: Stretch;
  readonly side: 'before' | 'after';
  readonly match?: Match | undefined;
}

/** Query for the keys of the rows that a stretch of the log has changed, in any of these versions of their table. */
export function keysChanged(versions: readonly Relation[], stretch: Stretch): string {
  return compound(
    versions.map(
      (version) => `SELECT ${namedKey(version)} FROM __dosql_log WHERE ${within(version, stretch)}`,
    ),
    'UNION',
  );
}

/**
 * Query for the images, each row once, as a place's rows are written. Columns that the version `past` did not have
 * are those of the row as it is, and for a row that is not there, the column's default.
 */
export function imagesOf({ place, past, versions, stretch, side, match }: Images): string {
  const keys = keyNames(past);
  // A change in two halves names its key in both: the first is the row before, the second the row after.
  const ops = side === 'before' ? `op <> ${OP.updateAfter}` : `op NOT IN (${OP.updateBefore}, ${OP.rewrite})`;
  const changes = versions.map(
    (version) =>
      `SELECT ${namedKey(version)}, lsn FROM __dosql_log WHERE ${within(version, stretch)} AND ${ops}`,
  );
  const which = side === 'before' ? 'min' : 'max';
  const one = `SELECT ${keys.join(', ')}, ${which}(lsn) AS lsn FROM (${compound(changes, 'UNION ALL')}) GROUP BY ${keys.join(', ')}`;
  const absent = side === 'before' ? OP.insert : OP.delete;
  const arms = versions.map((version) => {
    const source = imageSource(version, '__dosql_first AS f JOIN __dosql_log AS l ON l.lsn = f.lsn');
    const valueOf =
      side === 'before' ? source.value : (column: Column) => after(version, column, source.value);
    const { columns, joined } = columnsOf(place, past, match, valueOf);
    return `SELECT ${columns.join(', ')} FROM ${source.from}${joined} WHERE l.rel = ${version.id} AND l.op <> ${absent}`;
  });
  return `WITH __dosql_first AS MATERIALIZED (${one}) ${compound(arms, 'UNION ALL')}`;
}

type ImageValue = ReturnType<typeof imageSource>['value'];

/** An update that shares a row of the log with the image before it has its values in columns of their own. */
function after({ layout }: Relation, column: Column, value: ImageValue): string {
  const slot = layout.slots.find(({ columnId }) => columnId === column.id);
  return slot?.after === undefined
    ? value(column)
    : `CASE l.op WHEN ${OP.update} THEN l.${slot.after} ELSE ${value(column)} END`;
}

/** The values of an image for `place`, and the join with the present row where some of them come from there. */
function columnsOf(
  place: Place,
  past: Relation,
  match: Match | undefined,
  value: ImageValue,
): { columns: string[]; joined: string } {
  const { relation, rows } = place;
  const defaults = defaultsOf(relation);
  const fields = new Fields(relation, match);
  const isThere = `r.${quoteName(fields.key[0]?.name ?? '')} IS NOT NULL`;
  const isNew = (column: Column | undefined): boolean =>
    column !== undefined && !past.columns.some(({ id }) => id === column.id);
  const valueOf = (column: Column | undefined): string => (column === undefined ? 'l.k' : value(column));
  const columns = fields.all.map(({ name, column }) =>
    column !== undefined && isNew(column)
      ? `CASE WHEN ${isThere} THEN r.${quoteName(name)} ELSE ${defaults.get(column.id) ?? 'NULL'} END`
      : valueOf(column),
  );
  if (!fields.all.some(({ column }) => isNew(column))) return { columns, joined: '' };
  const same = fields.key.map(({ name, column }) => `r.${quoteName(name)} = +${valueOf(column)}`);
  return { columns, joined: ` LEFT JOIN ${rows} AS r ON ${same.join(' AND ')}` };
}

/** The key in a row of the log, under the names that {@link keyNames} gives. */
function namedKey(version: Relation): string {
  const names = keyNames(version);
  return keySlots(version)
    .map((slot, i) => `${slot} AS ${names[i]}`)
    .join(', ');
}

function within({ id }: Relation, { after: from, upTo }: Stretch): string {
  return `lsn > ${from} AND lsn <= ${upTo} AND rel = ${id} AND op BETWEEN ${OP.insert} AND ${OP.rewrite}`;
}
