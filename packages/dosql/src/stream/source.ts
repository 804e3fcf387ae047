import type {
  ChangeSource,
  Chunk,
  Lag,
  LogPage,
  MaxLag,
  Selection,
  SourceTimer,
  TableInfo,
} from '@dotdo/cdc';
import type { Core } from '../core.ts';
import { DoSQLError } from '../error.ts';
import { lagOf } from '../log/holds.ts';
import { State } from '../log/state.ts';
import { MAIN } from '../schema/line.ts';
import { columnOf, type Relation } from '../schema/relation.ts';
import { lowerName } from '../sql/token.ts';
import { CompiledSelection } from './selection.ts';
import { chunkOf } from './snapshot.ts';

/** The log of one branch of a database as change streams read it, and what they keep in the database. */
export class LogSource implements ChangeSource {
  readonly name: string;
  readonly #core: Core;
  readonly #branch: number;
  readonly #state: State;
  /** Selections as they were compiled for the schema of the time. */
  readonly #compiled = new WeakMap<Selection, CompiledSelection>();

  constructor(core: Core, branch: number = MAIN) {
    this.name = core.name;
    this.#core = core;
    this.#branch = branch;
    this.#state = new State(core.engine.storage.sql);
  }

  end(): bigint {
    const { engine } = this.#core;
    // What was written around DoSQL must not join the next transaction, or this point would fall inside of it.
    if (!engine.isInTransaction) engine.log.skip(engine.log.end());
    return BigInt(engine.log.marked);
  }

  read(after: bigint, limit: number, selection?: Selection, chunk?: Chunk): Promise<LogPage> {
    return this.#core.gate.pass(() => this.#read(after, limit, selection, chunk));
  }

  onCommit(listener: () => void): () => void {
    return this.#core.engine.onCommit(listener);
  }

  tables(): Promise<readonly TableInfo[]> {
    return this.#core.gate.pass(() =>
      this.#tables().map((relation) => ({
        name: relation.name,
        columns: relation.columns.map(({ name }) => name),
        key: relation.primaryKey.map((id) => columnOf(relation, id).name),
      })),
    );
  }

  error(code: 'BAD_PARAMETER' | 'LSN_EXPIRED' | 'FORBIDDEN', message: string): DoSQLError {
    return new DoSQLError(code, message);
  }

  atomically<T>(work: () => T): Promise<T> {
    const { engine, gate } = this.#core;
    if (gate.isMine) return Promise.resolve(engine.atomically(work));
    return gate.pass(() => engine.atomically(work));
  }

  transaction<T>(work: () => Promise<T>): Promise<T> {
    return this.#core.gate.hold(() => this.#core.engine.transaction(work));
  }

  getState(key: string): string | undefined {
    return this.#state.get(key);
  }

  setState(key: string, value: string | undefined): void {
    this.#state.set(key, value);
  }

  listState(
    prefix: string,
    { after, limit }: { readonly after?: string; readonly limit?: number } = {},
  ): [string, string][] {
    return this.#state.list(prefix, after, limit);
  }

  hold(name: string, lsn: bigint, maxLag: MaxLag): void {
    this.#core.holds.set(name, lsn, maxLag);
  }

  release(name: string): void {
    this.#core.holds.release(name);
  }

  lag(lsn: bigint): Promise<Lag> {
    return this.#core.gate.pass(() => lagOf(this.#core.engine, Number(lsn)));
  }

  schedule(name: string, at: number): Promise<void> {
    return this.#core.schedule(name, at);
  }

  cancel(name: string): Promise<boolean> {
    return this.#core.cancel(name);
  }

  onTimer(name: string, handler: (timer: SourceTimer) => Promise<void>): void {
    this.#core.timers.on(name, handler);
  }

  nowMs(): number {
    return this.#core.engine.nowMs();
  }

  #read(after: bigint, limit: number, selection: Selection | undefined, chunk: Chunk | undefined): LogPage {
    const { engine } = this.#core;
    const { log } = engine;
    const { lsn: earliest } = log.earliest();
    const end = log.end();
    if (after < BigInt(earliest))
      throw new DoSQLError(
        'LSN_EXPIRED',
        `changes after LSN ${after} are gone from the log, which begins after LSN ${earliest}: start again from a snapshot`,
      );
    if (after > BigInt(end))
      throw new DoSQLError('BAD_PARAMETER', `LSN ${after} lies past the last change, which has LSN ${end}`);
    log.skip(end);
    const from = Number(after);
    const compiled = this.#compile(selection, chunk);
    const page = engine.entries.after(from, limit, this.#branch, compiled?.view(engine, from, chunk));
    const { entries, isEnd } = page;
    const rows = chunk !== undefined && isEnd ? this.#rows(chunk, compiled) : undefined;
    return { entries, isEnd, rows, lsn: BigInt(page.lsn) };
  }

  #rows(chunk: Chunk, compiled: CompiledSelection | undefined): LogPage['rows'] {
    const relation = this.#tables().find(({ name }) => lowerName(name) === chunk.table);
    if (relation === undefined) return [];
    const branch = this.#branch === MAIN ? undefined : this.#branch;
    return chunkOf(this.#core.engine, relation, chunk, compiled?.table(chunk.table), branch);
  }

  /** A chunk bounds the entries of its table, so there is then always a selection: without one, of all tables. */
  #compile(selection: Selection | undefined, chunk: Chunk | undefined): CompiledSelection | undefined {
    if (selection === undefined && chunk === undefined) return undefined;
    const { engine } = this.#core;
    const wanted = selection ?? new Map(this.#names().map((name) => [name, {}]));
    const known = this.#compiled.get(wanted);
    if (known?.generation === engine.catalog.generation) return known;
    const compiled = new CompiledSelection(engine, wanted, (name) => this.#versions(name));
    this.#compiled.set(wanted, compiled);
    return compiled;
  }

  /** Names of all tables that there are or that the log knows of, in lower case. */
  #names(): string[] {
    const { catalog } = this.#core.engine;
    const names = [...this.#tables(), ...catalog.relationsOf(this.#branch)].map(({ name }) =>
      lowerName(name),
    );
    return [...new Set(names)];
  }

  /** The versions of the table called so, oldest first; for a table that a branch has not touched, its parent's. */
  #versions(name: string): Relation[] {
    const own = this.#core.engine.catalog
      .relationsOf(this.#branch)
      .filter((relation) => lowerName(relation.name) === name);
    return own.length > 0 ? own : this.#tables().filter((relation) => lowerName(relation.name) === name);
  }

  /** The tables that the branch sees. */
  #tables(): Relation[] {
    const { branching, catalog, log } = this.#core.engine;
    const lines = branching?.lineage(this.#branch) ?? [{ line: MAIN, upTo: Infinity }];
    const found = new Map<string, Relation>();
    for (const { line, upTo } of lines)
      for (const relation of catalog.tablesAt(Math.min(upTo, log.end()), line))
        if (!found.has(lowerName(relation.name))) found.set(lowerName(relation.name), relation);
    return [...found.values()];
  }
}
