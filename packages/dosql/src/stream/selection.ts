import type { Chunk, Position, Selection, TableSelection } from '@dotdo/cdc';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { collated, imageSource } from '../history/as-of.ts';
import { defaultsOf } from '../history/default.ts';
import type { EntryView, RelationView } from '../log/entries.ts';
import { OP } from '../schema/capture.ts';
import { columnOf, type Column, type Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { lowerName, quoteName } from '../sql/token.ts';
import { encode, type Binding } from '../value/parameter.ts';
import { RowCondition } from './row-condition.ts';

/** What of the log's changes to one table is wanted, over all the versions of the table. */
export class TableView {
  readonly #conditions: readonly RowCondition[];
  readonly #columns: ReadonlySet<string> | undefined;
  readonly hidesKey: boolean;
  readonly #versions: readonly Relation[];

  constructor(
    name: string,
    { columns, where = [], hidesKey = false }: TableSelection,
    versions: readonly Relation[],
  ) {
    this.#versions = versions;
    this.hidesKey = hidesKey;
    this.#columns = columns && new Set(columns.map(lowerName));
    const known = this.#known();
    for (const column of this.#columns ?? [])
      if (!known.has(column)) throw new DoSQLError('NO_SUCH_COLUMN', `no such column: ${name}.${column}`);
    this.#conditions = where.map(({ sql, columns: visible, hidden }) => {
      const shown = visible && new Set(visible.map(lowerName));
      const masked = new Set(hidden?.map(lowerName));
      const condition = new RowCondition(
        sql,
        name,
        (column) => (shown === undefined || shown.has(column)) && !masked.has(column),
      );
      condition.columns(known);
      return condition;
    });
  }

  /** The conditions as SQL over a row of the table as it is now, called by its name. */
  get presentCondition(): string {
    return this.#conditions.map(({ sql }) => `(${sql}) AND `).join('');
  }

  /** Whether a column is wanted. */
  isWanted = (column: string): boolean => this.#columns === undefined || this.#columns.has(lowerName(column));

  /** How the entries of one version are to be shown, that lie after `from` and up to `to`. */
  of(engine: Engine, version: Relation, from: number, to: number, chunk: Chunk | undefined): RelationView {
    const range = `l.rel = ${version.id} AND l.lsn > ${from} AND l.lsn <= ${to}`;
    const select = (query: string, bindings: readonly Binding[] = []): Set<number> =>
      new Set(all<[number]>(engine.storage.sql, query, ...bindings).map(([lsn]) => lsn));
    const matching = (text: (condition: RowCondition) => string): Set<number> | undefined => {
      const [first, ...rest] = this.#conditions.map((condition) => select(text(condition)));
      return first && rest.reduce((set, next) => new Set([...set].filter((lsn) => next.has(lsn))), first);
    };
    return {
      isWanted: this.#columns && this.isWanted,
      hidesKey: this.hidesKey,
      images: matching((condition) => this.#images(condition, version, range, false)),
      after: matching((condition) => this.#images(condition, version, range, true)),
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

  /** Query for the LSNs whose image satisfies a condition: the row's own, or that after an update in one row. */
  #images(condition: RowCondition, version: Relation, range: string, isAfter: boolean): string {
    if (isAfter && !version.layout.updatesInOneRow) return 'SELECT 1 WHERE FALSE';
    // A table that was dropped and made again is another one: its columns say nothing about these.
    const present = this.#versions.findLast(({ tableId }) => tableId === version.tableId) ?? version;
    const source = imageSource(version, '__dosql_log AS l', defaultsOf(present));
    const value = (column: Column): string => {
      const slot = version.layout.slots.find(({ columnId }) => columnId === column.id);
      return isAfter && slot?.after !== undefined ? `l.${slot.after}` : source.value(column);
    };
    const columns = condition.columns(this.#known()).map((name) => {
      const column = [version, present]
        .flatMap((relation) => relation.columns)
        .find((one) => lowerName(one.name) === name);
      if (column !== undefined) return `${collated(value(column), column)} AS ${quoteName(name)}`;
      return `${name === 'rowid' ? source.key : 'NULL'} AS ${quoteName(name)}`;
    });
    const ops = isAfter ? `= ${OP.update}` : `BETWEEN ${OP.insert} AND ${OP.updateAfter}`;
    const rows = `SELECT ${['l.lsn AS __dosql_lsn', ...new Set(columns)].join(', ')} FROM ${source.from} WHERE ${range} AND l.op ${ops}`;
    return `SELECT __dosql_lsn FROM (${rows}) AS ${quoteName(version.name)} WHERE ${condition.sql}`;
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
      const view = new TableView((versions.at(-1) as Relation).name, wanted, versions);
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
