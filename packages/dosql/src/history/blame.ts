import type { ChangeRow } from '@dotdo/cdc';
import type { Engine } from '../engine.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { first } from '../sql/read.ts';
import type { SqlValue } from '../value/row.ts';
import type { Point } from './point.ts';
import { changesOf, keyOf, presentRow, versionsOn, type KeyValue, type RowChange } from './row-key.ts';

/** Which change gave a column of a row the value that it has. */
export interface Blame {
  readonly column: string;
  readonly value: SqlValue;
  /** `schema` where the column was added with this value; undefined when it is older than the history kept. */
  readonly op: 'insert' | 'update' | 'schema' | undefined;
  readonly lsn: bigint | undefined;
  /** The transaction, as the LSN at which it ended. */
  readonly tx: bigint | undefined;
  readonly timestamp: Date | undefined;
}

type Origin = Pick<Blame, 'op' | 'lsn' | 'tx' | 'timestamp'>;

const UNKNOWN: Origin = { op: undefined, lsn: undefined, tx: undefined, timestamp: undefined };

/**
 * For each column of the row with this key: the last change that gave it another value than it had, looked for in the
 * archive back to `since`. Empty when
 * there is no such row now. What was deleted and inserted again in one transaction, as REPLACE does, is an update.
 */
export function blame(
  engine: Engine,
  table: string,
  key: KeyValue,
  line: number = MAIN,
  since?: Point,
): Blame[] {
  const { relation, key: wanted } = keyOf(engine, table, key, line);
  const row = presentRow(engine, relation, wanted, line);
  if (row === undefined) return [];
  const steps = stepsOf(changesOf(engine, relation, wanted, line)).toReversed();
  const origins = relation.columns.map(({ id }) => originOf(engine, relation, id, steps, line));
  // The archive is read only as far back as it takes to know them all.
  if (origins.includes(UNKNOWN)) {
    const before = engine.log.earliest().lsn - 1;
    const from = since === undefined ? before : Math.max(before, engine.history.points.resolve(since));
    engine.history.points.reachAll(versionsOn(engine, relation.tableId, line), from);
  }
  return relation.columns.map(({ name }, i) => ({
    column: name,
    value: row[name] ?? null,
    ...(origins[i] as Origin),
  }));
}

/** A row's change from one committed state to the next. */
interface Step extends Omit<RowChange, 'relation'> {
  /** Whether the column is there before the change and has another value after it, or is not there before. */
  readonly changes: (id: number) => boolean;
}

function stepsOf(changes: readonly RowChange[]): Step[] {
  const steps: Step[] = [];
  for (const { entry, relation, before, after } of changes) {
    const last = steps.at(-1);
    const isAgain = last?.after === undefined && last?.entry.tx === entry.tx && before === undefined;
    if (last !== undefined && isAgain) steps.pop();
    const start = isAgain ? last?.before : before;
    const value = (row: ChangeRow, id: number): SqlValue | undefined => {
      const column = relation.columns.find((column) => column.id === id);
      return column === undefined ? undefined : row[column.name];
    };
    steps.push({
      entry,
      before: start,
      after,
      changes: (id) =>
        start === undefined || after === undefined || !isSame(value(start, id), value(after, id)),
    });
  }
  return steps;
}

function originOf(
  engine: Engine,
  relation: Relation,
  id: number,
  latestFirst: readonly Step[],
  line: number,
): Origin {
  const added = additionOf(engine, relation, id, line);
  const step = latestFirst.find(({ changes }) => changes(id));
  if (added !== undefined && (step === undefined || step.entry.lsn < added))
    return schemaOrigin(engine, added);
  if (step === undefined) return UNKNOWN;
  const { lsn, tx, timestamp } = step.entry;
  return { op: step.before === undefined ? 'insert' : 'update', lsn, tx, timestamp };
}

/** The LSN at which a column was added to a table that was there already. */
function additionOf(engine: Engine, { tableId }: Relation, id: number, line: number): number | undefined {
  const { log } = engine;
  const versions = versionsOn(engine, tableId, line);
  const first = versions.findIndex(({ columns }) => columns.some((column) => column.id === id));
  const since = versions[first]?.since;
  return first > 0 && since !== undefined && since > log.earliest().lsn ? since : undefined;
}

function schemaOrigin({ storage, log }: Engine, lsn: number): Origin {
  const range = first<[number, number]>(
    storage.sql,
    'SELECT first, last FROM __dosql_tx WHERE last >= ? ORDER BY last LIMIT 1',
    lsn,
  );
  const tx = range !== undefined && range[0] <= lsn ? range[1] : lsn;
  return { op: 'schema', lsn: BigInt(lsn), tx: BigInt(tx), timestamp: new Date(log.timeOf(lsn)) };
}

function isSame(a: SqlValue | undefined, b: SqlValue | undefined): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array)
    return a.length === b.length && a.every((byte, i) => byte === b[i]);
  return a === b;
}
