import { afterAll, describe, expect, it } from 'vitest';
import { Project, readGuide } from './project.ts';

const project = new Project(readGuide('getting-started'), readGuide('testing'));
project.write(
  'test/folder.worker.test.ts',
  `import { env } from 'cloudflare:workers';
   import { runInDurableObject } from 'cloudflare:test';
   import { expect, it } from 'vitest';
   it('has no folder of migrations', async () => {
     await runInDurableObject(env.BOARD.getByName('folder'), async (board) => {
       await expect(board.tasks()).rejects.toThrow('MIGRATION_MISSING');
     });
   });`,
);
afterAll(() => project.remove());

describe('the tests of the guide to testing', () => {
  it('have the right types', async () => {
    expect(await project.run('tsc', '-p', 'test')).toEqual({ status: 0, output: '' });
  });

  it('pass', async () => {
    const { status, output } = await project.run('vitest', 'run');
    expect(output).toMatch(/Tests +7 passed/);
    expect(output).not.toContain('missing source files');
    expect(status).toBe(0);
  });
});
