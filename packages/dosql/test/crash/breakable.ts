/** Where an object can be stopped: at an await on its storage, or at a statement. */
export type PointKind = 'await' | 'statement';

/** Where an object is to be stopped, and how: left hanging, aborted, or spinning until the process is killed. */
export interface Stop {
  readonly kind: PointKind;
  readonly at: number;
  readonly how: 'hang' | 'abort' | 'spin';
}

/** How many points doing something has come to. */
export type Points = Record<PointKind, number>;

/** Written to the standard error before an object spins. */
export const SPINNING = 'spins until it is killed';

/**
 * What is told of every point that is come to; one at an await may hold back what awaits. A statement is told with its
 * text, but where a transaction begins or ends.
 */
export interface Watcher {
  readonly awaiting: () => Promise<void>;
  readonly statement: (sql?: string) => void;
}

/** The storage of an object, telling `watcher` of every statement and every await on it before and after it. */
export function watched(storage: DurableObjectStorage, watcher: Watcher): DurableObjectStorage {
  const sql = withOwn(storage.sql, {
    exec: (...args: Parameters<SqlStorage['exec']>) => {
      watcher.statement(args[0]);
      return storage.sql.exec(...args);
    },
  });
  return withOwn(storage, {
    sql,
    transactionSync: <T>(callback: () => T): T => {
      watcher.statement();
      const result = storage.transactionSync(() => {
        const result = callback();
        watcher.statement();
        return result;
      });
      watcher.statement();
      return result;
    },
    transaction: async <T>(callback: (transaction: DurableObjectTransaction) => Promise<T>): Promise<T> => {
      await watcher.awaiting();
      const result = await storage.transaction(async (transaction) => {
        await watcher.awaiting();
        const result = await callback(transaction);
        await watcher.awaiting();
        return result;
      });
      await watcher.awaiting();
      return result;
    },
    sync: async (): Promise<void> => {
      await watcher.awaiting();
      await storage.sync();
      await watcher.awaiting();
    },
  });
}

/** `object` with some members replaced; its own methods are called on itself, as the platform's have to be. */
function withOwn<T extends object>(object: T, own: object): T {
  return new Proxy(object, {
    get: (target, name) => {
      const value: unknown = Reflect.get(name in own ? own : target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
