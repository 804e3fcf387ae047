/**
 * Checksums of the files that we write, so that no flipped bit of one becomes a wrong answer. Every checksum is
 * CRC-32 (zlib's), and stands where other readers pass over it:
 *
 * - **Pages.** The standard `crc` of each page header: over the page's bytes as stored (compressed), without its header.
 * - **Chunks.** In the key-value metadata, `dosql.checksums` = `{"algorithm":"crc32","chunks":[[c00, c01, …], …]}`:
 *   a number per row group and column, over all bytes of the column chunk from its first page header (the dictionary
 *   page's, where there is one) on: `total_compressed_size` of them. For who reads a chunk whole.
 * - **Indexes.** Each OffsetIndex and each ColumnIndex ends with the field 32767 (which the format reserves for
 *   extensions), binary, and the stop byte. The last four bytes of that binary, right before the stop byte, are the
 *   checksum of all bytes of the structure before them, little-endian. So, with the structure's bytes `b` as the footer
 *   bounds them: `crc32(b.subarray(0, n - 5)) === readUint32(b, n - 5)` and `b[n - 1] === 0`.
 *   In an OffsetIndex those four bytes are preceded by four for each page of the chunk: the checksum of the page
 *   with its header, in the order of the file, the dictionary page first where there is one. For who reads single
 *   pages: a page's own `crc` does not cover its header.
 * - **Bloom filters.** The header has a field 32767, binary of 4 bytes, right before its stop byte: the checksum of the
 *   header's bytes before them, continued over the bitset.
 * - **Footer.** FileMetaData ends with the field 32767, binary of 20 bytes, and the stop byte: the checksum of the
 *   footer's bytes before it, continued over the four bytes of the footer's length, then {@link FOOTER_MARK}. From the
 *   end of the file back: `PAR1` (4 bytes), length (4), stop byte 0 (1), mark (16), checksum (4). Who finds the mark
 *   there checks before parsing: a flipped length is found as well.
 *
 * What no checksum covers are the four bytes before the first chunk and the mark itself, on which no answer hangs.
 */
import { crc32 } from 'node:zlib';
import { ByteSink, type StructWriter } from './thrift-write.ts';

/** The 16 bytes that tell a footer with a checksum of ours. */
export const FOOTER_MARK: Uint8Array = new Uint8Array([
  0x64, 0x6f, 0x73, 0x71, 0x6c, 0x2d, 0x66, 0x6f, 0x6f, 0x74, 0x65, 0x72, 0x2d, 0x63, 0x72, 0x63,
]);

/** The key of the chunks' checksums in the file's key-value metadata. */
export const CHECKSUMS_KEY = 'dosql.checksums';

/** What {@link CHECKSUMS_KEY} holds. */
export function chunkChecksums(chunks: readonly (readonly number[])[]): string {
  return JSON.stringify({ algorithm: 'crc32', chunks });
}

/** The field that the format reserves for extensions in every struct. */
export const EXTENSION_FIELD = 32767;

/**
 * Ends a ColumnIndex or OffsetIndex: the extension field with `words` and the checksum of all before it, and the stop
 * byte. Gives the structure's bytes.
 */
export function sealIndex(struct: StructWriter, words: readonly number[]): Uint8Array {
  const extension = new ByteSink(4 * words.length + 4);
  for (const word of words) extension.uint32(word);
  extension.uint32(0);
  const { bytes } = struct.binary(EXTENSION_FIELD, extension.bytes).end();
  const at = bytes.length - 5;
  writeUint32(bytes, at, crc32(bytes.subarray(0, at)));
  return bytes;
}

/** Ends the header of a bloom filter: its checksum goes on over `bitset`. */
export function sealBloomHeader(struct: StructWriter, bitset: Uint8Array): Uint8Array {
  const { bytes } = struct.binary(EXTENSION_FIELD, new Uint8Array(4)).end();
  const at = bytes.length - 5;
  writeUint32(bytes, at, crc32(bitset, crc32(bytes.subarray(0, at))));
  return bytes;
}

/** Ends FileMetaData; gives it with its length and the closing magic. */
export function sealFooter(struct: StructWriter): Uint8Array {
  const extension = new Uint8Array(4 + FOOTER_MARK.length);
  extension.set(FOOTER_MARK, 4);
  const sink = struct.binary(EXTENSION_FIELD, extension).end();
  const length = sink.length;
  sink.uint32(length);
  for (const character of [0x50, 0x41, 0x52, 0x31]) sink.byte(character);
  const { bytes } = sink;
  const at = length - 1 - extension.length;
  const checksum = crc32(bytes.subarray(length, length + 4), crc32(bytes.subarray(0, at)));
  writeUint32(bytes, at, checksum);
  return bytes;
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) bytes[at + i] = value >>> (8 * i);
}
