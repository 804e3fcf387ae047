import type { Reading } from './past.ts';

/** In which form changes are read out: as objects with both images, or each as JSON text. */
export type Form = 'objects' | 'json';

/** An engine that captures the changes of a table. */
export interface StreamEngine {
  readonly name: string;
  readonly version: string;
  /** What it is called where it captures nothing. */
  readonly bareName: string;
  /** Makes the table with rows 1 to `rows`, of which no change is captured, and one like it whose changes are. */
  load(rows: number): Promise<void>;
  /** Adds 1 to `stock` of all rows, in one transaction; µs a row until durable, the sum is the number of rows. */
  update(captured: boolean): Promise<Reading>;
  /** Reads all changes since it was last forgotten; µs a change, the sum is that of `stock` after them. */
  readOut(form: Form): Promise<Reading>;
  /** Begins to read out from here. */
  forget(): Promise<void>;
  close(): Promise<void>;
}

/** What only DoSQL is asked for. */
export interface OwnStreams {
  /** Reads all rows of the table as a stream's snapshot; µs a row, the sum is that of `stock`. */
  snapshot(): Promise<Reading>;
}
