import { createCDC, durableObject, type Cdc } from '@dotdo/cdc';
import type { Database } from '@dotdo/dosql';
import { requireSameOrigin } from '@dotdo/example-shared/http';
import type { Env } from './worker.ts';

/** The name of what the page follows: few rows, of which readings by the thousand change one. */
const LIVE = 'live';
/** The fleet is told at most so often. */
const FLEET_LINGER_MS = 2_000;
/** A building hears of its floors' alerts so soon: an alarm for each batch of readings would be many. */
const BUILDING_LINGER_MS = 250;

/** The building's change streams: to its operators' pages over WebSockets. */
export function openStreams(db: Database, state: DurableObjectState): Cdc {
  const cdc = createCDC(db, {
    live: {
      state,
      // The Worker has seen that the token is an operator's of this building.
      authorize(request) {
        requireSameOrigin(request);
        return true;
      },
    },
  });
  cdc.publication(LIVE, { tables: { alerts: true, summaries: true } });
  return cdc;
}

/** Tells the fleet of the building, its summaries and its alerts, each change once. */
export async function tellFleet(cdc: Cdc, { FLEET }: Env): Promise<void> {
  await cdc.deliver(
    'fleet',
    durableObject(() => FLEET.getByName('fleet')),
    {
      tables: ['building', 'summaries', 'alerts'],
      snapshot: 'initial',
      lingerMs: FLEET_LINGER_MS,
    },
  );
}

/** Tells a floor's building of the alerts that it raises, and its summaries, each change once. */
export async function tellBuilding(cdc: Cdc, { BUILDING }: Env, building: string): Promise<void> {
  await cdc.deliver(
    'building',
    durableObject(() => BUILDING.getByName(building)),
    {
      tables: ['alerts', 'summaries'],
      operations: ['insert', 'update'],
      fromLSN: 0n,
      lingerMs: BUILDING_LINGER_MS,
    },
  );
}
