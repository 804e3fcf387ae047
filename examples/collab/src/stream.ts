import { createCDC, durableObject, type Cdc } from '@dotdo/cdc';
import type { Database } from '@dotdo/dosql';
import type { Place } from './place.ts';
import type { Env } from './worker.ts';

/** What leaves a document for its workspace's search, and the name of the delivery. */
const SEARCH = 'search';
/** Someone who types changes a block many times a second: the search is told of all of it at once. */
const LINGER_MS = 1_000;

/** The document's change stream. Whatever is written, the workspace's search gets to know of it, exactly once. */
export async function openStream(main: Database, { workspace }: Place, env: Env): Promise<Cdc> {
  const cdc = createCDC(main);
  cdc.publication(SEARCH, {
    tables: {
      document: { columns: ['id', 'title'] },
      blocks: { columns: ['id', 'text'] },
      members: { columns: ['id', 'role'] },
    },
  });
  await cdc.deliver(
    SEARCH,
    durableObject(() => env.WORKSPACES.getByName(workspace)),
    {
      publication: SEARCH,
      snapshot: 'initial',
      lingerMs: LINGER_MS,
    },
  );
  return cdc;
}
