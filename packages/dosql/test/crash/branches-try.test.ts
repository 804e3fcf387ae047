import { it } from 'vitest';
import { Workerd } from './workerd.ts';
it('try', { timeout: 120000 }, async () => {
  const w = await Workerd.create();
  await w.start();
  for (const name of ['make a branch of a branch']) {
    const ask = (a: string, b = {}) => w.ask<any>('Branched', name, a, { scenario: name, ...b });
    await ask('prepare');
    console.log(JSON.stringify(await ask('debug')).replaceAll('\\n','\n'));
  }
  await w.dispose();
});
