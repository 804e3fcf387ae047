import type { Engine } from '../engine.ts';
import { MAIN } from '../schema/line.ts';
import type { Row } from '../value/row.ts';
import type { Point } from './point.ts';
import { changesOf, keyOf, presentRow, versionsOn, type KeyValue } from './row-key.ts';

export type { KeyValue } from './row-key.ts';

/** A row between two changes of it. */
export interface Version<T = Row> {
  readonly row: T;
  /** What made it so; undefined for what was so before the history that is kept begins. */
  readonly op: 'insert' | 'update' | undefined;
  /** The version holds from this LSN … */
  readonly lsnFrom: bigint;
  /** … up to, not including, this one; null while it is the present. */
  readonly lsnTo: bigint | null;
  readonly validFrom: Date;
  readonly validTo: Date | null;
  /** The transaction that made it so, as the LSN at which it ended. */
  readonly tx: bigint | undefined;
}

/**
 * Every version of the row with this key that the log knows and that was there after `since`, oldest first. Rows that were deleted have
 * theirs too, and so have those of a table that was dropped. On a branch, those of before it forked are its parent's.
 */
export function versions(
  engine: Engine,
  table: string,
  key: KeyValue,
  line: number = MAIN,
  since?: Point,
): Version[] {
  const { relation, key: wanted } = keyOf(engine, table, key, line);
  const from = since === undefined ? 0 : engine.history.points.resolve(since);
  engine.history.points.reachAll(versionsOn(engine, relation.tableId, line), from);
  const unknown = (): Omit<Version, 'row' | 'lsnTo' | 'validTo'> => {
    const { lsn, ms } = engine.log.earliest();
    return { op: undefined, lsnFrom: BigInt(lsn), validFrom: new Date(ms), tx: undefined };
  };
  const found: Version[] = [];
  let open: Omit<Version, 'lsnTo' | 'validTo'> | undefined;
  for (const { entry, before, after } of changesOf(engine, relation, wanted, line)) {
    if (before !== undefined) {
      open ??= { ...unknown(), row: before };
      found.push({ ...open, lsnTo: entry.lsn, validTo: entry.timestamp });
      open = undefined;
    }
    if (after !== undefined)
      open = {
        row: after,
        op: entry.op === 'update' ? 'update' : 'insert',
        lsnFrom: entry.lsn,
        validFrom: entry.timestamp,
        tx: entry.tx,
      };
  }
  const row = presentRow(engine, relation, wanted, line);
  if (row !== undefined) found.push({ ...(open ?? unknown()), row, lsnTo: null, validTo: null });
  return found.filter(({ lsnTo }) => lsnTo === null || lsnTo > from);
}
