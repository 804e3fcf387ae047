import { expect, it } from 'vitest';
import { Workerd } from './workerd.ts';

// Not among the tests in workerd: vitest wraps every class in one that has alarm().
it('a class without alarm() opens, trims its log as it writes, and says that it cannot keep timers', async () => {
  const workerd = await Workerd.create();
  try {
    await workerd.start();
    const { body } = await workerd.ask<Record<string, unknown>>('Silent', 's', 'schedule', { times: 1_200 });
    expect(body).toMatchObject({ rows: 1_200, timers: [] });
    expect(body['refusal']).toContain('alarm()');
    expect(body['logged']).toBeLessThan(1_000);
  } finally {
    await workerd.dispose();
  }
});
