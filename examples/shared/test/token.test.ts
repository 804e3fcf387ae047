import { afterEach, expect, it, vi } from 'vitest';
import { issueToken, readToken } from '../src/token.ts';

const SECRET = 'a secret of these tests';
const ANOTHER = 'another one, just as long';

afterEach(() => vi.useRealTimers());

it('a token that was seen before holds no longer than it says', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const token = await issueToken(SECRET, { aud: 'acme', sub: 'ada' }, '1h');
  expect(await readToken(SECRET, token)).toMatchObject({ aud: 'acme', sub: 'ada' });
  vi.setSystemTime(Date.now() + 3_599_000);
  expect(await readToken(SECRET, token)).toMatchObject({ aud: 'acme', sub: 'ada' });
  vi.setSystemTime(Date.now() + 1_000);
  expect(await readToken(SECRET, token)).toBeUndefined();
});

it('a token that was seen before opens nothing once the secret is another', async () => {
  const token = await issueToken(SECRET, { aud: 'acme', sub: 'ada' });
  expect(await readToken(SECRET, token)).toMatchObject({ sub: 'ada' });
  expect(await readToken(ANOTHER, token)).toBeUndefined();
});

it('a token that differs from one that was seen in its last letter opens nothing', async () => {
  const token = await issueToken(SECRET, { aud: 'acme', sub: 'ada' });
  expect(await readToken(SECRET, token)).toMatchObject({ sub: 'ada' });
  // Four of the last letter's six bits are of the signature.
  const other = token.endsWith('A') ? 'Q' : 'A';
  expect(await readToken(SECRET, token.slice(0, -1) + other)).toBeUndefined();
});
