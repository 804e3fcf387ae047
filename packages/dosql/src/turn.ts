import { DoSQLError } from './error.ts';
import type { Engine } from './engine.ts';
import type { Gate } from './gate.ts';
import { ArchivedPoint } from './log/archived.ts';
import { HistoryNotLoaded } from './outcome.ts';

/**
 * Runs a statement when its turn has come. It was judged when it was called; rows that it reads may have become cold by
 * then, and `waiting` runs it as one that waits for files. What reads the past may have to be loaded first, and a point
 * that is read may lie in the archive: then the statement is run again.
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
    await engine.recall(error);
    return inTurn(engine, gate, statement, waiting);
  };
  // A promise of a promise is one of what that gives.
  if (gate.isHeld) return (gate.pass(() => orLoading(engine, gate, statement)) as Promise<T>).catch(again);
  try {
    const result = orLoading(engine, gate, statement);
    return result instanceof Promise ? result.catch(again) : Promise.resolve(result);
  } catch (error) {
    return again(error);
  }
}

/** Runs a statement, once more where what reads the past had to be loaded: those that were called later wait meanwhile. */
function orLoading<T>(engine: Engine, gate: Gate, statement: () => T): T | Promise<T> {
  try {
    return statement();
  } catch (error) {
    if (!(error instanceof HistoryNotLoaded)) throw error;
    return gate.hold(async () => {
      await engine.loadHistory();
      return statement();
    });
  }
}

/**
 * Does something that reads the past: again, once what reads it is loaded, and each time that more of the archive has been
 * recalled.
 */
export async function recalling<T>(engine: Engine, work: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await work();
    } catch (error) {
      await engine.recall(error);
    }
}
