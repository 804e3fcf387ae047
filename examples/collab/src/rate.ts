/** How many messages a socket may send at once, and a second in the long run. */
const BURST = 200;
const PER_SECOND = 60;

/** Counts what a socket sends. Kept in memory only: after hibernation everyone begins anew, which harms nobody. */
export class Rate {
  #left = BURST;
  #at = Date.now();

  /** Whether one more is too many. */
  isExceeded(now: number): boolean {
    this.#left = Math.min(BURST, this.#left + ((now - this.#at) / 1_000) * PER_SECOND);
    this.#at = now;
    if (this.#left < 1) return true;
    this.#left--;
    return false;
  }
}
