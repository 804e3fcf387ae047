import type { LiveStatus } from '@dotdo/cdc/client';

/** How a page says whether it is in step with the server. */
export const STATUS_TEXTS: Readonly<Record<LiveStatus, string>> = {
  connecting: 'connecting…',
  live: 'live',
  offline: 'offline',
  failed: 'out of step',
  closed: 'closed',
};
