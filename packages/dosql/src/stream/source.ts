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
import { ArchivedPoint } from '../log/archived.ts';
import { lagOf } from '../log/holds.ts';
import { State } from '../log/state.ts';
import type { Pass } from '../outcome.ts';
import { MAIN } from '../schema/line.ts';
import type { LogReader } from './log-reader.ts';

/** The log of one branch of a database as change streams read it, and what they keep in the database. */
export class LogSource implements ChangeSource {
  readonly name: string;
  readonly line: number;
  readonly #core: Core;
  readonly #state: State;
  /** Reading is loaded when it is first asked for. */
  #opened: LogReader | undefined;

  constructor(core: Core, branch: number = MAIN) {
    this.name = core.name;
    this.line = branch;
    this.#core = core;
    this.#state = new State(core.engine.storage.sql);
  }

  end(): bigint {
    const { engine } = this.#core;
    // What was written around DoSQL must not join the next transaction, or this point would fall inside of it.
    if (!engine.isInTransaction) engine.log.skip(engine.log.end());
    return BigInt(engine.log.marked);
  }

  async read(
    after: bigint,
    limit: number,
    selection?: Selection,
    chunk?: Chunk,
    hotOnly: boolean = false,
  ): Promise<LogPage> {
    for (;;)
      try {
        return await this.#read(after, limit, selection, chunk);
      } catch (error) {
        if (!(error instanceof ArchivedPoint)) throw error;
        if (hotOnly) throw expired(`changes after LSN ${after} are in the archive only`, error);
        await this.#recall(error);
      }
  }

  async #recall(point: ArchivedPoint): Promise<void> {
    try {
      await this.#core.engine.recall(point);
    } catch (error) {
      const isFar = error instanceof DoSQLError && ['TOO_BIG', 'HISTORY_EXPIRED'].includes(error.code);
      throw isFar ? expired(error.reason, error) : error;
    }
  }

  async #read(after: bigint, limit: number, selection?: Selection, chunk?: Chunk): Promise<LogPage> {
    const reader = await this.#reader();
    const { gate, engine } = this.#core;
    const pass: Pass = (work) => gate.pass(work);
    for (;;) {
      const cold =
        chunk === undefined || engine.files === undefined
          ? undefined
          : await reader.cold(engine.files.cold, selection, chunk, pass);
      const page = await pass(() =>
        cold?.isCurrent() === false ? undefined : reader.read(after, limit, selection, chunk, cold?.merge),
      );
      // What is cold has become hot, or the other way round, since it was read.
      if (page !== undefined) return page;
    }
  }

  onCommit(listener: () => void): () => void {
    return this.#core.engine.onCommit(listener);
  }

  async tables(): Promise<readonly TableInfo[]> {
    const reader = await this.#reader();
    return this.#core.gate.pass(() => reader.tables());
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

  hold(name: string, lsn: bigint, maxLag: MaxLag | undefined): void {
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

  scheduleOnCommit(name: string, delayMs: number): () => void {
    return this.#core.timers.onCommit(name, delayMs);
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

  async #reader(): Promise<LogReader> {
    this.#core.gate.refuseHolder();
    if (this.#opened !== undefined) return this.#opened;
    await this.#core.engine.loadHistory();
    const { LogReader } = await import('./log-reader.ts');
    return (this.#opened ??= new LogReader(this.#core.engine, this.line));
  }
}

function expired(reason: string, cause: DoSQLError): DoSQLError {
  return new DoSQLError('LSN_EXPIRED', `${reason}: start again from a snapshot`, { cause });
}
