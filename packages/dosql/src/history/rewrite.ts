import { DoSQLError } from '../error.ts';
import type { Log } from '../log/log.ts';
import type { Catalog } from '../schema/catalog.ts';
import { MAIN, MAIN_LINEAGE, type Lineage } from '../schema/line.ts';
import { bareRowid, type Column, type Relation, type SchemaObject } from '../schema/relation.ts';
import type { TableReference } from '../sql/scan.ts';
import { isUrl, parse, splice, type Statement } from '../sql/statement.ts';
import { quoteName, quoteText, type Token } from '../sql/token.ts';
import { encode, type Bound, type SqlParameter } from '../value/parameter.ts';
import { all } from '../sql/read.ts';
import { keepNames } from '../sql/names.ts';
import { accessAfter, canMerge } from './access.ts';
import { asOf, imageAt, withDropped, type BaseAccess, type Past } from './as-of.ts';
import { addedOf } from './generated.ts';
import { KeyIndexes } from './key-index.ts';
import { findPointLookup, type PointLookup } from './lookup.ts';
import { oneRowid, rowidName, spellStars, unqualify, type Edit } from './mention.ts';
import { changesAfter, periodBinding } from './period.ts';
import type { Interval, Points } from './point.ts';
import {
  columnsRead,
  frozen,
  narrowed,
  nothingStandIn,
  standIn,
  versionsStandIn,
  wantedOf,
} from './stand-in.ts';
import { SystemTimes } from './system-time.ts';

/** A statement's replaced text, and how many of the values and points it refers to. */
interface Text {
  readonly sql: string;
  readonly bindingCount: number;
}

/** How one reference is read; it decides the text that replaces it. */
type Access = 'present' | 'image' | 'nothing' | BaseAccess;

/** Whose columns the past is read with: those of then, or those of the present. */
export type SchemaChoice = 'then' | 'present';

/** One reference to be replaced. */
interface Target {
  readonly reference: TableReference;
  readonly relation: Relation;
  /** The version whose columns are read. */
  readonly shape: Relation;
  readonly access: Access;
  /** What the replacement reads at: the point's LSN, or for `image` the log row's. */
  readonly lsn: number;
  /** Where the versions of a stretch of time are read, not the rows of a point. */
  readonly interval: Interval | undefined;
  /** For the versions of one key: the LSNs of its changes. */
  readonly lsns?: readonly number[] | undefined;
}

/** A view to be replaced by its query as of then. */
interface PastView {
  readonly reference: TableReference;
  readonly view: SchemaObject;
  readonly lsn: number;
}

/**
 * Replaces what a statement reads of the past by subqueries that SQLite runs as they are. Only the stretches
 * of text that name a table at a point change; texts are kept per statement and per way of reading.
 */
export class Rewriter {
  readonly #sql: SqlStorage;
  readonly #catalog: Catalog;
  readonly #log: Log;
  readonly #points: Points;
  /** Indexes of the log, for lookups by key. */
  readonly indexes: KeyIndexes;
  readonly times: SystemTimes;
  readonly #texts = new WeakMap<Statement, Map<string, Text>>();
  readonly #lookups = new WeakMap<
    Statement,
    { generation: number; relation: number; lookup: PointLookup | undefined }
  >();
  readonly #searches = new WeakMap<Statement, Map<string, boolean>>();
  #canSeek = true;

  constructor(sql: SqlStorage, catalog: Catalog, log: Log, points: Points) {
    this.#sql = sql;
    this.#catalog = catalog;
    this.#log = log;
    this.#points = points;
    this.indexes = new KeyIndexes(sql, catalog);
    this.times = new SystemTimes(sql, points);
  }

  /** Forgets what a rolled-back transaction may have shown. */
  clear(): void {
    this.indexes.clear();
  }

  /**
   * `statement` with its references replaced; `at` is the LSN at which every table is read that names no
   * point itself. Where present rows are not all in the table itself (`canSeek` false), no ranges are read of it.
   *
   * @throws DoSQLError `NO_SUCH_TABLE` when a table did not exist then, `SYNTAX`, and what {@link Points} throws.
   */
  rewrite(
    statement: Statement,
    values: readonly SqlParameter[],
    at?: number,
    schema: SchemaChoice = 'then',
    canSeek = true,
  ): Bound {
    this.#canSeek = canSeek;
    const { targets, views } = this.#resolve(statement, values, at, schema);
    const encoded = encode(statement.sql, values, targets.length);
    const bindings = [...encoded.bindings, ...targets.map((target) => this.#binding(statement, target))];
    const write = (): Text => {
      const placeholder = (i: number): string => `?${encoded.bindings.length + 1 + i}`;
      return this.#write(statement, targets, views, encoded.write, placeholder, schema);
    };
    const key = `${this.#catalog.generation} ${canSeek} ${encoded.variant} ${targets.map(textKey).join()}`;
    let texts = this.#texts.get(statement);
    if (texts === undefined) this.#texts.set(statement, (texts = new Map<string, Text>()));
    let text = views.length > 0 ? write() : texts.get(key);
    if (text === undefined) texts.set(key, (text = write()));
    return { sql: text.sql, bindings: bindings.slice(0, text.bindingCount) };
  }

  /**
   * What stands in for a reference to main's table at a point, or to versions of its rows. `shape` is the version
   * whose columns are read, which may be one that a branch has of the same table.
   */
  source(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
    shape: Relation,
    at: number | Interval,
    canSeek: boolean,
  ): string {
    this.#canSeek = canSeek;
    const [lsn, interval] = typeof at === 'number' ? [at, undefined] : [at.at, at];
    const target = this.#target(statement, reference, shape, values, lsn, this.#log.end(), interval);
    const binding = this.#binding(statement, target);
    const point = typeof binding === 'number' ? String(binding) : quoteText(binding);
    return this.#source(statement, target, point);
  }

  /** What stands in for a reference to versions of rows whose changes are in the logs of several lines. */
  versions(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
    shape: Relation,
    past: Past,
    lineage: Lineage,
    interval: Interval,
  ): string {
    const wanted = wantedOf(statement, shape);
    const after = changesAfter(this.#log, interval.from, wanted);
    const lsns = this.#changesOfKey(statement, reference, values, shape, lineage, after);
    const isKeyed = lsns !== undefined;
    const bound = periodBinding(this.#log, interval, { past, wanted }, lsns);
    const reading = { shape, past, lineage, interval, access: 'probe', isKeyed } as const;
    return versionsStandIn(statement, reference, reading, quoteText(bound));
  }

  /** All rows of main's table `relation` as of `lsn`, as a subquery; with the rowid where that is the key. */
  rowsAt(relation: Relation, lsn: number): string {
    const versions = this.#catalog.versions(relation.tableId).filter(({ id }) => id >= relation.id);
    const now = versions.find(({ until }) => until === undefined);
    return asOf({ at: relation, now, versions }, String(lsn), 'probe', bareRowid(relation));
  }

  #resolve(
    statement: Statement,
    values: readonly SqlParameter[],
    at: number | undefined,
    schema: SchemaChoice,
  ): { targets: Target[]; views: PastView[] } {
    const end = this.#log.end();
    const views: PastView[] = [];
    const targets: Target[] = [];
    for (const reference of statement.references) {
      const interval = this.times.intervalOf(statement, reference, values);
      const lsn = interval?.at ?? this.times.lsnOf(statement, reference, values) ?? at;
      if (lsn === undefined || (reference.kind !== 'from' && reference.kind !== 'in') || reference.isCte)
        continue;
      const shape = this.#catalog.relationAt(reference.name, schema === 'present' ? end : lsn);
      const view = this.#catalog.viewAt(
        reference.name,
        schema === 'present' || interval !== undefined ? end : lsn,
      );
      if (shape !== undefined && reference.systemTime?.kind === 'all')
        this.#points.reachAll(this.#catalog.versions(shape.tableId));
      if (shape !== undefined)
        targets.push(this.#target(statement, reference, shape, values, lsn, end, interval));
      else if (view !== undefined && interval === undefined) views.push({ reference, view, lsn });
      else if (view !== undefined) throw versionsOfView(statement, reference);
      else if (reference.systemTime !== undefined || !this.#isUnversioned(reference.name))
        throw this.#missing(reference, lsn);
    }
    return { targets, views };
  }

  #target(
    statement: Statement,
    reference: TableReference,
    shape: Relation,
    values: readonly SqlParameter[],
    lsn: number,
    end: number,
    interval: Interval | undefined,
  ): Target {
    const holds = ({ since, until }: Relation): boolean =>
      since <= lsn && (until === undefined || lsn < until);
    const isOwn = shape.branch === MAIN;
    const relation = isOwn && holds(shape) ? shape : this.#catalog.versions(shape.tableId).find(holds);
    const target = { reference, relation: relation ?? shape, shape, lsn, interval };
    // With the columns of the present a table that was not there yet is one without rows.
    if (relation === undefined) return { ...target, access: 'nothing' };
    if (!isOwn) return { ...target, access: 'probe' };
    if (relation.until === undefined && interval !== undefined) {
      const after = changesAfter(this.#log, interval.from, wantedOf(statement, shape));
      const lsns = this.#changesOfKey(statement, reference, values, relation, MAIN_LINEAGE, after);
      if (lsns !== undefined) return { ...target, access: 'search', lsns };
    } else if (relation.until === undefined && lsn < end) {
      const lookup = this.#lookup(statement, reference, relation);
      const key = lookup?.key(values);
      const index = lookup === undefined ? undefined : this.indexes.of(relation, lookup.by);
      if (key !== undefined && index !== undefined) {
        const changed = index.firstAfter(key, lsn, end);
        return changed === undefined
          ? { ...target, access: 'present' }
          : { ...target, access: 'image', lsn: changed };
      }
    }
    if (interval === undefined && relation.until === undefined && lsn >= end)
      return { ...target, access: 'present' };
    const changes = end - (interval === undefined ? lsn : this.#log.earliest().lsn);
    const access = this.#access(statement, reference, shape, changes);
    const merges =
      access === 'probe' &&
      interval === undefined &&
      this.#canSeek &&
      canMerge(changes, this.#sql, relation, columnsRead(statement, reference, shape), lsn);
    return { ...target, access: merges ? 'merge' : access };
  }

  /** LSNs after `after` of the changes of the one key that a statement asks for; undefined where it asks for more, or no index has them. */
  #changesOfKey(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
    relation: Relation,
    lineage: Lineage,
    after: number,
  ): number[] | undefined {
    const lookup = this.#lookup(statement, reference, relation);
    const key = lookup?.key(values);
    if (lookup === undefined || key === undefined) return undefined;
    const found: number[] = [];
    for (const { line, upTo } of lineage) {
      const index = this.indexes.of({ ...relation, branch: line }, lookup.by);
      const lsns = index?.candidates(key, after, Math.min(upTo, this.#log.end()), true);
      if (lsns === undefined) return undefined;
      found.push(...lsns.filter((lsn) => lsn <= upTo));
    }
    return found;
  }

  #lookup(statement: Statement, reference: TableReference, relation: Relation): PointLookup | undefined {
    const { generation } = this.#catalog;
    const known = this.#lookups.get(statement);
    if (known?.generation === generation && known.relation === relation.id) return known.lookup;
    const lookup = findPointLookup(statement, reference, relation);
    this.#lookups.set(statement, { generation, relation: relation.id, lookup });
    return lookup;
  }

  /** How to read the unchanged rows, after so many changes of whatever table. */
  #access(statement: Statement, reference: TableReference, relation: Relation, changes: number): BaseAccess {
    if (relation.until !== undefined) return 'gaps';
    if (!this.#canSeek) return 'probe';
    const key = `${this.#catalog.generation}:${reference.start}`;
    let known = this.#searches.get(statement);
    if (known === undefined) this.#searches.set(statement, (known = new Map()));
    let isSearch = known.get(key);
    if (isSearch === undefined) known.set(key, (isSearch = this.#searchesFor(statement, reference)));
    if (isSearch) return 'search';
    return accessAfter(changes, this.#sql, relation);
  }

  /** Whether SQLite would use an index for this reference if it were to the present table. */
  #searchesFor(statement: Statement, reference: TableReference): boolean {
    const present = splice(
      statement.sql,
      statement.references.flatMap(({ systemTime }) =>
        systemTime === undefined ? [] : [{ ...systemTime, text: '' }],
      ),
    );
    try {
      const nulls = Array.from({ length: parse(present)[0]?.parameterCount ?? 0 }, () => null);
      const plan = all<[number, number, number, string]>(
        this.#sql,
        `EXPLAIN QUERY PLAN ${present}`,
        ...nulls,
      );
      const search = `search ${(reference.alias ?? reference.name).toLowerCase()} `;
      return plan.some(([, , , detail]) => detail.toLowerCase().startsWith(search));
    } catch {
      // The present table lacks a column that the past one has: there is no plan to learn from.
      return false;
    }
  }

  #isUnversioned(name: string): boolean {
    return /^(?:sqlite_|pragma_)/i.test(name) || isUrl(name) || this.#catalog.isVirtual(name);
  }

  #missing(reference: TableReference, lsn: number): DoSQLError {
    const { name } = reference;
    if (this.#catalog.isVirtual(name))
      return new DoSQLError('NO_SUCH_TABLE', `"${name}" is a virtual table: it has no history`);
    return new DoSQLError('NO_SUCH_TABLE', `there was no table "${name}" as of LSN ${lsn}`);
  }

  #write(
    statement: Statement,
    targets: readonly Target[],
    views: readonly PastView[],
    parameter: (index: number) => string,
    point: (i: number) => string,
    schema: SchemaChoice,
  ): Text {
    let bindingCount = 0;
    const use = (text: string): string => {
      bindingCount = Math.max(bindingCount, Number(/\?(\d+)/.exec(text)?.[1] ?? 0));
      return text;
    };
    const edits = [
      ...targets.map((target, i) => {
        const at = target.access === 'present' || target.access === 'nothing' ? '' : use(point(i));
        return standIn(statement, target.reference, this.#source(statement, target, at));
      }),
      ...views.map(({ reference, view, lsn }) =>
        standIn(statement, reference, this.#view(view, lsn, schema)),
      ),
    ];
    const names = [...targets, ...views].map(({ reference: { name, alias } }) => alias ?? name);
    const parameters = statement.parameters
      .filter(({ start }) => !edits.some((edit) => start >= edit.start && start < edit.end))
      .map(({ start, end, index }) => ({ start, end, text: use(parameter(index)) }));
    const { whole, inside } = unqualify(statement, names);
    const rowids = targets.map(({ reference, shape }) => oneRowid(statement, reference, shape));
    const named = [...edits, ...parameters, ...inside, ...rowids.flatMap((rowid) => rowid.inside)];
    const unnamed = [...whole, ...rowids.flatMap((rowid) => rowid.whole), ...this.#stars(statement, targets)];
    return {
      sql: splice(statement.sql, [...named, ...keepNames(statement, named), ...unnamed]),
      bindingCount,
    };
  }

  #stars(statement: Statement, targets: readonly Target[]): Edit[] {
    return targets.flatMap((target) => {
      const { reference, shape, interval, access } = target;
      if (access === 'present' || rowidName(statement, shape) === undefined) return [];
      const names = shape.columns.map(({ name }) => name);
      return spellStars(
        statement,
        reference,
        interval === undefined ? names : [...names, ...wantedOf(statement, shape)],
      );
    });
  }

  #source(statement: Statement, target: Target, point: string): string {
    const { reference, relation, shape, access, interval } = target;
    const rowid = rowidName(statement, shape);
    if (access === 'present') return frozen(statement, `main.${quoteName(shape.name)}`, rowid);
    if (access === 'nothing') return nothingStandIn(statement, shape, interval !== undefined);
    const past = this.#past(target);
    if (access === 'image') return imageAt(past, relation, point, rowid);
    if (interval === undefined)
      return frozen(
        statement,
        asOf(narrowed(statement, reference, shape, past), point, access, rowid),
        undefined,
      );
    const isKeyed = target.lsns !== undefined;
    const reading = { shape, past, lineage: MAIN_LINEAGE, interval, access, isKeyed };
    return versionsStandIn(statement, reference, reading, point);
  }

  #past({ relation, shape, interval }: Target): Past {
    const versions = this.#catalog.versions(relation.tableId);
    const now = versions.find(({ until }) => until === undefined);
    const isThere = (column: Column): boolean => now?.columns.some(({ id }) => id === column.id) === true;
    const losesNone = relation === shape && interval === undefined && shape.columns.every(isThere);
    return {
      at: { ...relation, columns: shape.columns },
      now: now === undefined || this.#canSeek ? now : withDropped(now, shape),
      versions: interval === undefined ? versions.filter(({ id }) => id >= relation.id) : versions,
      ...(losesNone ? {} : addedOf(shape)),
    };
  }

  #binding(statement: Statement, target: Target): number | string {
    const { interval, shape, lsn, lsns } = target;
    if (interval === undefined) return lsn;
    const period = { past: this.#past(target), wanted: wantedOf(statement, shape) };
    return periodBinding(this.#log, interval, period, lsns);
  }

  /** The query of a view as of then, every table in it read at the same LSN. */
  #view(view: SchemaObject, lsn: number, schema: SchemaChoice): string {
    const { tokens } = parse(view.sql)[0] as Statement;
    const as = tokens.findIndex(({ text, kind }, i) => i > 2 && kind === 'word' && text === 'AS');
    const columns = tokens.findIndex(({ text }) => text === '(');
    const list =
      columns >= 0 && columns < as
        ? view.sql.slice((tokens[columns] as Token).start, (tokens[as - 1] as Token).end)
        : '';
    const [body] = parse(view.sql.slice((tokens[as] as Token).end));
    if (body === undefined) throw new Error(`view ${view.name} has no query`);
    const { targets, views } = this.#resolve(body, [], lsn, schema);
    const lsnOf = (i: number): string => String((targets[i] as Target).lsn);
    const { sql: text } = this.#write(body, targets, views, String, lsnOf, schema);
    return list === '' ? `(${text})` : `(WITH __dosql_view${list} AS (${text}) SELECT * FROM __dosql_view)`;
  }
}

function textKey({ relation, shape, access, interval, lsns }: Target): string {
  const kind =
    interval === undefined ? '' : interval.isEmpty ? 'empty' : lsns === undefined ? 'period' : 'keyed';
  return `${relation.id}:${shape.id}${access}${kind}`;
}

/** Says that views have no versions. */
export function versionsOfView({ sql }: Statement, { name, systemTime }: TableReference): DoSQLError {
  return new DoSQLError(
    'SYNTAX',
    `"${name}" is a view, which has no rows of its own and so no versions: read it AS OF a point, or the versions of its tables`,
    { sql, offset: systemTime?.start },
  );
}
