import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { asOf } from '../history/as-of.ts';
import { oneRowid, rowidName, spellStars, unqualify } from '../history/mention.ts';
import { sameName } from '../schema/catalog.ts';
import { isConflictTable, MAIN, physicalName } from '../schema/line.ts';
import type { Relation, SchemaObject } from '../schema/relation.ts';
import { first } from '../sql/read.ts';
import type { TableReference } from '../sql/scan.ts';
import { isUrl, RESERVED, type Statement } from '../sql/statement.ts';
import { lowerName, quoteName } from '../sql/token.ts';
import type { SqlParameter } from '../value/parameter.ts';
import { indexedBy, isReservedWord } from './clauses.ts';
import { MAIN_NAME, type Branch, type Branches } from './branches.ts';
import type { BranchTable } from './table.ts';
import { viewSource } from './view.ts';
import type { Edit } from './write.ts';

/** Where names are looked up: on which line, and as of which LSN. */
export interface Scope {
  readonly line: number;
  /** Undefined for the present. */
  readonly lsn: number | undefined;
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
  /** Tables of branches that are known to hold rows or hide some. */
  readonly #touched = new WeakSet<BranchTable>();

  constructor(engine: Engine, branches: Branches) {
    this.#engine = engine;
    this.#branches = branches;
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
      if (reference.isCte || (reference.kind !== 'from' && reference.kind !== 'in')) return [];
      if (isReservedWord(statement.sql, reference) || isUrl(reference.name)) return [];
      const source = this.#source(statement, reference, values, scope, basis);
      if (source === undefined) return [];
      const { whole, alias, kind, name } = reference;
      if (kind === 'in')
        return [{ ...whole, text: source.startsWith('(') ? source : `(SELECT * FROM ${source})` }];
      const shown = alias ?? this.address(name, scope.line).name;
      // What indexes a branch's table has, has other names, and a subquery has none.
      const indexed = indexedBy(statement.tokens, whole.end);
      return [
        { ...whole, text: `${source} AS ${quoteName(shown)}` },
        ...(indexed === undefined ? [] : [{ ...indexed, text: '' }]),
        ...this.#names(statement, { ...reference, alias: shown }, source, scope),
      ];
    });
  }

  /** What is known by one name in place of a table: `main.` goes from `main.t.a`, and a rowid is in no `*`. */
  #names(statement: Statement, reference: TableReference, source: string, scope: Scope): Edit[] {
    const { whole, inside } = unqualify(statement, [reference.alias as string]);
    const named = (edits: readonly Edit[]): Edit[] => edits.map((edit) => ({ ...edit, isNamed: true }));
    const qualified = [...inside, ...named(whole)];
    const { line, name } = this.address(reference.name, scope.line);
    if (!source.startsWith('(')) return qualified;
    const { catalog, log } = this.#engine;
    const relation =
      line === MAIN
        ? catalog.relationAt(name, scope.lsn ?? log.end())
        : (this.#branches.tables(line).get(lowerName(name))?.own ??
          this.#branches.seenThrough(this.#branches.branch(line), name));
    if (relation === undefined) return qualified;
    const rowid = oneRowid(statement, reference, relation);
    const renamed = [...qualified, ...rowid.inside, ...named(rowid.whole)];
    if (rowidName(statement, relation) === undefined) return renamed;
    const columns = relation.columns.map((column) => column.name);
    return [...renamed, ...named(spellStars(statement, reference, columns))];
  }

  #source(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
    scope: Scope,
    basis: Basis,
  ): string | undefined {
    const { line, name } = this.address(reference.name, scope.line);
    const at = this.#engine.rewriter.lsnOf(statement, reference, values) ?? scope.lsn;
    if (line !== MAIN) basis.lines.add(line);
    if (at !== undefined) basis.isLasting = false;
    if (line !== MAIN && /^sqlite_(?:master|schema)$/i.test(name)) return this.#schema(line);
    if (/^(?:sqlite_|pragma_)/i.test(name) || isConflictTable(name)) return undefined;
    const found = this.#find(statement, reference, values, { line, lsn: at }, name, basis);
    if (found !== undefined) return found;
    if (line === MAIN && at === undefined)
      return name === reference.name ? undefined : `main.${quoteName(name)}`;
    if (this.#engine.catalog.isVirtual(name))
      throw new DoSQLError(
        'NO_SUCH_TABLE',
        `"${name}" is a virtual table: it has neither branches nor history`,
        {
          sql: statement.sql,
        },
      );
    // SQLite itself is to say that there is none, in its own order of errors; not main's table of that name, if any.
    if (at === undefined) return quoteName(physicalName(line, name));
    const lineName = this.#branches.nameOf(line);
    throw new DoSQLError('NO_SUCH_TABLE', `there was no table "${name}" on ${lineName} as of LSN ${at}`, {
      sql: statement.sql,
    });
  }

  /** The text for a table or view called `name`; undefined when the line has none. */
  #find(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
    { line, lsn }: Scope,
    name: string,
    basis: Basis,
  ): string | undefined {
    const { catalog, log, rewriter } = this.#engine;
    if (line === MAIN) {
      if (lsn === undefined) return undefined;
      const relation = catalog.relationAt(name, lsn);
      if (relation !== undefined) return rewriter.source(statement, reference, values, relation, lsn);
      const view = catalog.viewAt(name, lsn);
      return view === undefined ? undefined : this.#view(view, { line, lsn }, basis);
    }
    const branch = this.#branches.branch(line);
    if (lsn !== undefined && lsn < branch.base)
      return this.#find(statement, reference, values, { line: branch.parent, lsn }, name, basis);
    this.#branches.watch(branch);
    const own = this.#own(branch, name, lsn ?? log.end(), statement, basis);
    if (own !== undefined) return own;
    const view = this.#branches
      .objects(line, 'view', lsn ?? log.end())
      .find((object) => sameName(object.name, name));
    if (view !== undefined) return this.#view(view, { line, lsn }, basis);
    const through = this.#branches.seenThrough(branch, name);
    if (through === undefined) return undefined;
    if (!this.#branches.isBehind(branch, through)) return `main.${quoteName(through.table)}`;
    if (lsn === undefined && this.#isOverlayWorth(branch, through)) {
      this.#branches.ensure(branch, [name]);
      return this.#own(branch, name, log.end(), statement, basis);
    }
    basis.isLasting = false;
    return rewriter.source(statement, reference, values, through, branch.origin);
  }

  /** A table that the branch has of its own, as of `lsn`. */
  #own(branch: Branch, name: string, lsn: number, statement: Statement, basis: Basis): string | undefined {
    const { catalog, log } = this.#engine;
    const table = this.#branches.tables(branch.id).get(lowerName(name));
    if (lsn >= log.end()) {
      if (table?.main === undefined) return table?.rows();
      if (!table.isAlike || this.isTouched(table)) return table.rows(rowidName(statement, table.own));
      basis.untouched.add(table);
      return `main.${quoteName(table.main.table)}`;
    }
    // A table that the branch got of its own later was until then the parent's.
    const versions = catalog.relationsOf(branch.id);
    const then =
      catalog.relationAt(name, lsn, branch.id) ??
      versions.find(
        (relation) =>
          relation.since > lsn &&
          sameName(relation.name, name) &&
          catalog.relationAt(name, branch.origin)?.tableId === relation.tableId &&
          !versions.some(({ tableId, since }) => tableId === relation.tableId && since < relation.since),
      );
    if (then === undefined) return undefined;
    const later = versions.filter(({ tableId, id }) => tableId === then.tableId && id >= then.id);
    const now = later.find(({ until }) => until === undefined);
    const present = now && this.#branches.tables(branch.id).get(lowerName(now.name));
    const key = now?.key.kind === 'rowid' && now.key.columnId === undefined ? now.key.name : undefined;
    return asOf(
      { at: then, now, versions: later, rows: present?.rows(key) },
      String(lsn),
      'probe',
      rowidName(statement, then),
    );
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
  #view(view: SchemaObject, scope: Scope, basis: Basis): string {
    return viewSource(view, (body) => this.edits(body, [], scope, basis));
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

function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
