import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCrypto, type CryptoOptions } from '../src/crypto.ts';

const key = 'a key of thirty-two bytes, or so.';
const otherKey = new Uint8Array(32).fill(7);
const wellFormed = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed());

const code = (code: string): unknown => expect.objectContaining({ name: 'DoSQLError', code });

describe('createCrypto', () => {
  it('refuses keys that it cannot use, and names them', () => {
    const refused: [unknown, string][] = [
      ['', 'is empty'],
      [new Uint8Array(0), 'is empty'],
      [42, 'neither text, bytes'],
      [null, 'neither text, bytes'],
      [{ current: 'a' }, 'neither text, bytes'],
      [{ current: 'b', keys: { a: key } }, 'current is "b"'],
      [{ current: 'a', keys: { a: 7 } }, 'The key "a" is number'],
      [{ current: 'a', keys: { a: '\ud800' } }, 'surrogate'],
      [{ current: 'a.b', keys: { 'a.b': key } }, 'The key id "a.b"'],
      [{ current: '', keys: { '': key } }, 'The key id ""'],
      [{ current: 'a', keys: { a: key, '\ud800': key } }, 'The key id "\\ud800"'],
    ];
    for (const [key, words] of refused) {
      const create = (): unknown => createCrypto({ key } as CryptoOptions);
      expect(create).toThrow(words);
      expect(create).toThrow(code('BAD_PARAMETER'));
    }
  });

  it('works without a key where none is needed, and says so where one is', async () => {
    const crypto = createCrypto();
    expect(await crypto.hash('x')).toHaveLength(64);
    expect(crypto.randomId()).toHaveLength(22);
    await expect(crypto.hmac('x')).rejects.toThrow('hmac() needs a key; pass one to createCrypto({ key })');
    for (const work of [crypto.hmac('x'), crypto.encrypt('x'), crypto.decrypt('v1.1.AAAA')]) {
      await expect(work).rejects.toThrow(code('BAD_PARAMETER'));
    }
  });

  it('keeps the key it was given, whatever happens to the bytes later', async () => {
    const bytes = new Uint8Array(otherKey);
    const crypto = createCrypto({ key: bytes });
    bytes.fill(0);
    expect(await crypto.hmac('x')).toBe(await createCrypto({ key: otherKey }).hmac('x'));
  });

  it('takes the UTF-8 of a key that is text', async () => {
    const bytes = new TextEncoder().encode(key);
    expect(await createCrypto({ key }).hmac('x')).toBe(await createCrypto({ key: bytes }).hmac('x'));
  });
});

describe('hash', () => {
  it('is SHA-256 in hex, of text and of bytes', async () => {
    const crypto = createCrypto();
    // The examples of FIPS 180-4.
    expect(await crypto.hash('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(await crypto.hash('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(await crypto.hash(new Uint8Array([0, 97, 98, 99]).subarray(1))).toBe(await crypto.hash('abc'));
  });

  it('refuses what is neither text nor bytes', async () => {
    const crypto = createCrypto();
    for (const value of [undefined, null, 7, {}, '\udc00']) {
      await expect(crypto.hash(value as string)).rejects.toThrow(code('BAD_PARAMETER'));
    }
  });
});

describe('hmac', () => {
  it('is HMAC-SHA-256 with a key derived by HKDF', async () => {
    // Computed with node:crypto: hkdfSync('sha256', key, '', 'dosql v1 hmac-sha-256', 32).
    const expected = 'a6211325ea743bc9e61fc666b21557aeb2fdd83f51ad5ae14ac3f1a0893904ac';
    expect(await createCrypto({ key }).hmac('hello')).toBe(expected);
    expect(await createCrypto({ key }).hmac(new TextEncoder().encode('hello'))).toBe(expected);
  });

  it('differs with the key and with the data', async () => {
    const values = await Promise.all([
      createCrypto({ key }).hmac('a'),
      createCrypto({ key }).hmac('b'),
      createCrypto({ key: otherKey }).hmac('a'),
    ]);
    expect(new Set(values).size).toBe(3);
  });
});

describe('encrypt and decrypt', () => {
  it('give back any text', async () => {
    const crypto = createCrypto({ key });
    await fc.assert(
      fc.asyncProperty(wellFormed, async (text) => {
        const encrypted = await crypto.encrypt(text);
        expect(encrypted).toMatch(/^v1\.1\.[\w-]+$/);
        expect(await crypto.decrypt(encrypted)).toBe(text);
      }),
      { examples: [[''], ['\ufeffwith a byte order mark'], ['\0'], ['🎈'.repeat(10_000)]] },
    );
  });

  it('read what version 1 wrote', async () => {
    // Computed with node:crypto: aes-256-gcm, key from HKDF, IV 0 to 11, additional data "v1.1".
    const written = 'v1.1.AAECAwQFBgcICQoLHQeVWVif-DMKZndjuvjQGfTn-o6n';
    const random = (sizeBytes: number): Uint8Array => Uint8Array.from({ length: sizeBytes }, (_, i) => i);
    expect(await createCrypto({ key }).decrypt(written)).toBe('hello');
    expect(await createCrypto({ key, random }).encrypt('hello')).toBe(written);
  });

  it('give another result each time', async () => {
    const crypto = createCrypto({ key });
    const results = await Promise.all(Array.from({ length: 50 }, () => crypto.encrypt('the same')));
    expect(new Set(results).size).toBe(50);
  });

  it('refuse a text with any one bit changed', async () => {
    const crypto = createCrypto({ key: { current: 'b', keys: { a: key, b: key, c: key } } });
    // Of a length that leaves unused bits in the last base64url digit, which have to count too.
    const encrypted = await crypto.encrypt('attack at dawn!');
    expect((encrypted.split('.')[2] ?? '').length % 4).toBe(2);
    for (let i = 0; i < encrypted.length; i++) {
      for (let bit = 0; bit < 16; bit++) {
        const changed =
          encrypted.slice(0, i) +
          String.fromCharCode(encrypted.charCodeAt(i) ^ (1 << bit)) +
          encrypted.slice(i + 1);
        await expect(crypto.decrypt(changed)).rejects.toThrow(code('DECRYPT_FAILED'));
      }
    }
    expect(await crypto.decrypt(encrypted)).toBe('attack at dawn!');
  });

  it('refuse what is cut, joined or made up', async () => {
    const crypto = createCrypto({ key });
    const encrypted = await crypto.encrypt('hello');
    const [, , body = ''] = encrypted.split('.');
    const malformed = [
      '',
      '.',
      'v1',
      'v1.1',
      'v1.1.',
      'v1..',
      'hello',
      `v2.1.${body}`,
      `v1.1.${body}.`,
      `v1.1.${body}=`,
      `v1.1. ${body}`,
      `${encrypted}\n`,
      `v1.1.${'A'.repeat(36)}`,
      `v1.1.${body}${body}`,
    ];
    for (const text of malformed) await expect(crypto.decrypt(text)).rejects.toThrow(code('DECRYPT_FAILED'));
    for (let end = 0; end < encrypted.length; end++) {
      await expect(crypto.decrypt(encrypted.slice(0, end))).rejects.toThrow(code('DECRYPT_FAILED'));
    }
    await expect(crypto.decrypt(new Uint8Array(3) as unknown as string)).rejects.toThrow(
      code('BAD_PARAMETER'),
    );
    await expect(crypto.encrypt(7 as unknown as string)).rejects.toThrow(code('BAD_PARAMETER'));
    await expect(crypto.encrypt('\ud83c')).rejects.toThrow('lone surrogate');
  });

  it('refuse a text moved to the id of another key, even one with the same secret', async () => {
    const crypto = createCrypto({ key: { current: 'a', keys: { a: key, b: key } } });
    const encrypted = await crypto.encrypt('hello');
    await expect(crypto.decrypt(encrypted.replace('v1.a.', 'v1.b.'))).rejects.toThrow(code('DECRYPT_FAILED'));
  });

  it('keep reading under the old key after a rotation, until it is taken away', async () => {
    const before = createCrypto({ key });
    const old = await before.encrypt('old');
    const rotated = createCrypto({ key: { current: '2026-11', keys: { '1': key, '2026-11': otherKey } } });
    expect(await rotated.decrypt(old)).toBe('old');
    const fresh = await rotated.encrypt('new');
    expect(fresh).toMatch(/^v1\.2026-11\./);
    expect(await rotated.hmac('x')).toBe(await createCrypto({ key: otherKey }).hmac('x'));
    const retired = createCrypto({ key: { current: '2026-11', keys: { '2026-11': otherKey } } });
    expect(await retired.decrypt(fresh)).toBe('new');
    await expect(retired.decrypt(old)).rejects.toThrow('the key "1", which is not among the keys "2026-11"');
    await expect(before.decrypt(fresh)).rejects.toThrow(code('DECRYPT_FAILED'));
  });

  it('say when the key under the id is another', async () => {
    const encrypted = await createCrypto({ key }).encrypt('hello');
    const work = createCrypto({ key: otherKey }).decrypt(encrypted);
    await expect(work).rejects.toThrow(code('DECRYPT_FAILED'));
    await expect(work).rejects.toThrow('encrypted with another key under that id');
  });

  it('take no key id from what every object has', async () => {
    const crypto = createCrypto({ key });
    const [, , body = ''] = (await crypto.encrypt('hello')).split('.');
    for (const id of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      await expect(crypto.decrypt(`v1.${id}.${body}`)).rejects.toThrow(`the key "${id}", which is not among`);
      expect(() => createCrypto({ key: { current: id, keys: { a: key } } })).toThrow(code('BAD_PARAMETER'));
    }
    const keys = JSON.parse(JSON.stringify({ a: key }).replace('"a"', '"__proto__"')) as Record<
      string,
      string
    >;
    const own = createCrypto({ key: { current: '__proto__', keys } });
    expect(await own.decrypt(await own.encrypt('hello'))).toBe('hello');
    expect(({} as Record<string, unknown>)['a']).toBeUndefined();
  });
});

describe('randomId', () => {
  it('is base64url of as many bytes as asked for', () => {
    const crypto = createCrypto();
    expect(crypto.randomId()).toMatch(/^[\w-]{22}$/);
    expect(crypto.randomId(1)).toMatch(/^[\w-]{2}$/);
    expect(crypto.randomId(1024)).toHaveLength(1366);
    expect(new Set(Array.from({ length: 1000 }, () => crypto.randomId())).size).toBe(1000);
  });

  it('refuses other lengths, and a random source that keeps bytes back', () => {
    for (const size of [0, -1, 1.5, NaN, 1025, '16']) {
      expect(() => createCrypto().randomId(size as number)).toThrow(code('BAD_PARAMETER'));
    }
    const short = createCrypto({ random: () => new Uint8Array(3) });
    expect(() => short.randomId()).toThrow('random(16) did not return 16 bytes');
  });
});

describe('equal', () => {
  it('agrees with ===, for texts and for bytes', () => {
    const crypto = createCrypto();
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 3 }),
        fc.string({ unit: 'binary', maxLength: 3 }),
        (a, b) => {
          expect(crypto.equal(a, b)).toBe(a === b);
          expect(crypto.equal(a, a.split('').join(''))).toBe(true);
        },
      ),
      {
        examples: [
          ['', ''],
          ['a', 'a\0'],
          ['\ud800', '\ufffd'],
          ['é', 'e\u0301'],
        ],
      },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ maxLength: 3 }), (a, b) => {
        expect(crypto.equal(a, b)).toBe(a.join() === b.join());
        expect(crypto.equal(a, new Uint8Array(a))).toBe(true);
      }),
    );
  });

  it('refuses to compare text with bytes, or anything else', () => {
    const crypto = createCrypto();
    expect(() => crypto.equal('a', new Uint8Array([97]))).toThrow(code('BAD_PARAMETER'));
    expect(() => crypto.equal(undefined as unknown as string, undefined as unknown as string)).toThrow(
      code('BAD_PARAMETER'),
    );
  });
});
