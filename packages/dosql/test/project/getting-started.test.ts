import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createTestHarness, experimental_readRawConfig } from 'wrangler';
import { snippetsOf } from '../support/snippets.ts';
import { Project, readGuide } from './project.ts';

const guide = readGuide('getting-started');
const project = new Project(guide);
afterAll(() => project.remove());

/** A line of the guide that begins with curl, as a request. */
function requestOf(line: string): [path: string, init: RequestInit] {
  const match = /^curl(?: -X (\w+))? '?localhost:8787([^' ]+)'?(?: -d '([^']*)')?$/.exec(line);
  if (match === null) throw new Error(`no such command in the tests: ${line}`);
  const [, method, path = '', body] = match;
  return [path, { method: method ?? (body === undefined ? 'GET' : 'POST'), body: body ?? null }];
}

describe('the project of the guide to getting started', () => {
  it('has the right types', async () => {
    expect(await project.run('tsc', '-p', '.')).toEqual({ status: 0, output: '' });
  });

  it('answers what the guide says, with packages as they are published', async () => {
    process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
    const harness = createTestHarness({
      root: project.folder,
      workers: [{ configPath: './wrangler.jsonc' }],
    });
    try {
      const { url } = await harness.listen();
      let answer: unknown;
      let compared = 0;
      for (const { language, text } of snippetsOf(guide)) {
        if (language === 'json') {
          expect(answer).toEqual(JSON.parse(text));
          compared++;
        }
        if (language !== 'sh' || !text.startsWith('curl')) continue;
        for (const line of text.trim().split('\n')) {
          const [path, init] = requestOf(line);
          answer = await (await fetch(new URL(path, url), init)).json();
        }
      }
      expect(compared).toBe(4);
    } finally {
      await harness.close();
    }
  });

  it('is ready to be deployed, with its migrations in the bundle', async () => {
    const { status, output } = await project.run('wrangler', 'deploy', '--dry-run');
    expect(output).toContain('migrations/001_tasks.sql');
    expect(output).toContain('--dry-run: exiting now.');
    expect(status).toBe(0);
  });

  it('is built without packages that it has no use for, which are asked for where they are needed', async () => {
    project.write(
      'src/arrow.ts',
      `import { DurableObject } from 'cloudflare:workers';
       import { DB, DoSQLError } from '@dotdo/dosql';
       export class Board extends DurableObject {
         async arrow() {
           const db = await DB('board', { storage: this.ctx.storage });
           return new Response(await db.arrow('SELECT 1 AS n')).text();
         }
       }
       export default {
         fetch: (_: Request, { BOARD }: { BOARD: DurableObjectNamespace<Board> }) =>
           BOARD.getByName('x').arrow().then((text) => new Response(text), (error) => new Response(error.message)),
       };`,
    );
    const { output } = await project.run('wrangler', 'deploy', '--dry-run', 'src/arrow.ts');
    expect(output).not.toMatch(/warning/i);
    const { rawConfig } = experimental_readRawConfig({ config: join(project.folder, 'wrangler.jsonc') });
    const config = { ...rawConfig, main: 'src/arrow.ts' };
    const harness = createTestHarness({ root: project.folder, workers: [{ config }] });
    try {
      const response = await fetch((await harness.listen()).url);
      expect(await response.text()).toContain(
        'BAD_PARAMETER: Arrow needs a package of its own: npm install apache-arrow',
      );
    } finally {
      await harness.close();
    }
  });

  it('is told by no command that the tests do not know', () => {
    const lines = snippetsOf(guide).flatMap(({ language, text }) =>
      language === 'sh' ? text.trim().split('\n') : [],
    );
    expect(lines.filter((line) => !line.startsWith('curl '))).toEqual([
      'npm install @dotdo/dosql',
      'npm install --save-dev wrangler typescript @cloudflare/workers-types',
      'npx wrangler dev',
      'npx wrangler deploy --dry-run',
      'npx wrangler deploy',
    ]);
  });
});

it('the folder of migrations may lie elsewhere, as the guide to migrations has it', async () => {
  const elsewhere = new Project(readGuide('migrations'));
  try {
    elsewhere.write(
      'src/index.ts',
      `import { DurableObject } from 'cloudflare:workers';
       import { DB } from '@dotdo/dosql';
       export class Tasks extends DurableObject {
         async version() {
           const db = await DB('tasks', { storage: this.ctx.storage, migrations: { folder: '.do/migrations/tasks' } });
           return (await db.migrations()).map(({ name }) => name);
         }
       }
       export default {
         fetch: async (_: Request, { TASKS }: { TASKS: DurableObjectNamespace<Tasks> }) =>
           Response.json(await TASKS.getByName('x').version()),
       };`,
    );
    for (const name of ['001_tasks', '002_due'])
      elsewhere.write(`.do/migrations/tasks/${name}.sql`, elsewhere.read(`src/migrations/${name}.sql`));
    const { output } = await elsewhere.run('wrangler', 'deploy', '--dry-run');
    expect(output).toContain('Total (2 modules)');
    const harness = createTestHarness({
      root: elsewhere.folder,
      workers: [{ configPath: './wrangler.jsonc' }],
    });
    try {
      const response = await fetch((await harness.listen()).url);
      expect(await response.json()).toEqual(['001_tasks', '002_due']);
    } finally {
      await harness.close();
    }
  } finally {
    elsewhere.remove();
  }
});
