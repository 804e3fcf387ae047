import { durableObject, type Cdc, type Delivery } from '@dotdo/cdc';
import { fleetOf } from './fleet.ts';
import type { Env } from './worker.ts';

/** The publication that the operator's numbers are made of. */
const ANALYTICS = 'analytics';

/**
 * What leaves a tenant for the numbers of all tenants: which rows there are, and how they stand. No names, no e-mail
 * addresses, no titles, no labels: text that people have written does not leave.
 *
 * Invariant: a column that a migration adds does not leave until it is named here.
 */
export function publishAnalytics(cdc: Cdc): void {
  cdc.publication(ANALYTICS, {
    tables: {
      users: { columns: ['id', 'role'] },
      projects: { columns: ['id', 'status'] },
      tasks: { columns: ['id', 'project_id', 'status', 'priority', 'due_date'] },
    },
  });
}

/**
 * Goes on telling the fleet what changes. A tenant that is signing up has nothing to tell before that; one that has
 * been there, or was made anew from a backup, begins with all that it has.
 */
export function startAnalytics(cdc: Cdc, env: Env, isNew: boolean): Promise<Delivery> {
  return cdc.deliver(
    'fleet',
    durableObject(() => fleetOf(env)),
    {
      publication: ANALYTICS,
      snapshot: isNew ? 'none' : 'initial',
      batch: { changes: 1_000 },
      lingerMs: Number(env.FLEET_LINGER_MS),
    },
  );
}
