import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { oneRowid, rowidName, spellStars, unqualify } from '../history/mention.ts';
import type { Interval } from '../history/point.ts';
import { versionsOfView, type SchemaChoice } from '../history/rewrite.ts';
import { wantedOf } from '../history/stand-in.ts';
import { refuseWrite } from '../history/system-time.ts';
import { sameName } from '../schema/catalog.ts';
import { isConflictTable, MAIN, physicalName } from '../schema/line.ts';
import type { Relation, SchemaObject } from '../schema/relation.ts';
import { first } from '../sql/read.ts';
import type { TableReference } from '../sql/scan.ts';
import { isUrl, RESERVED, type Statement } from '../sql/statement.ts';
import { lowerName, quoteName, quoteText } from '../sql/token.ts';
import type { SqlParameter } from '../value/parameter.ts';
import { indexedBy, isReservedWord } from './clauses.ts';
import { MAIN_NAME, type Branch, type Branches } from './branches.ts';
import { BranchPast } from './past.ts';
import { States, tableNamed } from './states.ts';
import type { BranchTable } from './table.ts';
import { viewSource } from './view.ts';
import type { Edit } from './write.ts';

/** Where names are looked up: on which line, and as of which LSN. */
export interface Scope {
  readonly line: number;
  /** Undefined for the present. */
  readonly lsn: number | undefined;
  /** With whose columns the past is read; those of then by default. */
  readonly schema?: SchemaChoice | undefined;
  /** False where present rows of main's are not all in its tables. */
  readonly canSeek?: boolean;
  /** Whether the statement is a view's query: what is around it decides how many of its rows are read. */
  readonly isView?: boolean;
}

/** What stands in for a reference. */
interface Source {
  readonly text: string;
  /** The table that it is, with the columns that it has there; undefined for a view. */
  readonly shape: Relation | undefined;
  /** Columns that it has beside the table's. */
  readonly more: readonly string[];
}

/** What the text made of a statement rests on, besides the schema. */
export interface Basis {
  /** The branches that it reads: they have to be kept as they are while main moves on. */
  readonly lines: Set<number>;
  /** Tables that it reads from main while there is nothing in the branch's own. */
  readonly untouched: Set<BranchTable>;
  /** Whether the text is the same for all values, and stays so as the log grows. */
  isLasting: boolean;
}

/** A basis without anything. */
export function newBasis(): Basis {
  return { lines: new Set(), untouched: new Set(), isLasting: true };
}

/** Behind this many changes a table is read faster from an overlay than by undoing them. */
const MAX_UNDONE = 500;
/** With few changes too, when it is read again and again: so many, counted at each reading, and each reading as some. */
const MAX_UNDONE_TOGETHER = 20_000;
const LEAST_UNDONE = 50;

/**
 * What a statement's table names mean on a branch, as text to put in their place.
 */
export class BranchReader {
  readonly #engine: Engine;
  readonly #branches: Branches;
  readonly #past: BranchPast;
  readonly #states: States;
  /** Tables of branches that are known to hold rows or hide some. */
  readonly #touched = new WeakSet<BranchTable>();

  constructor(engine: Engine, branches: Branches) {
    this.#engine = engine;
    this.#branches = branches;
    this.#past = new BranchPast(engine, branches);
    this.#states = new States(engine, branches);
  }

  /** Which line a name is looked up on, and the name there: `"feature/tasks"` is the table tasks of the branch feature. */
  address(name: string, line: number): { line: number; name: string } {
    if (isConflictTable(name)) return { line: MAIN, name };
    for (let at = name.lastIndexOf('/'); at > 0; at = name.lastIndexOf('/', at - 1)) {
      const prefix = name.slice(0, at);
      const branch = this.#branches.named(prefix);
      if (branch !== undefined || prefix === MAIN_NAME)
        return { line: branch?.id ?? MAIN, name: name.slice(at + 1) };
    }
    return { line, name };
  }

  /** Whether a statement names a table of another line than main. */
  namesBranch({ references }: Statement): boolean {
    return references.some(
      ({ name, isCte }) => !isCte && name.includes('/') && this.address(name, MAIN).name !== name,
    );
  }

  /** The changes to a statement's text that make it read what `scope` sees; `basis` gets what they rest on. */
  edits(
    statement: Statement,
    values: readonly SqlParameter[],
    scope: Scope,
    basis: Basis = newBasis(),
  ): Edit[] {
    return statement.references.flatMap((reference) => {
      if (reference.systemTime !== undefined) refuseWrite(statement, reference);
      if (reference.isCte || (reference.kind !== 'from' && reference.kind !== 'in')) return [];
      if (isReservedWord(statement.sql, reference) || isUrl(reference.name)) return [];
      const source = this.#source(statement, reference, values, scope, basis);
      if (source === undefined) return [];
      const { text } = source;
      const { whole, alias, kind, name } = reference;
      if (kind === 'in') return [{ ...whole, text: text.startsWith('(') ? text : `(SELECT * FROM ${text})` }];
      const shown = alias ?? this.address(name, scope.line).name;
      // What indexes a branch's table has, has other names, and a subquery has none.
      const indexed = indexedBy(statement.tokens, whole.end);
      return [
        { ...whole, text: `${text} AS ${quoteName(shown)}` },
        ...(indexed === undefined ? [] : [{ ...indexed, text: '' }]),
        ...this.#names(statement, { ...reference, alias: shown }, source),
      ];
    });
  }

  /** What is known by one name in place of a table: `main.` goes from `main.t.a`, and a rowid is in no `*`. */
  #names(statement: Statement, reference: TableReference, { text, shape, more }: Source): Edit[] {
    const { whole, inside } = unqualify(statement, [reference.alias as string]);
    const named = (edits: readonly Edit[]): Edit[] => edits.map((edit) => ({ ...edit, isNamed: true }));
    const qualified = [...inside, ...named(whole)];
    if (!text.startsWith('(') || shape === undefined) return qualified;
    const rowid = oneRowid(statement, reference, shape);
    const renamed = [...qualified, ...rowid.inside, ...named(rowid.whole)];
    if (rowidName(statement, shape) === undefined) return renamed;
    const columns = [...shape.columns.map((column) => column.name), ...more];
    return [...renamed, ...named(spellStars(statement, reference, columns))];
  }

  #source(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
    scope: Scope,
    basis: Basis,
  ): Source | undefined {
    const { times } = this.#engine.history.rewriter;
    const { line, name } = this.address(reference.name, scope.line);
    const at =
      times.intervalOf(statement, reference, values) ??
      times.lsnOf(statement, reference, values) ??
      scope.lsn;
    if (line !== MAIN) basis.lines.add(line);
    if (at !== undefined) basis.isLasting = false;
    if (reference.systemTime === undefined) {
      if (line !== MAIN && /^sqlite_(?:master|schema)$/i.test(name))
        return { text: this.#schema(line), shape: undefined, more: [] };
      if (/^(?:sqlite_|pragma_)/i.test(name) || isConflictTable(name)) return undefined;
    }
    const found =
      at === undefined
        ? this.#present(statement, reference, values, { ...scope, line }, name, basis)
        : this.#ofPast(statement, reference, values, { ...scope, line }, at, name, basis);
    if (found !== undefined) return found;
    if (line === MAIN && at === undefined)
      return name === reference.name
        ? undefined
        : { text: `main.${quoteName(name)}`, shape: undefined, more: [] };
    if (this.#engine.catalog.isVirtual(name))
      throw new DoSQLError(
        'NO_SUCH_TABLE',
        `"${name}" is a virtual table: it has neither branches nor history`,
        {
          sql: statement.sql,
        },
      );
    // SQLite itself is to say that there is none, in its own order of errors; not main's table of that name, if any.
    if (at === undefined) return { text: quoteName(physicalName(line, name)), shape: undefined, more: [] };
    const lineName = this.#branches.nameOf(line);
    const lsn = typeof at === 'number' ? at : at.at;
    throw new DoSQLError('NO_SUCH_TABLE', `there was no table "${name}" on ${lineName} as of LSN ${lsn}`, {
      sql: statement.sql,
    });
  }

  /** A table or view of a branch as it is now, called `name`; undefined when it has none. */
  #present(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
    scope: Scope,
    name: string,
    basis: Basis,
  ): Source | undefined {
    const { line, canSeek = true } = scope;
    if (line === MAIN) return undefined;
    const branch = this.#branches.branch(line);
    this.#branches.watch(branch);
    const own = this.#own(branch, name, statement, scope, basis);
    if (own !== undefined) return own;
    const view = this.#branches.objects(line, 'view').find((object) => sameName(object.name, name));
    if (view !== undefined) return this.#view(view, scope, basis);
    const shape = this.#branches.seenThrough(branch, name);
    if (shape === undefined) return undefined;
    if (!this.#branches.isBehind(branch, shape))
      return { text: `main.${quoteName(shape.table)}`, shape, more: [] };
    if (scope.lsn === undefined && this.#isOverlayWorth(branch, shape)) {
      this.#branches.ensure(branch, [name]);
      return this.#own(branch, name, statement, scope, basis);
    }
    basis.isLasting = false;
    const past = { statement, reference, values, shape, canSeek };
    return { text: this.#past.asOf(MAIN, past, branch.origin), shape, more: [] };
  }

  /** A table or view called `name` as it was, or versions of a table's rows; undefined when the line had none. */
  #ofPast(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
    scope: Scope,
    at: number | Interval,
    name: string,
    basis: Basis,
  ): Source | undefined {
    const { line, schema, canSeek = true } = scope;
    const end = this.#engine.log.end();
    const lsn = typeof at === 'number' ? at : at.at;
    if (typeof at === 'number' && at >= end && line !== MAIN)
      return this.#present(statement, reference, values, { ...scope, lsn }, name, basis);
    const shape = tableNamed(this.#states.tables({ line, lsn: schema === 'present' ? end : lsn }), name);
    if (shape !== undefined) {
      const past = { statement, reference, values, shape, canSeek };
      if (typeof at === 'number') return { text: this.#past.asOf(line, past, at), shape, more: [] };
      return { text: this.#past.versions(line, past, at), shape, more: wantedOf(statement, shape) };
    }
    const isNow = schema === 'present' || typeof at !== 'number';
    const view = this.#states
      .objects({ line, lsn: isNow ? end : lsn })
      .find((object) => object.type === 'view' && sameName(object.name, name));
    if (view !== undefined && typeof at !== 'number') throw versionsOfView(statement, reference);
    return view === undefined ? undefined : this.#view(view, { ...scope, lsn }, basis);
  }

  /** A table that the branch has of its own now. */
  #own(
    branch: Branch,
    name: string,
    statement: Statement,
    { canSeek = true, isView = false }: Scope,
    basis: Basis,
  ): Source | undefined {
    const table = this.#branches.tables(branch.id).get(lowerName(name));
    if (table === undefined) return undefined;
    const shape = table.own;
    if (table.main === undefined) return { text: table.rows(), shape, more: [] };
    const areAllRead = canSeek && !isView && readsAll(statement);
    if (!table.isAlike || this.isTouched(table))
      return { text: table.rows(rowidName(statement, shape), areAllRead), shape, more: [] };
    basis.untouched.add(table);
    return { text: `main.${quoteName(table.main.table)}`, shape, more: [] };
  }

  /** Whether a table that main has changed since the branch forked is to be read from an overlay from now on. */
  #isOverlayWorth(branch: Branch, { tableId }: Relation): boolean {
    const changes = this.#engine.log.end() - branch.origin;
    if (changes > MAX_UNDONE) return true;
    const { undone } = this.#branches.watch(branch);
    const together = (undone.get(tableId) ?? 0) + Math.max(changes, LEAST_UNDONE);
    undone.set(tableId, together);
    return together > MAX_UNDONE_TOGETHER;
  }

  /** Nothing has been copied up to, or changed in, most tables of a branch: main's is then read as it is. */
  isTouched(table: BranchTable): boolean {
    if (this.#touched.has(table)) return true;
    const { own } = table;
    const shadow = quoteName(`${RESERVED}s${own.branch}_${own.name}`);
    const row = first<[number]>(
      this.#engine.storage.sql,
      `SELECT EXISTS (SELECT 1 FROM ${quoteName(own.table)}) OR EXISTS (SELECT 1 FROM ${shadow})`,
    );
    if (row?.[0] === 1) this.#touched.add(table);
    return row?.[0] === 1;
  }

  /** The query of a view, every table in it read in the same scope. */
  #view(view: SchemaObject, scope: Scope, basis: Basis): Source {
    const text = viewSource(view, (body) => this.edits(body, [], { ...scope, isView: true }, basis));
    return { text, shape: undefined, more: [] };
  }

  /** SQLite's schema table as the branch would have it. */
  #schema(line: number): string {
    const { catalog } = this.#engine;
    const branch = this.#branches.branch(line);
    const touched = JSON.stringify(catalog.relationsOf(line).map(({ name }) => lowerName(name)));
    const prefix = quoteText(physicalName(line, ''));
    const views = JSON.stringify(
      this.#branches.objects(line, 'view').map(({ name, sql }) => ({ name, sql })),
    );
    const gone = JSON.stringify(catalog.objects.of(line).map(({ name }) => lowerName(name)));
    const seen = JSON.stringify(catalog.tablesAt(branch.origin).map(({ name }) => lowerName(name)));
    const plain = (column: string): string => `replace(${column}, ${prefix}, '')`;
    return (
      `(SELECT type, ${plain('name')} AS name, ${plain('tbl_name')} AS tbl_name, rootpage, ${plain('sql')} AS sql FROM sqlite_schema ` +
      `WHERE substr(tbl_name, 1, length(${prefix})) = ${prefix} AND (type <> 'trigger' OR substr(name, 1, length(${prefix})) = ${prefix}) ` +
      `UNION ALL SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema WHERE type <> 'view' AND substr(name, 1, 8) <> '${RESERVED}' AND substr(tbl_name, 1, 8) <> '${RESERVED}' ` +
      `AND lower(tbl_name) IN (SELECT value FROM json_each(${quoteText(seen)})) AND lower(tbl_name) NOT IN (SELECT value FROM json_each(${quoteText(touched)})) AND lower(name) NOT IN (SELECT value FROM json_each(${quoteText(gone)})) ` +
      `UNION ALL SELECT 'view', value ->> 'name', value ->> 'name', 0, value ->> 'sql' FROM json_each(${quoteText(views)}))`
    );
  }
}

/** Whether a statement goes through all rows of the one table that it reads, in any order. */
function readsAll({ kind, references, tokens }: Statement): boolean {
  const chooses = tokens.some(({ text }) => /^(?:WHERE|ORDER|LIMIT)$/.test(text));
  const selects = tokens.filter(({ text }) => text === 'SELECT').length;
  return kind === 'read' && references.length === 1 && selects === 1 && !chooses;
}
