import type { Engine } from '../engine.ts';
import { imageSource, keyNames, keySlots } from '../history/as-of.ts';
import { keyExpressions, OP } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN, plainNames } from '../schema/line.ts';
import type { Column, Relation, SchemaObject } from '../schema/relation.ts';
import { balanced, compound } from '../sql/compound.ts';
import { first } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import type { Branches } from './branches.ts';
import { isBare } from './overlay.ts';

/** A line of history at an LSN; the present where that is undefined. */
export interface LineState {
  readonly line: number;
  readonly lsn: number | undefined;
}

/** A part of a table's rows: where SQL finds them, and each column of theirs. */
export interface RowSource {
  /** SQL from FROM on, in which rows can be joined to a table of keys called `c`; the caller adds that join. */
  readonly from: string;
  readonly where: string;
  /** The values of the row's key in the log. */
  readonly key: readonly string[];
  value(column: Column): string;
  /** Whether where a value is makes every number a REAL: then JavaScript's types tell what was stored. */
  isTyped(column: Column): boolean;
}

/** Changes of one line, by the versions of a table that they were logged under. */
export interface Segment {
  readonly versions: readonly Relation[];
  readonly after: number;
  readonly upTo: number;
}

/** What the lines of a database had at any LSN: their tables, and the rows of these, found by key. */
export class States {
  readonly #engine: Engine;
  readonly #branches: Branches;

  constructor(engine: Engine, branches: Branches) {
    this.#engine = engine;
    this.#branches = branches;
  }

  /** The state that a line's own log tells of: before a branch forked, its parent's. */
  resolved({ line, lsn }: LineState): LineState {
    if (line === MAIN || lsn === undefined) return { line, lsn };
    const branch = this.#branches.branch(line);
    return lsn < branch.base ? this.resolved({ line: branch.parent, lsn }) : { line, lsn };
  }

  /** The tables of a state. */
  tables(state: LineState): Relation[] {
    const { line, lsn } = this.resolved(state);
    const { catalog, log } = this.#engine;
    const at = lsn ?? log.end();
    if (line === MAIN) return catalog.tablesAt(at);
    const branch = this.#branches.branch(line);
    const own = catalog.relationsOf(line);
    // A table that the branch got of its own later was until then what it saw of its parent's.
    const isTouched = (tableId: number): boolean =>
      own.some((relation) => relation.tableId === tableId && relation.since <= at);
    return [
      ...catalog.tablesAt(at, line),
      ...this.tables({ line: branch.parent, lsn: branch.base }).filter(({ tableId }) => !isTouched(tableId)),
    ];
  }

  /** The views, indexes and triggers of a state. */
  objects(state: LineState): SchemaObject[] {
    const { line, lsn } = this.resolved(state);
    return (['view', 'index', 'trigger'] as const).flatMap((type) =>
      this.#branches.objects(line, type, lsn ?? this.#engine.log.end()),
    );
  }

  /** The CREATE statement of a table, with the names that its line gives. */
  sqlOf({ sql }: Relation): string {
    return plainNames(sql);
  }

  /**
   * Where the rows of `relation`, a table of the state, are. Rows that have changed since are read from the log: each
   * key's image before its first change.
   */
  rows(
    state: LineState,
    relation: Relation,
  ): { readonly with: string; readonly sources: readonly RowSource[] } {
    const { line, lsn } = this.resolved(state);
    const { catalog, log } = this.#engine;
    if (line !== MAIN && relation.branch === MAIN)
      return this.rows({ line: MAIN, lsn: this.#branches.branch(line).origin }, relation);
    const present = this.#present(line, relation);
    const versions = catalog
      .versions(relation.tableId, line)
      .filter(({ id, since }) => id >= relation.id || since > (lsn ?? Infinity));
    if (lsn === undefined || lsn >= log.end()) return { with: '', sources: present };
    const keys = keyNames(relation);
    const changes = versions.map((version) => {
      const slots = keySlots(version).map((slot, i) => `${slot} AS ${keys[i]}`);
      return `SELECT ${slots.join(', ')}, lsn FROM __dosql_log WHERE lsn > ${lsn} AND rel = ${version.id} AND op BETWEEN ${OP.insert} AND ${OP.rewrite}`;
    });
    const changed = `__dosql_changed AS MATERIALIZED (SELECT ${keys.join(', ')}, min(lsn) AS lsn FROM (${compound(changes, 'UNION ALL')}) GROUP BY ${keys.join(', ')})`;
    const unchanged = present.map((source) => {
      const same = source.key.map((key, i) => `x.${keys[i]} = ${key}`);
      const isUnchanged = `NOT EXISTS (SELECT 1 FROM __dosql_changed AS x WHERE ${same.join(' AND ')})`;
      return { ...source, where: [source.where, isUnchanged].filter((text) => text !== '').join(' AND ') };
    });
    const images = versions.map((version): RowSource => {
      const { from, value } = imageSource(
        version,
        '__dosql_changed AS x JOIN __dosql_log AS l ON l.lsn = x.lsn',
      );
      return {
        from,
        where: `l.rel = ${version.id} AND l.op <> ${OP.insert}`,
        key: keys.map((key) => `x.${key}`),
        value,
        // A slot of the log has the affinity of its column.
        isTyped: ({ id }) => isTyped(version, id),
      };
    });
    return { with: `WITH ${changed} `, sources: [...unchanged, ...images] };
  }

  /** Where those rows of a table are now that a line has changed itself: in a table of its own, whatever main does. */
  ownRows(line: number, relation: Relation): RowSource[] {
    const table = [...this.#branches.tables(line).values()].find(
      ({ own }) => own.tableId === relation.tableId,
    );
    return table === undefined ? [] : [sourceOf(table.own, table.own.table, '')];
  }

  #present(line: number, relation: Relation): RowSource[] {
    const { catalog } = this.#engine;
    // What main has changed since the last look must not be seen through.
    if (line !== MAIN) this.#branches.watch(this.#branches.branch(line));
    const table =
      line === MAIN
        ? undefined
        : [...this.#branches.tables(line).values()].find(({ own }) => own.tableId === relation.tableId);
    const now =
      line === MAIN
        ? catalog.versions(relation.tableId).find(({ until }) => until === undefined)
        : table?.own;
    if (now === undefined) return [];
    if (table?.main === undefined) return [sourceOf(now, now.table, '')];
    return [
      sourceOf(now, table.main.table, isBare(line, table.main, 'r')),
      sourceOf(now, table.own.table, ''),
    ];
  }

  /** Whether rows of a table have changed between two states. */
  hasChanges(from: LineState, to: LineState, tableId: number): boolean {
    const keys = changedKeys(this.segments(from, to, tableId), true);
    return (
      keys !== undefined && first(this.#engine.storage.sql, `SELECT 1 FROM (${keys}) LIMIT 1`) !== undefined
    );
  }

  /**
   * Where `to` may differ from `from`: the changes of the lines from the one state to the other, for a table. Too
   * much is no harm, since rows are compared.
   */
  segments(from: LineState, to: LineState, tableId: number): Segment[] {
    const end = this.#engine.log.end();
    const chain = (state: LineState): { line: number; upTo: number }[] => {
      const { line, lsn } = this.resolved(state);
      const upTo = lsn ?? end;
      if (line === MAIN) return [{ line, upTo }];
      const branch = this.#branches.branch(line);
      return [{ line, upTo }, ...chain({ line: branch.parent, lsn: branch.base })];
    };
    const [a, b] = [chain(from), chain(to)];
    const meeting = a.findIndex(({ line }) => b.some((other) => other.line === line));
    const other = b.findIndex(({ line }) => line === a[meeting]?.line);
    const [forkA, forkB] = [a[meeting]?.upTo ?? 0, b[other]?.upTo ?? 0];
    const own = (line: number): number => this.#branches.branch(line).base;
    const segments = [
      ...[...a.slice(0, meeting), ...b.slice(0, other)].map(({ line, upTo }) => ({
        line,
        after: own(line),
        upTo,
      })),
      { line: a[meeting]?.line ?? MAIN, after: Math.min(forkA, forkB), upTo: Math.max(forkA, forkB) },
    ];
    return segments
      .filter(({ after, upTo }) => upTo > after)
      .map(({ line, after, upTo }) => ({
        versions: this.#engine.catalog.versions(tableId, line),
        after,
        upTo,
      }))
      .filter(({ versions }) => versions.length > 0);
  }
}

/** Rows with the columns of `now` in a table of SQLite's, under the condition `where`. */
function sourceOf(now: Relation, physical: string, where: string): RowSource {
  return {
    from: `main.${quoteName(physical)} AS r`,
    where,
    key: keyExpressions(now, 'r'),
    value: (column) => {
      const name = now.columns.find(({ id }) => id === column.id)?.name;
      return name === undefined ? 'NULL' : `r.${quoteName(name)}`;
    },
    isTyped: ({ id }) => isTyped(now, id),
  };
}

/** In a column of TEXT affinity a number becomes text, and in one of REAL a REAL: https://sqlite.org/datatype3.html. */
function isTyped({ columns }: Relation, columnId: number): boolean {
  const affinity = columns.find(({ id }) => id === columnId)?.affinity;
  return affinity === 'text' || affinity === 'real';
}

/**
 * Query for the keys, as the log has them, of all rows that changed in these stretches of it: each once, or with `isOften`
 * as often as it changed, which is enough to look for some and spares a table of them.
 */
export function changedKeys(segments: readonly Segment[], isOften: boolean = false): string | undefined {
  // Versions whose keys are in the same columns, as all rowids are, are looked for together.
  const stretches = new Map<string, (Omit<Segment, 'versions'> & { readonly rel: number })[]>();
  for (const { versions, after, upTo } of segments)
    for (const version of versions) {
      const names = keyNames(version);
      const keys = keySlots(version).map((slot, i) => `${slot} AS ${names[i]}`);
      const list = keys.join(', ');
      stretches.set(list, [...(stretches.get(list) ?? []), { rel: version.id, after, upTo }]);
    }
  const selects = [...stretches].map(([keys, parts]) => {
    const within = parts.map(
      ({ rel, after, upTo }) => `(rel = ${rel} AND lsn > ${after} AND lsn <= ${upTo})`,
    );
    const [after, upTo] = [
      Math.min(...parts.map((part) => part.after)),
      Math.max(...parts.map((part) => part.upTo)),
    ];
    return `SELECT ${isOften ? '' : 'DISTINCT '}${keys} FROM __dosql_log WHERE lsn > ${after} AND lsn <= ${upTo} AND op BETWEEN ${OP.insert} AND ${OP.rewrite} AND (${balanced(within, 'OR')})`;
  });
  return selects.length === 0 ? undefined : compound(selects, isOften ? 'UNION ALL' : 'UNION');
}

/** The table of `tables` called `name`. */
export function tableNamed(tables: readonly Relation[], name: string): Relation | undefined {
  return tables.find((table) => sameName(table.name, name));
}

/** Columns by which a row is told from others in a diff or a merge: its primary key, or the key of the log. */
export function isKeyless({ primaryKey }: Relation): boolean {
  return primaryKey.length === 0;
}
