import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Workerd } from './workerd.ts';

let workerd: Workerd | undefined;
afterEach(() => workerd?.dispose());

it('an object that is stopped while it loads a part of the library for the first time can be used again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dosql-imports-'));
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  workerd = await Workerd.create(disk, true);
  expect(
    readdirSync(workerd.folder, { recursive: true }).filter((name) => name.endsWith('.js')).length,
  ).toBeGreaterThan(5);
  await workerd.start();
  for (const name of ['one', 'two']) {
    const stopped = await workerd.ask('Stopped', name, 'stopLoading');
    expect(stopped.status, JSON.stringify(stopped.body)).toBe(503);
    expect(await workerd.ask('Stopped', name, 'use')).toEqual({ status: 200, body: 1 });
  }
  rmSync(folder, { recursive: true });
}, 30_000);
