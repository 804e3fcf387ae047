import type { Log } from '../log/log.ts';
import { keyExpressions, OP } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import type { Lineage } from '../schema/line.ts';
import type { Column, Relation } from '../schema/relation.ts';
import { compound } from '../sql/compound.ts';
import {
  imageSelect,
  keyNames,
  keySlots,
  presentRows,
  presentSelect,
  typed,
  unchanged,
  type BaseAccess,
  type Past,
  type ResultColumn,
} from './as-of.ts';
import type { Interval } from './point.ts';

/** The columns that a version has beside its row's: when it was the present, by time and by LSN. */
export const VERSION_COLUMNS = ['_valid_from', '_valid_to', '_lsn_from', '_lsn_to'] as const;

/** One of {@link VERSION_COLUMNS}. */
export type VersionColumn = (typeof VERSION_COLUMNS)[number];

/** What to read of the versions of a table's rows. */
export interface Period {
  /** The table, with the columns that are wanted; its versions are those of all lines of `lineage`. */
  readonly past: Past;
  /** The lines whose logs have the changes, each up to where the next one forked from it. */
  readonly lineage: Lineage;
  /** Those of {@link VERSION_COLUMNS} that are wanted and are no columns of the table itself. */
  readonly wanted: readonly VersionColumn[];
  readonly access: BaseAccess;
  /** The word by which the statement asks for a rowid that is no column of the table. */
  readonly rowid: string | undefined;
  /** Only the changes are looked at whose LSNs {@link periodBinding} was given. */
  readonly isKeyed: boolean;
}

/** The version columns that a statement naming `names` can mean; a table's own columns of these names win. */
export function versionColumns(
  columns: readonly Column[],
  isNamed: (name: string) => boolean,
): VersionColumn[] {
  return VERSION_COLUMNS.filter(
    (wanted) => isNamed(wanted) && !columns.some(({ name }) => sameName(name, wanted)),
  );
}

/**
 * The value to bind for the text of {@link versionsOf}: what the text cannot hold, since it is kept, as one JSON
 * array.
 */
export function periodBinding(
  log: Log,
  { from, to }: Interval,
  { past, wanted }: Pick<Period, 'past' | 'wanted'>,
  lsns: readonly number[] | undefined,
): string {
  const earliest = log.earliest();
  log.settleClock();
  // A table that was not there when the window began has been known from its first version on.
  const known = Math.max(earliest.lsn, past.versions[0]?.since ?? 0);
  const knownAt = known === earliest.lsn ? earliest.ms : log.timeOf(known);
  return JSON.stringify([
    changesAfter(log, from, wanted),
    from,
    to,
    log.marked,
    log.end(),
    known,
    new Date(knownAt).toISOString(),
    ...(lsns === undefined ? [] : [lsns]),
  ]);
}

/**
 * The versions of a table's rows that begin no later than an interval's end and end after its beginning, as a
 * subquery; `bound` is SQL for what {@link periodBinding} gives.
 *
 * A row's changes of one transaction are one step: the version before it is the image that its first change
 * logged, and lasts from the end of the transaction that changed the row before. What no transaction has ended
 * is the row as it is now. Rows without a change are read like those of {@link asOf}.
 */
export function versionsOf({ past, lineage, wanted, access, rowid, isKeyed }: Period, bound: string): string {
  const { at: then, now, versions } = past;
  const keys = keyNames(then).join(', ');
  const value = valuesIn(bound, isKeyed);
  const losesColumns = versions.some(({ until }, i) => until !== undefined && dropsColumn(versions, i));
  const steps =
    `SELECT ${keys}, min(lsn) AS lsn, t, max(op <> ${OP.rewrite}) AS real FROM ` +
    `(SELECT ${keys}, lsn, op, ${transactionEnd(value)} AS t FROM (${compound(
      versions.map((version) => changesOf(version, lineage, value, losesColumns)),
      'UNION ALL',
    )}) AS l) GROUP BY ${keys}, t`;
  // What a column dropped later took with it is a step for its image only: the version goes on past it.
  const end = losesColumns
    ? `min(iif(real, t, NULL)) OVER (PARTITION BY ${keys} ORDER BY t ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)`
    : 't';
  const withClause =
    `WITH __dosql_step AS MATERIALIZED (SELECT ${keys}, lsn, t, lag(t) OVER (PARTITION BY ${keys} ORDER BY t) AS f, ${end} AS e FROM (${steps}))` +
    (now === undefined
      ? ''
      : `, __dosql_changed AS MATERIALIZED (SELECT ${keys}, max(t) AS t FROM __dosql_step GROUP BY ${keys})`);
  const system = (from: string, to: string): ResultColumn[] =>
    wanted.map((name) => ({ name, value: versionColumn(name, from, to, value) }));
  const arms = versions.map((version) => closed(past, version, system('s.f', 's.e'), value, rowid));
  const base =
    now === undefined
      ? []
      : [
          ...typed(past, now, rowid, system('NULL', 'NULL')),
          unchanged(past, now, access, rowid, system('NULL', 'NULL')),
          open(past, now, system('c.t', 'NULL'), value, rowid, isKeyed),
        ];
  return `(${withClause} ${compound([...base, ...arms], 'UNION ALL')})`;
}

/** The LSN after which changes matter: where versions begin is only looked for if that is wanted. */
export function changesAfter(log: Log, from: number, wanted: readonly VersionColumn[]): number {
  const earliest = log.earliest().lsn;
  return wanted.some((name) => name === '_valid_from' || name === '_lsn_from')
    ? earliest
    : Math.max(earliest, from);
}

/** What {@link periodBinding} bound. */
interface Values {
  /** Changes after this LSN are looked at. */
  readonly after: string;
  readonly from: string;
  readonly to: string;
  /** Up to this LSN transactions are marked; what comes after belongs to the one that is open, up to `end`. */
  readonly marked: string;
  readonly end: string;
  /** The LSN and the time from which on a row without changes is known to be as it is. */
  readonly known: string;
  readonly knownAt: string;
  /** What changes are read from. */
  readonly log: string;
}

function valuesIn(bound: string, isKeyed: boolean): Values {
  const at = (i: number): string => `(${bound} ->> ${i})`;
  return {
    after: at(0),
    from: at(1),
    to: at(2),
    marked: at(3),
    end: at(4),
    known: at(5),
    knownAt: at(6),
    log: isKeyed ? `json_each(${bound}, '$[7]') AS j CROSS JOIN __dosql_log ON lsn = j.value` : '__dosql_log',
  };
}

function dropsColumn(versions: readonly Relation[], i: number): boolean {
  const next = versions[i + 1];
  return (
    next !== undefined &&
    versions[i]?.columns.some(({ id }) => !next.columns.some((column) => column.id === id)) === true
  );
}

function changesOf(
  version: Relation,
  lineage: Lineage,
  { after, to, log }: Values,
  losesColumns: boolean,
): string {
  const upTo = lineage.find(({ line }) => line === version.branch)?.upTo ?? Infinity;
  const within = upTo === Infinity ? '' : ` AND lsn <= ${upTo}`;
  const slots = keySlots(version).map((slot, i) => (slot === 'k' ? 'k' : `${slot} AS k${i}`));
  const kinds = losesColumns
    ? `op BETWEEN ${OP.insert} AND ${OP.rewrite} AND (op <> ${OP.rewrite} OR lsn > ${to})`
    : `op BETWEEN ${OP.insert} AND ${OP.updateAfter}`;
  return `SELECT ${slots.join(', ')}, lsn, op FROM ${log} WHERE lsn > ${after}${within} AND rel = ${version.id} AND ${kinds}`;
}

/** The last LSN of the transaction of `l.lsn`. */
function transactionEnd({ marked, end }: Values): string {
  return (
    '(ifnull((SELECT iif(x.first <= l.lsn, x.last, l.lsn) FROM __dosql_tx AS x WHERE x.last >= l.lsn ORDER BY x.last LIMIT 1), ' +
    `iif(l.lsn > ${marked}, ${end}, l.lsn)))`
  );
}

function versionColumn(name: VersionColumn, from: string, to: string, { known, knownAt }: Values): string {
  const time = (lsn: string): string =>
    lsn === 'NULL'
      ? 'NULL'
      : // A transaction's last change may be gone with the branch that it was of.
        `strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT x.at FROM __dosql_log AS x WHERE x.lsn <= ${lsn} ORDER BY x.lsn DESC LIMIT 1))`;
  const value = {
    _valid_from: from === 'NULL' ? knownAt : `ifnull(${time(from)}, ${knownAt})`,
    _valid_to: time(to),
    _lsn_from: from === 'NULL' ? known : `ifnull(${from}, ${known})`,
    _lsn_to: to,
  }[name];
  // With the affinity that a column of such values would have.
  return `CAST(${value} AS ${name.startsWith('_lsn') ? 'INTEGER' : 'TEXT'})`;
}

/** Versions that a change has ended. */
function closed(
  past: Past,
  version: Relation,
  system: readonly ResultColumn[],
  { from, to }: Values,
  rowid: string | undefined,
): string {
  const where =
    `l.rel = ${version.id} AND l.op NOT IN (${OP.insert}, ${OP.updateAfter}) ` +
    `AND s.t > ${from} AND ifnull(s.f, 0) <= ${to}`;
  const steps = '__dosql_step AS s JOIN __dosql_log AS l ON l.lsn = s.lsn';
  return imageSelect(past, version, steps, where, rowid, system);
}

/** The present versions of rows that have changed. */
function open(
  past: Past,
  now: Relation,
  system: readonly ResultColumn[],
  { to }: Values,
  rowid: string | undefined,
  isKeyed: boolean,
): string {
  const keys = keyNames(now);
  const rows = presentRows(past, now);
  // Images among them would be looked for one by one: read at once they get an index. LIMIT keeps SQLite from looking inside.
  const source = isKeyed || !rows.startsWith('(') ? rows : `(SELECT * FROM ${rows} LIMIT -1)`;
  // Keys that differ by what the column's collation ignores are two keys of the log.
  const same = keyExpressions(now, 'b').flatMap((key, i) => [
    `${key} = c.${keys[i]}`,
    ...(now.key.kind === 'primary' ? [`${key} = c.${keys[i]} COLLATE BINARY`] : []),
  ]);
  const rest = `__dosql_changed AS c CROSS JOIN ${source} AS b ON ${same.join(' AND ')} WHERE c.t <= ${to}`;
  return presentSelect(past, now, rest, rowid, system);
}
