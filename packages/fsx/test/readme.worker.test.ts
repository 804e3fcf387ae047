import { runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, inject, it } from 'vitest';

it('The example in the README is the code that this test runs', () => {
  expect(inject('readme')).toContain(`\`\`\`ts\n${inject('example')}\`\`\``);
});

it('The example in the README works as it says', async () => {
  const notes = env.NOTES.get(env.NOTES.newUniqueId());
  const etag = await notes.save('shopping.md', 'milk');
  await notes.save('shopping.md', 'milk, bread', etag);
  await notes.save('scans/receipt.txt', 'x'.repeat(200_000));
  expect(await notes.load('shopping.md')).toBe('milk, bread');
  expect(await notes.load('nothing.md')).toBeNull();
  expect(await runDurableObjectAlarm(notes)).toBe(true);
  expect(await runDurableObjectAlarm(notes)).toBe(true);
  expect(await notes.titles()).toEqual([
    'scans/receipt.txt: 200000 bytes, cold',
    'shopping.md: 11 bytes, hot',
  ]);
});
