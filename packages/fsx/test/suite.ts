import { describe, expect, it } from 'vitest';
import type { FileStoreErrorCode } from '../src/index.ts';
import { conformance, type WithStore } from '../src/testing/index.ts';

/** Checks that `work` fails with a FileStoreError of this code whose message has all of `words`. */
export async function expectError(
  work: Promise<unknown>,
  code: FileStoreErrorCode,
  ...words: string[]
): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'FileStoreError', code });
  for (const word of words) expect((error as Error).message).toContain(word);
}

/** The conformance suite as tests of this runner. */
export function testConformance(name: string, create: WithStore): void {
  describe(`${name}: a file store`, () => {
    for (const { name, run } of conformance(create)) it(name, run);
  });
}
