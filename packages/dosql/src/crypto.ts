import { DoSQLError } from './error.ts';

/** A secret: random bytes, or text whose UTF-8 is taken. Use 32 random bytes, or text that holds as many. */
export type SecretKey = string | Uint8Array;

/** Several keys by id: `current` encrypts and signs, the others still decrypt. */
export interface KeyRing {
  readonly current: string;
  readonly keys: Readonly<Record<string, SecretKey>>;
}

/** What {@link createCrypto} works with. */
export interface CryptoOptions {
  /** One key, whose id is then `1`, or several by id. Without it `hash`, `randomId` and `equal` work. */
  readonly key?: SecretKey | KeyRing | undefined;
  /** That many bytes that nobody can predict; default `crypto.getRandomValues`. */
  readonly random?: ((sizeBytes: number) => Uint8Array) | undefined;
}

/**
 * Hashing, signing and encryption of values, on WebCrypto.
 *
 * Text is taken as UTF-8, so text with a lone surrogate is refused with `BAD_PARAMETER`; a value of
 * another type is too.
 */
export interface Crypto {
  /** SHA-256, as 64 hex digits. */
  hash(data: string | Uint8Array): Promise<string>;
  /**
   * HMAC-SHA-256 with the current key, as 64 hex digits. It tells no key id: after a rotation the same
   * data gives another value.
   *
   * Rejects with `BAD_PARAMETER` where there is no key.
   */
  hmac(data: string | Uint8Array): Promise<string>;
  /**
   * Encrypts text with AES-256-GCM under the current key, as `v1.<key id>.<base64url>`, the last part
   * being 12 bytes of random IV, the ciphertext and 16 bytes of tag. The same text gives another result
   * each time. One key is good for 2^32 encryptions, by the odds of an IV coming twice (NIST SP 800-38D, 8.3).
   *
   * Rejects with `BAD_PARAMETER` where there is no key.
   */
  encrypt(text: string): Promise<string>;
  /**
   * The text that `encrypt` was given, under whichever key of the ring it names.
   *
   * Rejects with `DECRYPT_FAILED` where the input is malformed, was changed in any bit, or names a key
   * that is not in the ring, and with `BAD_PARAMETER` where there is no key at all.
   */
  decrypt(encrypted: string): Promise<string>;
  /** A random id of `sizeBytes` bytes, 1 to 1,024 and 16 by default, as base64url without padding: 22 characters. */
  randomId(sizeBytes?: number): string;
  /**
   * Whether two texts or two byte arrays are the same, in a time that depends on their lengths only.
   * Throws `BAD_PARAMETER` where they are not both of one type.
   */
  equal(a: string | Uint8Array, b: string | Uint8Array): boolean;
}

/**
 * Hashing, signing and encryption for what an application keeps in its database.
 *
 * Signing and encryption each use a key of their own, derived from the given one with HKDF-SHA-256, so
 * what one gives away tells nothing of the other. HKDF does not slow down guessing: a password is no key.
 *
 * To rotate, add a key and make it current, and keep the old one until nothing is encrypted with it.
 *
 * @throws {DoSQLError} `BAD_PARAMETER` for a key that is empty or of another type, an id that is empty or
 * has a `.`, or a `current` that is not among the keys
 *
 * @example
 * const crypto = createCrypto({ key: { current: '2026-11', keys: { '2026-11': env.KEY, '1': env.OLD_KEY } } });
 * const stored = await crypto.encrypt('4242 4242 4242 4242'); // v1.2026-11.rX0…
 * await crypto.decrypt(stored); // '4242 4242 4242 4242'
 */
export function createCrypto(options: CryptoOptions = {}): Crypto {
  return new WebCrypto(readKeys(options.key), options.random ?? randomBytes);
}

const encoder = new TextEncoder();
/** Two digits for each byte. */
const hexDigits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

const version = 'v1';
const ivBytes = 12;
const tagBytes = 16;

/** What HKDF is told a key is for. Changing one makes what was signed or encrypted with it unreadable. */
const purpose = { hmac: 'dosql v1 hmac-sha-256', encrypt: 'dosql v1 aes-256-gcm' };

interface Keys {
  readonly current: string;
  /** A map, because an id may be the name of something every object has. */
  readonly byId: ReadonlyMap<string, DerivedKeys>;
}

class DerivedKeys {
  readonly #secret: Uint8Array<ArrayBuffer>;
  #hmac: Promise<CryptoKey> | undefined;
  #encrypt: Promise<CryptoKey> | undefined;

  constructor(secret: Uint8Array<ArrayBuffer>) {
    this.#secret = secret;
  }

  get hmac(): Promise<CryptoKey> {
    return (this.#hmac ??= this.#derive(purpose.hmac, { name: 'HMAC', hash: 'SHA-256', length: 256 }, [
      'sign',
    ]));
  }

  get encrypt(): Promise<CryptoKey> {
    return (this.#encrypt ??= this.#derive(purpose.encrypt, { name: 'AES-GCM', length: 256 }, [
      'encrypt',
      'decrypt',
    ]));
  }

  async #derive(
    info: string,
    algorithm: SubtleCryptoImportKeyAlgorithm,
    usages: string[],
  ): Promise<CryptoKey> {
    const secret = await crypto.subtle.importKey('raw', this.#secret, 'HKDF', false, ['deriveKey']);
    const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: utf8(info) };
    return crypto.subtle.deriveKey(hkdf, secret, algorithm, false, usages);
  }
}

class WebCrypto implements Crypto {
  readonly #keys: Keys | undefined;
  readonly #random: (sizeBytes: number) => Uint8Array;

  constructor(keys: Keys | undefined, random: (sizeBytes: number) => Uint8Array) {
    this.#keys = keys;
    this.#random = random;
  }

  async hash(data: string | Uint8Array): Promise<string> {
    return toHex(await crypto.subtle.digest('SHA-256', toBytes(data)));
  }

  async hmac(data: string | Uint8Array): Promise<string> {
    const [, key] = this.#current('hmac');
    return toHex(await crypto.subtle.sign('HMAC', await key.hmac, toBytes(data)));
  }

  async encrypt(text: string): Promise<string> {
    const [id, key] = this.#current('encrypt');
    const plaintext = utf8(text);
    const iv = this.#randomBytes(ivBytes);
    const header = `${version}.${id}`;
    const algorithm = { name: 'AES-GCM', iv, additionalData: utf8(header) };
    const ciphertext = new Uint8Array(await crypto.subtle.encrypt(algorithm, await key.encrypt, plaintext));
    const body = new Uint8Array(ivBytes + ciphertext.length);
    body.set(iv);
    body.set(ciphertext, ivBytes);
    return `${header}.${toBase64url(body)}`;
  }

  async decrypt(encrypted: string): Promise<string> {
    if (typeof encrypted !== 'string')
      throw bad(`decrypt() takes text that encrypt() made, not ${typeof encrypted}.`);
    const keys = this.#ring('decrypt');
    const [prefix, id, encoded, ...rest] = encrypted.split('.');
    const body = encoded === undefined || rest.length > 0 ? undefined : fromBase64url(encoded);
    if (prefix !== version || id === undefined || body === undefined || body.length < ivBytes + tagBytes) {
      throw failed(
        'The text was not made by encrypt(), or was cut: it has to be v1.<key id>.<base64url>. Pass it whole and unchanged.',
      );
    }
    const key = keys.byId.get(id);
    if (key === undefined) {
      throw failed(
        `The text is encrypted with the key ${JSON.stringify(id)}, which is not among the keys ${[...keys.byId.keys()].map((known) => JSON.stringify(known)).join(', ')}; add it to createCrypto({ key: { keys } }).`,
      );
    }
    const algorithm = {
      name: 'AES-GCM',
      iv: body.subarray(0, ivBytes),
      additionalData: utf8(`${version}.${id}`),
    };
    const secret = await key.encrypt;
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        await crypto.subtle.decrypt(algorithm, secret, body.subarray(ivBytes)),
      );
    } catch (cause) {
      throw failed(
        `The text does not decrypt with the key ${JSON.stringify(id)}: it was changed, or encrypted with another key under that id. Restore it, or the key.`,
        cause,
      );
    }
  }

  randomId(sizeBytes = 16): string {
    if (!Number.isInteger(sizeBytes) || sizeBytes < 1 || sizeBytes > 1024) {
      throw bad(`randomId() takes a whole number of bytes from 1 to 1024, not ${String(sizeBytes)}.`);
    }
    return toBase64url(this.#randomBytes(sizeBytes));
  }

  equal(a: string | Uint8Array, b: string | Uint8Array): boolean {
    // Texts by their code units: encoding would make every lone surrogate the same.
    if (typeof a === 'string' && typeof b === 'string')
      return same(a.length, b.length, (i) => a.charCodeAt(i) ^ b.charCodeAt(i));
    if (a instanceof Uint8Array && b instanceof Uint8Array)
      return same(a.length, b.length, (i) => (a[i] ?? 0) ^ (b[i] ?? 0));
    throw bad('equal() takes two strings or two Uint8Arrays; encode the text to compare it with bytes.');
  }

  #ring(method: string): Keys {
    if (this.#keys === undefined) throw bad(`${method}() needs a key; pass one to createCrypto({ key }).`);
    return this.#keys;
  }

  #current(method: string): [id: string, key: DerivedKeys] {
    const { current, byId } = this.#ring(method);
    const key = byId.get(current);
    if (key === undefined) throw new TypeError(`unreachable: no key ${current}`);
    return [current, key];
  }

  #randomBytes(sizeBytes: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#random(sizeBytes);
    if (!(bytes instanceof Uint8Array) || bytes.length !== sizeBytes)
      throw bad(`random(${sizeBytes}) did not return ${sizeBytes} bytes.`);
    return new Uint8Array(bytes);
  }
}

function readKeys(key: SecretKey | KeyRing | undefined): Keys | undefined {
  if (key === undefined) return undefined;
  if (typeof key === 'string' || key instanceof Uint8Array)
    return readKeys({ current: '1', keys: { '1': key } });
  if (typeof key !== 'object' || key === null || typeof key.keys !== 'object' || key.keys === null) {
    throw bad('key is neither text, bytes nor { current, keys }; pass one of these.');
  }
  const byId = new Map<string, DerivedKeys>();
  for (const [id, secret] of Object.entries(key.keys)) {
    if (id === '' || id.includes('.') || !id.isWellFormed())
      throw bad(
        `The key id ${JSON.stringify(id)} is empty or has a "." or a lone surrogate, so a ciphertext cannot name it; choose another.`,
      );
    const bytes = typeof secret === 'string' || secret instanceof Uint8Array ? toBytes(secret) : undefined;
    if (bytes === undefined || bytes.length === 0)
      throw bad(
        `The key ${JSON.stringify(id)} is ${bytes ? 'empty' : typeof secret}; it has to be text or a Uint8Array, best of 32 random bytes.`,
      );
    byId.set(id, new DerivedKeys(bytes));
  }
  if (!byId.has(key.current))
    throw bad(
      `current is ${JSON.stringify(key.current)}, which is not among the ids in keys; name one of them.`,
    );
  return { current: key.current, byId };
}

function randomBytes(sizeBytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(sizeBytes));
}

/** Compares every position whatever the first ones show, so that the time taken does not tell where they differ. */
function same(lengthA: number, lengthB: number, difference: (index: number) => number): boolean {
  if (lengthA !== lengthB) return false;
  let found = 0;
  for (let i = 0; i < lengthA; i++) found |= difference(i);
  return found === 0;
}

/** A copy of the bytes, or the UTF-8 of the text, so that what the caller changes later is not read. */
function toBytes(data: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return data instanceof Uint8Array ? new Uint8Array(data) : utf8(data);
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  if (typeof text !== 'string')
    throw bad(
      `The value is ${text === null ? 'null' : typeof text}; pass text, or a Uint8Array where bytes are taken.`,
    );
  if (!text.isWellFormed())
    throw bad(
      'The text has a lone surrogate, which UTF-8 cannot hold; remove it, or encode the text otherwise.',
    );
  return encoder.encode(text) as Uint8Array<ArrayBuffer>;
}

function toHex(buffer: ArrayBuffer): string {
  let hex = '';
  for (const byte of new Uint8Array(buffer)) hex += hexDigits[byte];
  return hex;
}

function toBase64url(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** The bytes, or undefined where the text is not exactly what {@link toBase64url} gives, down to unused bits. */
function fromBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  return toBase64url(bytes) === text ? bytes : undefined;
}

function bad(message: string): DoSQLError {
  return new DoSQLError('BAD_PARAMETER', message);
}

function failed(message: string, cause?: unknown): DoSQLError {
  return new DoSQLError('DECRYPT_FAILED', message, { cause });
}
