import type { Log } from './log.ts';

/** For how long what was recalled from the archive is kept, whatever the window says. */
export interface Lease {
  /** The log is kept after this LSN … */
  readonly lsn: number;
  /** … until then. */
  readonly untilMs: number;
  /** When `lsn` was last said anew: it is that of the earliest point that has been read since. */
  readonly sinceMs: number;
  /** The LSN that the window began with before anything was recalled. */
  readonly hot: number;
}

/** The lease that was given last, which may have ended; undefined where nothing has been recalled. */
export function leaseOf(log: Log): Lease | undefined {
  const text = log.meta('lease');
  return text === undefined ? undefined : (JSON.parse(String(text)) as Lease);
}
