import { crc32 } from 'node:zlib';
import type { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import { viewOf } from './bits.ts';
import { checked } from './fetch.ts';
import { malformed } from './malformed.ts';
import { readMetadata, type FileMetadata } from './metadata.ts';
import { readSchema, type FileSchema } from './schema.ts';
import { FOOTER_MARK } from './write-checksum.ts';

/** What is known of a file once it is open. */
export interface Footer {
  readonly metadata: FileMetadata;
  readonly schema: FileSchema;
  /** The end of the file as far as it was read. */
  readonly tail: Uint8Array;
  /** Whether all of it has checksums, because we wrote it. */
  readonly isSealed: boolean;
}

/** How much is read of a file's end at first: most footers fit, and page indexes with them. A small file has a small one. */
const FIRST_READ = { most: 2 ** 16, least: 2 ** 15, share: 1 / 1280 };
/** The length of the footer and the closing magic. */
const TRAILER = 8;
const MAGIC = 0x31_52_41_50;
const ENCRYPTED_MAGIC = 0x45_52_41_50;

/** A page has at most 2^25 rows and takes more than 16 bytes. Rows that nothing is read of would else be believed. */
const MAX_ROWS_PER_BYTE = 2 ** 21;

/** Footers that were read last, by file and version. */
const cache = new Map<string, Footer>();
/** Together they take no more than this. */
const MAX_CACHED = 2 ** 23;
let cachedBytes = 0;

/**
 * The footer of a file, from the cache where this version of the file was read before.
 *
 * @throws Malformed
 */
export async function openFooter(file: RangeFile, budget: Budget): Promise<Footer> {
  const key = JSON.stringify([file.name, file.size, file.etag]);
  const known = cache.get(key);
  if (known !== undefined) {
    // The map keeps the order of insertion, and the first is dropped first.
    cache.delete(key);
    cache.set(key, known);
    return known;
  }
  const footer = parseFooter(await readTail(file, budget), file.size);
  // Without a name for its version a file may become another under the same name.
  if (file.etag !== '') keep(key, footer);
  return footer;
}

function keep(key: string, footer: Footer): void {
  const before = cache.get(key);
  if (before !== undefined) cachedBytes -= before.tail.length;
  cache.delete(key);
  if (footer.tail.length > MAX_CACHED / 2) return;
  cache.set(key, footer);
  cachedBytes += footer.tail.length;
  for (const [oldest, { tail }] of cache) {
    if (cachedBytes <= MAX_CACHED) break;
    cache.delete(oldest);
    cachedBytes -= tail.length;
  }
}

/** The file's end, with all of the footer. */
async function readTail(file: RangeFile, budget: Budget): Promise<Uint8Array> {
  if (file.size < TRAILER + 4) malformed(`it has ${file.size} bytes`);
  const { most, least, share } = FIRST_READ;
  const length = Math.ceil(Math.min(most, Math.max(least, file.size * share)));
  const first = await readEnd(file, Math.min(file.size, length), budget);
  const view = viewOf(first);
  const magic = view.getUint32(first.length - 4, true);
  if (magic === ENCRYPTED_MAGIC) malformed('its footer is encrypted');
  if (magic !== MAGIC) malformed('it does not end with PAR1');
  const size = view.getUint32(first.length - TRAILER, true) + TRAILER;
  if (size > file.size - 4) malformed(`its footer is said to have ${size - TRAILER} bytes`);
  if (size <= first.length) return first;
  const more = size - first.length;
  budget.request(more);
  const rest = checked(file, await file.read(file.size - size, more), more);
  const tail = new Uint8Array(size);
  tail.set(rest);
  tail.set(first, more);
  return tail;
}

async function readEnd(file: RangeFile, length: number, budget: Budget): Promise<Uint8Array> {
  budget.request(length);
  return checked(file, await file.read(file.size - length, length), length);
}

function parseFooter(tail: Uint8Array, fileSize: number): Footer {
  const end = tail.length - TRAILER;
  const start = end - viewOf(tail).getUint32(end, true);
  const isSealed = checkSeal(tail, start, end);
  const metadata = readMetadata(tail.subarray(start, end));
  if (metadata.rowCount > MAX_ROWS_PER_BYTE * fileSize)
    malformed(`it cannot have ${metadata.rowCount} rows in ${fileSize} bytes`);
  return { metadata, schema: readSchema(metadata.schema), tail, isSealed };
}

/** Checks the checksum of a footer of ours, as `write-checksum.ts` has it; false where the footer is another's. */
function checkSeal(tail: Uint8Array, start: number, end: number): boolean {
  const markAt = end - 1 - FOOTER_MARK.length;
  if (markAt - 4 < 0 || FOOTER_MARK.some((byte, i) => tail[markAt + i] !== byte)) return false;
  const at = markAt - 4;
  if (start > at) malformed('its footer does not have its checksum');
  const checksum = crc32(tail.subarray(end, end + 4), crc32(tail.subarray(start, at)));
  if (checksum !== viewOf(tail).getUint32(at, true)) malformed('its footer does not have its checksum');
  return true;
}
