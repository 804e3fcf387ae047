import type { ChangeRow } from '../change-log.ts';
import type { JsonEvent } from '../json.ts';
import type { ServerMessage, SubscribeMessage } from '../live/protocol.ts';
import { applyEvents, difference, type RowChange } from './rows.ts';
import { formatKept, parseKept, type LiveStorage } from './storage.ts';

/**
 * `connecting` until all is there that was committed, then `live`; `offline` while there is no connection, with the
 * rows as they were; `failed` when the server has refused the query, and `error` tells why.
 */
export type LiveStatus = 'connecting' | 'live' | 'offline' | 'failed' | 'closed';

/** Why the server has refused a query. */
export interface LiveError {
  readonly code: string;
  readonly message: string;
}

/** What to keep in step. */
export interface LiveQueryOptions {
  readonly table: string;
  /** Those of the publication by default. Rows always have their key, too. */
  readonly columns?: readonly string[] | undefined;
  /** A condition in SQL over the row: no subquery, no parameter. */
  readonly where?: string | undefined;
  /** Keeps the rows, so that a page that is loaded again shows them at once and gets only what it has missed. */
  readonly persist?: LivePersistence | undefined;
}

/** Where the rows of a query are kept. */
export interface LivePersistence {
  readonly storage: LiveStorage;
  /** One for each query, and each user of the browser; by default it is made of the query alone. */
  readonly key?: string | undefined;
  /** Told when the storage fails; nothing is kept from then on. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** What a query shows now: the same object until something changes. */
export interface LiveSnapshot<T> {
  readonly rows: readonly T[];
  readonly status: LiveStatus;
  readonly error: LiveError | undefined;
}

/** The connection, as a query uses it. */
export interface QueryLink {
  readonly publication: string;
  send(message: SubscribeMessage | { readonly type: 'unsubscribe'; readonly id: string }): void;
  leave(query: LiveQuery): void;
}

const KEEP_MS = 250;
const MAX_RETRY_MS = 30_000;

/** The rows of a query, kept in step with the server. Transactions are applied whole. */
export class LiveQuery<T = ChangeRow> {
  readonly id: string;
  readonly #link: QueryLink;
  readonly #options: LiveQueryOptions;
  readonly #keepKey: string;
  readonly #changeListeners = new Set<(changes: readonly RowChange<T>[]) => void>();
  readonly #listeners = new Set<() => void>();
  #rows = new Map<string, ChangeRow>();
  #status: LiveStatus = 'connecting';
  #error: LiveError | undefined;
  #snapshot: LiveSnapshot<T> | undefined;
  /** The rows of a snapshot that is still coming; undefined when `#rows` are as of a position. */
  #coming: Map<string, ChangeRow> | undefined = new Map();
  /** Events of a transaction whose end has not come. */
  #pending: JsonEvent[] = [];
  /** The position behind all that has come; undefined before a snapshot. */
  #position: string | undefined;
  #isLinked = false;
  #isLoading = false;
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #keeping: ReturnType<typeof setTimeout> | null = null;
  #isKeeping: boolean;

  constructor(id: string, link: QueryLink, options: LiveQueryOptions) {
    this.id = id;
    this.#link = link;
    this.#options = options;
    const { table, columns, where, persist } = options;
    this.#keepKey = persist?.key ?? `dosql-live:${JSON.stringify([link.publication, table, columns, where])}`;
    this.#isKeeping = persist !== undefined;
    if (persist !== undefined) this.#load(persist);
  }

  get status(): LiveStatus {
    return this.#status;
  }

  /** Why the query has `failed`. */
  get error(): LiveError | undefined {
    return this.#error;
  }

  /** The rows by {@link rowKey}; the same map always. */
  get rows(): ReadonlyMap<string, T> {
    return this.#rows as ReadonlyMap<string, unknown> as ReadonlyMap<string, T>;
  }

  /** Calls `listener` with what has changed, after each transaction, or some. Returns the way to stop that. */
  onChange(listener: (changes: readonly RowChange<T>[]) => void): () => void {
    this.#changeListeners.add(listener);
    return () => void this.#changeListeners.delete(listener);
  }

  /** Calls `listener` when {@link LiveQuery.getSnapshot} gives something else: what `useSyncExternalStore` takes. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Rows and status now: what `useSyncExternalStore` takes. */
  getSnapshot = (): LiveSnapshot<T> =>
    (this.#snapshot ??= {
      rows: [...this.rows.values()],
      status: this.#status,
      error: this.#error,
    });

  /** Ends the query; its rows stay as they are. */
  close(): void {
    if (this.#status === 'closed') return;
    clearTimeout(this.#retry);
    if (this.#keeping !== null) this.#keep();
    if (this.#isLinked) this.#link.send({ type: 'unsubscribe', id: this.id });
    this.#isLinked = false;
    this.#link.leave(this as LiveQuery<unknown> as LiveQuery);
    this.#setStatus('closed');
  }

  /** The connection is open. @internal */
  linked(): void {
    this.#isLinked = true;
    if (this.#status === 'failed' || this.#isLoading) return;
    this.#setStatus('connecting');
    this.#begin();
  }

  /** The connection is lost. @internal */
  unlinked(): void {
    this.#isLinked = false;
    clearTimeout(this.#retry);
    if (this.#status !== 'failed' && this.#status !== 'closed') this.#setStatus('offline');
  }

  /** Takes a message of the server's. @internal */
  take(message: ServerMessage): void {
    if (message.type === 'changes') this.#take(message.events, message.position);
    else if (message.type === 'error') this.#refused(message);
    else {
      this.#failures = 0;
      this.#setStatus('live');
    }
  }

  #begin(): void {
    const { table, columns, where } = this.#options;
    if (this.#position === undefined) this.#restart();
    const from = this.#position;
    this.#link.send({
      type: 'subscribe',
      id: this.id,
      keyed: true,
      tables: [table],
      ...(columns && { columns: { [table]: columns } }),
      ...(where !== undefined && { where: { [table]: where } }),
      ...(from === undefined ? { snapshot: 'initial' } : { from }),
    });
  }

  #restart(): void {
    this.#position = undefined;
    this.#pending = [];
    this.#coming = new Map();
  }

  #take(events: readonly JsonEvent[], position: string): void {
    let changes: RowChange[] = [];
    let news = events;
    if (this.#coming !== undefined) {
      const end = events.findIndex(({ op }) => op === 'snapshot-end');
      applyEvents(this.#coming, end < 0 ? events : events.slice(0, end));
      news = end < 0 ? [] : events.slice(end + 1);
      if (end >= 0) changes = this.#arrived(this.#coming);
    }
    this.#pending.push(...news);
    this.#position = position;
    if (this.#coming === undefined) {
      const lsn = Number.parseInt(position, 10);
      const whole = this.#pending.filter(({ tx }) => tx <= lsn);
      this.#pending = this.#pending.slice(whole.length);
      changes = changes.concat(applyEvents(this.#rows, whole));
      this.#keepSoon();
    }
    if (changes.length > 0) this.#changed(changes);
  }

  /** The rows of a snapshot take the place of those that were there. */
  #arrived(rows: ReadonlyMap<string, ChangeRow>): RowChange[] {
    const changes = difference(this.#rows, rows);
    for (const { key, after } of changes)
      if (after === undefined) this.#rows.delete(key);
      else this.#rows.set(key, after);
    this.#coming = undefined;
    return changes;
  }

  #refused({ code, message }: LiveError): void {
    const isLost = code === 'LSN_EXPIRED';
    if (!isLost && code !== 'INTERNAL') {
      this.#error = { code, message };
      this.#setStatus('failed');
      return;
    }
    if (isLost) this.#restart();
    this.#setStatus('connecting');
    const delayMs = isLost && this.#failures === 0 ? 0 : Math.min(MAX_RETRY_MS, 1_000 * 2 ** this.#failures);
    this.#failures++;
    this.#retry = setTimeout(() => this.#isLinked && this.#begin(), delayMs);
  }

  #changed(changes: readonly RowChange[]): void {
    this.#snapshot = undefined;
    for (const listener of this.#changeListeners) listener(changes as readonly RowChange<T>[]);
    for (const listener of this.#listeners) listener();
  }

  #setStatus(status: LiveStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#snapshot = undefined;
    for (const listener of this.#listeners) listener();
  }

  #load({ storage, onError }: LivePersistence): void {
    const use = (text: string | null): void => {
      this.#isLoading = false;
      const kept = parseKept(text);
      if (kept !== undefined) {
        for (const [key, row] of kept.rows) this.#rows.set(key, row);
        this.#position = kept.position;
        this.#coming = undefined;
        if (kept.rows.size > 0) this.#changed(difference(new Map(), kept.rows));
      }
      if (this.#isLinked) this.linked();
    };
    try {
      const text = storage.getItem(this.#keepKey);
      if (!(text instanceof Promise)) return use(text);
      this.#isLoading = true;
      text.then(use, (error: unknown) => {
        this.#stopKeeping(onError, error);
        use(null);
      });
    } catch (error) {
      this.#stopKeeping(onError, error);
    }
  }

  #keepSoon(): void {
    if (this.#isKeeping) this.#keeping ??= setTimeout(() => this.#keep(), KEEP_MS);
  }

  /** Keeps the rows, when they are those of the position. */
  #keep(): void {
    clearTimeout(this.#keeping);
    this.#keeping = null;
    const { storage, onError } = this.#options.persist as LivePersistence;
    const isWhole = this.#coming === undefined && this.#pending.length === 0;
    if (!isWhole || this.#position === undefined) return;
    try {
      const kept = storage.setItem(this.#keepKey, formatKept(this.#position, this.#rows));
      if (kept instanceof Promise) kept.catch((error: unknown) => this.#stopKeeping(onError, error));
    } catch (error) {
      this.#stopKeeping(onError, error);
    }
  }

  #stopKeeping(onError: ((error: unknown) => void) | undefined, error: unknown): void {
    this.#isKeeping = false;
    onError?.(error);
  }
}
