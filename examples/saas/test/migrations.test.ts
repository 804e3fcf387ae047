import { expect, it, onTestFinished } from 'vitest';
import { deployment, MIGRATIONS, startDeployment } from '../deployment.ts';
import { Client } from '../local.ts';

it.each([1, 2])(
  'a tenant left at version %i is brought to the newest by its next request',
  async (version) => {
    const { url: before, harness } = await startDeployment({ migrationCount: version });
    onTestFinished(() => harness.close());
    let client = await Client.signUp(before, 'veteran');
    expect(await client.get('/status')).toMatchObject({ schema_version: version });
    await client.post('/projects', { name: 'Old', owner_id: 1 });
    const storage = await harness.getWorker().getDurableObjectStorage('Tenant', { name: 'veteran' });
    await storage.exec(`INSERT INTO tasks (project_id, title, status, updated_at)
    VALUES (1, 'finished', 'done', '2026-01-02 03:04:05'), (1, 'open', 'todo', '2026-01-02 03:04:05')`);
    const { lsn } = await client.get<{ lsn: number }>('/status');
    await client.post('/branches', { name: 'old' });

    await harness.update(deployment());
    const { url } = await harness.listen();
    client = new Client(new URL(url), 'veteran', client.token);
    const completed_at = version === 1 ? '2026-01-02 03:04:05' : null;
    expect(await client.get('/tasks')).toMatchObject({
      tasks: [
        { title: 'finished', completed_at, label: null },
        { title: 'open', completed_at: null, label: null },
      ],
    });
    expect(await client.get('/status')).toMatchObject({
      schema_version: 3,
      migrations: MIGRATIONS.map((name) => ({ name })),
    });
    expect(await client.patch('/tasks/2', { label: 'new' })).toMatchObject({ label: 'new' });
    // The feed tells each change with the columns that there were, as far as they are published.
    const { changes } = await client.get<{ changes: { table: string; after: object }[] }>('/activity');
    const told = changes.filter(({ table }) => table === 'tasks').map(({ after }) => after);
    expect(told).toMatchObject([{ title: 'finished' }, { title: 'open' }, { title: 'open', label: 'new' }]);
    expect(told[1]).not.toHaveProperty('label');
    // The past keeps the columns that it had.
    const { tasks } = await client.get<{ tasks: object[] }>(`/tasks?as_of=lsn:${lsn}`);
    expect(tasks).toMatchObject([{ title: 'finished' }, { title: 'open' }]);
    expect(tasks[1]).not.toHaveProperty('label');
    // So does a branch that was made then: it is read and merged, but the app cannot write it any more.
    expect(await client.get('/tasks?branch=old')).toMatchObject({ tasks: [{ title: 'finished' }, {}] });
    const write = await client.send<{ error: string }>('PATCH', '/tasks/2?branch=old', { label: 'x' });
    expect(write).toMatchObject({ status: 409, body: { error: expect.stringContaining('older') } });
    expect(await client.post('/branches/old/merge', {})).toMatchObject({ merged: true, updated: 0 });
    expect(await client.get('/tasks/2')).toMatchObject({ label: 'new' });
  },
);
