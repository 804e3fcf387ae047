import type { ChangeSource } from '../change-log.ts';
import { keysOf } from './batch.ts';
import type { DeadLetters } from './dead-letters.ts';

/**
 * The ids of dead letters to send again: `ids`, or the first `limit`.
 *
 * @throws an error with code `BAD_PARAMETER` for one that has an earlier letter of its row before it that is not among
 * them: changes of a row are sent in their order.
 */
export function replayable(
  source: ChangeSource,
  letters: DeadLetters,
  ids: readonly number[] | undefined,
  limit: number,
): number[] {
  if (ids === undefined) return letters.list({ limit }).map(({ id }) => id);
  const asked = new Set(ids);
  const last = Math.max(0, ...ids);
  const left = new Map<string, number>();
  const found: number[] = [];
  for (let after = 0; after < last;) {
    const page = letters.list({ after });
    if (page.length === 0) break;
    for (const { id, event } of page) {
      if (id > last) break;
      const keys = keysOf(event);
      const before = keys.map((key) => left.get(key)).find((id) => id !== undefined);
      if (!asked.has(id)) keys.forEach((key) => left.set(key, before ?? id));
      else if (before === undefined) found.push(id);
      else
        throw source.error(
          'BAD_PARAMETER',
          `dead letter ${id} comes after dead letter ${before} of the same row: replay that one too, or discard it`,
        );
    }
    after = page.at(-1)?.id ?? last;
  }
  return found.slice(0, limit);
}
