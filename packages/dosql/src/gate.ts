import { AsyncLocalStorage } from 'node:async_hooks';
import { DoSQLError } from './error.ts';

/** The gates that the running code holds, innermost first. */
interface Hold {
  readonly gate: Gate;
  readonly outer: Hold | undefined;
}

const holds = new AsyncLocalStorage<Hold>();

/**
 * Lets statements through one after another, and a transaction alone: while one holds the gate, everyone
 * else's statements wait their turn, in the order in which they came. A free gate costs nothing: the
 * statement runs before the call returns.
 *
 * The code that holds a gate must not wait for it, for it would wait for ever; it is told so at once. Whose
 * code is running is known from its asynchronous context, so concurrent requests are told apart.
 */
export class Gate {
  #isHeld = false;
  #holder: Hold | undefined;
  readonly #waiting: (() => void)[] = [];

  /** Runs `statement` now or when its turn comes. */
  pass<T>(statement: () => T): Promise<T> {
    if (!this.#isHeld) {
      try {
        return Promise.resolve(statement());
      } catch (error) {
        return Promise.reject(error);
      }
    }
    if (this.isMine) return Promise.reject(this.#nested());
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          resolve(statement());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** Runs `transaction` while nothing else passes. */
  async hold<T>(transaction: () => Promise<T>): Promise<T> {
    if (this.#isHeld) {
      this.refuseHolder();
      await new Promise<void>((resolve) => {
        this.#waiting.push(() => {
          this.#isHeld = true;
          resolve();
        });
      });
    }
    this.#isHeld = true;
    const hold = { gate: this, outer: holds.getStore() };
    this.#holder = hold;
    try {
      return await holds.run(hold, transaction);
    } finally {
      this.#isHeld = false;
      this.#holder = undefined;
      while (!this.#isHeld && this.#waiting.length > 0) this.#waiting.shift()?.();
    }
  }

  /**
   * Refuses the code that holds the gate, at once: for a call that has to wait for something before it can pass.
   *
   * @throws DoSQLError `NESTED_TRANSACTION`
   */
  refuseHolder(): void {
    if (this.isMine) throw this.#nested();
  }

  /** True while a transaction holds the gate. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** True when the running code is what holds the gate; what an earlier holder left running is not. */
  get isMine(): boolean {
    for (let hold = holds.getStore(); hold !== undefined; hold = hold.outer)
      if (hold.gate === this) return hold === this.#holder;
    return false;
  }

  #nested(): DoSQLError {
    return new DoSQLError(
      'NESTED_TRANSACTION',
      'this would wait for its own transaction: in the callback use the handle it is given',
    );
  }
}
