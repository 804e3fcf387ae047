import type { ChangeValue, Chunk, LogPage, Selection, TableInfo } from '@dotdo/cdc';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { Entries } from '../log/entries.ts';
import type { ColdRows, Pass } from '../outcome.ts';
import { MAIN } from '../schema/line.ts';
import { columnOf, type Relation } from '../schema/relation.ts';
import { lowerName } from '../sql/token.ts';
import { CompiledSelection } from './selection.ts';
import { chunkOf } from './snapshot.ts';

/** Reads pages of the log of one branch, and rows of its tables with them. */
export class LogReader {
  readonly #engine: Engine;
  readonly #branch: number;
  readonly #entries: Entries;
  /** Selections as they were compiled for the schema of the time. */
  readonly #compiled = new WeakMap<Selection, CompiledSelection>();

  constructor(engine: Engine, branch: number) {
    this.#engine = engine;
    this.#branch = branch;
    this.#entries = new Entries(engine.storage.sql, engine.log, engine.catalog);
  }

  /** The tables that the branch sees. */
  tables(): TableInfo[] {
    return this.#relations().map((relation) => ({
      name: relation.name,
      columns: relation.columns.map(({ name }) => name),
      key: relation.primaryKey.map((id) => columnOf(relation, id).name),
    }));
  }

  /** A page of the log, as `ChangeLog.read` says; only while nothing else runs. */
  read(
    after: bigint,
    limit: number,
    selection?: Selection,
    chunk?: Chunk,
    cold?: (hot: ChangeValue[][]) => ChangeValue[][],
  ): LogPage {
    const { history, log } = this.#engine;
    const end = log.end();
    if (!history.points.reach(Number(after)))
      throw new DoSQLError(
        'LSN_EXPIRED',
        `changes after LSN ${after} are gone from the log, which begins after LSN ${log.earliest().lsn}: start again from a snapshot`,
      );
    if (after > BigInt(end))
      throw new DoSQLError('BAD_PARAMETER', `LSN ${after} lies past the last change, which has LSN ${end}`);
    log.skip(end);
    const from = Number(after);
    const compiled = this.#compile(selection, chunk);
    const page = this.#entries.after(from, limit, this.#branch, compiled?.view(this.#engine, from, chunk));
    const { entries, isEnd } = page;
    const rows = chunk !== undefined && isEnd ? this.#rows(chunk, compiled, cold) : undefined;
    return {
      entries,
      isEnd,
      rows,
      lsn: BigInt(page.lsn),
      begin: (tx) => BigInt(this.#entries.begin(Number(tx))),
    };
  }

  /** The cold rows that a chunk may have; undefined where its table has none. */
  async cold(
    rows: ColdRows,
    selection: Selection | undefined,
    chunk: Chunk,
    pass: Pass,
  ): ReturnType<ColdRows['chunk']> {
    const wanted = await pass(() => {
      const relation = this.#relation(chunk);
      const view = this.#compile(selection, chunk)?.table(chunk.table);
      return relation === undefined || view === undefined ? undefined : { relation, view };
    });
    if (wanted === undefined) return undefined;
    const { relation, view } = wanted;
    if (this.#branch !== MAIN)
      throw new DoSQLError(
        'FORBIDDEN',
        `"${relation.name}" has cold rows, which a snapshot of a branch does not read: take it of main`,
      );
    return rows.chunk(relation, { after: chunk.after ?? [], limit: chunk.limit }, view.condition, pass);
  }

  #relation(chunk: Chunk): Relation | undefined {
    return this.#relations().find(({ name }) => lowerName(name) === chunk.table);
  }

  #rows(
    chunk: Chunk,
    compiled: CompiledSelection | undefined,
    cold: ((hot: ChangeValue[][]) => ChangeValue[][]) | undefined,
  ): LogPage['rows'] {
    const relation = this.#relation(chunk);
    if (relation === undefined) return [];
    const view = compiled?.table(chunk.table);
    // A position may come from another stream: what this one does not want is as if it were not there.
    if (view === undefined) return [];
    const branch = this.#branch === MAIN ? undefined : this.#branch;
    return chunkOf(this.#engine, relation, chunk, view, branch, cold);
  }

  /** A chunk bounds the entries of its table, so there is then always a selection: without one, of all tables. */
  #compile(selection: Selection | undefined, chunk: Chunk | undefined): CompiledSelection | undefined {
    if (selection === undefined && chunk === undefined) return undefined;
    const wanted = selection ?? new Map(this.#names().map((name) => [name, {}]));
    const known = this.#compiled.get(wanted);
    if (known?.generation === this.#engine.catalog.generation) return known;
    const compiled = new CompiledSelection(this.#engine, wanted, (name) => this.#versions(name));
    this.#compiled.set(wanted, compiled);
    return compiled;
  }

  /** Names of all tables that there are or that the log knows of, in lower case. */
  #names(): string[] {
    const { catalog } = this.#engine;
    const names = [...this.#relations(), ...catalog.relationsOf(this.#branch)].map(({ name }) =>
      lowerName(name),
    );
    return [...new Set(names)];
  }

  /** The versions of the table called so, oldest first; for a table that a branch has not touched, its parent's. */
  #versions(name: string): Relation[] {
    const own = this.#engine.catalog
      .relationsOf(this.#branch)
      .filter((relation) => lowerName(relation.name) === name);
    return own.length > 0 ? own : this.#relations().filter((relation) => lowerName(relation.name) === name);
  }

  /** The tables that the branch sees. */
  #relations(): Relation[] {
    const { branching, catalog, log } = this.#engine;
    const lines = branching?.lineage(this.#branch) ?? [{ line: MAIN, upTo: Infinity }];
    const found = new Map<string, Relation>();
    for (const { line, upTo } of lines)
      for (const relation of catalog.tablesAt(Math.min(upTo, log.end()), line))
        if (!found.has(lowerName(relation.name))) found.set(lowerName(relation.name), relation);
    return [...found.values()];
  }
}
