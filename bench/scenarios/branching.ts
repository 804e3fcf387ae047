import type { Rows } from './item.ts';

/** What is read of a branch or of main: µs an operation, and the sums that show engines to answer alike. */
export interface LineReading {
  readonly pointMicros: number;
  readonly rangeMicros: number;
  readonly aggregateMicros: number;
  readonly sum: number;
}

/** Creating branches and writing one row of each for the first time. */
export interface FirstWrites {
  readonly createMicros: number;
  readonly writeMicros: number;
}

/** One merge, or what went before it. */
export interface Step {
  readonly micros: number;
  /** Rows that differ, or that the merge changed. */
  readonly rows: number;
}

/** An engine with branches. What is timed is durable before the clock stops. */
export interface BranchEngine {
  readonly name: string;
  readonly version: string;
  /** Makes a database with rows 1 to `rows`. */
  load(rows: number): Promise<void>;
  /** Makes `created` branches, writes row `key` on `written` of them and drops all. */
  firstWrites(created: number, written: number, key: number): Promise<FirstWrites>;
  /** Rows that the platform bills for the first write of a branch, where it bills by rows; asked last. */
  billedRows?(key: number): Promise<number>;
  /** Makes a branch. */
  branch(name: string): Promise<void>;
  drop(name: string): Promise<void>;
  /** Adds 1 to `stock` of `rows`, and commits. */
  change(branch: string, rows: Rows): Promise<Step>;
  /** What differs between main and a branch; undefined where the engine has no diff. */
  diff(branch: string): Promise<Step | undefined>;
  /** Merges a branch into main; undefined where the engine does not merge. */
  merge(branch: string): Promise<Step | undefined>;
  /** Reads once what the first reader of a branch may have to pay for. */
  firstRead(branch: string): Promise<number>;
  /** Reads rows with these keys, the 100 rows from each of `ranges` on, and all rows `aggregates` times. */
  read(
    branch: string,
    keys: readonly number[],
    ranges: readonly number[],
    aggregates: number,
  ): Promise<LineReading>;
  /** The sum of `stock`. */
  sum(branch: string): Promise<number>;
  close(): Promise<void>;
}

/** What every engine calls the line that is no branch. */
export const MAIN = 'main';
