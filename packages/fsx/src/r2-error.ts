import { type FileStoreError, toFileStoreError } from './error.ts';

/**
 * R2's codes for what no repetition mends: credentials, permission, the bucket's name, entitlement and
 * too much metadata (https://developers.cloudflare.com/r2/api/error-codes/).
 */
const permanent = new Set([10002, 10003, 10005, 10006, 10012, 10018, 10035, 10042]);

/** R2's code for too many writes of one key, of which it takes about one a second. */
const tooManyRequests = 10058;

/** A second, after which R2 takes another write of the same key. */
const keyPauseMs = 1_000;

/**
 * What the bucket threw while doing `action`, with what R2's code says about trying again. The Workers
 * binding puts the code in brackets at the end of the message.
 */
export function r2Error(action: string, cause: unknown): FileStoreError {
  const message = cause instanceof Error ? cause.message : '';
  const code = Number(/\((\d+)\)\s*$/.exec(message)?.[1]);
  if (code === tooManyRequests || /\b429\b/.test(message))
    return toFileStoreError(action, cause, { retryAfterMs: keyPauseMs });
  return toFileStoreError(action, cause, permanent.has(code) ? { retryable: false } : {});
}
