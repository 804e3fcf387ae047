import { FileStoreError } from './error.ts';

/**
 * Whether calls go through: all (`closed`), none (`open`), or one to see whether the storage is back
 * (`half-open`).
 */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** When to stop calling a storage that fails, and for how long. */
export interface BreakerOptions {
  /** Failures one after the other that open the breaker. Default 5. */
  readonly failures?: number | undefined;
  /** Milliseconds for which it stays open. Default 10,000. */
  readonly coolMs?: number | undefined;
}

/** A change of the breaker's state. */
export interface BreakerChange {
  readonly state: BreakerState;
  /** Milliseconds since the epoch until which no call goes through; only where it is open. */
  readonly openUntil?: number;
  /** The failure that opened it. */
  readonly error?: FileStoreError;
}

/** What a caller sees of a breaker. */
export interface BreakerView {
  readonly state: BreakerState;
  /** Failures one after the other until now. */
  readonly failures: number;
  /** Milliseconds since the epoch until which no call goes through; `undefined` unless it is open. */
  readonly openUntil: number | undefined;
}

/**
 * A circuit breaker: after `failures` failures in a row calls are refused for `coolMs`; then one call is
 * let through, whose outcome closes the breaker or opens it again. A call that was let through reports
 * back with `succeed`, `fail` or `pass`, once.
 */
export class Breaker implements BreakerView {
  state: BreakerState = 'closed';
  failures = 0;
  openUntil: number | undefined;
  readonly #limit: number;
  readonly #coolMs: number;
  readonly #clock: () => number;
  readonly #onState: (change: BreakerChange) => void;
  /** Whether the one call of the half-open state is under way. */
  #isProbing = false;
  #cause: FileStoreError | undefined;

  constructor(
    { failures = 5, coolMs = 10_000 }: BreakerOptions,
    clock: () => number,
    onState: (change: BreakerChange) => void,
  ) {
    this.#limit = failures;
    this.#coolMs = coolMs;
    this.#clock = clock;
    this.#onState = onState;
  }

  /**
   * Lets a call through, or not.
   *
   * @throws {FileStoreError} `STORAGE_UNAVAILABLE` at once, saying until when
   */
  enter(action: string): void {
    if (this.state === 'closed') return;
    if (this.state === 'open' && this.#clock() >= (this.openUntil ?? 0)) this.#change('half-open');
    if (this.state === 'half-open' && !this.#isProbing) {
      this.#isProbing = true;
      return;
    }
    throw this.#refusal(action);
  }

  /** The call was answered. */
  succeed(): void {
    this.#isProbing = false;
    this.failures = 0;
    if (this.state === 'half-open') this.#change('closed');
  }

  /** The storage failed. */
  fail(error: FileStoreError): void {
    this.failures += 1;
    if (this.state === 'half-open' && this.#isProbing) this.#open(error);
    else if (this.state === 'closed' && this.failures >= this.#limit) this.#open(error);
    this.#isProbing = false;
  }

  /** The call ended in a way that says nothing about the storage. */
  pass(): void {
    this.#isProbing = false;
  }

  #open(error: FileStoreError): void {
    this.#cause = error;
    this.#change('open', this.#clock() + this.#coolMs);
  }

  #change(state: BreakerState, openUntil?: number): void {
    this.state = state;
    this.openUntil = openUntil;
    if (openUntil === undefined) this.#onState({ state });
    else this.#onState({ state, openUntil, ...(this.#cause ? { error: this.#cause } : {}) });
  }

  #refusal(action: string): FileStoreError {
    const until =
      this.openUntil === undefined
        ? 'while one call tries whether it is back'
        : `until ${new Date(this.openUntil).toISOString()}`;
    return new FileStoreError(
      'STORAGE_UNAVAILABLE',
      `Could not ${action}: the storage failed ${this.failures} times in a row and is not called ${until}. Try again after that.`,
      {
        cause: this.#cause,
        retryAfterMs: Math.max(0, (this.openUntil ?? this.#clock()) - this.#clock()),
      },
    );
  }
}
