/** What else becomes a part of the transactions that change the log. Must neither wait nor throw. */
export interface CommitHook {
  /** Called inside every transaction that has logged something, at its end. */
  readonly beforeCommit: () => void;
  /** Called when a transaction, or a savepoint of one, has been undone. */
  readonly rolledBack: () => void;
}
