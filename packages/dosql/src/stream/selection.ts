import type { Chunk, Position, Selection, TableSelection } from '@dotdo/cdc';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { collated, imageSource, nullOf } from '../history/as-of.ts';
import { defaultsOf } from '../history/default.ts';
import type { EntryView, RelationView } from '../log/entries.ts';
import { OP } from '../schema/capture.ts';
import { columnOf, type Column, type Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { lowerName, quoteName } from '../sql/token.ts';
import { encode, type Binding } from '../value/parameter.ts';
import { conditionError, RowCondition } from './row-condition.ts';

/** What of the log's changes to one table is wanted, over all the versions of the table. */
export class TableView {
  readonly #conditions: readonly RowCondition[];
  readonly #columns: ReadonlySet<string> | undefined;
  readonly hidesKey: boolean;
  readonly #versions: readonly Relation[];

  constructor(
    sql: SqlStorage,
    name: string,
    { columns, where = [], hidesKey = false, masked = [] }: TableSelection,
    versions: readonly Relation[],
  ) {
    this.#versions = versions;
    this.hidesKey = hidesKey;
    this.#columns = columns && new Set(columns.map(lowerName));
    const known = this.#known();
    for (const column of [...(this.#columns ?? []), ...masked.map(lowerName)])
      if (!known.has(column)) throw new DoSQLError('NO_SUCH_COLUMN', `no such column: ${name}.${column}`);
    this.#conditions = where.map(({ sql: text, columns: visible, hidden }) => {
      const shown = visible && new Set(visible.map(lowerName));
      const masked = new Set(hidden?.map(lowerName));
      const condition = new RowCondition(
        text,
        name,
        (column) => (shown === undefined || shown.has(column)) && !masked.has(column),
      );
      condition.check(sql, known);
      return condition;
    });
  }

  /**
   * The condition in SQL over a row called by the table's name; undefined when all are wanted. A condition is asked only
   * about rows that satisfy those before it, or by what it fails at one could tell what is in others.
   */
  get condition(): string | undefined {
    const [last, ...others] = this.#conditions.toReversed();
    return (
      last &&
      others.reduce((then, { sql }) => `CASE WHEN (${sql}) THEN ${then} ELSE FALSE END`, `(${last.sql})`)
    );
  }

  /** Whether a column is wanted. */
  isWanted = (column: string): boolean => this.#columns === undefined || this.#columns.has(lowerName(column));

  /** How the entries of one version are to be shown, that lie after `from` and up to `to`. */
  of(engine: Engine, version: Relation, from: number, to: number, chunk: Chunk | undefined): RelationView {
    const { condition } = this;
    const range = `l.rel = ${version.id} AND l.lsn > ${from} AND l.lsn <= ${to}`;
    const select = (query: string, bindings: readonly Binding[] = []): Set<number> => {
      try {
        return new Set(all<[number]>(engine.storage.sql, query, ...bindings).map(([lsn]) => lsn));
      } catch (error) {
        throw conditionError(error, version.name);
      }
    };
    return {
      isWanted: this.#columns && this.isWanted,
      hidesKey: this.hidesKey,
      images: condition === undefined ? undefined : select(this.#images(condition, version, range, false)),
      after: condition === undefined ? undefined : select(this.#images(condition, version, range, true)),
      rows: chunk && this.#begun(version, chunk, range, select),
      deletions: chunk?.deletions === true,
    };
  }

  /** LSNs of the changes that are about rows read already; undefined for all. */
  #begun(
    version: Relation,
    { table, after }: Chunk,
    range: string,
    select: (query: string, bindings: readonly Binding[]) => Set<number>,
  ): Set<number> | undefined {
    const name = lowerName(version.name);
    if (name < table) return undefined;
    return name === table ? behind(version, after, range, select) : new Set();
  }

  /** Query for the LSNs whose image satisfies the condition: the row's own, or that after an update in one row. */
  #images(condition: string, version: Relation, range: string, isAfter: boolean): string {
    if (isAfter && !version.layout.updatesInOneRow) return 'SELECT 1 WHERE FALSE';
    // A table that was dropped and made again is another one: its columns say nothing about these.
    const present = this.#versions.findLast(({ tableId }) => tableId === version.tableId) ?? version;
    const source = imageSource(version, '__dosql_log AS l', defaultsOf(present));
    const value = (column: Column): string => {
      const slot = version.layout.slots.find(({ columnId }) => columnId === column.id);
      return isAfter && slot?.after !== undefined ? `l.${slot.after}` : source.value(column);
    };
    const named = new Set(this.#conditions.flatMap((each) => each.columns(this.#known())));
    const columns = [...named].map((name) => {
      const column = [version, present]
        .flatMap((relation) => relation.columns)
        .find((one) => lowerName(one.name) === name);
      if (column !== undefined)
        return { name, value: collated(value(column), column), like: collated(nullOf(column), column) };
      return { name, value: name === 'rowid' ? source.key : 'NULL', like: 'CAST(NULL AS INTEGER)' };
    });
    const select = (of: (column: { value: string; like: string }) => string): string =>
      columns.map((column) => `, ${of(column)} AS ${quoteName(column.name)}`).join('');
    const ops = isAfter ? `= ${OP.update}` : `BETWEEN ${OP.insert} AND ${OP.updateAfter}`;
    const rows =
      `SELECT NULL AS __dosql_lsn${select(({ like }) => like)} WHERE FALSE ` +
      `UNION ALL SELECT l.lsn${select((column) => column.value)} FROM ${source.from} WHERE ${range} AND l.op ${ops}`;
    return `SELECT __dosql_lsn FROM (${rows}) AS ${quoteName(version.name)} WHERE ${condition}`;
  }

  /** Names of all columns that the table has had, and `rowid` where rows go by it. */
  #known(): Set<string> {
    const names = this.#versions.flatMap(({ columns }) => columns.map(({ name }) => lowerName(name)));
    return new Set(this.#versions.at(-1)?.primaryKey.length === 0 ? [...names, 'rowid'] : names);
  }
}

/** LSNs of changes to rows up to `after` in the order in which the table is read. */
function behind(
  version: Relation,
  after: Position | undefined,
  range: string,
  select: (query: string, bindings: readonly Binding[]) => Set<number>,
): Set<number> {
  if (after === undefined) return new Set();
  const { from, value, key } = imageSource(version, '__dosql_log AS l');
  const keys =
    version.key.kind === 'rowid'
      ? [key]
      : version.key.columnIds.map((id) => {
          const column = columnOf(version, id);
          return collated(value(column), column);
        });
  if (keys.length !== after.length) return new Set();
  const { text, bindings } = rowValue(after);
  return select(`SELECT l.lsn FROM ${from} WHERE ${range} AND (${keys.join(', ')}) <= ${text}`, bindings);
}

/** A position as a row value of SQL. */
export function rowValue(position: Position): { text: string; bindings: readonly Binding[] } {
  const { bindings, write } = encode('', position);
  return { text: `(${position.map((_, i) => write(i + 1)).join(', ')})`, bindings };
}

/** What a stream wants of the log, put together with the versions that its tables have had. */
export class CompiledSelection {
  readonly generation: number;
  readonly #tables = new Map<string, TableView>();
  readonly #views = new Map<number, TableView>();

  /** @throws DoSQLError `NO_SUCH_TABLE`, `NO_SUCH_COLUMN`, `SYNTAX`, `BAD_PARAMETER` */
  constructor(engine: Engine, selection: Selection, versionsOf: (table: string) => readonly Relation[]) {
    this.generation = engine.catalog.generation;
    for (const [name, wanted] of selection) {
      const versions = versionsOf(name);
      if (versions.length === 0)
        throw new DoSQLError('NO_SUCH_TABLE', `no such table: ${name}, now or in what the log still holds`);
      const view = new TableView(engine.storage.sql, (versions.at(-1) as Relation).name, wanted, versions);
      this.#tables.set(name, view);
      for (const { id } of versions) this.#views.set(id, view);
    }
  }

  /** What is wanted of the table called so, in lower case. */
  table(name: string): TableView | undefined {
    return this.#tables.get(name);
  }

  /** How the log's rows after `from` are to be shown. */
  view(engine: Engine, from: number, chunk: Chunk | undefined): EntryView {
    return {
      relations: [...this.#views.keys()],
      of: (relation, to) => {
        const view = this.#views.get(relation.id);
        return view?.of(engine, relation, from, to, chunk);
      },
    };
  }
}
