import { malformed } from './malformed.ts';

/**
 * Decompresses one LZ4 block (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md) into the first `size`
 * bytes of `output` from `start` on.
 *
 * @returns how many bytes were written.
 * @throws Malformed
 */
export function lz4Block(input: Uint8Array, output: Uint8Array, start: number, size: number): number {
  const limit = input.length;
  const end = start + size;
  let at = 0;
  let to = start;
  while (at < limit) {
    const token = input[at++] as number;
    let length = token >>> 4;
    if (length === 15) {
      let more: number;
      do {
        more = input[at++] ?? malformed('LZ4 data ends early');
        length += more;
      } while (more === 255);
    }
    if (length > limit - at || length > end - to) malformed('a literal of LZ4 data goes past the end');
    if (length > 32) output.set(input.subarray(at, at + length), to);
    else for (let i = 0; i < length; i++) output[to + i] = input[at + i] as number;
    at += length;
    to += length;
    // The last sequence is a literal alone.
    if (at >= limit) break;
    const distance = (input[at] as number) | ((input[at + 1] as number) << 8);
    at += 2;
    if (at > limit) malformed('LZ4 data ends early');
    length = (token & 15) + 4;
    if (length === 19) {
      let more: number;
      do {
        more = input[at++] ?? malformed('LZ4 data ends early');
        length += more;
      } while (more === 255);
    }
    if (distance === 0 || distance > to - start || length > end - to)
      malformed('a copy of LZ4 data reaches outside');
    if (distance >= length && length > 32) output.copyWithin(to, to - distance, to - distance + length);
    else for (let i = 0; i < length; i++) output[to + i] = output[to - distance + i] as number;
    to += length;
  }
  return to - start;
}

/** Decompresses an LZ4 block that must have exactly `size` bytes. */
export function lz4Raw(input: Uint8Array, output: Uint8Array, size: number): void {
  const written = size === 0 && input.length === 0 ? 0 : lz4Block(input, output, 0, size);
  if (written !== size) malformed(`LZ4 data has ${written} bytes, ${size} are due`);
}

/**
 * Decompresses what the codec `LZ4` means by Hadoop's framing: blocks, each with the sizes of its output and its
 * input in front, big-endian. Some writers of that codec left the framing out, so data that has none is taken as
 * one block.
 */
export function lz4Hadoop(input: Uint8Array, output: Uint8Array, size: number): void {
  if (!isFramed(input, size)) return lz4Raw(input, output, size);
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  let to = 0;
  for (let at = 0; at < input.length;) {
    const outer = view.getUint32(at);
    at += 4;
    // One outer block may consist of several inner ones.
    for (const end = to + outer; to < end;) {
      if (at + 4 > input.length) malformed('LZ4 data ends early');
      const length = view.getUint32(at);
      at += 4;
      if (length === 0 || length > input.length - at) malformed('a block of LZ4 data goes past the end');
      to += lz4Block(input.subarray(at, at + length), output, to, end - to);
      at += length;
    }
  }
  if (to !== size) malformed(`LZ4 data has ${to} bytes, ${size} are due`);
}

function isFramed(input: Uint8Array, size: number): boolean {
  if (input.length < 8) return false;
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  return view.getUint32(0) <= size && view.getUint32(0) > 0 && view.getUint32(4) <= input.length - 8;
}
