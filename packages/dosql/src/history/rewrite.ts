import { DoSQLError } from '../error.ts';
import type { Log } from '../log/log.ts';
import type { Catalog } from '../schema/catalog.ts';
import type { Column, Relation, SchemaObject } from '../schema/relation.ts';
import type { Span, TableReference } from '../sql/scan.ts';
import { isUrl, parse, splice, type Statement } from '../sql/statement.ts';
import { quoteName, type Token } from '../sql/token.ts';
import { encode, type Bound, type SqlParameter } from '../value/parameter.ts';
import { all, first } from '../sql/read.ts';
import { keepNames } from '../sql/names.ts';
import { asOf, imageAt, withDropped, type BaseAccess, type Past } from './as-of.ts';
import { defaultsOf } from './default.ts';
import { KeyIndexes } from './key-index.ts';
import { findPointLookup, type PointLookup } from './lookup.ts';
import {
  hintEnd,
  mentions,
  namedColumns,
  oneRowid,
  rowidName,
  spellStars,
  unqualify,
  type Edit,
} from './mention.ts';
import { changesAfter, periodBinding, versionColumns, versionsOf, type VersionColumn } from './period.ts';
import type { Interval, Points } from './point.ts';

/** A statement's replaced text, and how many of the values and points it refers to. */
interface Text {
  readonly sql: string;
  readonly bindingCount: number;
}

/** How one reference is read; it decides the text that replaces it. */
type Access = 'present' | 'image' | 'nothing' | BaseAccess;

/** Whose columns the past is read with: those of then, or those of the present. */
export type SchemaChoice = 'then' | 'present';

/** From so many changes on it matters how the unchanged rows are read … */
const MANY_CHANGES = 500;
/** … and with fewer rows than this to a change, looking each row up is faster than reading ranges. */
const ROWS_PER_CHANGE = 8;

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
  readonly #texts = new WeakMap<Statement, Map<string, Text>>();
  readonly #lookups = new WeakMap<Statement, { generation: number; lookup: PointLookup | undefined }>();
  readonly #searches = new WeakMap<Statement, Map<string, boolean>>();
  #canSeek = true;

  constructor(sql: SqlStorage, catalog: Catalog, log: Log, points: Points) {
    this.#sql = sql;
    this.#catalog = catalog;
    this.#log = log;
    this.#points = points;
    this.indexes = new KeyIndexes(sql, catalog);
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

  /** What stands in for a reference to main's table `relation` as of `lsn`. */
  source(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
    relation: Relation,
    lsn: number,
  ): string {
    const target = this.#target(statement, reference, relation, values, lsn, this.#log.end(), undefined);
    return this.#source(statement, target, String(target.lsn));
  }

  /** All rows of main's table `relation` as of `lsn`, as a subquery; with the rowid where that is the key. */
  rowsAt(relation: Relation, lsn: number): string {
    const versions = this.#catalog.versions(relation.tableId).filter(({ id }) => id >= relation.id);
    const now = versions.find(({ until }) => until === undefined);
    const { key } = relation;
    const rowid = key.kind === 'rowid' && key.columnId === undefined ? key.name : undefined;
    return asOf({ at: relation, now, versions }, String(lsn), 'probe', rowid);
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
      const interval = this.#intervalOf(statement, reference, values);
      const lsn = interval === undefined ? (this.lsnOf(statement, reference, values) ?? at) : interval.at;
      if (lsn === undefined || (reference.kind !== 'from' && reference.kind !== 'in') || reference.isCte)
        continue;
      const shape = this.#catalog.relationAt(reference.name, schema === 'present' ? end : lsn);
      const view = this.#catalog.viewAt(
        reference.name,
        schema === 'present' || interval !== undefined ? end : lsn,
      );
      if (shape !== undefined && reference.systemTime?.kind === 'all')
        this.#points.reachAll(this.#catalog.versions(shape.tableId, shape.branch));
      if (shape !== undefined)
        targets.push(this.#target(statement, reference, shape, values, lsn, end, interval));
      else if (view !== undefined && interval === undefined) views.push({ reference, view, lsn });
      else if (view !== undefined) throw versionsOfView(statement, reference);
      else if (reference.systemTime !== undefined || !this.#isUnversioned(reference.name))
        throw this.#missing(reference, lsn);
    }
    return { targets, views };
  }

  #intervalOf(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
  ): Interval | undefined {
    const { systemTime } = reference;
    if (systemTime === undefined || systemTime.kind === 'as of') return undefined;
    refuseWrite(statement, reference);
    if (systemTime.kind === 'all') return this.#points.all();
    const [low, high] = systemTime.operands.map((operand) => this.#evaluate(statement, operand, values));
    return this.#points.interval(systemTime.kind, systemTime.unit, low, high);
  }

  /** The LSN at which a reference names its table; undefined when it names no point. */
  lsnOf(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
  ): number | undefined {
    const { systemTime } = reference;
    if (systemTime === undefined) return undefined;
    refuseWrite(statement, reference);
    if (systemTime.kind !== 'as of')
      throw new DoSQLError('SYNTAX', `versions of "${reference.name}" can be read on main only`, {
        sql: statement.sql,
        offset: systemTime.start,
      });
    const value = this.#evaluate(statement, systemTime.operands[0] as Span, values);
    return systemTime.unit === 'lsn' ? this.#points.lsn(value) : this.#points.timestamp(value);
  }

  /** The value of the expression at `span`: a parameter's as it was given, any other as SQLite computes it. */
  #evaluate(statement: Statement, span: Span, values: readonly SqlParameter[]): unknown {
    const inside = statement.parameters.filter(({ start, end }) => start >= span.start && end <= span.end);
    const [only] = inside;
    if (only !== undefined && only.start === span.start && only.end === span.end)
      return values[only.index - 1];
    const text = splice(
      statement.sql.slice(span.start, span.end),
      inside.map(({ start, end }, i) => ({
        start: start - span.start,
        end: end - span.start,
        text: `?${i + 1}`,
      })),
    );
    const { bindings } = encode(
      statement.sql,
      inside
        .map(({ index }) => values[index - 1])
        .map((value) => (typeof value === 'bigint' ? Number(value) : value)),
    );
    try {
      return first(this.#sql, `SELECT ${text}`, ...bindings)?.[0];
    } catch (cause) {
      throw new DoSQLError('SYNTAX', `the point "${text}" is no constant expression`, {
        sql: statement.sql,
        offset: span.start,
        cause,
      });
    }
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
    const versions = this.#catalog.versions(shape.tableId, shape.branch);
    const relation = holds(shape) ? shape : versions.find(holds);
    const target = { reference, relation: relation ?? shape, shape, lsn, interval };
    // With the columns of the present a table that was not there yet is one without rows.
    if (relation === undefined) return { ...target, access: 'nothing' };
    if (relation.until === undefined && (interval !== undefined || lsn < end)) {
      const lookup = this.#lookup(statement, reference, relation);
      const key = lookup?.key(values);
      const index = lookup === undefined ? undefined : this.indexes.of(relation, lookup.by);
      if (key !== undefined && index !== undefined) {
        if (interval !== undefined) {
          const after = changesAfter(this.#log, interval.from, wanted(statement, shape));
          const lsns = index.candidates(key, after, end, true);
          if (lsns !== undefined) return { ...target, access: 'search', lsns };
        } else {
          const changed = index.firstAfter(key, lsn, end);
          return changed === undefined
            ? { ...target, access: 'present' }
            : { ...target, access: 'image', lsn: changed };
        }
      }
    }
    if (interval === undefined && relation.until === undefined && lsn >= end)
      return { ...target, access: 'present' };
    const changes = end - (interval === undefined ? lsn : this.#log.earliest().lsn);
    return { ...target, access: this.#access(statement, reference, shape, changes) };
  }

  #lookup(statement: Statement, reference: TableReference, relation: Relation): PointLookup | undefined {
    const known = this.#lookups.get(statement);
    if (known?.generation === this.#catalog.generation) return known.lookup;
    const lookup = findPointLookup(statement, reference, relation);
    this.#lookups.set(statement, { generation: this.#catalog.generation, lookup });
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
    return changes > MANY_CHANGES && changes * ROWS_PER_CHANGE > this.#largestRowid(relation)
      ? 'probe'
      : 'gaps';
  }

  /** The largest rowid: no less than the table has rows, while none was negative. */
  #largestRowid({ key, name }: Relation): number {
    if (key.kind !== 'rowid') return 0;
    const text = `SELECT max(${quoteName(key.name)}) FROM main.${quoteName(name)}`;
    const row = first<[number | null]>(this.#sql, text);
    return row?.[0] ?? 0;
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
        return edit(statement, target.reference, this.#source(statement, target, at));
      }),
      ...views.map(({ reference, view, lsn }) => edit(statement, reference, this.#view(view, lsn, schema))),
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
      if (access === 'present' || access === 'nothing' || rowidName(statement, shape) === undefined)
        return [];
      const names = shape.columns.map(({ name }) => name);
      return spellStars(
        statement,
        reference,
        interval === undefined ? names : [...names, ...wanted(statement, shape)],
      );
    });
  }

  #source(statement: Statement, target: Target, point: string): string {
    const { reference, relation, shape, access, interval } = target;
    const rowid = rowidName(statement, shape);
    if (access === 'present') return frozen(statement, `main.${quoteName(shape.name)}`, rowid);
    if (access === 'nothing') return `(SELECT * FROM main.${quoteName(shape.name)} WHERE 0)`;
    const past = this.#past(target);
    if (access === 'image') return imageAt(past, relation, point, rowid);
    const columns = reference.kind === 'in' ? shape.columns : namedColumns(statement, shape);
    const at = { ...past.at, columns };
    const source =
      interval === undefined
        ? asOf({ ...past, at }, point, access, rowid)
        : versionsOf(
            {
              past: { ...past, at },
              wanted: wanted(statement, shape),
              access,
              rowid,
              isKeyed: target.lsns !== undefined,
            },
            point,
          );
    const whole = interval?.isEmpty === true ? `(SELECT * FROM ${source} WHERE 0)` : source;
    return frozen(statement, whole, undefined);
  }

  #past({ relation, shape, interval }: Target): Past {
    const versions = this.#catalog.versions(relation.tableId, relation.branch);
    const now = versions.find(({ until }) => until === undefined);
    const isThere = (column: Column): boolean => now?.columns.some(({ id }) => id === column.id) === true;
    const losesNone = relation === shape && interval === undefined && shape.columns.every(isThere);
    return {
      at: { ...relation, columns: shape.columns },
      now: now === undefined || this.#canSeek ? now : withDropped(now, shape),
      versions: interval === undefined ? versions.filter(({ id }) => id >= relation.id) : versions,
      defaults: losesNone ? undefined : defaultsOf(shape),
    };
  }

  #binding(statement: Statement, target: Target): number | string {
    const { interval, shape, lsn, lsns } = target;
    if (interval === undefined) return lsn;
    const period = { past: this.#past(target), wanted: wanted(statement, shape) };
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

function wanted(statement: Statement, { columns }: Relation): VersionColumn[] {
  return versionColumns(columns, mentions(statement));
}

function refuseWrite({ sql }: Statement, { name, kind, systemTime }: TableReference): void {
  if (kind === 'from') return;
  const message = `"${name}" as of a point cannot be written: the past does not change`;
  throw new DoSQLError('READ_ONLY', message, { sql, offset: systemTime?.start });
}

function versionsOfView({ sql }: Statement, { name, systemTime }: TableReference): DoSQLError {
  return new DoSQLError(
    'SYNTAX',
    `"${name}" is a view, which has no rows of its own and so no versions: read it AS OF a point, or the versions of its tables`,
    { sql, offset: systemTime?.start },
  );
}

function edit(statement: Statement, reference: TableReference, source: string): Edit {
  const { whole, alias, name, kind } = reference;
  if (kind === 'in') return { ...whole, text: source.startsWith('(') ? source : `(SELECT * FROM ${source})` };
  // Which index to use can be asked of a table only: without, the answer is the same.
  const end = source.startsWith('(') ? hintEnd(statement, reference) : whole.end;
  return { start: whole.start, end, text: `${source} AS ${quoteName(alias ?? name)}` };
}

/**
 * `source` for a statement whose subqueries may run while it is changing rows: read whole when it is first asked
 * for, so that what the statement has changed by then is not taken for the past.
 */
function frozen({ references }: Statement, source: string, rowid: string | undefined): string {
  if (!references.some(({ kind }) => kind === 'update' || kind === 'delete')) return source;
  const columns = rowid === undefined ? '*' : `${rowid}, *`;
  return `(WITH __dosql_past AS MATERIALIZED (SELECT ${columns} FROM ${source}) SELECT * FROM __dosql_past)`;
}
