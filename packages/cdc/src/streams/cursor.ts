/**
 * Cursors keep caches from answering a waiting reader with an old answer for ever: the number of the interval of
 * 20 s, and always a greater one than the reader came with.
 * https://github.com/durable-streams/durable-streams/blob/main/PROTOCOL.md, 8.1
 */
const EPOCH_MS = Date.UTC(2024, 9, 9);
const INTERVAL_MS = 20_000;
const MAX_JITTER_MS = 3_600_000;

/** The cursor to give to a reader that came with `cursor`. */
export function nextCursor(cursor: string | null, nowMs: number, random: () => number = Math.random): string {
  const current = Math.floor((nowMs - EPOCH_MS) / INTERVAL_MS);
  const known = cursor !== null && /^\d{1,15}$/.test(cursor) ? Number(cursor) : -1;
  if (known < current) return String(current);
  return String(known + 1 + Math.floor((random() * MAX_JITTER_MS) / INTERVAL_MS));
}
