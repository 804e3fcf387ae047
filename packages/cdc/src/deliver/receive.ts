import type { ChangeSource } from '../change-log.ts';
import type { ChangeEvent } from '../reader.ts';
import { isPermanent, numbersOf, PermanentError, type Batch } from './sink.ts';

/** The database that changes are received into: DoSQL's `Database` is one. */
export interface Receiver<TX> {
  readonly backend: Pick<ChangeSource, 'getState' | 'setState'>;
  transaction<T>(work: (tx: TX) => Promise<T>): Promise<T>;
}

/** What was new of a batch. */
export interface Received {
  readonly applied: number;
  /** Events that had come before. */
  readonly repeated: number;
}

/** Errors of a database that come again however often the same is written. */
const OF_CONTENT = /^(?:\w*Error: )?(?:CONSTRAINT|TOO_BIG)/;

/**
 * Applies a batch in one transaction, together with a note of how far its sender has come: what comes again is left
 * out, so each event takes effect exactly once, for as long as the sender's program asks for the same: a batch whose
 * answer was lost before a deployment with other options comes again under other numbers.
 *
 * ```ts
 * receiveChanges(batch: Batch) {
 *   return receive(this.db, batch, (change, tx) => tx.run('INSERT INTO …', [change.after.name]));
 * }
 * ```
 *
 * What `apply` throws undoes the batch, and it is sent again. A `PermanentError`, or one of a constraint, says that
 * sending again is no use: the sender looks for the event that it is about and makes it a dead letter.
 */
export function receive<TX>(
  db: Receiver<TX>,
  batch: Batch,
  apply: (event: ChangeEvent, tx: TX) => unknown,
): Promise<Received> {
  return receiveBatch(db, batch, async (events, tx) => {
    for (const event of events) await apply(event, tx);
  });
}

/**
 * As {@link receive}, with all that is new of the batch at once, for a receiver that writes many rows in one statement.
 * It is not asked when nothing is new.
 *
 * ```ts
 * receiveChanges(batch: Batch) {
 *   return receiveBatch(this.db, batch, (events, tx) => tx.run(INSERT_ALL, [JSON.stringify(events.map(rowOf))]));
 * }
 * ```
 *
 * An error of a constraint is about one event: the sender looks for it by sending smaller batches.
 */
export function receiveBatch<TX>(
  db: Receiver<TX>,
  batch: Batch,
  apply: (events: readonly ChangeEvent[], tx: TX) => unknown,
): Promise<Received> {
  const key = `received:${batch.stream}`;
  return db.transaction(async (tx) => {
    const next = Number(db.backend.getState(key) ?? 0);
    const repeated = numbersOf(batch).filter((number) => number < next).length;
    const events = batch.events.slice(repeated);
    try {
      if (events.length > 0) await apply(events, tx);
    } catch (error) {
      if (!(error instanceof Error) || isPermanent(error) || !OF_CONTENT.test(error.message)) throw error;
      throw new PermanentError(error.message, { cause: error });
    }
    const end = batch.sequence + batch.events.length + (batch.erased?.length ?? 0);
    if (end > next) db.backend.setState(key, String(end));
    return { applied: events.length, repeated };
  });
}
