/** How often to send again. */
export interface RetryOptions {
  /** How often a batch has to be refused for good before what is in it goes to the dead letters; 3 by default. */
  readonly attempts?: number | undefined;
  /** The longest wait after the first failure, in ms; doubled with each further one. 1,000 by default. */
  readonly firstMs?: number | undefined;
  /** The longest wait of all, in ms; 5 minutes by default. */
  readonly maxMs?: number | undefined;
}

/** A sink can ask for no longer wait than this. */
const MAX_RETRY_AFTER_MS = 86_400_000;

/**
 * How long to wait after `failures` in a row, in ms: exponential backoff with full jitter
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that those who failed together do
 * not come back together. `retryAfterMs`, what the sink asked for, is the least.
 */
export function backoffMs(
  failures: number,
  { firstMs = 1_000, maxMs = 300_000 }: RetryOptions,
  random: () => number,
  retryAfterMs: number = 0,
): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** (failures - 1));
  return Math.max(Math.floor(random() * ceiling), Math.min(retryAfterMs, MAX_RETRY_AFTER_MS));
}
