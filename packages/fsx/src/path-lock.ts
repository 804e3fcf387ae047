/** Runs tasks for the same path one after the other, in the order asked for; others side by side. */
export class PathLock {
  readonly #last = new Map<string, Promise<unknown>>();

  async run<T>(path: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(path) ?? Promise.resolve();
    const work = before.then(task);
    const done = work.catch(() => undefined);
    this.#last.set(path, done);
    try {
      return await work;
    } finally {
      if (this.#last.get(path) === done) this.#last.delete(path);
    }
  }
}
