import type { Cdc, Delivery } from '@dotdo/cdc';
import { durableObject } from '@dotdo/cdc';
import { DoSQLError } from '@dotdo/dosql';

/** Stands for all types of events, and for all pages. Neither a type nor a path can be called so. */
export const ALL = '*';
/** A page that fewer users have seen on a day is not named outside of its region: its path might be about one. */
export const MIN_USERS = 5;
/** How long a count waits for others before it goes to the site's object, in ms. */
const LINGER_MS = 100;
const PUBLICATION = 'aggregates';
/** How long the log waits for a site that is away: it tells of raw events, too, and is to be short. */
const WAIT_SECONDS = 86_400;

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
    maxLag: { seconds: WAIT_SECONDS },
    lingerMs: LINGER_MS,
  });
}

/**
 * Begins again with all that there is, where the site was away for longer than the log waits. What has gone from the
 * region meanwhile is in no snapshot: so the site is asked first to `forget` what it may have of it.
 */
export async function beginAgainIfBehind(delivery: Delivery, forget: () => Promise<void>): Promise<void> {
  const { failures } = await delivery.status();
  if (failures === 0) return;
  try {
    await delivery.slot.read(1);
  } catch (error) {
    if (DoSQLError.from(error)?.code !== 'LSN_EXPIRED') throw error;
    await forget();
    await delivery.slot.reset({ snapshot: 'initial' });
  }
}
