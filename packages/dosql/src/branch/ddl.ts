import type { Engine, Outcome } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { sameName } from '../schema/catalog.ts';
import { physicalName } from '../schema/line.ts';
import type { SchemaObject } from '../schema/relation.ts';
import { scan, type Span } from '../sql/scan.ts';
import { parse, splice, type Ddl, type Statement } from '../sql/statement.ts';
import { isName, lowerName, nameOf, quoteName, tokenize } from '../sql/token.ts';
import type { Branch, Branches } from './branches.ts';
import { isReservedWord } from './clauses.ts';
import type { BranchReader } from './read.ts';
import { renamed } from './rename.ts';
import { branchTrigger } from './trigger.ts';
import type { Edit } from './write.ts';

/** Changes a branch's schema: on tables of its own, which then depend on main no more. */
export class BranchDdl {
  readonly #engine: Engine;
  readonly #branches: Branches;
  readonly #reader: BranchReader;

  constructor(engine: Engine, branches: Branches, reader: BranchReader) {
    this.#engine = engine;
    this.#branches = branches;
    this.#reader = reader;
  }

  /** Runs one statement. */
  run(statement: Statement, line: number): Outcome {
    const branch = this.#branches.branch(line);
    const ddl = statement.ddl;
    if (ddl === undefined) return this.#engine.runOwn(statement);
    if (ddl.what === 'virtual table')
      throw new DoSQLError(
        'FORBIDDEN',
        `a branch cannot have a virtual table of its own: create "${ddl.name}" on main`,
        { sql: statement.sql },
      );
    return this.#engine.atomically(() => {
      if (ddl.what === 'view') return this.#viewDdl(statement, branch);
      return this.#tableDdl(statement, branch);
    });
  }

  #viewDdl(statement: Statement, { id }: Branch): Outcome {
    const { catalog, log } = this.#engine;
    const { verb, name } = statement.ddl as Ddl;
    const old = this.#branches.objects(id, 'view').find((view) => sameName(view.name, name));
    const mayBe = isConditional(statement);
    const nothing = {
      names: [],
      raw: [],
      rowsRead: 0,
      rowsWritten: 0,
      changes: 0,
      lastRowId: 0,
      lsn: log.end(),
    };
    if (verb === 'create') {
      const isTaken =
        old !== undefined ||
        this.#branches.tables(id).has(lowerName(name)) ||
        this.#branches.seenThrough(this.#branches.branch(id), name) !== undefined;
      this.#checkView(statement, id);
      if (isTaken && mayBe) return nothing;
      if (isTaken)
        throw new DoSQLError('SYNTAX', `${old === undefined ? 'table' : 'view'} ${name} already exists`, {
          sql: statement.sql,
        });
      catalog.objects.begin({
        branch: id,
        type: 'view',
        name,
        table: name,
        since: catalog.note(),
        until: undefined,
        sql: statement.sql,
      });
    } else if (old === undefined) {
      if (!mayBe) throw new DoSQLError('NO_SUCH_TABLE', `no such view: ${name}`, { sql: statement.sql });
    } else {
      this.#end(old, id, catalog.note());
    }
    catalog.touch();
    this.#retrigger(id, name);
    return nothing;
  }

  /** Triggers that read a view have its query in them, and the branch has all tables that they read. */
  #retrigger(id: number, view: string): void {
    const triggers = this.#branches.objects(id, 'trigger').filter(({ table, sql }) => {
      const names = scan(sql, tokenize(sql)).map(({ name }) => name);
      const isOwn = this.#branches.tables(id).has(lowerName(table));
      return isOwn && this.#branches.namesBehind(id, names).includes(lowerName(view));
    });
    if (triggers.length === 0) return;
    this.#branches.ensure(this.#branches.branch(id), this.#branches.namesBehind(id, [view]));
    this.#branches.withoutTriggers(id, () => {});
  }

  /** A view of a branch is text only; that it parses, SQLite is asked. */
  #checkView(statement: Statement, id: number): void {
    const { sql } = this.#engine.storage;
    const { start, end } = statement.references[0] as Span;
    const name = quoteName(physicalName(id, (statement.ddl as Ddl).name));
    sql.exec(splice(statement.sql, [{ start, end, text: name }]));
    sql.exec(`DROP VIEW ${name}`);
  }

  #tableDdl(statement: Statement, branch: Branch): Outcome {
    const { catalog, log } = this.#engine;
    const { verb, what, name } = statement.ddl as Ddl;
    const { id } = branch;
    const object =
      what === 'table'
        ? undefined
        : this.#branches.objects(id, what as 'index' | 'trigger').find((other) => sameName(other.name, name));
    const tables = [
      ...statement.references
        .filter(({ kind }) => kind === 'define' || kind === 'reference')
        .map((reference) => reference.name),
      ...(object === undefined ? [] : [object.table]),
    ];
    this.#branches.ensure(branch, tables);
    const parents = new Set(tables.map(lowerName));
    const children = [...this.#branches.tables(id).values()].filter(
      ({ shape }) =>
        verb === 'drop' &&
        what === 'table' &&
        shape.foreignKeys.some(({ parent }) => parents.has(lowerName(parent))),
    );
    const isNew = verb === 'create' && what === 'table';
    if (!isNew && what !== 'trigger')
      this.#branches.fold(branch, [...tables, ...children.map(({ own }) => own.name)]);
    if (what === 'trigger') return this.#triggerDdl(statement, branch, object);
    const outcome = this.#branches.withoutTriggers(id, () => {
      const changed = this.#renamed(statement, id);
      const altered = this.#alter(this.#physical(statement, id));
      if (verb === 'drop' && what === 'table') this.#endAll(name, id);
      const lsn = changed.length > 0 ? catalog.note() : log.end();
      for (const { object, ...now } of changed) {
        this.#end(object, id, lsn);
        catalog.objects.begin({ ...object, ...now, branch: id, since: lsn, until: undefined });
      }
      return altered;
    });
    if (what === 'index' && (verb === 'drop') === (object !== undefined)) {
      const table = object?.table ?? statement.references.find(({ kind }) => kind === 'define')?.name ?? name;
      if (object !== undefined) this.#end(object, id, catalog.note());
      else
        catalog.objects.begin({
          type: 'index',
          name,
          table,
          sql: statement.sql,
          branch: id,
          since: catalog.note(),
          until: undefined,
        });
    }
    catalog.touch();
    return outcome;
  }

  /** Without the legacy form, ALTER would look at every view of the schema, which are main's and may not fit any more. */
  #alter(statement: Statement): Outcome {
    const { sql } = this.#engine.storage;
    if (statement.ddl?.verb !== 'alter') return this.#engine.runOwn(statement);
    sql.exec('PRAGMA legacy_alter_table = ON');
    try {
      return this.#engine.runOwn(statement);
    } finally {
      sql.exec('PRAGMA legacy_alter_table = OFF');
    }
  }

  #triggerDdl(statement: Statement, { id }: Branch, old: SchemaObject | undefined): Outcome {
    const { log, catalog } = this.#engine;
    const { verb, name } = statement.ddl as Ddl;
    const tables = this.#branches.tables(id);
    const [target] = statement.references;
    const outcome = {
      names: [],
      raw: [],
      rowsRead: 0,
      rowsWritten: 0,
      changes: 0,
      lastRowId: 0,
      lsn: log.end(),
    };
    const mayBe = isConditional(statement);
    if (verb === 'create') {
      if (old !== undefined && mayBe) return outcome;
      if (old !== undefined)
        throw new DoSQLError('SYNTAX', `trigger ${name} already exists`, { sql: statement.sql });
      if (target !== undefined && isReservedWord(statement.sql, target))
        throw new DoSQLError('SYNTAX', `near "${target.name}": syntax error`, { sql: statement.sql });
      const table = tables.get(lowerName(target?.name ?? ''));
      if (table === undefined)
        throw new DoSQLError('NO_SUCH_TABLE', `no such table: ${target?.name}`, {
          sql: statement.sql,
        });
      this.#branches.ensure(
        this.#branches.branch(id),
        this.#branches.namesBehind(
          id,
          statement.references.map((reference) => reference.name),
        ),
      );
      this.#engine.storage.sql.exec(branchTrigger(id, statement.sql, this.#branches.seenOn(id)));
      catalog.objects.begin({
        type: 'trigger',
        name,
        table: table.own.name,
        sql: statement.sql,
        branch: id,
        since: catalog.note(),
        until: undefined,
      });
    } else if (old !== undefined) {
      this.#engine.storage.sql.exec(`DROP TRIGGER ${quoteName(physicalName(id, name))}`);
      this.#end(old, id, catalog.note());
    } else if (!mayBe) {
      throw new DoSQLError('SYNTAX', `no such trigger: ${name}`, { sql: statement.sql });
    }
    catalog.refresh();
    catalog.touch();
    return outcome;
  }

  /** What a renaming does to the texts of views, indexes and triggers. */
  #renamed(statement: Statement, id: number): { object: SchemaObject; sql: string; table: string }[] {
    const ddl = statement.ddl as Ddl;
    if (ddl.renamedTo === undefined && ddl.column?.to === undefined) return [];
    const tables = [...this.#branches.tables(id).values()].map(({ own }) => own);
    const objects = (['view', 'index', 'trigger'] as const).flatMap((type) =>
      this.#branches.objects(id, type),
    );
    return objects.flatMap((object) => {
      const now = renamed(object, ddl, tables);
      if (now === 'ambiguous')
        throw new DoSQLError(
          'FORBIDDEN',
          `${object.type} "${object.name}" names "${ddl.column?.from}", which may be another table's: drop it, rename the column, and create it again`,
          { sql: statement.sql },
        );
      return now === undefined ? [] : [{ object, ...now }];
    });
  }

  /** A table takes its indexes and triggers with it: another of its name is not to have them. */
  #endAll(table: string, id: number): void {
    const objects = (['index', 'trigger'] as const)
      .flatMap((type) => this.#branches.objects(id, type))
      .filter((object) => sameName(object.table, table));
    if (objects.length === 0) return;
    const lsn = this.#engine.catalog.note();
    for (const object of objects) this.#end(object, id, lsn);
  }

  /** Takes note that the branch has dropped one: of what it had from its parent, by a version that ends as it begins. */
  #end(object: SchemaObject, id: number, lsn: number): void {
    const { objects } = this.#engine.catalog;
    if (object.branch === id) objects.end(object, lsn);
    else objects.begin({ ...object, branch: id, since: lsn, until: lsn });
  }

  /** DDL with the names that SQLite's schema has for the branch's tables and indexes. */
  #physical(statement: Statement, id: number): Statement {
    const { sql, tokens, references } = statement;
    const { verb, what, name } = statement.ddl as Ddl;
    const edits: Edit[] = references
      .filter((reference) => /^(?:define|reference)$/.test(reference.kind) && !isReservedWord(sql, reference))
      .map((reference) => ({
        start: reference.start,
        end: reference.end,
        text: quoteName(physicalName(id, reference.name)),
      }));
    if (what === 'index') {
      const limit = verb === 'create' ? tokens.findIndex(({ text }) => text === 'ON') : tokens.length;
      const token = tokens
        .slice(0, limit)
        .findLast((other) => isName(other) && sameName(nameOf(sql, other), name));
      if (token !== undefined)
        edits.push({ start: token.start, end: token.end, text: quoteName(physicalName(id, name)) });
    }
    const reads = this.#reader.edits(statement, [], { line: id, lsn: undefined });
    return parse(splice(sql, [...edits, ...reads]), true)[0] as Statement;
  }
}

/** IF EXISTS, or IF NOT EXISTS. */
function isConditional({ tokens }: Statement): boolean {
  return tokens.slice(0, 7).some(({ text }) => text === 'EXISTS');
}
