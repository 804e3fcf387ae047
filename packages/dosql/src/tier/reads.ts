import { sameName } from '../schema/catalog.ts';
import type { Engine, RunOptions } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { mentions, rowidMention } from '../history/mention.ts';
import { droppedName, nullOf } from '../history/as-of.ts';
import { defaultsOf } from '../history/default.ts';
import type { Budget } from '../scan/budget.ts';
import { HandOffBuilder, type HandedColumn } from '../scan/handoff.ts';
import type { FormatOptions } from '../scan/source/formats.ts';
import type { Condition, ScanRequest, ScanTable } from '../scan/table.ts';
import type { ScanColumn } from '../scan/vector.ts';
import { MAIN } from '../schema/line.ts';
import type { Column, Relation } from '../schema/relation.ts';
import type { TableReference } from '../sql/scan.ts';
import { isUrl, parse, type Statement } from '../sql/statement.ts';
import { isName, lowerName, nameOf } from '../sql/token.ts';
import type { Bound, SqlParameter } from '../value/parameter.ts';
import type { SqlValue } from '../value/row.ts';
import {
  ColdTable,
  FILE_COLUMN,
  ROW_COLUMN,
  ROWID_COLUMN,
  scanColumn,
  type HiddenKeys,
} from './cold-table.ts';
import { addedValues } from './defaults.ts';
import { conditionsOn } from './conditions.ts';
import type { ColdFile, Manifest } from './manifest.ts';
import type { Names } from './names.ts';
import { redirect, type ReadInstead } from './redirect.ts';

/** Opens what is read. */
export interface Opener {
  /** A file of cold rows. */
  file(file: ColdFile, request: Pick<ScanRequest, 'budget' | 'signal'>): Promise<ScanTable>;
  /** What a URL in SQL names; `narrow` gives the conditions on columns that the names of folders make up. */
  url(
    url: string,
    options: FormatOptions & {
      readonly budget: Budget;
      readonly filename: boolean;
      readonly narrow: (partitions: readonly ScanColumn[]) => readonly Condition[];
    },
  ): Promise<ScanTable>;
}

/** Something that a statement reads beside main's own rows. */
interface Need {
  /** What stands in FROM: a URL, or a table's name in lower case. */
  readonly name: string;
  /** Main's present table; undefined for a URL. */
  readonly relation: Relation | undefined;
  readonly files: readonly ColdFile[];
  /** Whether the text names a column, if only by a star. */
  readonly isNamed: (name: string) => boolean;
  /** Names that stand in the text. */
  readonly said: ReadonlySet<string>;
  /** The word by which it asks for a rowid that is no column. */
  readonly rowid: string | undefined;
  readonly conditions: readonly Condition[];
  readonly statement: Statement;
  readonly reference: TableReference;
  readonly values: readonly SqlValue[];
  readonly format: FormatOptions | undefined;
}

/** What a statement reads, as of one version of the manifest. */
export interface Needs {
  readonly version: number;
  readonly generation: number;
  readonly list: readonly Need[];
}

/** What stands in FROM for the cold rows of one table and where they are, in a query of DoSQL's own. */
export const COLD_PLACES = 'cold://places';

/** Reads cold rows and files for statements that SQLite runs. */
export class Reads {
  readonly #engine: Engine;
  readonly #manifest: Manifest;
  readonly #names: Names;
  readonly #opener: Opener;

  constructor(engine: Engine, manifest: Manifest, names: Names, opener: Opener) {
    this.#engine = engine;
    this.#manifest = manifest;
    this.#names = names;
    this.#opener = opener;
  }

  /** Main's present cold rows of a table, or those in some of its files, with the columns of `relation`. */
  coldTable(
    relation: Relation,
    files: readonly ColdFile[],
    hidden?: HiddenKeys,
    dropped: readonly Column[] = [],
  ): ColdTable {
    const isOlder = ({ columns }: ColdFile): boolean =>
      [...relation.columns, ...dropped].some(({ id }) => !columns.some((column) => column.id === id));
    const defaults = files.some(isOlder) ? addedValues(this.#engine, relation) : new Map<number, SqlValue>();
    return new ColdTable({
      relation,
      files,
      hidden,
      defaults,
      dropped,
      open: (file, request) => this.#opener.file(file, request),
    });
  }

  /** What a URL names in a statement, whose conditions tell which files are needed. */
  url(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlValue[],
    format: FormatOptions | undefined,
    budget: Budget,
  ): Promise<ScanTable> {
    const named = statement.references.filter(({ name }) => name === reference.name);
    return this.#opener.url(reference.name, {
      ...format,
      budget,
      filename: statement.tokens.some((token) => lowerName(nameOf(statement.sql, token)) === 'filename'),
      narrow: (partitions) => {
        const owns = (column: string): boolean =>
          statement.references.length === 1 && partitions.some(({ name }) => sameName(name, column));
        if (named.length > 1) return [];
        return conditionsOn(statement, reference, values, owns).flatMap((condition) => {
          const column = partitions.find(({ name }) => sameName(name, condition.column));
          return column !== undefined && isComparable(condition, column)
            ? [{ ...condition, column: column.name }]
            : [];
        });
      },
    });
  }

  /** What SQLite would read for a statement that is elsewhere; `placed` is the table that {@link COLD_PLACES} stands for. */
  needs(
    statement: Statement,
    values: readonly SqlParameter[],
    options: RunOptions,
    placed?: Relation,
  ): Needs {
    const { version, tables } = this.#manifest;
    const { generation } = this.#engine.catalog;
    const bound = this.#engine.bound(statement, values, { ...options, redirect: (text) => text });
    const text = this.#names.expand(bound.sql);
    const [final] = parse(text, true) as [Statement];
    // A view may read the table, too.
    const isPlain = text === bound.sql;
    const list = new Map<string, Need>();
    for (const reference of final.references) {
      const { kind, isCte, name, schema } = reference;
      if (isCte || (kind !== 'from' && kind !== 'in')) continue;
      if (schema !== undefined && lowerName(schema) !== 'main') continue;
      const key = isUrl(name) ? name : lowerName(name);
      const tableId =
        name === COLD_PLACES ? placed?.tableId : isUrl(name) ? undefined : this.#names.coldTable(name);
      if (list.has(key) || (tableId === undefined && !isUrl(name))) continue;
      const relation = tableId === undefined ? undefined : this.#present(tableId);
      list.set(key, {
        name: key,
        relation,
        files: tableId === undefined ? [] : (tables.get(tableId)?.files ?? []),
        isNamed: kind === 'in' ? (): boolean => true : mentions(final),
        said: new Set(final.tokens.filter(isName).map((token) => nameOf(final.sql, token))),
        rowid: relation && rowidMention(final, relation),
        conditions: isPlain ? this.#conditions(statement, key, relation, values) : [],
        // A URL stands in the text as the user wrote it.
        statement: isPlain ? statement : final,
        reference: (isPlain && statement.references.find((own) => own.name === name)) || reference,
        values: isPlain ? plainValues(values) : [],
        format: options.files,
      });
    }
    return { version, generation, list: [...list.values()] };
  }

  /** Reads what a statement needs; undefined where that failed and is another thing by now, as files may have gone. */
  async fetch(needs: Needs, budget: Budget): Promise<Map<string, ReadInstead> | undefined> {
    const instead = new Map<string, ReadInstead>();
    try {
      for (const need of needs.list) instead.set(need.name, await this.#fetch(need, budget));
    } catch (error) {
      if (this.isCurrent(needs)) throw error;
      return undefined;
    }
    return instead;
  }

  /** Whether what was read is still all there is. */
  isCurrent({ version, generation }: Needs): boolean {
    return version === this.#manifest.version && generation === this.#engine.catalog.generation;
  }

  /** Makes a text read what was fetched. */
  redirect(instead: ReadonlyMap<string, ReadInstead>): (bound: Bound) => Bound {
    return (bound) => redirect({ ...bound, sql: this.#names.expand(bound.sql) }, instead);
  }

  async #fetch(need: Need, budget: Budget): Promise<ReadInstead> {
    const { name, relation, files, isNamed, said, rowid, conditions } = need;
    if (relation === undefined) {
      const table = await this.url(need.statement, need.reference, need.values, need.format, budget);
      const columns = table.columns.map((column) => ({ column, from: column.name }));
      return { rows: await collect(table, columns, conditions, budget), table: undefined };
    }
    const { key } = relation;
    const columns: Wanted[] = relation.columns
      .filter((column) => isNamed(column.name))
      .map((column) => ({ column: handedColumn(column), from: column.name }));
    const integer = (as: string, from: string): Wanted => ({ column: { name: as, type: 'integer' }, from });
    if (key.kind === 'rowid' && rowid !== undefined) {
      const own = relation.columns.find(({ id }) => id === key.columnId);
      columns.unshift(integer(rowid, own?.name ?? ROWID_COLUMN));
    }
    // By the name that the texts of the past and of branches have for it.
    if (key.kind === 'rowid' && key.columnId === undefined && key.name !== rowid && isNamed(key.name))
      columns.unshift(integer(key.name, ROWID_COLUMN));
    if (columns.length === 0) {
      const [first] = relation.columns as [Column];
      columns.push({ column: handedColumn(first), from: first.name });
    }
    const ownNames = columns.map(({ column }) => column.name);
    const dropped = this.#dropped(relation).filter((column) => said.has(column.name));
    for (const column of dropped) columns.push({ column: handedColumn(column), from: column.name });
    if (name === COLD_PLACES)
      columns.push(integer(FILE_COLUMN, FILE_COLUMN), integer(ROW_COLUMN, ROW_COLUMN));
    const table = this.coldTable(relation, files, undefined, dropped);
    const rows = await collect(table, columns, conditions, budget);
    if (name === COLD_PLACES) return { rows, table: undefined };
    const stars = relation.columns.map((column) => column.name);
    return {
      rows,
      table: {
        columns: ownNames,
        dropped,
        stars: stars.length === ownNames.length + dropped.length ? undefined : stars,
      },
    };
  }

  /**
   * Columns that a table has had, by the names that texts of the past have for them, with SQL for their defaults. A hot
   * row of which the log has no image of such a column was cold all the while that there was the column.
   */
  #dropped({ tableId, columns }: Relation): (Column & { readonly value: string })[] {
    const lost = new Map<number, Column & { readonly value: string }>();
    for (const version of this.#engine.catalog.versions(tableId)) {
      const gone = version.columns.filter((column) => !columns.some(({ id }) => id === column.id));
      const defaults = gone.length === 0 ? new Map<number, string>() : defaultsOf(version);
      for (const column of gone)
        lost.set(column.id, {
          ...column,
          name: droppedName(column),
          value: defaults.get(column.id) ?? nullOf(column),
        });
    }
    return [...lost.values()];
  }

  #present(tableId: number): Relation | undefined {
    return this.#engine.catalog.present(tableId);
  }

  /** Conditions of the user's own statement, where it names the table just once and nothing else reads it. */
  #conditions(
    statement: Statement,
    key: string,
    relation: Relation | undefined,
    values: readonly SqlParameter[],
  ): Condition[] {
    const isIt = (name: string): boolean => (isUrl(name) ? name : lowerName(name)) === key;
    const named = statement.references.filter(({ name, isCte }) => !isCte && isIt(name));
    const [reference] = named;
    if (reference === undefined || named.length > 1 || reference.kind !== 'from') return [];
    if (relation === undefined) return [];
    const isAlone = statement.references.length === 1;
    const others = statement.references.filter((other) => other !== reference);
    const known = others.map(({ name }) =>
      this.#engine.catalog.current().find((one) => one.branch === MAIN && sameName(one.name, name)),
    );
    const owns = (column: string): boolean =>
      relation.columns.some(({ name }) => sameName(name, column)) &&
      (isAlone ||
        known.every(
          (other) => other !== undefined && !other.columns.some(({ name }) => sameName(name, column)),
        ));
    return conditionsOn(statement, reference, plainValues(values), owns).flatMap((condition) => {
      const column = relation.columns.find(({ name }) => sameName(name, condition.column));
      const adapted = column && adapt(condition, column);
      return adapted === undefined ? [] : [adapted];
    });
  }
}

/** A condition as the column's affinity makes it; undefined where its values are of another kind than the column's. */
function adapt(condition: Condition, { name, affinity, collation }: Column): Condition | undefined {
  if (collation !== undefined) return undefined;
  const isText = affinity === 'text';
  const values = condition.values.map((value) => {
    if (typeof value === 'string' && !isText && affinity !== 'blob' && value.trim() !== '') {
      const number = Number(value);
      return Number.isFinite(number) ? undefined : value;
    }
    return typeof value === 'string' || !isText ? value : undefined;
  });
  if (values.includes(undefined)) return undefined;
  return { ...condition, column: name, values: values as SqlValue[] };
}

/** Whether the values of a condition are of the class that the column has. */
function isComparable({ values }: Condition, { type }: ScanColumn): boolean {
  if (type === 'text') return values.every((value) => typeof value === 'string');
  const isNumber = (value: SqlValue): boolean => typeof value === 'number' || typeof value === 'bigint';
  return (type === 'integer' || type === 'real') && values.every(isNumber);
}

/** Values as SQLite gets them. */
export function plainValues(values: readonly SqlParameter[]): SqlValue[] {
  return values.map((value): SqlValue => {
    if (value === undefined || value === null) return null;
    if (typeof value === 'boolean') return value ? 1 : 0;
    if (value instanceof Date) {
      if (Number.isNaN(value.getTime()))
        throw new DoSQLError('BAD_PARAMETER', 'a parameter is an invalid Date');
      return value.toISOString();
    }
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return value;
  });
}

function handedColumn(column: Column): HandedColumn {
  const { affinity, collation } = column;
  return { ...scanColumn(column), affinity, collation };
}

/** A column that is handed over, and what the table calls it that it comes from. */
interface Wanted {
  readonly column: HandedColumn;
  readonly from: string;
}

async function collect(
  table: ScanTable,
  columns: readonly Wanted[],
  conditions: readonly Condition[],
  budget: Budget,
): Promise<HandOffBuilder> {
  const rows = new HandOffBuilder(
    columns.map(({ column }) => column),
    { budget },
  );
  const origins = new Map(columns.map(({ column, from }) => [column.name, from]));
  const names = [...new Set(origins.values())];
  for await (const batch of table.scan({ columns: names, conditions, budget }))
    rows.addBatch({
      rowCount: batch.rowCount,
      column: (name) => batch.column(origins.get(name) ?? name),
      fetch: (more, at) => batch.fetch(more, at),
    });
  return rows;
}
