import { createCDC, type Cdc } from '@dotdo/cdc';
import type { Database } from '@dotdo/dosql';
import { requireSameOrigin } from '@dotdo/example-shared/http';
import { publishAnalytics } from './analytics.ts';

/** The name of what may leave a tenant's database as it changes: what the board shows. */
export const BOARD = 'board';

/**
 * The tenant's change streams, and who may have them. Live pages, the activity feed and the webhook all read the
 * one publication, so a column that it does not name leaves by none of them: people's e-mail addresses, and
 * whatever a migration adds later.
 */
export function openStreams(db: Database, state: DurableObjectState): Cdc {
  const cdc = createCDC(db, { live: { state, authorize } });
  cdc.publication(BOARD, {
    tables: {
      users: { columns: ['id', 'name', 'role'] },
      projects: { columns: ['id', 'name', 'status'] },
      tasks: {
        columns: [
          'id',
          'project_id',
          'title',
          'description',
          'assignee_id',
          'status',
          'priority',
          'due_date',
          'label',
        ],
      },
    },
  });
  publishAnalytics(cdc);
  return cdc;
}

/** Every user of the tenant may follow the board; the Worker has seen that the token is one. */
function authorize(request: Request): true {
  requireSameOrigin(request);
  return true;
}
