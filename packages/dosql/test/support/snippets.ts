import { expect } from 'vitest';

const squeeze = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** Every block of TypeScript in the texts stands in `code`, up to white space. */
export function expectSnippetsIn(code: string, texts: readonly string[]): void {
  const run = squeeze(code);
  for (const text of texts) {
    const blocks = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] as string);
    expect(blocks.length).toBeGreaterThan(0);
    for (const block of blocks) expect(run).toContain(squeeze(block));
  }
}
