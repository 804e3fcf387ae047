import { DoSQLError } from './error.ts';
import type { Gate } from './gate.ts';

/**
 * Runs a statement when its turn has come. It was judged when it was called; rows that it reads may have become cold by
 * then, and `waiting` runs it as one that waits for files.
 */
export function inTurn<T>(gate: Gate, statement: () => T, waiting: () => Promise<T>): Promise<T> {
  // What runs now is as it was judged.
  if (!gate.isHeld) return gate.pass(statement);
  return gate.pass(statement).catch((error: unknown) => {
    if (error instanceof DoSQLError && error.code === 'WAITS') return waiting();
    throw error;
  });
}
