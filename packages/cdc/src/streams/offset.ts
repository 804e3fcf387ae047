import { StreamError } from './error.ts';

/**
 * A place between two messages.
 *
 * A fork shares the messages before its fork point with its source, so a place is named by the stream that the
 * messages before it were appended to, and how many bytes of that stream lie before it. A fork is younger than its
 * source and has the greater id, so places are in order as their texts are; ids are never given twice, so no text
 * ever names a second place.
 */
export interface Place {
  readonly id: number;
  readonly position: number;
}

/** The offset that names the start of any stream. */
export const START: Place = { id: 0, position: 0 };

const DIGITS = 16;
const FORMAT = /^(\d{16})_(\d{16})$/;

/** The text of a place, as wide as every other. */
export function formatOffset({ id, position }: Place): string {
  return `${String(id).padStart(DIGITS, '0')}_${String(position).padStart(DIGITS, '0')}`;
}

/** @throws StreamError 400 for what is no offset of these streams. */
export function parseOffset(text: string): Place {
  const match = FORMAT.exec(text);
  if (match === null)
    throw new StreamError(
      400,
      `${JSON.stringify(text.slice(0, 100))} is no offset: give -1, now, or a Stream-Next-Offset`,
    );
  return { id: Number(match[1]), position: Number(match[2]) };
}
