import type { Engine } from '../engine.ts';
import { HandOffBuilder } from '../scan/handoff.ts';
import { OP } from '../schema/capture.ts';
import type { Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import type { SqlValue } from '../value/row.ts';
import { scanColumn } from './cold-table.ts';
import type { ColdFile, Manifest } from './manifest.ts';

/** Cold rows with their places in a file, to become hot again. */
export interface FileRows {
  readonly file: ColdFile;
  readonly positions: readonly number[];
  /** As {@link storedFields} names their values. */
  readonly rows: readonly (readonly SqlValue[])[];
  /** The rows as the table was when the file was made, where it has lost a column since. */
  readonly before:
    | { readonly version: Relation; readonly rows: readonly (readonly SqlValue[])[] }
    | undefined;
}

/** A value that a row of a table is made of. */
export interface StoredField {
  /** A column's id; -1 for a rowid that is no column. */
  readonly id: number;
  readonly name: string;
}

/** What a row of a table is made of: its columns that are not generated, and its rowid where that is none of them. */
export function storedFields({ columns, key }: Relation): StoredField[] {
  const fields = columns.filter(({ isGenerated }) => !isGenerated).map(({ id, name }) => ({ id, name }));
  return key.kind === 'rowid' && key.columnId === undefined
    ? [{ id: -1, name: key.name }, ...fields]
    : fields;
}

/** The version of a table that a file was made of, where it has columns that the table has no more. */
export function lostVersion(engine: Engine, relation: Relation, { columns }: ColdFile): Relation | undefined {
  const isLost = columns.some(({ id }) => id >= 0 && !relation.columns.some((column) => column.id === id));
  if (!isLost) return undefined;
  const ids = columns.flatMap(({ id }) => (id < 0 ? [] : [id])).join();
  return engine.catalog
    .versions(relation.tableId)
    .findLast((version) => version.columns.map(({ id }) => id).join() === ids);
}

/**
 * Makes cold rows hot, in one transaction. That is no change: the log takes no note of it, no trigger fires, and
 * whoever reads the table sees the same rows before and after.
 */
export function bringBack(
  engine: Engine,
  manifest: Manifest,
  relation: Relation,
  files: readonly FileRows[],
  until: number,
): void {
  const fields = storedFields(relation);
  const columns = fields.map(({ id, name }) => {
    const column = relation.columns.find((column) => column.id === id);
    return column === undefined
      ? { name, type: 'integer' as const }
      : { ...scanColumn(column), affinity: 'blob' as const };
  });
  const names = fields.map(({ name }) => quoteName(name)).join(', ');
  engine.atomically(() => {
    engine.keepingLastRowId(() =>
      withoutTriggers(engine, relation.table, () => {
        for (const { file, positions, rows, before } of files) {
          if (before !== undefined) keepImages(engine, relation, before);
          // A builder holds less than a file may have rows for.
          for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
            const handed = new HandOffBuilder(columns);
            handed.addRows(rows.slice(from, from + ROWS_AT_ONCE));
            const { sql, bindings } = handed.finish();
            engine.storage.sql.exec(
              `INSERT INTO ${quoteName(relation.table)}(${names}) SELECT ${names} FROM (${sql})`,
              ...bindings,
            );
          }
          manifest.takeOut(file, positions, until);
        }
      }),
    );
  });
}

/** Logs rows as they were before the table lost columns, as is done for hot ones when it does. */
function keepImages(
  engine: Engine,
  { key }: Relation,
  { version, rows }: NonNullable<FileRows['before']>,
): void {
  const { layout, columns } = version;
  const rowid = key.kind === 'rowid' ? columns.findIndex(({ id }) => id === key.columnId) : -1;
  for (const row of rows) {
    const value = (id: number): SqlValue => row[columns.findIndex((column) => column.id === id)] ?? null;
    for (let part = 0; part < layout.parts; part++) {
      const slots = layout.slots.filter((slot) => slot.part === part);
      const k = key.kind === 'rowid' ? [rowid < 0 ? (row.at(-1) ?? null) : (row[rowid] ?? null)] : [];
      const values = [...k, ...slots.map(({ columnId }) => value(columnId))];
      const marks = values.map((each) => (typeof each === 'bigint' ? 'CAST(? AS INTEGER)' : '?'));
      const names = [...k.map(() => 'k'), ...slots.map(({ name }) => name)];
      engine.storage.sql.exec(
        `INSERT INTO __dosql_log(rel, op, at, ${names.join(', ')}) VALUES(${version.id}, ${part === 0 ? OP.rewrite : OP.more}, ${engine.catalog.now}, ${marks.join(', ')})`,
        ...values.map((each) => (typeof each === 'bigint' ? String(each) : each)),
      );
    }
  }
}

const ROWS_AT_ONCE = 5_000;

/** Runs `work` while the table has no triggers: neither the user's nor those that log its changes. */
export function withoutTriggers(engine: Engine, table: string, work: () => void): void {
  const { sql } = engine.storage;
  const triggers = all<[string, string]>(
    sql,
    "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY rowid",
    table,
  );
  for (const [name] of triggers) sql.exec(`DROP TRIGGER ${quoteName(name)}`);
  work();
  // In their order: the newest fires first.
  for (const [, text] of triggers) sql.exec(text);
  engine.catalog.settle();
}
