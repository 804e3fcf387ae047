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
  // Those that were called later wait meanwhile.
  const loading = async (): Promise<T> => {
    try {
      return statement();
    } catch (error) {
      if (!(error instanceof HistoryNotLoaded)) throw error;
      await engine.loadHistory();
      return statement();
    }
  };
  if (gate.isHeld) {
    const isLoaded = engine.loadedHistory !== undefined;
    return (isLoaded ? gate.pass(statement) : gate.hold(loading)).catch(again);
  }
  try {
    return Promise.resolve(statement());
  } catch (error) {
    return error instanceof HistoryNotLoaded ? gate.hold(loading).catch(again) : again(error);
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
