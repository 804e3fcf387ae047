import { malformed } from './malformed.ts';

/**
 * Decompresses Snappy (https://github.com/google/snappy/blob/main/format_description.txt) into the first `size`
 * bytes of `output`, which has at least {@link SLACK} bytes more.
 *
 * Pieces are copied four bytes at a time, past their end where there is room: what stands too much there is
 * overwritten by the next piece. This makes short strings several times faster than a byte at a time.
 *
 * @throws Malformed when the input is not the compressed form of exactly `size` bytes.
 */
export function snappyDecompress(input: Uint8Array, output: Uint8Array, size: number): void {
  const limit = input.length;
  const source = new DataView(input.buffer, input.byteOffset, limit);
  const target = new DataView(output.buffer, output.byteOffset, output.byteLength);
  let at = preamble(input, size);
  let to = 0;
  // Up to here sixteen bytes can be read at once.
  const safe = limit - 16;
  while (at < limit) {
    const tag = input[at++] as number;
    const kind = tag & 3;
    let length = (tag >>> 2) + 1;
    if (kind === 0) {
      if (length <= 16 && at <= safe) {
        if (length > size - to) outside();
        target.setUint32(to, source.getUint32(at, true), true);
        target.setUint32(to + 4, source.getUint32(at + 4, true), true);
        if (length > 8) {
          target.setUint32(to + 8, source.getUint32(at + 8, true), true);
          target.setUint32(to + 12, source.getUint32(at + 12, true), true);
        }
      } else {
        if (length > 60) {
          const width = length - 60;
          if (at + width > limit) outside();
          length = longLength(input, at, width);
          at += width;
        }
        if (length > limit - at || length > size - to) outside();
        if (length <= 64 && at + 64 <= limit)
          for (let i = 0; i < length; i += 4) target.setUint32(to + i, source.getUint32(at + i, true), true);
        else output.set(input.subarray(at, at + length), to);
      }
      at += length;
      to += length;
      continue;
    }
    let distance: number;
    if (kind === 1) {
      length = ((tag >>> 2) & 7) + 4;
      distance = ((tag & 0xe0) << 3) | (input[at] as number);
      at += 1;
    } else if (kind === 2) {
      distance = (input[at] as number) | ((input[at + 1] as number) << 8);
      at += 2;
    } else {
      // More than 31 bits become negative, and so are too far as well.
      distance =
        (input[at] as number) |
        ((input[at + 1] as number) << 8) |
        ((input[at + 2] as number) << 16) |
        ((input[at + 3] as number) << 24);
      at += 4;
    }
    if (at > limit || distance <= 0 || distance > to || length > size - to) outside();
    let from = to - distance;
    const end = to + length;
    // Four bytes at once only where they have all been written; nearer repeats go byte by byte.
    if (distance >= 4) {
      for (; to < end; to += 8, from += 8) {
        target.setUint32(to, target.getUint32(from, true), true);
        target.setUint32(to + 4, target.getUint32(from + 4, true), true);
      }
    } else {
      while (to < end) output[to++] = output[from++] as number;
    }
    to = end;
  }
  if (to !== size) malformed(`Snappy data has ${to} bytes, ${size} are due`);
}

function outside(): never {
  malformed('a piece of Snappy data reaches outside');
}

/** The length of a literal that is written in `width` bytes. Kept apart so that the loop has small integers only. */
function longLength(input: Uint8Array, at: number, width: number): number {
  let length = 0;
  for (let i = width - 1; i >= 0; i--) length = length * 256 + (input[at + i] as number);
  if (length >= 2 ** 30) outside();
  return (length + 1) | 0;
}

/** How many bytes past the end of its output the decompressor may write. */
export const SLACK = 64;

/** Where the data begins; the length in front has to be `size`. */
function preamble(input: Uint8Array, size: number): number {
  let at = 0;
  let length = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = input[at++];
    if (byte === undefined || at > 5) malformed('Snappy data has no length');
    length += (byte & 127) * factor;
    if (byte < 128) break;
  }
  if (length !== size) malformed(`Snappy data says ${length} bytes, ${size} are due`);
  return at;
}
