import { decodeBase64, encodeBase64 } from '../base64.ts';

const PREFIX = 'whsec_';
const VERSION = 'v1';

/**
 * The key of a Standard Webhooks secret: base64, with or without `whsec_` before it.
 *
 * @throws TypeError for what is no base64, or fewer than 24 bytes.
 */
export function secretBytes(secret: string): Uint8Array<ArrayBuffer> {
  const bytes = bytesOf(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret);
  if (bytes !== undefined && bytes.length >= 24) return bytes;
  throw new TypeError("a webhook's secret is base64 of 24 to 64 random bytes, with whsec_ before it");
}

/** The key for signing and verifying. */
export function secretKey(secret: string): Promise<CryptoKey> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  return crypto.subtle.importKey('raw', secretBytes(secret), algorithm, false, ['sign', 'verify']);
}

/** The `webhook-signature` of a message: one for each key, so that secrets can be rotated. */
export async function sign(
  keys: readonly CryptoKey[],
  id: string,
  seconds: number,
  body: string,
): Promise<string> {
  const signed = signedBytes(id, seconds, body);
  const signatures = keys.map(async (key) => {
    const bytes = new Uint8Array(await crypto.subtle.sign('HMAC', key, signed));
    return `${VERSION},${encodeBase64(bytes)}`;
  });
  return (await Promise.all(signatures)).join(' ');
}

/** Whether one of the signatures in the header is one of these keys'; compared in constant time. */
export async function isSigned(
  keys: readonly CryptoKey[],
  id: string,
  seconds: number,
  body: string,
  header: string,
): Promise<boolean> {
  const signed = signedBytes(id, seconds, body);
  const signatures = header.split(' ').filter((text) => text.startsWith(`${VERSION},`));
  for (const text of signatures.slice(0, 10)) {
    const signature = bytesOf(text.slice(VERSION.length + 1));
    if (signature === undefined) continue;
    for (const key of keys) if (await crypto.subtle.verify('HMAC', key, signature, signed)) return true;
  }
  return false;
}

function signedBytes(id: string, seconds: number, body: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${id}.${seconds}.${body}`) as Uint8Array<ArrayBuffer>;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return decodeBase64(base64);
  } catch {
    return undefined;
  }
}
