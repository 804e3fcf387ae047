/** Commands in one transaction, at most. */
const MAX_COMMANDS = 1_000;
/** Commands that wait, at most: past that the object tells its callers rather than run out of memory. */
const MAX_WAITING = 20_000;

interface Waiting<Command, Answer> {
  readonly command: Command;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: commands that come at about the same time are written in one transaction, and each gets its own
 * answer. One group is written at a time, so `commit` may wait between what it reads and what it writes.
 */
export class GroupWriter<Command, Answer> {
  readonly #commit: (commands: readonly Command[]) => Promise<readonly Answer[]>;
  #waiting: Waiting<Command, Answer>[] = [];
  #last: Promise<unknown> = Promise.resolve();

  constructor(commit: (commands: readonly Command[]) => Promise<readonly Answer[]>) {
    this.#commit = commit;
  }

  /** What became of the command; undefined where too many wait. */
  submit(command: Command): Promise<Answer | undefined> {
    if (this.#waiting.length >= MAX_WAITING) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ command, resolve, reject });
      if (this.#waiting.length === 1) void this.alone(() => this.#writeGroup());
    });
  }

  /** Runs `work` while no group is being written. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work);
    this.#last = run.catch(() => {});
    return run;
  }

  async #writeGroup(): Promise<void> {
    // Whatever else has arrived by now comes in first, and goes along.
    await scheduler.wait(0);
    const group = this.#waiting.splice(0, MAX_COMMANDS);
    if (this.#waiting.length > 0) void this.alone(() => this.#writeGroup());
    try {
      const answers = await this.#commit(group.map(({ command }) => command));
      group.forEach(({ resolve }, i) => resolve(answers[i] as Answer));
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }
}
