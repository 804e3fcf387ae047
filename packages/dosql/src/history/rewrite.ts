import { DoSQLError } from '../error.ts';
import type { Log } from '../log/log.ts';
import { sameName, type Catalog } from '../schema/catalog.ts';
import type { Column, Relation, View } from '../schema/relation.ts';
import type { Span, TableReference } from '../sql/scan.ts';
import { parse, splice, type Statement } from '../sql/statement.ts';
import { lowerName, nameOf, quoteName, type Token } from '../sql/token.ts';
import { encode, type Bound, type SqlParameter } from '../value/parameter.ts';
import { all, first } from '../sql/read.ts';
import { keepNames } from '../sql/names.ts';
import { asOf, imageAt, type BaseAccess } from './as-of.ts';
import { KeyIndex, keyText } from './key-index.ts';
import { findPointLookup, type PointLookup } from './lookup.ts';
import type { Points } from './point.ts';

/** A statement's replaced text, and how many of the values and points it refers to. */
interface Text {
  readonly sql: string;
  readonly bindingCount: number;
}

/** How one reference is read; it decides the text that replaces it. */
type Access = 'present' | 'image' | BaseAccess;

/** From so many changes on it matters how the unchanged rows are read … */
const MANY_CHANGES = 500;
/** … and with fewer rows than this to a change, looking each row up is faster than reading ranges. */
const ROWS_PER_CHANGE = 8;

/** One reference to be replaced. */
interface Target {
  readonly reference: TableReference;
  readonly relation: Relation;
  readonly access: Access;
  /** What the replacement reads at: the point's LSN, or for `image` the log row's. */
  readonly lsn: number;
}

/** A view to be replaced by its query as of then. */
interface PastView {
  readonly reference: TableReference;
  readonly view: View;
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
  readonly #indexes = new Map<number, KeyIndex>();
  readonly #texts = new WeakMap<Statement, Map<string, Text>>();
  readonly #lookups = new WeakMap<Statement, { generation: number; lookup: PointLookup | undefined }>();
  readonly #searches = new WeakMap<Statement, Map<string, boolean>>();

  constructor(sql: SqlStorage, catalog: Catalog, log: Log, points: Points) {
    this.#sql = sql;
    this.#catalog = catalog;
    this.#log = log;
    this.#points = points;
  }

  /** Forgets what a rolled-back transaction may have shown. */
  clear(): void {
    this.#indexes.clear();
  }

  /**
   * `statement` with its references replaced; `at` is the LSN at which every table is read that names no
   * point itself.
   *
   * @throws DoSQLError `NO_SUCH_TABLE` when a table did not exist then, `SYNTAX`, and what {@link Points} throws.
   */
  rewrite(statement: Statement, values: readonly SqlParameter[], at?: number): Bound {
    const { targets, views } = this.#resolve(statement, values, at);
    const encoded = encode(statement.sql, values, targets.length);
    const bindings = [...encoded.bindings, ...targets.map(({ lsn }) => lsn)];
    const write = (): Text => {
      const placeholder = (i: number): string => `?${encoded.bindings.length + 1 + i}`;
      return this.#write(statement, targets, views, encoded.write, placeholder);
    };
    const key = `${this.#catalog.generation} ${encoded.variant} ${targets.map(({ relation, access }) => `${relation.id}${access}`).join()}`;
    let texts = this.#texts.get(statement);
    if (texts === undefined) this.#texts.set(statement, (texts = new Map<string, Text>()));
    let text = views.length > 0 ? write() : texts.get(key);
    if (text === undefined) texts.set(key, (text = write()));
    return { sql: text.sql, bindings: bindings.slice(0, text.bindingCount) };
  }

  #resolve(
    statement: Statement,
    values: readonly SqlParameter[],
    at: number | undefined,
  ): { targets: Target[]; views: PastView[] } {
    const end = this.#log.end();
    const views: PastView[] = [];
    const targets: Target[] = [];
    for (const reference of statement.references) {
      const lsn = this.#lsnOf(statement, reference, values) ?? at;
      if (lsn === undefined || (reference.kind !== 'from' && reference.kind !== 'in') || reference.isCte)
        continue;
      const relation = this.#catalog.relationAt(reference.name, lsn);
      const view = this.#catalog.viewAt(reference.name, lsn);
      if (relation !== undefined)
        targets.push(this.#target(statement, reference, relation, values, lsn, end));
      else if (view !== undefined) views.push({ reference, view, lsn });
      else if (reference.systemTime !== undefined || !this.#isUnversioned(reference.name))
        throw this.#missing(reference, lsn);
    }
    return { targets, views };
  }

  #lsnOf(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
  ): number | undefined {
    const { systemTime } = reference;
    if (systemTime === undefined) return undefined;
    if (reference.kind !== 'from')
      throw new DoSQLError(
        'READ_ONLY',
        `"${reference.name}" as of a point cannot be written: the past does not change`,
        {
          sql: statement.sql,
          offset: systemTime.start,
        },
      );
    const value = this.#evaluate(statement, systemTime.operand, values);
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
    relation: Relation,
    values: readonly SqlParameter[],
    lsn: number,
    end: number,
  ): Target {
    if (relation.until === undefined) {
      if (lsn >= end) return { reference, relation, access: 'present', lsn };
      const lookup = this.#lookup(statement, reference, relation);
      const key = lookup?.key(values);
      if (key !== undefined) {
        const changed = this.#index(relation).firstAfter(keyText(key), key, lsn, end);
        return changed === undefined
          ? { reference, relation, access: 'present', lsn }
          : { reference, relation, access: 'image', lsn: changed };
      }
    }
    return { reference, relation, access: this.#access(statement, reference, relation, end - lsn), lsn };
  }

  #index(relation: Relation): KeyIndex {
    let index = this.#indexes.get(relation.id);
    if (index === undefined) this.#indexes.set(relation.id, (index = new KeyIndex(this.#sql, relation)));
    return index;
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
    return /^(?:sqlite_|pragma_)/i.test(name) || this.#catalog.isVirtual(name);
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
  ): Text {
    let bindingCount = 0;
    const use = (text: string): string => {
      bindingCount = Math.max(bindingCount, Number(/\?(\d+)/.exec(text)?.[1] ?? 0));
      return text;
    };
    const edits = [
      ...targets.map((target, i) => {
        const at = target.access === 'present' ? '' : use(point(i));
        return edit(target.reference, this.#source(statement, target, at));
      }),
      ...views.map(({ reference, view, lsn }) => edit(reference, this.#view(view, lsn))),
    ];
    const parameters = statement.parameters
      .filter(({ start }) => !edits.some((edit) => start >= edit.start && start < edit.end))
      .map(({ start, end, index }) => ({ start, end, text: use(parameter(index)) }));
    const all = [...edits, ...parameters];
    return { sql: splice(statement.sql, [...all, ...keepNames(statement, all)]), bindingCount };
  }

  #source(statement: Statement, { reference, relation, access }: Target, point: string): string {
    const rowid = rowidMention(statement, relation);
    if (access === 'present') return frozen(statement, `main.${quoteName(relation.name)}`, rowid);
    const versions = this.#catalog.versions(relation.tableId).filter(({ id }) => id >= relation.id);
    if (access === 'image') return imageAt(relation, relation, point, rowid);
    const now = versions.find(({ until }) => until === undefined);
    const columns = reference.kind === 'in' ? relation.columns : namedColumns(statement, relation.columns);
    const at = { ...relation, columns };
    return frozen(statement, asOf({ at, now, versions }, point, access, rowid), undefined);
  }

  /** The query of a view as of then, every table in it read at the same LSN. */
  #view(view: View, lsn: number): string {
    const { tokens } = parse(view.sql)[0] as Statement;
    const as = tokens.findIndex(({ text, kind }, i) => i > 2 && kind === 'word' && text === 'AS');
    const columns = tokens.findIndex(({ text }) => text === '(');
    const list =
      columns >= 0 && columns < as
        ? view.sql.slice((tokens[columns] as Token).start, (tokens[as - 1] as Token).end)
        : '';
    const [body] = parse(view.sql.slice((tokens[as] as Token).end));
    if (body === undefined) throw new Error(`view ${view.name} has no query`);
    const { targets, views } = this.#resolve(body, [], lsn);
    const { sql: text } = this.#write(body, targets, views, String, (i) =>
      String((targets[i] as Target).lsn),
    );
    return list === '' ? `(${text})` : `(WITH __dosql_view${list} AS (${text}) SELECT * FROM __dosql_view)`;
  }
}

function edit(reference: TableReference, source: string): { start: number; end: number; text: string } {
  const { whole, alias, name, kind } = reference;
  if (kind === 'in') return { ...whole, text: source.startsWith('(') ? source : `(SELECT * FROM ${source})` };
  return { ...whole, text: `${source} AS ${quoteName(alias ?? name)}` };
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

/** The columns whose names the statement has somewhere: SQLite fetches all that a subquery of ours has. */
function namedColumns({ tokens, sql }: Statement, columns: readonly Column[]): readonly Column[] {
  // A star names all columns, but for that of count(*).
  if (tokens.some(({ text }, i) => text === 'NATURAL' || (text === '*' && tokens[i - 1]?.text !== '(')))
    return columns;
  const names = new Set(tokens.map((token) => lowerName(nameOf(sql, token))));
  const named = columns.filter(({ name }) => names.has(lowerName(name)));
  return named.length > 0 ? named : columns.slice(0, 1);
}

/** The word by which the statement asks for a rowid that is no column of the table. */
function rowidMention(statement: Statement, relation: Relation): string | undefined {
  const { tokens } = statement;
  const mention = tokens
    .filter((token) => token.kind === 'word' || token.kind === 'quoted')
    .map((token) => nameOf(statement.sql, token).toLowerCase())
    .find((name) => name === 'rowid' || name === '_rowid_' || name === 'oid');
  if (mention === undefined || relation.key.kind !== 'rowid') return undefined;
  return relation.columns.some(({ name }) => sameName(name, mention)) ? undefined : mention;
}
