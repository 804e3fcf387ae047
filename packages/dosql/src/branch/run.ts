import { wordedError } from '../change/unchecked.ts';
import type { Branching, Engine, Outcome, RunOptions } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { rowidMention } from '../history/mention.ts';
import type { Point } from '../history/point.ts';
import { OP } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN, physicalName, type Lineage } from '../schema/line.ts';
import { disguise } from '../sql/disguise.ts';
import { keepNames } from '../sql/names.ts';
import type { Span } from '../sql/scan.ts';
import { all, first } from '../sql/read.ts';
import { parse, splice, type Ddl, type Statement } from '../sql/statement.ts';
import { isName, lowerName, nameOf, quoteName, tokenize } from '../sql/token.ts';
import { encode, type Binding, type Bound, type Encoded, type SqlParameter } from '../value/parameter.ts';
import { Branches } from './branches.ts';
import { clausesOf, isReservedWord, type Clauses } from './clauses.ts';
import { copyUp } from './overlay.ts';
import { BranchDdl } from './ddl.ts';
import { BranchReader, newBasis, type Basis, type Scope } from './read.ts';
import type { BranchTable } from './table.ts';
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
  /** Changes in the log that are kept for the branch, however old they become: all since main was as it sees it. */
  readonly heldChanges: number;
}

/** Texts of one statement, for one state of the tables that it names. */
interface Texts {
  readonly sql: string;
  readonly bindingCount: number;
  /** What copies up the rows that an UPDATE or DELETE is to write, and the query that tells whether there are any. */
  readonly copy: { readonly sql: string; readonly probe: string; readonly bindingCount: number } | undefined;
}

/** A statement's text, and what it rests on. */
interface Plan {
  readonly text: Texts;
  /** The branch's table that is written. */
  readonly target: BranchTable | undefined;
  readonly basis: Basis;
  readonly variant: string;
  readonly generation: number;
  readonly version: number;
  /** The log's end when it was last made sure of. */
  end: number;
}

/** Runs statements that name a branch, or come through the handle of one. */
export class BranchRunner implements Branching {
  readonly branches: Branches;
  readonly #engine: Engine;
  readonly #reader: BranchReader;
  readonly #ddl: BranchDdl;
  readonly #texts = new WeakMap<Statement, Map<string, Texts>>();
  /** Plans of statements that are the same whatever the values are, by the line that names are looked up on. */
  readonly #plans = new WeakMap<Statement, Map<number, Plan>>();
  /** The branch that the statement writes which is about to run, and the log's end before it. */
  #writing: { readonly line: number; readonly end: number } | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.branches = new Branches(engine);
    this.#reader = new BranchReader(engine, this.branches);
    this.#ddl = new BranchDdl(engine, this.branches, this.#reader);
  }

  /** Makes a branch, seen from the line `line`. */
  create(line: number = MAIN, name: string, { from }: BranchOptions): number {
    const { catalog, history, log } = this.#engine;
    return this.#engine.atomically(() => {
      const other = typeof from === 'string' ? this.branches.find(from) : undefined;
      const lsn = from === undefined || other !== undefined ? log.end() : history.points.resolve(from);
      const hidden = catalog.current().find((table) => table.name.startsWith(`${name}/`));
      if (hidden !== undefined)
        throw new DoSQLError(
          'BAD_PARAMETER',
          `there is a table "${hidden.name}", whose name would mean one of the branch "${name}": call either otherwise`,
        );
      return worded(() => this.branches.create(name, other ?? line, lsn).id);
    });
  }

  drop(name: string): void {
    const id = this.branches.idOf(name);
    if (id === MAIN) throw new DoSQLError('BAD_PARAMETER', 'main cannot be dropped');
    this.#engine.atomically(() => this.branches.drop(id));
  }

  list(): BranchInfo[] {
    const { storage, log, catalog } = this.#engine;
    return this.branches.list().map(({ id, name, parent, base, origin, createdMs }) => {
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
        heldChanges: log.end() - origin,
      };
    });
  }

  get heldFrom(): number | undefined {
    const origins = this.branches.list().map(({ origin }) => origin);
    return origins.length === 0 ? undefined : Math.min(...origins);
  }

  lineage(line: number, upTo: number = Infinity): Lineage {
    if (line === MAIN) return [{ line, upTo }];
    const { parent, base } = this.branches.branch(line);
    return [{ line, upTo }, ...this.lineage(parent, base)];
  }

  names(statement: Statement): boolean {
    return this.#reader.namesBranch(statement);
  }

  rolledBack(): void {
    this.branches.load();
  }

  beforeDdl(ddl: Ddl): void {
    this.#refuseOthersName(ddl);
    if (ddl.what === 'table' && ddl.verb !== 'create') this.branches.foldAll(ddl.name);
  }

  /** What is called like a table of another line could not be named. */
  #refuseOthersName({ verb, what, name, renamedTo }: Ddl): void {
    const made = verb === 'create' ? name : renamedTo;
    if (made === undefined || what === 'index' || what === 'trigger') return;
    const { line, name: there } = this.#reader.address(made, MAIN);
    if (there === made) return;
    const branch = this.branches.nameOf(line);
    throw new DoSQLError(
      'FORBIDDEN',
      `"${made}" means "${there}" of the branch "${branch}": create that through its handle, or take another name`,
    );
  }

  /** The text that SQLite is to run, and its bindings; rows that the statement is to write have been copied up. */
  prepare(statement: Statement, values: readonly SqlParameter[], options: RunOptions): Bound {
    const { at, branch = MAIN } = options;
    const encoded = encode(statement.sql, values);
    const end = this.#engine.log.end();
    const known = at === undefined ? this.#plans.get(statement)?.get(branch) : undefined;
    const plan =
      known !== undefined && known.variant === encoded.variant && this.#isFresh(known, end)
        ? known
        : this.#plan(statement, values, encoded, options);
    const { text, target } = plan;
    const bound = { sql: text.sql, bindings: encoded.bindings.slice(0, text.bindingCount) };
    if (text.copy !== undefined && target !== undefined)
      this.#copyUp(target.own.branch, text.copy, encoded.bindings, bound);
    this.#writing = target === undefined ? undefined : { line: target.own.branch, end };
    return bound;
  }

  wrote(end: number): void {
    if (this.#writing !== undefined) this.branches.skip(this.#writing.line, this.#writing.end, end);
    this.#writing = undefined;
  }

  /** Whether a plan holds still, now that the log ends at `end`; what it reads is as it has to be then. */
  #isFresh(plan: Plan, end: number): boolean {
    const isStale = (): boolean =>
      plan.generation !== this.#engine.catalog.generation || plan.version !== this.branches.version;
    if (isStale()) return false;
    if (plan.end === end) return true;
    for (const line of plan.basis.lines) this.branches.watch(this.branches.branch(line), end);
    for (const table of plan.basis.untouched) if (this.#reader.isTouched(table)) return false;
    if (isStale()) return false;
    plan.end = end;
    return true;
  }

  #plan(
    statement: Statement,
    values: readonly SqlParameter[],
    encoded: Encoded,
    { at, branch = MAIN, schema, redirect }: RunOptions,
  ): Plan {
    const { catalog, history, log, lastChanges } = this.#engine;
    const lsn = at === undefined ? undefined : history.points.resolve(at);
    const scope: Scope = { line: branch, lsn, schema, canSeek: redirect === undefined };
    const basis = newBasis();
    const clauses = clausesOf(statement);
    const target = clauses && this.#target(clauses, scope, statement);
    if (target !== undefined) basis.lines.add(target.own.branch);
    const edits = this.#reader.edits(statement, values, scope, basis);
    const isOutside = ({ start, end }: Span): boolean =>
      !edits.some((edit) => start >= edit.start && end <= edit.end);
    const parameters = statement.parameters
      .filter(isOutside)
      .map(({ start, end, index }) => ({ start, end, text: encoded.write(index) }));
    const calls = disguise(statement, lastChanges).filter(isOutside);
    const all = [...edits, ...parameters, ...calls];
    const key = `${catalog.generation} ${encoded.variant} ${branch} ${edits.map(({ text }) => text).join('\n')} ${calls.map(({ text }) => text).join()}`;
    let texts = this.#texts.get(statement);
    if (texts === undefined) this.#texts.set(statement, (texts = new Map<string, Texts>()));
    let text = texts.get(key);
    if (text === undefined) {
      if (texts.size > 20) texts.clear();
      texts.set(key, (text = this.#write(statement, clauses, target, all, scope)));
    }
    const plan = {
      text,
      target,
      basis,
      variant: encoded.variant,
      generation: catalog.generation,
      version: this.branches.version,
      end: log.end(),
    };
    // What changes() gives is in the text.
    const isLasting = basis.isLasting && lsn === undefined && !callsChanges(statement);
    if (isLasting) this.#remember(statement, branch, plan);
    return plan;
  }

  #remember(statement: Statement, line: number, plan: Plan): void {
    let plans = this.#plans.get(statement);
    if (plans === undefined) this.#plans.set(statement, (plans = new Map<number, Plan>()));
    if (plans.size > 20) plans.clear();
    plans.set(line, plan);
  }

  ddl(statement: Statement, line: number): Outcome {
    if (statement.ddl !== undefined) this.#refuseOthersName(statement.ddl);
    return worded(() => this.#ddl.run(statement, line), statement.sql);
  }

  /** PRAGMA of a table: that of the branch. */
  pragma(statement: Statement, line: number): Statement {
    const branch = this.branches.branch(line);
    for (const token of statement.tokens.slice(2)) {
      // What main has altered or dropped since is not to be learned from main.
      const name = isName(token) ? nameOf(statement.sql, token) : undefined;
      const through = name === undefined ? undefined : this.branches.seenThrough(branch, name);
      if (through?.until !== undefined) this.branches.ensure(branch, [through.name]);
    }
    const tables = this.branches.tables(line);
    const edits = statement.tokens.flatMap((token, i) => {
      if (i < 2 || !isName(token) || isReservedWord(statement.sql, token)) return [];
      const name = nameOf(statement.sql, token);
      const isMains = this.#engine.catalog.current().some((other) => sameName(other.table, name));
      const isSeen = this.branches.seenThrough(branch, name) !== undefined;
      if (!tables.has(lowerName(name)) && (isSeen || !isMains)) return [];
      return [{ start: token.start, end: token.end, text: quoteName(physicalName(line, name)) }];
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
    return undefined;
  }

  #write(
    statement: Statement,
    clauses: Clauses | undefined,
    table: BranchTable | undefined,
    edits: readonly Edit[],
    scope: Scope,
  ): Texts {
    const targets = clauses === undefined ? [] : this.#targetEdits(clauses, table, scope, statement.sql);
    const all = [...edits, ...targets];
    const renaming = all.filter(({ isNamed }) => isNamed !== true);
    const sql = splice(statement.sql, [...all, ...keepNames(statement, renaming)]);
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
  #targetEdits(
    { target, indexed }: Clauses,
    table: BranchTable | undefined,
    scope: Scope,
    sql: string,
  ): Edit[] {
    const { start, end, alias } = target;
    const { line, name } = this.#reader.address(target.name, scope.line);
    if ((line === MAIN && name === target.name) || isReservedWord(sql, target)) return [];
    const as = alias === undefined ? ` AS ${quoteName(table?.own.name ?? name)}` : '';
    const edit = { start, end, text: `${quoteName(table?.own.table ?? physicalName(line, name))}${as}` };
    return indexed === undefined || line === MAIN ? [edit] : [edit, { ...indexed, text: '' }];
  }

  #copyUp(
    branch: number,
    { sql, probe, bindingCount }: NonNullable<Texts['copy']>,
    bindings: readonly Binding[],
    statement: Bound,
  ): void {
    const { storage } = this.#engine;
    const values = bindings.slice(0, bindingCount);
    try {
      if (first(storage.sql, probe, ...values) === undefined) return;
    } catch (error) {
      // What is wrong is to be told of the user's statement, which has the same conditions.
      all(storage.sql, `EXPLAIN ${statement.sql}`, ...statement.bindings);
      throw error;
    }
    this.branches.copying(branch, () => void storage.sql.exec(sql, ...values));
  }
}

/** Does what makes and fills tables, with what SQLite says of them in the names that the branch gives. */
function worded<T>(work: () => T, sql?: string): T {
  try {
    return work();
  } catch (error) {
    throw wordedError(error, sql);
  }
}

function callsChanges({ tokens }: Statement): boolean {
  return tokens.some(({ text }, i) => text === 'CHANGES' && tokens[i + 1]?.text === '(');
}

/** How many values SQLite expects for a text whose parameters are all `?NNN`. */
function bindingCount(sql: string): number {
  return tokenize(sql).reduce(
    (count, { kind, start, end }) =>
      kind === 'variable' ? Math.max(count, Number(sql.slice(start + 1, end)) || 0) : count,
    0,
  );
}
