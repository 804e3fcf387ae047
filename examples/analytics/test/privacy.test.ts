import { describe, expect, it } from 'vitest';
import { createCrypto } from '@dotdo/dosql/crypto';
import { regionOf, regionStub } from '../src/placement.ts';
import { Cleaner, ipNetwork, pagePath } from '../src/privacy.ts';
import type { Env } from '../src/worker.ts';

it.each([
  ['203.0.113.77', '203.0.113.0/24'],
  ['::ffff:203.0.113.77', '203.0.113.0/24'],
  ['2001:db8:abcd:12::77', '2001:db8:abcd::/48'],
  ['2001:0DB8:00ab:0012:0000:0000:0000:0077', '2001:db8:ab::/48'],
  ['2001:db8::77', '2001:db8:0::/48'],
  ['::1', '0:0:0::/48'],
  ['fe80::1:2:3:4', 'fe80:0:0::/48'],
  ['nonsense', null],
])('of the address %s it keeps %s', (address, network) => {
  expect(ipNetwork(address)).toBe(network);
});

it.each([
  ['https://a.example/pricing?email=jane@x.example#jane', '/pricing'],
  ['https://a.example/', '/'],
  ['https://a.example/users/jane@x.example/edit', '/users/:id/edit'],
  ['https://a.example/users/jane%40x.example', '/users/:id'],
  ['https://a.example/orders/1234567', '/orders/:id'],
  ['https://a.example/blog/2026/hello-world', '/blog/2026/hello-world'],
  ['https://a.example/r/4f0c1f0e-6f2b-4d2e-9f5e-0d7b4d2c1a3b', '/r/:id'],
  ['https://a.example/t/deadbeefdeadbeef', '/t/:id'],
  [`https://a.example/t/${'x'.repeat(60)}`, '/t/:id'],
  ['https://a.example/%E0%A4%A', '/:id'],
  ['https://a.example/*', '/:id'],
])('of %s it keeps the page %s', (url, path) => {
  expect(pagePath(url)).toBe(path);
});

it('hashes a person alike in all regions of a site, and otherwise on any other site and with any other key', async () => {
  const hash = (key: string, site: string, user: string): Promise<string> =>
    new Cleaner(createCrypto({ key })).userHash(site, user);
  const first = await hash('key', 'acme', 'jane');
  expect(first).toMatch(/^[\da-f]{32}$/);
  expect(await hash('key', 'acme', 'jane')).toBe(first);
  const others = await Promise.all([
    hash('key', 'globex', 'jane'),
    hash('other', 'acme', 'jane'),
    hash('key', 'acme', 'Jane'),
  ]);
  expect(new Set([first, ...others]).size).toBe(4);
});

describe('the hashes of who was there lately', () => {
  const asked: unknown[] = [];
  const counting = (): Cleaner => {
    const crypto = createCrypto({ key: 'key' });
    asked.length = 0;
    return new Cleaner({ hmac: (data) => (asked.push(data), crypto.hmac(data)) });
  };
  const event = (userId: string) => ({
    id: 'an-event',
    sessionId: 'a session',
    userId,
    eventType: 'click',
    pageUrl: 'https://a.example/',
    timestamp: 0,
  });

  it('are made once a person, of each site apart, and are those of someone who comes anew', async () => {
    const cleaner = counting();
    const first = await cleaner.clean('acme', [event('jane'), event('joe'), event('jane')], null, 0);
    expect(asked.length).toBe(3);
    expect(await cleaner.clean('acme', [event('jane'), event('joe'), event('jane')], null, 59_999)).toEqual(
      first,
    );
    expect(asked.length).toBe(3);
    expect(await new Cleaner(createCrypto({ key: 'key' })).userHash('acme', 'jane')).toBe(first[0]?.[4]);
    const [elsewhere] = await cleaner.clean('globex', [event('jane')], null, 0);
    expect(elsewhere?.[4]).not.toBe(first[0]?.[4]);
    expect(asked.length).toBe(5);
  });

  it('are forgotten after a minute, and when there are too many', async () => {
    const cleaner = counting();
    const ask = (users: readonly string[], nowMs: number) =>
      cleaner.clean('acme', users.map(event), null, nowMs);
    await ask(['jane'], 0);
    await ask(['jane'], 60_000);
    expect(asked.length).toBe(4);
    const crowd = Array.from({ length: 10_000 }, (_, i) => `user ${i}`);
    await ask(crowd, 60_001);
    expect(asked.length).toBe(4 + crowd.length);
    await ask(['jane'], 60_002);
    expect(asked.length).toBe(4 + crowd.length + 2);
  });
});

it('keeps events of the European Union in it, wherever they are from, and those from nowhere, too', () => {
  expect(regionOf({ continent: 'EU' })).toBe('eu');
  // Réunion.
  expect(regionOf({ continent: 'AF', isEUCountry: '1' })).toBe('eu');
  expect(regionOf({ continent: 'NA' })).toBe('na');
  expect(regionOf({ continent: 'AN' })).toBe('eu');
  expect(regionOf({})).toBe('eu');
  expect(regionOf()).toBe('eu');
});

it('places Europe by jurisdiction, which is never given up, and the others by hint', () => {
  const asked: unknown[] = [];
  const namespace = (jurisdiction?: string): unknown => ({
    jurisdiction: (name: string) => namespace(name),
    getByName: (name: string, options?: object) => asked.push([jurisdiction, name, options]),
  });
  const env = { REGION: namespace() } as Env;
  regionStub(env, 'acme', 'eu');
  regionStub(env, 'acme', 'as');
  regionStub({ ...env, LOCAL_PLACEMENT: 'yes' }, 'acme', 'eu');
  expect(asked).toEqual([
    ['eu', 'acme/eu', undefined],
    [undefined, 'acme/as', { locationHint: 'apac' }],
    [undefined, 'acme/eu', undefined],
  ]);
});
