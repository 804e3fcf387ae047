/** A reader's place in the queue of a stream. */
export interface Waiter {
  /** Fulfilled when the stream has moved since the waiter was made. */
  readonly moved: Promise<void>;
  /** Leaves the queue. */
  readonly leave: () => void;
}

/** What a wait ended with. */
export type WaitOutcome = 'moved' | 'time' | 'aborted';

/** So many readers go on at once; the object does other work before the next do. */
const WOKEN_AT_ONCE = 250;

/**
 * The readers that wait for streams to move, and the reads that several of them share.
 *
 * A reader joins the queue before it looks, so that it misses nothing that is committed after it looked. It is
 * woken by the commits that touch its stream and by no other, and costs a closure while it waits.
 */
export class Waiters {
  readonly #queues = new Map<string, Set<() => void>>();
  readonly #reads = new Map<string, Map<string, Promise<unknown>>>();
  #size = 0;

  /** How many readers wait. */
  get size(): number {
    return this.#size;
  }

  /** Whether anybody waits for the stream. */
  has(key: string): boolean {
    return this.#queues.has(key);
  }

  /** Joins the queue of a stream. */
  join(key: string): Waiter {
    let wake = (): void => {};
    const moved = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const queue = this.#queues.get(key) ?? new Set();
    this.#queues.set(key, queue.add(wake));
    this.#size++;
    return { moved, leave: () => this.#leave(key, queue, wake) };
  }

  #leave(key: string, queue: Set<() => void>, wake: () => void): void {
    if (!queue.delete(wake)) return;
    this.#size--;
    if (queue.size === 0 && this.#queues.get(key) === queue) this.#queues.delete(key);
  }

  /**
   * What readers of a stream read from an offset: those who ask for the same until it is there, or until the
   * stream moves, get the same.
   */
  shared<T>(key: string, offset: string, read: () => Promise<T>): Promise<T> {
    const reads = this.#reads.get(key) ?? new Map<string, Promise<unknown>>();
    this.#reads.set(key, reads);
    const running = reads.get(offset);
    if (running !== undefined) return running as Promise<T>;
    const reading = read().finally(() => {
      if (reads.get(offset) === reading) reads.delete(offset);
      if (reads.size === 0 && this.#reads.get(key) === reads) this.#reads.delete(key);
    });
    reads.set(offset, reading);
    return reading;
  }

  /** Wakes the readers of a stream, soon: whoever moved it is answered first. */
  wake(key: string): void {
    this.#reads.delete(key);
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    const woken = [...queue].values();
    const some = (): void => {
      for (let i = 0; i < WOKEN_AT_ONCE; i++) {
        const { value: wake, done } = woken.next();
        if (done === true) return;
        wake();
      }
      setTimeout(some, 0);
    };
    setTimeout(some, 0);
  }
}

/** Waits for a promise, for at most `ms`, and only while `signal` is not aborted. */
export async function wait(moved: Promise<void>, ms: number, signal: AbortSignal): Promise<WaitOutcome> {
  if (signal.aborted) return 'aborted';
  let timer: ReturnType<typeof setTimeout> | null = null;
  let abort = (): void => {};
  const other = new Promise<WaitOutcome>((resolve) => {
    timer = setTimeout(() => resolve('time'), ms);
    abort = () => resolve('aborted');
    signal.addEventListener('abort', abort);
  });
  try {
    return await Promise.race([moved.then((): WaitOutcome => 'moved'), other]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
