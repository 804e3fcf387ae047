import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { quoteName } from '../sql/token.ts';
import { brokenReferences } from './foreign-keys.ts';
import type { Place } from './place.ts';
import type { Violation } from './violation.ts';
import { TableWriter, type TableChange } from './write.ts';

/** What was written, and what could not be. */
export interface Applied {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  /** Constraints that some row does not satisfy; one of SQLite's own checks a row, and every foreign key. */
  readonly violations: readonly Violation[];
}

/** Writes rows of one table. */
export interface RowWriter {
  readonly place: Place;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  write(): void;
}

/**
 * Brings rows to the state that `changes` ask for, exactly: values go from query to table within SQLite, rows that
 * are so already are not touched, no trigger of the user's fires and no foreign key acts.
 *
 * The caller holds a transaction in which foreign keys are not enforced, as `unchecked` makes one, and has to undo
 * it when there are violations: then some rows have been written and others have not. `places` are all tables of
 * the line that the changes are made on; foreign keys are looked at if `areEnforced`. `others` write before the changes
 * are.
 */
export function apply(
  engine: Engine,
  places: readonly Place[],
  changes: readonly TableChange[],
  areEnforced: boolean,
  others: readonly RowWriter[] = [],
): Applied {
  const { sql } = engine.storage;
  const since = engine.log.end();
  const changing = changes.map((change, i) => new TableWriter(sql, change, i));
  const busy = [...others, ...changing.filter(({ hasWork }) => hasWork)];
  const written = [...new Map(busy.map(({ place }) => [place.relation.id, place])).values()];
  withoutTriggers(engine, written, () => {
    for (const writer of busy) writer.write();
  });
  const violations = changing.flatMap((writer) => writer.violations);
  if (areEnforced) violations.push(...brokenReferences(sql, places, written, changing, since));
  for (const writer of changing) writer.close();
  const sum = (count: (writer: RowWriter) => number): number =>
    busy.reduce((total, writer) => total + count(writer), 0);
  return {
    inserted: sum(({ inserted }) => inserted),
    updated: sum(({ updated }) => updated),
    deleted: sum(({ deleted }) => deleted),
    violations,
  };
}

/** Takes the triggers of the user's away from the tables of `places`, and puts them back in the order that they fire in. */
export function withoutTriggers(engine: Engine, places: readonly Place[], callback: () => void): void {
  const { sql } = engine.storage;
  const triggers = places.flatMap((place) => place.triggers());
  for (const { name } of triggers) sql.exec(`DROP TRIGGER ${quoteName(name)}`);
  callback();
  for (const trigger of triggers) sql.exec(trigger.sql);
  // The triggers that log have to be newer than the user's, to fire before them.
  if (triggers.length > 0) engine.catalog.refresh();
}

/**
 * The error that says which rows are why nothing was changed.
 *
 * @returns DoSQLError `CONSTRAINT_*` by the first violation's type.
 */
export function violationError(what: string, violations: readonly Violation[]): DoSQLError {
  const MOST = 10;
  const rows = violations
    .slice(0, MOST)
    .map(({ table, key, message }) => `"${table}" ${keyText(key)}: ${message}`);
  const more = violations.length > MOST ? [`and ${violations.length - MOST} more`] : [];
  const type = violations[0]?.type ?? 'check';
  const code =
    type === 'primary'
      ? 'UNIQUE'
      : (type.toUpperCase() as 'UNIQUE' | 'CHECK' | 'NOTNULL' | 'FOREIGNKEY' | 'DATATYPE');
  return new DoSQLError(
    `CONSTRAINT_${code}`,
    `${what}: nothing was changed, since ${[...rows, ...more].join('; ')}`,
  );
}

/** A key as a message says it. */
export function keyText(key: Violation['key']): string {
  const parts = Object.entries(key).map(([name, value]) => {
    const text =
      value instanceof Uint8Array
        ? `a blob of ${value.length} bytes`
        : JSON.stringify(typeof value === 'bigint' ? String(value) : value);
    return `${name} = ${text.slice(0, 80)}`;
  });
  return `(${parts.join(', ')})`;
}
