import type { BranchEngine } from '../scenarios/branching.ts';
import type { PastEngine } from '../scenarios/past.ts';
import type { OwnStreams, StreamEngine } from '../scenarios/streaming.ts';
import { version } from '../harness/report.ts';

/** Calls a method of a Durable Object of `objects.ts`. */
type Call = <T>(method: string, ...args: unknown[]) => Promise<T>;

function caller(origin: string, kind: 'past' | 'branching' | 'streaming', object: string): Call {
  return async <T>(method: string, ...args: unknown[]) => {
    const response = await fetch(`${origin}/${kind}/${object}/${method}`, {
      method: 'POST',
      body: JSON.stringify(args),
    });
    const { result, error } = await response.json<{ result: T; error?: string }>();
    if (error !== undefined) throw new Error(`${kind}.${method} failed: ${error}`);
    return result;
  };
}

/** DoSQL in a Durable Object, as an engine that keeps the past. */
export function dosqlPast(origin: string): PastEngine {
  const call = caller(origin, 'past', 'bench');
  const marks: string[] = [];
  const lsn = (mark: number | null): string | null => (mark === null ? null : (marks[mark] ?? null));
  return {
    name: 'DoSQL',
    version: version('@dotdo/dosql'),
    histories: [{ how: 'db.history', count: 200 }],
    load: (rows) => call('load', rows),
    change: (transactions) => call('change', transactions),
    changeAll: () => call('changeAll'),
    mark: async () => marks.push(await call<string>('mark')) - 1,
    aggregate: (mark, times) => call('aggregate', lsn(mark), times),
    points: (mark, keys) => call('points', lsn(mark), keys),
    history: (how, keys) => call('history', how, keys),
    sleep: async () => {
      // The object ends in the middle of the call, which therefore fails; the next call starts it anew.
      await call('sleep').catch(() => undefined);
      await call('mark');
    },
    close: async () => {},
  };
}

/** DoSQL in a Durable Object, as an engine with branches. */
export function dosqlBranches(origin: string): BranchEngine {
  let databases = 0;
  let call = caller(origin, 'branching', 'bench');
  return {
    name: 'DoSQL',
    version: version('@dotdo/dosql'),
    load: (rows) => {
      call = caller(origin, 'branching', `bench-${++databases}`);
      return call('load', rows);
    },
    firstWrites: (created, written, key) => call('firstWrites', created, written, key),
    billedRows: (key) => call('billedRows', key),
    branch: (name) => call('branch', name),
    drop: (name) => call('drop', name),
    change: (branch, rows) => call('change', branch, rows),
    diff: (branch) => call('diff', branch),
    merge: (branch) => call('merge', branch),
    firstRead: (branch) => call('firstRead', branch),
    read: (branch, keys, ranges, aggregates) => call('read', branch, keys, ranges, aggregates),
    sum: (branch) => call('sum', branch),
    close: async () => {},
  };
}

/** DoSQL in a Durable Object, as an engine that captures changes, beside an object with the same table and without it. */
export function dosqlStreams(origin: string): StreamEngine & OwnStreams {
  const call = caller(origin, 'streaming', 'captured');
  const bare = caller(origin, 'streaming', 'bare');
  return {
    name: 'DoSQL',
    bareName: 'bare SQLite',
    version: version('@dotdo/dosql'),
    load: async (rows) => {
      await bare('loadBare', rows);
      await call('load', rows);
    },
    update: (captured) => (captured ? call('update') : bare('updateBare')),
    readOut: (form) => call('readOut', form),
    forget: () => call('forget'),
    snapshot: () => call('snapshot'),
    close: async () => {},
  };
}
