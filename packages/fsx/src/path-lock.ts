/** Runs tasks for the same path one after the other, in the order asked for; others side by side. */
export class PathLock {
  readonly #last = new Map<string, Promise<void>>();

  async run<T>(path: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(path);
    const { promise: done, resolve: release } = Promise.withResolvers<void>();
    this.#last.set(path, done);
    try {
      await before;
      return await task();
    } finally {
      release();
      if (this.#last.get(path) === done) this.#last.delete(path);
    }
  }
}
