import { Client } from '../local.ts';

/** A tenant with a project and these tasks. */
export async function withTasks(url: URL, tenant: string, titles: readonly string[] = []): Promise<Client> {
  const client = await Client.signUp(url, tenant);
  await client.post('/projects', { name: 'First', owner_id: 1 });
  for (const title of titles) await client.post('/tasks', { project_id: 1, title });
  return client;
}
