import { DoSQLError } from './error.ts';
import type { Engine } from './engine.ts';
import type { Gate } from './gate.ts';
import { ArchivedPoint } from './log/archived.ts';

/**
 * Runs a statement when its turn has come. It was judged when it was called; rows that it reads may have become cold by
 * then, and `waiting` runs it as one that waits for files. A point that it reads may lie in the archive: then it is run
 * again when that has been recalled.
 */
export function inTurn<T>(
  engine: Engine,
  gate: Gate,
  statement: () => T,
  waiting: () => Promise<T>,
): Promise<T> {
  const again = async (error: unknown): Promise<T> => {
    if (!(error instanceof DoSQLError && error.code === 'WAITS')) throw error;
    if (!(error instanceof ArchivedPoint)) return waiting();
    await engine.points.recall(error);
    return inTurn(engine, gate, statement, waiting);
  };
  if (gate.isHeld) return gate.pass(statement).catch(again);
  try {
    return Promise.resolve(statement());
  } catch (error) {
    return again(error);
  }
}

/** Does something whose points may lie in the archive: again, each time that more of it has been recalled. */
export async function recalling<T>(engine: Engine, work: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await work();
    } catch (error) {
      await engine.points.recall(error);
    }
}
