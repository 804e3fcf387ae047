import { FileStoreError } from './error.ts';
import type { WriteOptions } from './file-store.ts';
import { preconditionFailed } from './parameter.ts';
import { collectUpTo, consuming, isStream, piecesOf } from './stream.ts';

/**
 * Bytes in a part, and the most that are held to be uploaded at once. R2 wants parts of 5 MiB at least,
 * all equal but the last, and no more than 10,000 (https://developers.cloudflare.com/r2/platform/limits/).
 */
const partBytes = 8 * 1024 * 1024;

/** Uploads bytes in one step with their checksum, under a condition. `null` where it does not hold. */
export async function putBytes(
  bucket: R2Bucket,
  key: string,
  bytes: Uint8Array,
  wanted: WriteOptions,
): Promise<R2Object | null> {
  // A checksum of what is here, so that R2 refuses an upload that arrives damaged or cut.
  const sha256 = await crypto.subtle.digest('SHA-256', bytes);
  return put(bucket, key, bytes, { ...metadataOf(wanted), sha256 }, wanted);
}

/**
 * Uploads a stream: one that fits into memory, or whose length is known, in one step under a condition;
 * others in parts, for which the condition is looked at before the first and before they are put
 * together. `null` where it does not hold.
 */
export async function putStream(
  bucket: R2Bucket,
  key: string,
  stream: ReadableStream<Uint8Array>,
  wanted: WriteOptions,
): Promise<R2Object | null> {
  const { size } = wanted;
  if (size !== undefined && size > partBytes) return putSized(bucket, key, stream, size, wanted);
  const data = await collectUpTo(stream, partBytes, size);
  return isStream(data)
    ? consuming(data, () => putParts(bucket, key, data, wanted))
    : putBytes(bucket, key, data, wanted);
}

/** One upload of a stream of known length. R2 takes a stream only if the runtime knows its length, too. */
async function putSized(
  bucket: R2Bucket,
  key: string,
  stream: ReadableStream<Uint8Array>,
  size: number,
  wanted: WriteOptions,
): Promise<R2Object | null> {
  const { readable, writable } = new FixedLengthStream(size);
  const writer = writable.getWriter();
  let failure: FileStoreError | undefined;
  const feed = async (): Promise<void> => {
    try {
      for await (const piece of piecesOf(stream, 65_536, size)) await writer.write(piece);
      await writer.close();
    } catch (error) {
      // Of the upload's own failure put() tells; here it is one of the stream.
      if (error instanceof FileStoreError) failure = error;
      await writer.abort(error);
    }
  };
  const feeding = feed().catch(() => undefined);
  try {
    return await put(bucket, key, readable, metadataOf(wanted), wanted);
  } catch (error) {
    throw failure ?? error;
  } finally {
    // Where R2 answered without having read all, this ends the feeding, which nobody waits for.
    writer.abort(new Error('The upload has ended.')).catch(() => undefined);
    void feeding;
  }
}

async function putParts(
  bucket: R2Bucket,
  key: string,
  stream: ReadableStream<Uint8Array>,
  wanted: WriteOptions,
): Promise<R2Object | null> {
  await checkObject(bucket, key, wanted);
  const upload = await bucket.createMultipartUpload(key, metadataOf(wanted));
  try {
    const parts: R2UploadedPart[] = [];
    for await (const piece of piecesOf(stream, partBytes))
      parts.push(await upload.uploadPart(parts.length + 1, piece));
    await checkObject(bucket, key, wanted);
    return await upload.complete(parts);
  } catch (error) {
    // Should this fail, too, R2 gives the upload up by itself after seven days.
    await upload.abort().catch(() => undefined);
    throw error;
  }
}

async function checkObject(
  bucket: R2Bucket,
  key: string,
  { ifAbsent, ifMatch }: WriteOptions,
): Promise<void> {
  if (!ifAbsent && ifMatch === undefined) return;
  const object = await bucket.head(key);
  if (ifAbsent ? object !== null : object?.etag !== ifMatch)
    throw preconditionFailed(key, { ifAbsent, ifMatch });
}

async function put(
  bucket: R2Bucket,
  key: string,
  data: Uint8Array | ReadableStream,
  options: R2PutOptions,
  { ifAbsent, ifMatch }: WriteOptions,
): Promise<R2Object | null> {
  if (ifAbsent) return bucket.put(key, data, { ...options, onlyIf: { etagDoesNotMatch: '*' } });
  if (ifMatch !== undefined) return bucket.put(key, data, { ...options, onlyIf: { etagMatches: ifMatch } });
  return bucket.put(key, data, options);
}

function metadataOf({ nonce }: WriteOptions): { customMetadata?: Record<string, string> } {
  return nonce === undefined ? {} : { customMetadata: { nonce } };
}
