import type { FileStore } from '../file-store.ts';

/** A check of one behaviour, on a new and empty store. */
export interface Check {
  readonly name: string;
  readonly check: (store: FileStore, seed: number) => Promise<void>;
  /** How often to repeat it, with another seed each time. */
  readonly times?: number;
}
