import type { Cdc, Delivery } from '@dotdo/cdc';
import { durableObject } from '@dotdo/cdc';

/** Stands for all types of events, and for all pages. Neither a type nor a path can be called so. */
export const ALL = '*';
/** A page that fewer users have seen on a day is not named outside of its region: its path might be about one. */
export const MIN_USERS = 5;
/** How long a count waits for others before it goes to the site's object, in ms. */
const LINGER_MS = 100;
const PUBLICATION = 'aggregates';

/**
 * Sends what a region has counted, and nothing else, to the site's object.
 *
 * This is the one way out of a region for what it has of people: raw events and sessions are in no table of the
 * publication, and a column that a migration adds leaves when it is named here. Rows are what they have come to, not
 * what was added, so one that comes twice, or late, changes nothing or corrects what there was.
 */
export async function publishAggregates(cdc: Cdc, site: () => object): Promise<Delivery> {
  cdc.publication(PUBLICATION, {
    tables: {
      minute_aggregates: {
        columns: ['minute', 'event_type', 'page_path', 'events', 'sessions', 'users', 'sketch'],
        where: `page_path = '${ALL}'`,
      },
      daily_aggregates: {
        columns: ['date', 'event_type', 'page_path', 'events', 'users', 'sketch'],
        where: `page_path = '${ALL}' OR users >= ${MIN_USERS}`,
      },
      visits: { columns: ['date', 'visits', 'seconds'] },
    },
  });
  return cdc.deliver('site', durableObject(site), {
    publication: PUBLICATION,
    snapshot: 'initial',
    lingerMs: LINGER_MS,
  });
}
