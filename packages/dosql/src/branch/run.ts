import type { Branching, Engine, Outcome, RunOptions } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { Point } from '../history/point.ts';
import { OP } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN, physicalName } from '../schema/line.ts';
import { disguise } from '../sql/disguise.ts';
import { keepNames } from '../sql/names.ts';
import { first } from '../sql/read.ts';
import { parse, splice, type Statement } from '../sql/statement.ts';
import { isName, lowerName, nameOf, quoteName, tokenize } from '../sql/token.ts';
import { encode, type Binding, type Bound, type SqlParameter } from '../value/parameter.ts';
import { Branches, type Branch } from './branches.ts';
import { clausesOf, type Clauses } from './clauses.ts';
import { BEGIN_COPY, copyUp, END_COPY } from './overlay.ts';
import { BranchReader, rowidMention, type Scope } from './read.ts';
import type { BranchTable } from './table.ts';
import { branchTrigger } from './trigger.ts';
import { keysWritten, type Edit } from './write.ts';

/** What a branch is made of; by default of what the handle sees now. */
export interface BranchOptions {
  /** Another branch, or a point of the past as {@link Database.asOf} takes it. */
  readonly from?: Point;
}

/** A branch, and what it costs. */
export interface BranchInfo {
  readonly name: string;
  /** The branch that it was made of, and the LSN of that one's state. */
  readonly parent: string;
  readonly base: bigint;
  readonly createdAt: Date;
  /** Row changes made on it. */
  readonly changes: number;
  /** Tables that it has of its own, and the rows in them, changed or copied up. */
  readonly tables: number;
  readonly rows: number;
  /** The log since `base`, which is kept for the branch however old it becomes: its changes, main's included. */
  readonly heldChanges: number;
}

/** Texts of one statement, for one state of the tables that it names. */
interface Texts {
  readonly sql: string;
  readonly bindingCount: number;
  /** What copies up the rows that an UPDATE or DELETE is to write, and the query that tells whether there are any. */
  readonly copy: { readonly sql: string; readonly probe: string; readonly bindingCount: number } | undefined;
}

/** Runs statements that name a branch, or come through the handle of one. */
export class BranchRunner implements Branching {
  readonly branches: Branches;
  readonly #engine: Engine;
  readonly #reader: BranchReader;
  readonly #texts = new WeakMap<Statement, Map<string, Texts>>();

  constructor(engine: Engine) {
    this.#engine = engine;
    this.branches = new Branches(engine);
    this.#reader = new BranchReader(engine, this.branches);
  }

  /** Makes a branch, seen from the line `line`. */
  create(line: number = MAIN, name: string, { from }: BranchOptions): number {
    const { log, points } = this.#engine;
    return this.#engine.atomically(() => {
      const other = typeof from === 'string' ? this.branches.find(from) : undefined;
      const lsn = from === undefined || other !== undefined ? log.end() : points.resolve(from);
      return this.branches.create(name, other ?? line, lsn).id;
    });
  }

  drop(name: string): void {
    const id = this.branches.idOf(name);
    if (id === MAIN) throw new DoSQLError('BAD_PARAMETER', 'main cannot be dropped');
    this.#engine.atomically(() => this.branches.drop(id));
  }

  list(): BranchInfo[] {
    const { storage, log, catalog } = this.#engine;
    return this.branches.list().map(({ id, name, parent, base, createdMs }) => {
      const tables = [...this.branches.tables(id).values()];
      const count = (sql: string, ...bindings: Binding[]): number =>
        first<[number]>(storage.sql, sql, ...bindings)?.[0] ?? 0;
      const relations = JSON.stringify(catalog.relationsOf(id).map((relation) => relation.id));
      return {
        name,
        parent: this.branches.nameOf(parent),
        base: BigInt(base),
        createdAt: new Date(createdMs),
        changes: count(
          `SELECT count(*) FROM __dosql_log WHERE lsn > ? AND op BETWEEN ${OP.insert} AND ${OP.updateBefore} AND rel IN (SELECT value FROM json_each(?))`,
          base,
          relations,
        ),
        tables: tables.length,
        rows: tables.reduce((sum, { own }) => sum + count(`SELECT count(*) FROM ${quoteName(own.table)}`), 0),
        heldChanges: log.end() - base,
      };
    });
  }

  names(statement: Statement): boolean {
    return this.#reader.namesBranch(statement);
  }

  rolledBack(): void {
    this.branches.load();
  }

  beforeDdl(table: string): void {
    this.branches.foldAll(table);
  }

  /** The text that SQLite is to run, and its bindings; rows that the statement is to write have been copied up. */
  prepare(statement: Statement, values: readonly SqlParameter[], { at, branch }: RunOptions): Bound {
    const lsn = at === undefined ? undefined : this.#engine.points.resolve(at);
    const scope: Scope = { line: branch ?? MAIN, lsn };
    const clauses = clausesOf(statement);
    const target = clauses && this.#target(clauses, scope, statement);
    const edits = this.#reader.edits(statement, values, scope);
    const encoded = encode(statement.sql, values);
    const parameters = statement.parameters
      .filter(({ start, end }) => !edits.some((edit) => start >= edit.start && end <= edit.end))
      .map(({ start, end, index }) => ({ start, end, text: encoded.write(index) }));
    const calls = disguise(statement, this.#engine.lastChanges).filter(
      ({ start }) => !edits.some((edit) => start >= edit.start && start < edit.end),
    );
    const all = [...edits, ...parameters, ...calls];
    const key = `${this.#engine.catalog.generation} ${encoded.variant} ${scope.line} ${edits.map(({ text }) => text).join('\n')} ${calls.map(({ text }) => text).join()}`;
    let texts = this.#texts.get(statement);
    if (texts === undefined) this.#texts.set(statement, (texts = new Map<string, Texts>()));
    let text = texts.get(key);
    if (text === undefined) {
      if (texts.size > 20) texts.clear();
      texts.set(key, (text = this.#write(statement, clauses, target, all)));
    }
    if (text.copy !== undefined) this.#copyUp(text.copy, encoded.bindings);
    return { sql: text.sql, bindings: encoded.bindings.slice(0, text.bindingCount) };
  }

  /** Runs DDL on a branch: on tables of its own that depend on main no more. */
  ddl(statement: Statement, line: number): Outcome {
    const branch = this.branches.branch(line);
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

  /** PRAGMA of a table: that of the branch. */
  pragma(statement: Statement, line: number): Statement {
    const tables = this.branches.tables(line);
    const edits = statement.tokens.flatMap((token, i) => {
      const own = i > 1 && isName(token) ? tables.get(lowerName(nameOf(statement.sql, token))) : undefined;
      return own === undefined
        ? []
        : [{ start: token.start, end: token.end, text: quoteName(own.own.table) }];
    });
    return edits.length === 0 ? statement : (parse(splice(statement.sql, edits), true)[0] as Statement);
  }

  #target(clauses: Clauses, scope: Scope, statement: Statement): BranchTable | undefined {
    const { line, name } = this.#reader.address(clauses.target.name, scope.line);
    if (line === MAIN) return undefined;
    const branch = this.branches.branch(line);
    this.branches.ensure(branch, [name]);
    this.branches.watch(branch);
    const table = this.branches.tables(line).get(lowerName(name));
    if (table !== undefined) return table;
    const { sql } = statement;
    if (this.branches.objects(line, 'view').some((view) => sameName(view.name, name)))
      throw new DoSQLError('FORBIDDEN', `"${name}" is a view: on a branch, write the tables behind it`, {
        sql,
      });
    if (this.#engine.catalog.isVirtual(name))
      throw new DoSQLError('FORBIDDEN', `"${name}" is a virtual table: it can be written on main only`, {
        sql,
      });
    throw new DoSQLError('NO_SUCH_TABLE', `no such table: ${name} on branch "${branch.name}"`, { sql });
  }

  #write(
    statement: Statement,
    clauses: Clauses | undefined,
    table: BranchTable | undefined,
    edits: readonly Edit[],
  ): Texts {
    const targets = clauses === undefined ? [] : this.#targetEdits(clauses, table);
    const all = [...edits, ...targets];
    const sql = splice(statement.sql, [...all, ...keepNames(statement, all)]);
    const text = { sql, bindingCount: bindingCount(sql), copy: undefined };
    if (clauses === undefined || table === undefined) return text;
    const keys = keysWritten(
      table.own.branch,
      statement,
      clauses,
      table,
      edits,
      rowidMention(statement, table.own),
    );
    if (keys === undefined) return text;
    const copy = copyUp(table.own.branch, table.shape, keys);
    return {
      ...text,
      copy: { sql: copy, probe: `SELECT 1 FROM (${keys}) LIMIT 1`, bindingCount: bindingCount(copy) },
    };
  }

  /** The name of what is written; its alias is the name that the rest of the statement knows it by. */
  #targetEdits({ target, indexed }: Clauses, table: BranchTable | undefined): Edit[] {
    const { start, end, name, alias } = target;
    const plain = this.#reader.address(name, MAIN).name;
    if (table === undefined) return plain === name ? [] : [{ start, end, text: quoteName(plain) }];
    const as = alias === undefined ? ` AS ${quoteName(table.own.name)}` : '';
    const edit = { start, end, text: `${quoteName(table.own.table)}${as}` };
    return indexed === undefined ? [edit] : [edit, { ...indexed, text: '' }];
  }

  #copyUp({ sql, probe, bindingCount }: NonNullable<Texts['copy']>, bindings: readonly Binding[]): void {
    const { storage } = this.#engine;
    const values = bindings.slice(0, bindingCount);
    if (first(storage.sql, probe, ...values) === undefined) return;
    storage.transactionSync(() => {
      storage.sql.exec(BEGIN_COPY);
      storage.sql.exec(sql, ...values);
      storage.sql.exec(END_COPY);
    });
  }

  #viewDdl(statement: Statement, { id }: Branch): Outcome {
    const { catalog, log } = this.#engine;
    const { verb, name } = statement.ddl as NonNullable<Statement['ddl']>;
    const lsn = log.end();
    const old = this.branches.objects(id, 'view').find((view) => sameName(view.name, name));
    const mayBe = isConditional(statement);
    const nothing = { names: [], raw: [], rowsRead: 0, rowsWritten: 0, changes: 0, lastRowId: 0, lsn };
    if (verb === 'create') {
      const isTaken =
        old !== undefined ||
        this.branches.tables(id).has(lowerName(name)) ||
        this.branches.seenThrough(this.branches.branch(id), name) !== undefined;
      if (isTaken && mayBe) return nothing;
      if (isTaken)
        throw new DoSQLError('SYNTAX', `there is already a table or view named ${name}`, {
          sql: statement.sql,
        });
      catalog.objects.begin({
        branch: id,
        type: 'view',
        name,
        table: name,
        since: lsn,
        until: undefined,
        sql: statement.sql,
      });
    } else if (old === undefined) {
      if (!mayBe) throw new DoSQLError('NO_SUCH_TABLE', `no such view: ${name}`, { sql: statement.sql });
    } else if (old.branch === id) {
      catalog.objects.end(old, lsn);
    } else {
      catalog.objects.begin({ ...old, branch: id, since: lsn, until: lsn });
    }
    catalog.touch();
    return nothing;
  }

  #tableDdl(statement: Statement, branch: Branch): Outcome {
    const { catalog, log } = this.#engine;
    const { verb, what, name } = statement.ddl as NonNullable<Statement['ddl']>;
    const { id } = branch;
    const object =
      what === 'table'
        ? undefined
        : this.branches.objects(id, what as 'index' | 'trigger').find((other) => sameName(other.name, name));
    const tables = [
      ...statement.references
        .filter(({ kind }) => kind === 'define' || kind === 'reference')
        .map((reference) => reference.name),
      ...(object === undefined ? [] : [object.table]),
    ];
    this.branches.ensure(branch, tables);
    const parents = new Set(tables.map(lowerName));
    const children = [...this.branches.tables(id).values()].filter(
      ({ shape }) =>
        verb === 'drop' &&
        what === 'table' &&
        shape.foreignKeys.some(({ parent }) => parents.has(lowerName(parent))),
    );
    const isNew = verb === 'create' && what === 'table';
    if (!isNew && what !== 'trigger')
      this.branches.fold(branch, [...tables, ...children.map(({ own }) => own.name)]);
    if (what === 'trigger') return this.#triggerDdl(statement, branch, object);
    const outcome = this.branches.withoutTriggers(id, () =>
      this.#engine.runOwn(this.#physical(statement, id)),
    );
    if (what === 'index' && (verb === 'drop' || object === undefined)) {
      const table =
        object?.table ?? (statement.references.find(({ kind }) => kind === 'define')?.name as string);
      this.#note({ type: 'index', name, table, sql: statement.sql }, id, verb === 'create', log.end());
    }
    catalog.touch();
    return outcome;
  }

  #triggerDdl(
    statement: Statement,
    { id }: Branch,
    old: { table: string; name: string } | undefined,
  ): Outcome {
    const { log, catalog } = this.#engine;
    const { verb, name } = statement.ddl as NonNullable<Statement['ddl']>;
    const tables = this.branches.tables(id);
    const [target] = statement.references;
    const lsn = log.end();
    const outcome = { names: [], raw: [], rowsRead: 0, rowsWritten: 0, changes: 0, lastRowId: 0, lsn };
    const mayBe = isConditional(statement);
    if (verb === 'create') {
      if (old !== undefined && mayBe) return outcome;
      if (old !== undefined)
        throw new DoSQLError('SYNTAX', `trigger ${name} already exists`, { sql: statement.sql });
      const table = tables.get(lowerName(target?.name ?? ''));
      if (table === undefined)
        throw new DoSQLError('NO_SUCH_TABLE', `no such table: ${target?.name} on this branch`, {
          sql: statement.sql,
        });
      this.branches.ensure(
        this.branches.branch(id),
        statement.references.map((reference) => reference.name),
      );
      const all = this.branches.tables(id);
      this.#engine.storage.sql.exec(branchTrigger(id, statement.sql, (other) => all.get(lowerName(other))));
      this.#note({ type: 'trigger', name, table: table.own.name, sql: statement.sql }, id, true, lsn);
    } else if (old !== undefined) {
      this.#engine.storage.sql.exec(`DROP TRIGGER ${quoteName(physicalName(id, name))}`);
      this.#note({ type: 'trigger', name: old.name, table: old.table, sql: '' }, id, false, lsn);
    } else if (!mayBe) {
      throw new DoSQLError('SYNTAX', `no such trigger: ${name}`, { sql: statement.sql });
    }
    catalog.refresh();
    catalog.touch();
    return outcome;
  }

  /** Notes what a branch has made or dropped; a drop of what it had from its parent is a version that ends as it begins. */
  #note(
    object: { type: 'index' | 'trigger'; name: string; table: string; sql: string },
    id: number,
    isNew: boolean,
    lsn: number,
  ): void {
    const { objects } = this.#engine.catalog;
    const old = objects
      .of(id)
      .find(
        ({ type, name, until }) => type === object.type && sameName(name, object.name) && until === undefined,
      );
    if (isNew) objects.begin({ ...object, branch: id, since: lsn, until: undefined });
    else if (old !== undefined) objects.end(old, lsn);
    else objects.begin({ ...object, branch: id, since: lsn, until: lsn });
  }

  /** DDL with the names that SQLite's schema has for the branch's tables and indexes. */
  #physical(statement: Statement, id: number): Statement {
    const { sql, tokens, references } = statement;
    const { verb, what, name } = statement.ddl as NonNullable<Statement['ddl']>;
    const edits: Edit[] = references
      .filter(({ kind }) => kind === 'define' || kind === 'reference')
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

/** How many values SQLite expects for a text whose parameters are all `?NNN`. */
function bindingCount(sql: string): number {
  return tokenize(sql).reduce(
    (count, { kind, start, end }) =>
      kind === 'variable' ? Math.max(count, Number(sql.slice(start + 1, end)) || 0) : count,
    0,
  );
}

/** IF EXISTS, or IF NOT EXISTS. */
function isConditional({ tokens }: Statement): boolean {
  return tokens.slice(0, 7).some(({ text }) => text === 'EXISTS');
}
