import { LiveClient, type LiveClientOptions } from './client.ts';
import type { LiveQuery, LiveQueryOptions } from './query.ts';

export type { ChangeRow, ChangeValue } from '../change-log.ts';
export { LiveClient, type ClientSocket, type LiveClientOptions } from './client.ts';
export {
  LiveQuery,
  type LiveError,
  type LivePersistence,
  type LiveQueryOptions,
  type LiveSnapshot,
  type LiveStatus,
} from './query.ts';
export { rowKey, type RowChange } from './rows.ts';
export type { LiveStorage } from './storage.ts';

/**
 * The rows of a query over a publication, kept in step with the server: those that are there, then every change as
 * it commits. It comes back by itself after the connection broke, with what it has missed.
 *
 * ```ts
 * const tasks = liveQuery<Task>({ url: '/live', publication: 'board', table: 'tasks', where: "status <> 'done'" });
 * tasks.onChange((changes) => render(tasks.rows));
 * ```
 *
 * In React: `useSyncExternalStore(tasks.subscribe, tasks.getSnapshot)`.
 */
export function liveQuery<T = Record<string, unknown>>(
  options: LiveClientOptions & LiveQueryOptions,
): LiveQuery<T> {
  return new LiveClient(options).query<T>(options);
}
