import type { LogEntry } from '@dotdo/cdc';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { sameName } from '../schema/catalog.ts';
import { columnOf, type Relation } from '../schema/relation.ts';
import { compound } from '../sql/compound.ts';
import { quoteName } from '../sql/token.ts';
import { describe, encode, type SqlParameter } from '../value/parameter.ts';
import { toRows, type RawValue, type Row, type SqlValue } from '../value/row.ts';

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
}

/** A row's key: the value of a key of one column, or an object with a value for each column of it. */
export type KeyValue = SqlParameter | Readonly<Record<string, SqlParameter>>;

/**
 * Every version of the row with this key that the log knows, oldest first. Rows that were deleted have
 * theirs too.
 */
export function versions(engine: Engine, table: string, key: KeyValue): Version[] {
  const { catalog, log } = engine;
  const relation = catalog.relationAt(table, log.end());
  if (relation === undefined) throw new DoSQLError('NO_SUCH_TABLE', `no such table: ${table}`);
  const wanted = keyColumns(relation, key);
  const rows = current(engine, relation, wanted);
  const earliest = log.earliest();
  const found: Version[] = [];
  let open: Omit<Version, 'lsnTo' | 'validTo'> | undefined;
  for (const entry of changes(engine, relation, wanted)) {
    if (entry.op === 'schema') continue;
    const before = entry.before !== null && hasKey(entry.before, wanted) ? entry.before : undefined;
    const after = entry.after !== null && hasKey(entry.after, wanted) ? entry.after : undefined;
    if (before !== undefined) {
      open ??= {
        row: before,
        op: undefined,
        lsnFrom: BigInt(earliest.lsn),
        validFrom: new Date(earliest.ms),
      };
      found.push({ ...open, lsnTo: entry.lsn, validTo: entry.timestamp });
      open = undefined;
    }
    if (after !== undefined)
      open = {
        row: after,
        op: entry.op === 'update' ? 'update' : 'insert',
        lsnFrom: entry.lsn,
        validFrom: entry.timestamp,
      };
  }
  const [row] = rows;
  if (row !== undefined) {
    open ??= { row, op: undefined, lsnFrom: BigInt(earliest.lsn), validFrom: new Date(earliest.ms) };
    found.push({ ...open, row, lsnTo: null, validTo: null });
  }
  return found;
}

interface KeyColumn {
  readonly id: number;
  readonly name: string;
  readonly value: SqlParameter;
}

function keyColumns(relation: Relation, key: KeyValue): KeyColumn[] {
  const columns = relation.primaryKey.map((id) => columnOf(relation, id));
  const isPlain =
    typeof key !== 'object' ||
    key === null ||
    key instanceof Date ||
    key instanceof ArrayBuffer ||
    ArrayBuffer.isView(key);
  if (isPlain) {
    const [only] = columns;
    if (columns.length === 1 && only !== undefined) return [{ id: only.id, name: only.name, value: key }];
    if (columns.length === 0 && relation.key.kind === 'rowid')
      return [{ id: -1, name: relation.key.name, value: key }];
    throw new DoSQLError(
      'BAD_PARAMETER',
      `the key of "${relation.name}" is (${columns.map(({ name }) => name).join(', ')}): give an object`,
    );
  }
  const given = Object.entries(key as Record<string, SqlParameter>);
  return columns.map(({ id, name }) => {
    const value = given.find(([given]) => sameName(given, name));
    if (value === undefined)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `the key ${describe(key)} has no "${name}", which the key of "${relation.name}" has`,
      );
    return { id, name, value: value[1] };
  });
}

function current(engine: Engine, relation: Relation, wanted: readonly KeyColumn[]): Row[] {
  const conditions = wanted.map(({ name }, i) => `${quoteName(name)} IS ?${i + 1}`);
  const { bindings, write } = encode(
    '',
    wanted.map(({ value }) => value),
  );
  const sql = `SELECT * FROM ${quoteName(relation.name)} WHERE ${conditions.map((text, i) => text.replace(`?${i + 1}`, write(i + 1))).join(' AND ')}`;
  const cursor = engine.storage.sql.exec(sql, ...bindings);
  const raw = [...cursor.raw()] as RawValue[][];
  return toRows(cursor.columnNames, raw);
}

/** The log's entries of every row that has ever had this key. */
function changes(engine: Engine, relation: Relation, wanted: readonly KeyColumn[]): LogEntry[] {
  const { bindings, write } = encode(
    '',
    wanted.map(({ value }) => value),
  );
  const matches = engine.catalog.versions(relation.tableId).map((version) => {
    const isKey = (which: 'name' | 'after'): string =>
      wanted
        .map(({ id }, i) => {
          const slot = version.layout.slots.find(({ columnId }) => columnId === id);
          const column =
            version.key.kind === 'rowid' && (id === -1 || id === version.key.columnId)
              ? 'k'
              : (slot?.[which] ?? slot?.name);
          return `${column ?? 'NULL'} IS ${write(i + 1)}`;
        })
        .join(' AND ');
    const parts = Array.from({ length: 2 * version.layout.parts - 1 }, (_, i) => i);
    // Halves and continuations follow the row that names the key, or stand just before it.
    const around =
      version.layout.parts === 1
        ? 'lsn'
        : `lsn + p.value FROM json_each('[${[...parts, ...parts.map((p) => -p)].join()}]') AS p, __dosql_log WHERE `;
    const condition = `rel = ${version.id} AND op BETWEEN 1 AND 6 AND ((${isKey('name')}) OR (${isKey('after')}))`;
    return version.layout.parts === 1
      ? `SELECT lsn FROM __dosql_log WHERE ${condition}`
      : `SELECT ${around}${condition}`;
  });
  return engine.entries.where(`lsn IN (${compound(matches, 'UNION')})`, bindings);
}

function hasKey(row: Readonly<Record<string, SqlValue>>, wanted: readonly KeyColumn[]): boolean {
  return wanted.every(({ id, name, value }) => id === -1 || sameKeyValue(row[name], value));
}

/** Equal up to what the column's affinity and collation may have done to a value on its way in. */
function sameKeyValue(stored: SqlValue | undefined, given: SqlParameter): boolean {
  return stored === null || stored === undefined ? stored === given : keyText(stored) === keyText(given);
}

function keyText(value: SqlParameter): string {
  if (value instanceof Date) return value.toISOString().toLowerCase();
  if (typeof value === 'object' && value !== null) return [...new Uint8Array(value as ArrayBuffer)].join();
  return String(typeof value === 'boolean' ? Number(value) : value).toLowerCase();
}
