import type {
  Change,
  ChangeRow,
  ChangeValue,
  DeliveryStore,
  Erasing,
  KeptChange,
  SnapshotPosition,
} from '@dotdo/cdc/erase';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { collated, imageSource } from '../history/as-of.ts';
import { State } from '../log/state.ts';
import { OP } from '../schema/capture.ts';
import { MAIN } from '../schema/line.ts';
import type { Column, Relation } from '../schema/relation.ts';
import { compound } from '../sql/compound.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import { encode } from '../value/parameter.ts';
import { toValue, type RawValue } from '../value/row.ts';
import type { Condition } from './condition.ts';
import { typeOf } from './fields.ts';
import { keyColumns } from './place.ts';

/** What takes rows out of what slots and deliveries keep; returns from how many dead letters. */
export type Forget = (erasing: Erasing) => number;

/** What an eraser of one table has taken down, in tables of DoSQL's own. */
export interface ErasedLives {
  readonly now: Relation;
  readonly versions: readonly Relation[];
  /** Changes of the keys: `lsn`, `rel`, the key, and the number of the life. */
  readonly change: string;
  /** The lives that are to go: the key and the number. */
  readonly life: string;
  /** The columns of a key in them. */
  readonly keys: readonly string[];
}

/** A condition, and the tables that it is asked of. */
export interface Asked {
  readonly condition: Condition;
  readonly tableIds: ReadonlySet<number>;
}

/** Loads what changes what slots and deliveries keep; undefined when there is nothing of theirs. */
export async function loadForget(engine: Engine): Promise<Forget | undefined> {
  const { sql } = engine.storage;
  if (all(sql, "SELECT 1 FROM sqlite_schema WHERE name = '__dosql_state'").length === 0) return undefined;
  const { eraseDelivered } = await import('@dotdo/cdc/erase');
  const state = new State(sql);
  const store: DeliveryStore = {
    getState: (key) => state.get(key),
    setState: (key, value) => state.set(key, value),
    listState: (prefix, { after, limit } = {}) => state.list(prefix, after, limit),
    nowMs: () => engine.nowMs(),
    error: (code, message) => new DoSQLError(code, message),
  };
  return (erasing) => eraseDelivered(store, erasing);
}

/**
 * Rows of tables that are being erased, as those know them who have been told of their changes.
 *
 * A change that the log still has is erased with it. Others, such as rows of a snapshot and what has been trimmed, go by
 * the row's key, or by the condition, which is asked of their own images; those that do not show whose they are go too.
 */
export class ErasedRows implements Erasing {
  readonly keepsKeys: boolean;
  readonly isOfPast = false;
  readonly #engine: Engine;
  readonly #asked: Asked | undefined;
  readonly #tables: readonly ErasedTable[];

  /** @param asked is asked of images that tell of no key that is known. */
  constructor(engine: Engine, lives: readonly ErasedLives[], keepsKeys: boolean, asked: Asked | undefined) {
    this.#engine = engine;
    this.#asked = asked;
    this.keepsKeys = keepsKeys;
    this.#tables = lives.map((one) => new ErasedTable(engine, one));
  }

  has({ change, position, line, isKeyMasked }: KeptChange): boolean {
    const tables = this.#called(change.table);
    if (tables.length === 0) return false;
    if (position !== undefined) {
      const own = tables.filter((table) => this.#isReadBy(line ?? MAIN, table.now, Number(change.lsn)));
      if (own.some((table) => table.hasKey(position))) return true;
    } else {
      const lsn = Number(change.lsn);
      if (tables.some((table) => table.covers(lsn))) return true;
      const sql = 'SELECT rel FROM __dosql_log WHERE lsn = ?';
      const [[rel] = []] = all<[number]>(this.#engine.storage.sql, sql, lsn);
      // The log tells of the row, and that it is another.
      if (rel !== undefined && tables.some((table) => table.versions.some(({ id }) => id === rel)))
        return false;
      if (isKeyMasked || tables.every((table) => table.keyOf(change.key) === undefined)) return true;
      const rows = [change.key, ...(change.after === null ? [] : [{ ...change.key, ...change.after }])];
      if (tables.some((table) => rows.some((row) => table.hasPrimaryKey(row)))) return true;
    }
    return this.#holds(change, tables, isKeyMasked);
  }

  moved({ table, after }: SnapshotPosition): SnapshotPosition {
    const tables = this.#called(table);
    if (after === undefined || !tables.some((one) => one.hasKey(after))) return { table, after };
    let found: readonly ChangeValue[] | undefined;
    for (const one of tables) found = one.before(after, found) ?? found;
    return { table, after: found };
  }

  /** Removes what it took down. */
  close(): void {
    for (const table of this.#tables) table.close();
  }

  /** Whether the condition holds for one of the images; then all else that is kept of the row goes, too. */
  #holds({ key, before, after }: Change, tables: readonly ErasedTable[], isKeyMasked: boolean): boolean {
    const images = [before, after].filter((image) => image !== null);
    const found = tables.filter(
      ({ now }) =>
        this.#asked?.tableIds.has(now.tableId) === true &&
        images.some((image) => this.#asked?.condition.holds(this.#engine, now, image)),
    );
    if (!isKeyMasked) for (const table of found) table.add(key);
    return found.length > 0;
  }

  /** Whether a line read rows of a table as of an LSN: its own, where it had such, or those of the line that it is of. */
  #isReadBy(line: number, { tableId, branch }: Relation, lsn: number): boolean {
    const hasOwn = this.#engine.catalog.versions(tableId, line).some(({ since }) => since <= lsn);
    return hasOwn ? branch === line : branch !== line;
  }

  /** The tables that are, or were, called so on some line. */
  #called(name: string): ErasedTable[] {
    const ids = this.#engine.catalog.tableIdsCalled(name);
    return this.#tables.filter(({ now }) => ids.has(now.tableId));
  }
}

/** The rows of one table that are being erased, by what the log knows them by and by their primary keys. */
class ErasedTable {
  readonly now: Relation;
  readonly versions: readonly Relation[];
  readonly #sql: SqlStorage;
  readonly #lives: ErasedLives;
  /** Primary keys of the rows, in columns as those of a key. */
  readonly #primary: string;
  readonly #columns: readonly (Pick<Column, 'name'> & Partial<Column>)[];

  constructor(engine: Engine, lives: ErasedLives) {
    const { now, versions } = lives;
    this.#sql = engine.storage.sql;
    this.#lives = lives;
    this.now = now;
    this.versions = versions;
    this.#primary = `__dosql_primary${now.id}`;
    const primary = now.primaryKey.flatMap((id) => now.columns.find((column) => column.id === id) ?? []);
    this.#columns = primary.length === 0 ? [{ name: 'rowid' }] : primary;
    this.#create();
  }

  /** Whether the log's row `lsn` is one that is to go. */
  covers(lsn: number): boolean {
    const { change, life, keys } = this.#lives;
    const same = keys.map((key) => `c.${key} = f.${key}`).join(' AND ');
    const query = `SELECT c.lsn, c.rel FROM ${change} AS c JOIN ${life} AS f ON ${same} AND f.life = c.life WHERE c.lsn <= ? ORDER BY c.lsn DESC LIMIT 1`;
    const [[begin, rel] = [Infinity, 0]] = all<[number, number]>(this.#sql, query, lsn);
    const parts = this.versions.find(({ id }) => id === rel)?.layout.parts ?? 1;
    return lsn < begin + parts && lsn >= begin;
  }

  /** Whether the log knows a row that is to go by this key. */
  hasKey(key: readonly ChangeValue[]): boolean {
    return key.length === this.#lives.keys.length && this.#isIn(this.#lives.life, this.#lives.keys, key);
  }

  /** Whether a row that is to go has had the primary key that `row` has. */
  hasPrimaryKey(row: ChangeRow): boolean {
    const key = this.keyOf(row);
    return key !== undefined && this.#isIn(this.#primary, this.#names, key);
  }

  /** The primary key of a row; undefined for one that does not show it. */
  keyOf(row: ChangeRow): ChangeValue[] | undefined {
    const values = this.#columns.map(({ name }) => row[name]);
    return values.includes(undefined) ? undefined : (values as ChangeValue[]);
  }

  /** Takes down the primary key of one more row. */
  add(row: ChangeRow): void {
    const key = this.keyOf(row);
    if (key === undefined) return;
    const { bindings, write } = encode('', key);
    const values = key.map((_, i) => write(i + 1)).join(', ');
    this.#sql.exec(`INSERT OR IGNORE INTO ${this.#primary} VALUES(${values})`, ...bindings);
  }

  /** The greatest key of a row that is there, before `position` and behind `least`. */
  before(
    position: readonly ChangeValue[],
    least: readonly ChangeValue[] | undefined,
  ): readonly ChangeValue[] | undefined {
    if (this.now.until !== undefined) return undefined;
    const names = keyColumns(this.now).map(({ name }) => quoteName(name));
    const { bindings, write } = encode('', [...position, ...(least ?? [])]);
    const bound = (from: number): string => `(${names.map((_, i) => write(from + i + 1)).join(', ')})`;
    const row = `(${names.join(', ')})`;
    const values = names.map(
      (name) => `typeof(${name}), iif(typeof(${name}) = 'integer', CAST(${name} AS TEXT), ${name})`,
    );
    const behind = least === undefined ? '' : ` AND ${row} > ${bound(names.length)}`;
    const [found] = all<RawValue[]>(
      this.#sql,
      `SELECT ${values.join(', ')} FROM main.${quoteName(this.now.table)} WHERE ${row} < ${bound(0)}${behind} ORDER BY ${names.map((name) => `${name} DESC`).join(', ')} LIMIT 1`,
      ...bindings,
    );
    return found && names.map((_, i) => valueOf(found[2 * i], found[2 * i + 1] as RawValue));
  }

  close(): void {
    this.#sql.exec(`DROP TABLE ${this.#primary}`);
  }

  get #names(): string[] {
    return this.#columns.map((_, i) => `k${i}`);
  }

  #create(): void {
    const define = this.#columns.map(({ collation, ...column }, i) => {
      const type = 'affinity' in column ? typeOf(column as Column) : 'INTEGER';
      return `k${i} ${type}${collation === undefined ? '' : ` COLLATE ${collation}`}`;
    });
    const unique = `UNIQUE(${this.#names.join(', ')})`;
    this.#sql.exec(`CREATE TABLE ${this.#primary}(${define.join(', ')}, ${unique})`);
    const { change, life, keys } = this.#lives;
    const same = keys.map((key) => `c.${key} = f.${key}`).join(' AND ');
    const images = this.versions.flatMap((version) => {
      const log = `${change} AS c JOIN ${life} AS f ON ${same} AND f.life = c.life JOIN __dosql_log AS l ON l.lsn = c.lsn`;
      const source = imageSource(version, log);
      const select = (value: (column: Column) => string, ops: string): string => {
        const values = this.#columns.map((column) => ('id' in column ? value(column as Column) : source.key));
        return `SELECT ${values.join(', ')} FROM ${source.from} WHERE c.rel = ${version.id} AND l.op ${ops}`;
      };
      const afterOf = (column: Column): string => {
        const slot = version.layout.slots.find(({ columnId }) => columnId === column.id);
        return slot?.after === undefined ? collated(source.value(column), column) : `l.${slot.after}`;
      };
      return [
        select(source.value, `BETWEEN ${OP.insert} AND ${OP.rewrite}`),
        ...(version.layout.updatesInOneRow ? [select(afterOf, `= ${OP.update}`)] : []),
      ];
    });
    this.#sql.exec(`INSERT OR IGNORE INTO ${this.#primary} ${compound(images, 'UNION ALL')}`);
  }

  #isIn(table: string, names: readonly string[], values: readonly ChangeValue[]): boolean {
    const { bindings, write } = encode('', values);
    const same = names.map((name, i) => `${name} IS ${write(i + 1)}`).join(' AND ');
    return all(this.#sql, `SELECT 1 FROM ${table} WHERE ${same} LIMIT 1`, ...bindings).length > 0;
  }
}

function valueOf(type: unknown, value: RawValue): ChangeValue {
  if (type !== 'integer') return toValue(value);
  return Number.isSafeInteger(Number(value)) ? Number(value) : BigInt(value as string);
}

/** The past of tables before an LSN, as those know it who have been told of changes in it. */
export class ErasedPast implements Erasing {
  readonly keepsKeys = true;
  readonly isOfPast = true;
  readonly #engine: Engine;
  readonly #tables: readonly Relation[];
  readonly #lsn: number;

  constructor(engine: Engine, tables: readonly Relation[], lsn: number) {
    this.#engine = engine;
    this.#tables = tables;
    this.#lsn = lsn;
  }

  has({ change, position }: KeptChange): boolean {
    const lsn = Number(change.lsn);
    const { catalog, storage } = this.#engine;
    if (lsn > this.#lsn) return false;
    const ids = new Set(this.#tables.map(({ tableId }) => tableId));
    const called = catalog.tableIdsCalled(change.table);
    if (![...called].some((id) => ids.has(id))) return false;
    const [[rel] = []] = all<[number]>(storage.sql, 'SELECT rel FROM __dosql_log WHERE lsn = ?', lsn);
    if (position !== undefined || rel === undefined) return true;
    return catalog.relationsOf(MAIN).some(({ id, tableId }) => id === rel && ids.has(tableId));
  }

  moved(snapshot: SnapshotPosition): SnapshotPosition {
    return snapshot;
  }
}
