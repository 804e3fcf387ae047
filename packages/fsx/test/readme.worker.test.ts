import { runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, inject, it } from 'vitest';

it('The examples in the README are the code that is tested', () => {
  for (const example of inject('examples')) expect(inject('readme')).toContain(`\`\`\`ts\n${example}\`\`\``);
});

it('The example in the README of notes works as it says', async () => {
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

it('The example in the README of scans streams them', async () => {
  const notes = env.NOTES.get(env.NOTES.newUniqueId());
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i);
  const url = 'https://notes/receipt.png';
  const put = await notes.fetch(url, { method: 'PUT', body: bytes });
  expect(put.status).toBe(201);
  const unsized = new Response(bytes).body?.pipeThrough(new TransformStream<Uint8Array, Uint8Array>());
  await notes.fetch(`${url}2`, { method: 'PUT', body: unsized ?? null });
  for (const got of [await notes.fetch(url), await notes.fetch(`${url}2`)])
    expect(new Uint8Array(await got.arrayBuffer())).toEqual(bytes);
  const none = await notes.fetch('https://notes/none');
  expect([none.status, await none.text()]).toEqual([404, '']);
  expect(await notes.titles()).toEqual([
    'scans/receipt.png: 300000 bytes, cold',
    'scans/receipt.png2: 300000 bytes, cold',
  ]);
});

it('The example in the README of a transaction counts versions', async () => {
  const page = env.PAGE.get(env.PAGE.newUniqueId());
  expect([await page.publish('<p>1</p>'), await page.publish('<p>2</p>')]).toEqual([1, 2]);
});
