import type { ChangeRow, LogEntry } from '@dotdo/cdc';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { Entries } from '../log/entries.ts';
import { OP } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN, MAIN_LINEAGE, type Lineage } from '../schema/line.ts';
import { columnOf, type Affinity, type Relation } from '../schema/relation.ts';
import { compound } from '../sql/compound.ts';
import { quoteName } from '../sql/token.ts';
import { describe, encode, type SqlParameter } from '../value/parameter.ts';
import { toRows, type RawValue, type Row, type SqlValue } from '../value/row.ts';
import type { KeyPart } from './postings.ts';

/** A row's key: the value of a key of one column, or an object with a value for each column of it. */
export type KeyValue = SqlParameter | Readonly<Record<string, SqlParameter>>;

/** One column of a key; the id is -1 for a rowid that is no column. */
export interface KeyColumn {
  readonly id: number;
  readonly name: string;
  readonly affinity: Affinity;
  readonly value: SqlParameter;
}

/** A change of one row: its images by the ids of the columns, undefined where the row was not there. */
export interface RowChange {
  readonly entry: Exclude<LogEntry, { op: 'schema' }>;
  readonly relation: Relation;
  readonly before: ChangeRow | undefined;
  readonly after: ChangeRow | undefined;
}

/** The lines that a line's states come from, itself first. */
export function lineageOf({ branching }: Engine, line: number): Lineage {
  return branching?.lineage(line) ?? MAIN_LINEAGE;
}

/**
 * The table's version that a key means on a line, and the key's columns with their values.
 *
 * @throws DoSQLError `NO_SUCH_TABLE`, and `BAD_PARAMETER` for a key that is not the table's.
 */
export function keyOf(
  engine: Engine,
  table: string,
  key: KeyValue,
  line: number,
): { relation: Relation; key: KeyColumn[] } {
  const relation =
    presentRelation(engine, table, line) ?? // A table that has been dropped has a history still.
    lineageOf(engine, line)
      .flatMap(({ line, upTo }) =>
        engine.catalog
          .relationsOf(line)
          .filter(({ since }) => since <= upTo)
          .toReversed(),
      )
      .find(({ name }) => sameName(name, table));
  if (relation === undefined) throw new DoSQLError('NO_SUCH_TABLE', `no such table: ${table}`);
  return { relation, key: keyColumns(relation, key) };
}

/** The table that a line has now by this name, its own or one of the lines that it came from. */
function presentRelation(engine: Engine, table: string, line: number): Relation | undefined {
  const { catalog } = engine;
  const passed: number[] = [];
  for (const { line: at, upTo } of lineageOf(engine, line)) {
    const relation = catalog.relationAt(table, upTo, at);
    // One that the branch has renamed or dropped is there no more.
    const isOther = passed.some((branch) => catalog.versions(relation?.tableId ?? 0, branch).length > 0);
    if (relation !== undefined && !isOther) return relation;
    passed.push(at);
  }
  return undefined;
}

/** All versions of a table that a line has had, its own or from those that it came from, oldest first. */
export function versionsOn(engine: Engine, tableId: number, line: number): Relation[] {
  return lineageOf(engine, line)
    .toReversed()
    .flatMap(({ line, upTo }) => engine.catalog.versions(tableId, line).filter(({ since }) => since <= upTo));
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
    if (columns.length === 1 && only !== undefined)
      return [{ id: only.id, name: only.name, affinity: only.affinity, value: key }];
    if (columns.length === 0 && relation.key.kind === 'rowid')
      return [{ id: -1, name: relation.key.name, affinity: 'integer', value: key }];
    throw new DoSQLError(
      'BAD_PARAMETER',
      `the key of "${relation.name}" is (${columns.map(({ name }) => name).join(', ')}): give an object`,
    );
  }
  const given = Object.entries(key as Record<string, SqlParameter>);
  return columns.map(({ id, name, affinity }) => {
    const value = given.find(([given]) => sameName(given, name));
    if (value === undefined)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `the key ${describe(key)} has no "${name}", which the key of "${relation.name}" has`,
      );
    return { id, name, affinity, value: value[1] };
  });
}

/** The row that has the key now; undefined when none has. */
export function presentRow(
  engine: Engine,
  relation: Relation,
  key: readonly KeyColumn[],
  line: number,
): Row | undefined {
  if (presentRelation(engine, relation.name, line) !== relation) return undefined;
  const read = (columns: string): { names: readonly string[]; raw: RawValue[][] } => {
    const where = key.map(({ name }, i) => `${quoteName(name)} IS ?${i + 1}`).join(' AND ');
    const sql = `SELECT ${columns} FROM ${quoteName(relation.name)} WHERE ${where}`;
    const values = key.map(({ value }) => value);
    return engine.run(engine.statement(sql), values, {
      isHotOnly: true,
      ...(line === MAIN ? {} : { branch: line }),
    });
  };
  const { names, raw } = read(relation.columns.map(({ name }) => quoteName(name)).join(', '));
  const [row] = toRows(names, raw);
  if (row === undefined) return undefined;
  // The platform rounds an integer past 2^53: it is read again as text.
  for (const name of names) {
    const value = row[name];
    if (typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value)) continue;
    const column = quoteName(name);
    const exact = read(`typeof(${column}), CAST(${column} AS TEXT)`).raw[0] as [string, string] | undefined;
    if (exact?.[0] === 'integer') row[name] = BigInt(exact[1]);
  }
  return row;
}

/** Every change of the log that a row with this key has had on a line, or before the line forked, oldest first. */
export function changesOf(
  engine: Engine,
  relation: Relation,
  key: readonly KeyColumn[],
  line: number,
): RowChange[] {
  const { log } = engine;
  const [earliest, end] = [log.earliest().lsn, log.end()];
  return lineageOf(engine, line)
    .toReversed()
    .flatMap(({ line, upTo }) =>
      changesOn(engine, { ...relation, branch: line }, key, { earliest, upTo: Math.min(upTo, end), end }),
    );
}

/** A line's part of the window, and where the log ends. */
interface Window {
  readonly earliest: number;
  readonly upTo: number;
  readonly end: number;
}

function changesOn(
  engine: Engine,
  relation: Relation,
  key: readonly KeyColumn[],
  window: Window,
): RowChange[] {
  const { catalog, log } = engine;
  const { upTo, end } = window;
  const versions = catalog.versions(relation.tableId, relation.branch).filter(({ since }) => since <= upTo);
  if (versions.length === 0) return [];
  const candidates = indexed(engine, relation, key, window);
  const entries = new Entries(engine.storage.sql, log, catalog);
  const isPlain = candidates !== undefined && versions.every(({ layout }) => layout.parts === 1);
  const found = isPlain
    ? entries.at(
        candidates.filter((lsn) => lsn <= upTo),
        versions,
        relation.branch,
        end,
      )
    : entriesOf(entries, relation, versions, key, window, candidates);
  return found.flatMap((entry): RowChange[] => {
    if (entry.op === 'schema') return [];
    const version = versions.find(
      ({ since, until }) => since < entry.lsn && (until === undefined || entry.lsn <= until),
    );
    if (version === undefined) return [];
    const image = (row: ChangeRow | null): ChangeRow | undefined =>
      row !== null && hasKey(row, version, key) ? row : undefined;
    const [before, after] = [image(entry.before), image(entry.after)];
    return before === undefined && after === undefined ? [] : [{ entry, relation: version, before, after }];
  });
}

/** Entries of rows of the log that may have this key, in tables of any layout. */
function entriesOf(
  entries: Entries,
  relation: Relation,
  versions: readonly Relation[],
  key: readonly KeyColumn[],
  { earliest, upTo }: Window,
  candidates: readonly number[] | undefined,
): LogEntry[] {
  const { bindings, write } = encodeKey(key);
  const list = `?${bindings.length + 1}`;
  const from =
    candidates === undefined
      ? '__dosql_log AS l'
      : `json_each(${list}) AS c CROSS JOIN __dosql_log AS l ON l.lsn = c.value`;
  const matches = versions.map((version) => {
    const { parts } = version.layout;
    const sides = (['name', 'after'] as const).map((side) => isKey(version, key, side, write));
    // A change that takes several rows of the log is read whole, whichever of its halves has the key.
    const around = JSON.stringify(Array.from({ length: 3 * parts }, (_, i) => i - parts));
    return (
      `SELECT l.lsn + p.value FROM ${from} CROSS JOIN json_each('${around}') AS p WHERE l.lsn > ${earliest} AND l.lsn <= ${upTo} ` +
      `AND l.rel = ${version.id} AND l.op BETWEEN ${OP.insert} AND ${OP.updateAfter} AND ((${sides.join(') OR (')})) ` +
      `AND p.value BETWEEN iif(l.op = ${OP.updateAfter}, ${-parts}, 0) AND iif(l.op = ${OP.updateBefore}, ${2 * parts}, ${parts}) - 1`
    );
  });
  const condition = `lsn IN (${compound(matches, 'UNION')})`;
  return entries.where(
    condition,
    candidates === undefined ? bindings : [...bindings, JSON.stringify(candidates)],
    relation.branch,
  );
}

function encodeKey(key: readonly KeyColumn[]): ReturnType<typeof encode> {
  return encode(
    '',
    key.map(({ value }) => value),
  );
}

function isKey(
  version: Relation,
  key: readonly KeyColumn[],
  side: 'name' | 'after',
  write: (index: number) => string,
): string {
  const same = key.map(({ id }, i) => {
    const slot = version.layout.slots.find(({ columnId }) => columnId === id);
    const isRowid = version.key.kind === 'rowid' && (id === -1 || id === version.key.columnId);
    const column = isRowid
      ? 'l.k'
      : slot === undefined || slot.part > 0
        ? undefined
        : `l.${slot[side] ?? slot.name}`;
    return `${column ?? 'NULL'} IS ${write(i + 1)}`;
  });
  return same.join(' AND ');
}

/** The LSNs that an index in memory gives; undefined while there is none, or for a value that it cannot look up. */
function indexed(
  { history }: Engine,
  relation: Relation,
  key: readonly KeyColumn[],
  { earliest, end }: Window,
): number[] | undefined {
  const parts = key.map(({ value, affinity }) => storedPart(value, affinity));
  if (parts.includes(undefined)) return undefined;
  const { kind } = relation.key;
  const isOwn =
    kind === 'primary' ||
    relation.primaryKey.length === 0 ||
    relation.key.columnId === relation.primaryKey[0];
  const index = history.rewriter.indexes.of(relation, isOwn ? 'key' : 'primary key');
  return index?.candidates(parts as KeyPart[], earliest, end);
}

/** A value as a column of this affinity stores it; undefined where that would take SQLite's conversions. */
function storedPart(value: SqlParameter, affinity: Affinity): KeyPart | undefined {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return affinity === 'text' ? undefined : Number(value);
  if (typeof value === 'number' || typeof value === 'bigint')
    return affinity === 'text' ? undefined : Number(value);
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== 'string') {
    if (value instanceof ArrayBuffer) return value;
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (affinity === 'text' || affinity === 'blob') return value;
  return /^-?\d{1,15}$/.test(value) ? Number(value) : undefined;
}

function hasKey(row: ChangeRow, version: Relation, key: readonly KeyColumn[]): boolean {
  return key.every(({ id, value }) => {
    const name = version.columns.find((column) => column.id === id)?.name;
    return id === -1 || (name !== undefined && sameKeyValue(row[name], value));
  });
}

/** Equal up to what the column's affinity and collation may have done to a value on its way in. */
function sameKeyValue(stored: SqlValue | undefined, given: SqlParameter): boolean {
  return stored === null || stored === undefined ? stored === given : keyText(stored) === keyText(given);
}

function keyText(value: SqlParameter): string {
  if (value instanceof Date) return value.toISOString().toLowerCase();
  if (value instanceof ArrayBuffer) return [...new Uint8Array(value)].join();
  if (ArrayBuffer.isView(value))
    return [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)].join();
  return String(typeof value === 'boolean' ? Number(value) : value).toLowerCase();
}
