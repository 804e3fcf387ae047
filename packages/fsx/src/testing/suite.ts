import type { FileStore } from '../file-store.ts';
import { conditionChecks } from './condition-checks.ts';
import { contentChecks } from './content-checks.ts';
import { listingChecks } from './listing-checks.ts';
import { modelChecks } from './model-checks.ts';
import { pathChecks } from './path-checks.ts';
import { newSeed } from './random.ts';
import { streamChecks } from './stream-checks.ts';

/** Runs `use` on a new, empty store, wherever that store has to run, and clears up after it. */
export type WithStore = (use: (store: FileStore) => Promise<void>) => Promise<void>;

/** One thing that a file store has to do. */
export interface ConformanceTest {
  /** A sentence about what the store does. */
  readonly name: string;
  /** Rejects, with what was wrong, where it does not. */
  readonly run: () => Promise<void>;
}

/**
 * What every file store has to do, whatever it keeps its files in, as tests for any runner.
 *
 * @param create gives each test a store of its own
 * @param options.seed for what is tried by chance; default a new one. A failure names it.
 *
 * @example
 * for (const { name, run } of conformance((use) => use(createMemoryBackend()))) it(name, run);
 */
export function conformance(
  create: WithStore,
  options: { readonly seed?: number } = {},
): readonly ConformanceTest[] {
  const seed = options.seed ?? newSeed();
  const checks = [
    ...contentChecks,
    ...streamChecks,
    ...conditionChecks,
    ...listingChecks,
    ...pathChecks,
    ...modelChecks,
  ];
  return checks.map(({ name, check, times = 1 }) => ({
    name,
    run: async () => {
      for (let i = 0; i < times; i++) {
        try {
          await create((store) => check(store, seed + i));
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          throw new Error(`A store that "${name}": ${reason} (seed ${seed + i})`, { cause: error });
        }
      }
    },
  }));
}
