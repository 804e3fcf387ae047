import { viewQuery, viewSource } from '../branch/view.ts';
import { DoSQLError } from '../error.ts';
import type { Catalog } from '../schema/catalog.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN, namesBehind } from '../schema/line.ts';
import type { Relation, SchemaObject } from '../schema/relation.ts';
import { keepNames } from '../sql/names.ts';
import type { TableReference } from '../sql/scan.ts';
import { isUrl, parse, splice, type Statement } from '../sql/statement.ts';
import { quoteName } from '../sql/token.ts';
import type { Manifest } from './manifest.ts';
import { tieredBy } from './options.ts';
import { looksAtOthers } from './unfit.ts';

const MAX_DEPTH = 20;

/** What statements name, as far as cold rows and files are concerned. */
export class Names {
  readonly #catalog: Catalog;
  readonly #manifest: Manifest;
  #known = new WeakMap<Statement, boolean>();
  #reading = new WeakMap<Statement, boolean>();
  #state = '';

  readonly #isSafe: (statement: Statement) => boolean;
  readonly #hasBranches: () => boolean;

  /** `isSafe` tells of a statement about a cold table that it needs no cold row, which may hang on `hasBranches`. */
  constructor(
    catalog: Catalog,
    manifest: Manifest,
    isSafe: (statement: Statement) => boolean,
    hasBranches: () => boolean,
  ) {
    this.#isSafe = isSafe;
    this.#hasBranches = hasBranches;
    this.#catalog = catalog;
    this.#manifest = manifest;
  }

  /** Whether a statement names a URL, or, on any line or point of the past, a table with cold rows or a view of one. */
  concerns(statement: Statement): boolean {
    this.#forgetOld();
    let is = this.#known.get(statement);
    if (is === undefined) {
      is = statement.references.some((reference) => this.#isFiles(reference)) && !this.#isSafe(statement);
      this.#known.set(statement, is);
    }
    return is;
  }

  /** Whether a statement reads such a URL, table or view, and not only writes it. */
  reads(statement: Statement): boolean {
    this.#forgetOld();
    let is = this.#reading.get(statement);
    if (is === undefined) {
      is = statement.references.some(
        (reference) => (reference.kind === 'from' || reference.kind === 'in') && this.#isFiles(reference),
      );
      this.#reading.set(statement, is);
    }
    return is;
  }

  #isFiles({ name, isCte }: TableReference): boolean {
    return !isCte && (isUrl(name) || this.#isCold(name, 0));
  }

  /** What is known of statements holds for one state of the files and of the schema. */
  #forgetOld(): void {
    const state = `${this.#manifest.version} ${this.#catalog.generation} ${this.#hasBranches()}`;
    if (state === this.#state) return;
    this.#state = state;
    this.#known = new WeakMap();
    this.#reading = new WeakMap();
  }

  /** The id of main's present table called `name`, if it has cold rows. */
  coldTable(name: string): number | undefined {
    const { tables } = this.#manifest;
    const relation = this.#catalog
      .current()
      .find((relation) => relation.branch === MAIN && sameName(relation.name, name));
    if (relation === undefined) return undefined;
    return (tables.get(relation.tableId)?.files.length ?? 0) > 0 ? relation.tableId : undefined;
  }

  /**
   * Refuses DDL that would need cold rows.
   *
   * @throws DoSQLError `FORBIDDEN`
   */
  refuse(statement: Statement, hasBranches: boolean): void {
    const { ddl, tokens, references, sql } = statement;
    if (ddl === undefined) return;
    const refuse = (table: string, why: string): never => {
      throw new DoSQLError('FORBIDDEN', `"${table}" has cold rows: ${why}`, { sql });
    };
    const isTable = ddl.what === 'table' && this.coldTable(ddl.name) !== undefined;
    if (isTable && ddl.verb === 'drop')
      refuse(
        ddl.name,
        `before it is dropped, make them hot with db.tier('${ddl.name}', null), or delete them`,
      );
    // Branches keep the rows of main's table when it changes its shape, and cold ones are not there to be kept.
    if (isTable && ddl.verb === 'alter' && hasBranches)
      refuse(ddl.name, `while there are branches it cannot be altered; merge and drop them first`);
    const { column } = ddl;
    const policy = isTable
      ? this.#manifest.tables.get(this.coldTable(ddl.name) as number)?.policy
      : undefined;
    if (policy !== undefined && column !== undefined)
      for (const name of tieredBy(policy))
        if (sameName(name, column.from))
          refuse(ddl.name, `"${name}" is a column that it is tiered by; set db.tier() without it first`);
    if (ddl.verb !== 'drop')
      for (const { kind, name } of references)
        if (kind === 'reference' && this.coldTable(name) !== undefined)
          refuse(
            name,
            `a foreign key cannot be checked against them; make them hot with db.tier('${name}', null) first`,
          );
    if (ddl.verb === 'create' && ddl.what === 'trigger')
      for (const relation of this.#coldRelations())
        if (looksAtOthers(this.#catalog, statement, relation))
          refuse(
            relation.name,
            `the trigger "${ddl.name}" would not know of them: it may be about the row that it fires for only`,
          );
    if (ddl.what !== 'index' || ddl.verb !== 'create' || tokens[1]?.text !== 'UNIQUE') return;
    for (const { name } of references)
      if (this.coldTable(name) !== undefined)
        refuse(
          name,
          `a unique index is not checked against them; make them hot with db.tier('${name}', null) first`,
        );
  }

  #coldRelations(): Relation[] {
    const { tables } = this.#manifest;
    return this.#catalog
      .current()
      .filter(({ branch, tableId }) => branch === MAIN && (tables.get(tableId)?.files.length ?? 0) > 0);
  }

  /** The text with the views that read cold rows or files spelled out. */
  expand(sql: string): string {
    let text = sql;
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const [statement] = parse(text, true) as [Statement];
      const edits = statement.references.flatMap(({ kind, isCte, schema, name, alias, whole }) => {
        if (isCte || (kind !== 'from' && kind !== 'in')) return [];
        const view = this.#view(name);
        if (view === undefined || !this.#isColdView(view, 0)) return [];
        if (schema !== undefined && schema.toLowerCase() !== 'main') return [];
        const source = viewSource(view, unshadowed);
        return [{ ...whole, text: kind === 'in' ? source : `${source} AS ${quoteName(alias ?? name)}` }];
      });
      if (edits.length === 0) return text;
      text = splice(text, [...edits, ...keepNames(statement, edits)]);
    }
    return text;
  }

  #isCold(name: string, depth: number): boolean {
    const { tables } = this.#manifest;
    for (const one of namesBehind(name)) {
      for (const id of this.#catalog.tableIdsCalled(one))
        if ((tables.get(id)?.files.length ?? 0) > 0) return true;
      if (this.#catalog.objects.views(one).some((view) => this.#isColdView(view, depth))) return true;
    }
    return false;
  }

  #isColdView(view: SchemaObject, depth: number): boolean {
    if (depth > MAX_DEPTH) return false;
    const { references } = viewQuery(view).body;
    return references.some(({ name, isCte }) => !isCte && (isUrl(name) || this.#isCold(name, depth + 1)));
  }

  #view(name: string): SchemaObject | undefined {
    return this.#catalog.objects
      .views(name)
      .find(({ branch, until }) => branch === MAIN && until === undefined);
  }
}

/** Names in a view are those of tables, whatever the statement around it calls so. */
function unshadowed(body: Statement): { start: number; end: number; text: string }[] {
  return body.references.flatMap(({ kind, isCte, schema, name, alias, whole }) => {
    if (isCte || schema !== undefined || isUrl(name) || (kind !== 'from' && kind !== 'in')) return [];
    const table = `main.${quoteName(name)}`;
    return [{ ...whole, text: kind === 'in' ? table : `${table} AS ${quoteName(alias ?? name)}` }];
  });
}
