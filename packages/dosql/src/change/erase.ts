import type { Engine } from '../engine.ts';
import { keySlots } from '../history/as-of.ts';
import { OP } from '../schema/capture.ts';
import type { Relation, Slot } from '../schema/relation.ts';
import { balanced, compound } from '../sql/compound.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import type { Condition } from './condition.ts';
import type { ErasedLives } from './delivered.ts';
import { Fields, typeOf } from './fields.ts';

/**
 * The op of a row of the log that says no more than that the row with this key is gone: what a purge leaves of it
 * for those who follow the log. It is no change that the past is read by.
 */
export const OP_ERASED = 8;

/** What was erased of one table. */
export interface Erased {
  /** Rows that were there; what several branches have of one counts once. */
  readonly rows: number;
  /** Changes in the log, of all branches. */
  readonly logEntries: number;
}

/**
 * Erases rows of one table, and their past, from the table and from the log.
 *
 * A key may have been the key of several rows, one after the other. So it is **lives** that are erased: from the
 * transaction that inserts a row to the one that leaves its key without one. A life is erased wholly if the
 * condition held for it at any time.
 */
export class Eraser {
  readonly #engine: Engine;
  readonly #sql: SqlStorage;
  readonly #now: Relation;
  readonly #versions: readonly Relation[];
  readonly #fields: Fields;
  /** DoSQL's own tables: log rows with an image that is to go, keys, changes of these, and lives that are to go. */
  readonly #hit: string;
  readonly #key: string;
  readonly #change: string;
  readonly #life: string;
  /** The columns of a key in them. */
  readonly #keys: readonly string[];

  constructor(engine: Engine, now: Relation) {
    this.#hit = `__dosql_hit${now.id}`;
    this.#key = `__dosql_key${now.id}`;
    this.#change = `__dosql_change${now.id}`;
    this.#life = `__dosql_life${now.id}`;
    this.#engine = engine;
    this.#sql = engine.storage.sql;
    this.#now = now;
    this.#versions = engine.catalog.versions(now.tableId, now.branch);
    this.#fields = new Fields(now);
    this.#keys = this.#fields.keyNames();
    this.#create();
  }

  /** Chooses the lives for which `condition` held at any time, or at their end. */
  choose(condition: Condition, when: 'ever' | 'last'): void {
    const { bindings } = condition;
    const lsns = compound(
      this.#versions.map((version) => `SELECT * FROM (${condition.past(version, this.#now)})`),
      'UNION',
    );
    this.#sql.exec(`INSERT OR IGNORE INTO ${this.#hit} ${lsns}`, ...bindings);
    if (this.#isThere)
      this.#sql.exec(`INSERT OR IGNORE INTO ${this.#key} ${condition.present(this.#now)}`, ...bindings);
    this.#sql.exec(`CREATE TABLE ${this.#key}_present AS SELECT * FROM ${this.#key}`);
    this.#addKeys(`lsn IN (SELECT lsn FROM ${this.#hit})`);
    this.#readChanges();
    const hits = when === 'ever' ? '' : ` WHERE c.op = ${OP.delete} AND ${this.#isLast}`;
    this.#sql.exec(
      `INSERT OR IGNORE INTO ${this.#life} SELECT ${this.#list('c')}, c.life FROM ${this.#change} AS c JOIN ${this.#hit} AS h ON h.lsn = c.lsn${hits}`,
    );
    this.#sql.exec(
      `INSERT OR IGNORE INTO ${this.#life} SELECT ${this.#list('p')}, ${this.#lastLife('p')} FROM ${this.#key}_present AS p`,
    );
    this.#sql.exec(`DROP TABLE ${this.#key}_present`);
  }

  /**
   * Chooses the last lives of the rows that were deleted after `lsn`. Nothing may have been erased yet: what is left
   * of a key would look like one life.
   */
  chooseDeleted(lsn: number): void {
    this.#addKeys(`lsn > ${lsn} AND op = ${OP.delete}`);
    this.#readChanges();
    this.#sql.exec(
      `INSERT OR IGNORE INTO ${this.#life} SELECT ${this.#list('c')}, c.life FROM ${this.#change} AS c WHERE c.lsn > ${lsn} AND c.op = ${OP.delete}`,
    );
  }

  /** Whether a row of the lives chosen was there at `lsn`: then a line that forked at that time has it too. */
  hasAlive(lsn: number): boolean {
    return (
      this.#count(`SELECT EXISTS (SELECT 1 FROM ${this.#life} AS f WHERE ${this.#isAlive('f', lsn)})`) === 1
    );
  }

  /**
   * Chooses, in a table that forked from `other` at `lsn`, the lives that other's chosen lives went on in: those that
   * began before there was a change. With `unchanged` only of rows that have not been changed since.
   */
  inherit(other: Eraser, lsn: number, unchanged: boolean): void {
    const alive = `SELECT ${this.#list('f')} FROM ${other.#life} AS f WHERE ${other.#isAlive('f', lsn)}`;
    this.#sql.exec(`INSERT OR IGNORE INTO ${this.#key} ${alive}`);
    this.#readChanges();
    const isUnchanged = `NOT EXISTS (SELECT 1 FROM ${this.#change} AS c WHERE ${this.#same('f', 'c')})`;
    this.#sql.exec(
      `INSERT OR IGNORE INTO ${this.#life} SELECT ${this.#list('f')}, 0 FROM (${alive}) AS f${unchanged ? ` WHERE ${isUnchanged}` : ''}`,
    );
  }

  /** Deletes the rows that are there of the lives chosen; the log takes it down. */
  deleteRows(): void {
    if (!this.#isThere) return;
    const last = `SELECT ${this.#list('f')} FROM ${this.#life} AS f WHERE f.life = ${this.#lastLife('f')}`;
    this.#sql.exec(
      `DELETE FROM main.${quoteName(this.#now.table)} AS r WHERE ${this.#fields.keyOf('r')} IN (${last})`,
    );
  }

  /**
   * Erases the changes of the lives chosen from the log. Returns how many, but for deletions after `lsn`. The deletion
   * that ended a life leaves that the row is gone, and which, or nothing: who follows the log may not have come to it.
   * So does an update of the primary key, for the key that the row had before.
   */
  eraseChanges(lsn: number, keepKeys: boolean): number {
    const changes = `SELECT c.lsn, c.rel, c.op FROM ${this.#change} AS c JOIN ${this.#life} AS f ON ${this.#same('f', 'c')} AND f.life = c.life`;
    const entries = this.#count(
      `SELECT count(*) FROM (${changes} WHERE c.lsn <= ${lsn} OR c.op <> ${OP.delete}) JOIN __dosql_log AS l USING (lsn) WHERE l.op <> ${OP.updateAfter}`,
    );
    const told = [
      `${changes} WHERE c.op = ${OP.delete} AND ${this.#isLast}`,
      ...this.#versions.flatMap((version) => this.#moves(changes, version)),
    ].map((query) => `SELECT lsn, rel FROM (${query})`);
    for (const query of keepKeys ? told : []) this.#strip(query);
    const isTold = compound(told, 'UNION ALL');
    const chosen = keepKeys ? `SELECT lsn, rel FROM (${changes}) EXCEPT SELECT * FROM (${isTold})` : changes;
    for (const { id, layout } of this.#versions)
      this.#sql.exec(
        `DELETE FROM __dosql_log WHERE lsn IN (SELECT lsn + n.value FROM (SELECT lsn, rel FROM (${chosen})), json_each('[${range(layout.parts).join(', ')}]') AS n WHERE rel = ${id})`,
      );
    return entries;
  }

  /** Query for the keys of the rows deleted after `lsn`. */
  deletedKeys(lsn: number): string {
    const selects = this.#versions.map(
      (version) =>
        `SELECT ${keySlots(version).join(', ')} FROM __dosql_log WHERE lsn > ${lsn} AND op = ${OP.delete} AND rel = ${version.id}`,
    );
    return compound(selects, 'UNION');
  }

  /** What it has taken down. */
  get lives(): ErasedLives {
    return {
      now: this.#now,
      versions: this.#versions,
      change: this.#change,
      life: this.#life,
      keys: this.#keys,
    };
  }

  /** Removes what it took down. */
  close(): void {
    for (const table of [this.#hit, this.#key, this.#change, this.#life])
      this.#sql.exec(`DROP TABLE ${table}`);
  }

  /** Queries for those of `changes` to one version that gave their row another primary key. */
  #moves(changes: string, { id, key, primaryKey, layout }: Relation): string[] {
    if (key.kind === 'primary') return [];
    const slots = layout.slots.filter(({ columnId }) => primaryKey.includes(columnId));
    const value = (name: string, distance: number): string =>
      `(SELECT ${name} FROM __dosql_log WHERE lsn = c.lsn + ${distance})`;
    const differ = (op: number, after: (slot: Slot) => string): string[] => {
      const differs = slots.map((slot) => `${value(slot.name, slot.part)} IS NOT ${after(slot)}`);
      return slots.length === 0
        ? []
        : [`${changes} WHERE c.rel = ${id} AND c.op = ${op} AND (${balanced(differs, 'OR')})`];
    };
    return [
      ...differ(OP.updateBefore, ({ name, part }) => value(name, layout.parts + part)),
      ...(layout.updatesInOneRow ? differ(OP.update, ({ name, after }) => value(after ?? name, 0)) : []),
    ];
  }

  /** Leaves of changes, `lsn` and `rel` of the query `changes`, that a row is gone from its key. */
  #strip(changes: string): void {
    for (const { id, key, primaryKey, layout } of this.#versions) {
      const ids = key.kind === 'primary' ? [...key.columnIds, ...primaryKey] : primaryKey;
      // The first part names the change, so it is the last to be changed.
      for (const part of range(layout.parts).toReversed()) {
        const kept = new Set(
          layout.slots
            .filter((slot) => slot.part === part && ids.includes(slot.columnId))
            .map(({ name }) => name),
        );
        const erased = this.#engine.log
          .valueColumns()
          .filter((name) => !kept.has(name))
          .map((name) => `${name} = NULL`);
        this.#sql.exec(
          `UPDATE __dosql_log SET ${[...(part === 0 ? [`op = ${OP_ERASED}`] : []), ...erased].join(', ')} ` +
            `WHERE lsn IN (SELECT lsn + ${part} FROM (${changes}) WHERE rel = ${id})`,
        );
      }
    }
  }

  /** Whether the change `c` is the last of its life. */
  get #isLast(): string {
    return `NOT EXISTS (SELECT 1 FROM ${this.#change} AS d WHERE ${this.#same('d', 'c')} AND d.life = c.life AND d.lsn > c.lsn)`;
  }

  get #isThere(): boolean {
    return this.#now.until === undefined;
  }

  #create(): void {
    const define = this.#fields.key.map(({ column }, i) => {
      const collation = column?.collation === undefined ? '' : ` COLLATE ${column.collation}`;
      return `${this.#keys[i]} ${typeOf(column)}${collation}`;
    });
    this.#sql.exec(`CREATE TABLE ${this.#hit}(lsn INTEGER PRIMARY KEY)`);
    this.#sql.exec(this.#fields.keysTable(this.#key));
    this.#sql.exec(
      `CREATE TABLE ${this.#change}(lsn INTEGER PRIMARY KEY, rel INTEGER, op INTEGER, life INTEGER, ${define.join(', ')})`,
    );
    this.#sql.exec(
      `CREATE INDEX ${this.#change}_key ON ${this.#change}(${this.#keys.join(', ')}, life, lsn)`,
    );
    this.#sql.exec(
      `CREATE TABLE ${this.#life}(${define.join(', ')}, life INTEGER, PRIMARY KEY(${this.#keys.join(', ')}, life)) WITHOUT ROWID`,
    );
  }

  /** Adds the keys in rows of the log that satisfy `condition`. */
  #addKeys(condition: string): void {
    for (const version of this.#versions)
      this.#sql.exec(
        `INSERT OR IGNORE INTO ${this.#key} SELECT ${keySlots(version).join(', ')} FROM __dosql_log WHERE rel = ${version.id} AND ${condition}`,
      );
  }

  /** Takes down all changes of the keys, each with the number of the life that it belongs to. */
  #readChanges(): void {
    const arms = this.#versions.map((version) => {
      const slots = keySlots(version);
      const same = slots.map((slot, i) => `k.${this.#keys[i]} = +l.${slot}`).join(' AND ');
      return (
        `SELECT l.lsn, l.rel, l.op, ${this.#list('k')} FROM __dosql_log AS l CROSS JOIN ${this.#key} AS k ON ${same} ` +
        `WHERE l.rel = ${version.id} AND l.op BETWEEN ${OP.insert} AND ${OP.rewrite}`
      );
    });
    const keys = this.#keys.join(', ');
    const byKey = `OVER (PARTITION BY ${keys} ORDER BY lsn)`;
    // A row that is deleted and inserted in one transaction, as REPLACE does, goes on living.
    const begins =
      `op = ${OP.insert} AND (before IS NULL OR ` +
      'ifnull((SELECT x.first FROM __dosql_tx AS x WHERE x.last >= lsn ORDER BY x.last LIMIT 1), lsn) > before)';
    this.#sql.exec(
      `INSERT OR IGNORE INTO ${this.#change}(lsn, rel, op, ${keys}, life) SELECT lsn, rel, op, ${keys}, sum(begins) ${byKey} FROM ` +
        `(SELECT *, ${begins} AS begins FROM (SELECT *, lag(lsn) ${byKey} AS before FROM (${compound(arms, 'UNION ALL')})))`,
    );
  }

  /** The life that the key of `row` is in now, or was in last. */
  #lastLife(row: string): string {
    return `ifnull((SELECT max(c.life) FROM ${this.#change} AS c WHERE ${this.#same(row, 'c')}), 0)`;
  }

  /** Whether the row of the life `f` was there at `lsn`, by its last change until then, or else by its first. */
  #isAlive(f: string, lsn: number): string {
    const changes = (what: string, rest: string): string =>
      `(SELECT ${what} FROM ${this.#change} AS c WHERE ${this.#same(f, 'c')} AND c.life = ${f}.life${rest} LIMIT 1)`;
    const last = changes(`c.op <> ${OP.delete}`, ` AND c.lsn <= ${lsn} ORDER BY c.lsn DESC`);
    const first = changes(`c.op <> ${OP.insert}`, ' ORDER BY c.lsn');
    return `coalesce(${last}, ${first}, TRUE)`;
  }

  #list(row: string): string {
    return this.#keys.map((name) => `${row}.${name}`).join(', ');
  }

  #same(a: string, b: string): string {
    return this.#keys.map((name) => `${a}.${name} = ${b}.${name}`).join(' AND ');
  }

  #count(query: string): number {
    return all<[number]>(this.#sql, query)[0]?.[0] ?? 0;
  }
}

/**
 * SQLite gives the LSN after the log's last row, so no LSN is given twice as long as that row stays. Where it has
 * been erased, a row takes its place that belongs to no table and to no branch.
 */
export function keepEnd({ storage, catalog, log }: Engine, end: number): void {
  if (log.end() >= end) return;
  const id = Math.max(0, ...all<[number]>(storage.sql, 'SELECT max(id) FROM __dosql_relation').flat()) + 1;
  const shape = {
    columns: [],
    primaryKey: [],
    key: { kind: 'primary', columnIds: [] },
    layout: { slots: [], parts: 1, updatesInOneRow: true },
  };
  storage.sql.exec(
    "INSERT INTO __dosql_relation(id, table_id, branch, name, since, until, sql, shape) VALUES(?, 0, -1, '', ?, ?, '', ?)",
    id,
    end,
    end,
    JSON.stringify(shape),
  );
  storage.sql.exec(
    `INSERT INTO __dosql_log(lsn, rel, op, at) VALUES(?, ?, ${OP.rewrite}, ${catalog.now})`,
    end,
    id,
  );
  catalog.load();
}

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}
