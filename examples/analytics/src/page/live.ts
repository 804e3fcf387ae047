import { LiveClient, type LiveError, type LiveQuery, type LiveStatus } from '@dotdo/cdc/client';
import { path, type Session } from './api.ts';
import { ALL, minuteOf, type DayTotal, type Minute, type Visits } from './model.ts';

/** How much of the past the lines show, in ms. */
export const SHOWN_MS = 3_600_000;

/**
 * What the site's object has, as it is now: three live queries over one WebSocket. A connection that breaks is made
 * again, and the rows go on from where they were.
 */
export class LiveDashboard {
  readonly days: ReadonlyMap<string, DayTotal>;
  readonly minutes: ReadonlyMap<string, Minute>;
  readonly visits: ReadonlyMap<string, Visits>;
  readonly #queries: readonly LiveQuery<unknown>[];

  /** `changed` is called after every change of the rows, and of the status. */
  constructor(session: Session, changed: () => void) {
    const client = new LiveClient({
      url: path(session, '/live'),
      publication: 'dashboard',
      // A browser cannot give a WebSocket an Authorization header, but it can offer subprotocols.
      protocols: [`bearer.${session.read}`],
    });
    const since = minuteOf(Date.now() - SHOWN_MS);
    const days = client.query<DayTotal>({ table: 'global_metrics' });
    const minutes = client.query<Minute>({
      table: 'minutes',
      where: `event_type = '${ALL}' AND minute >= '${since}'`,
    });
    const visits = client.query<Visits>({ table: 'visits' });
    this.days = days.rows;
    this.minutes = minutes.rows;
    this.visits = visits.rows;
    this.#queries = [days, minutes, visits];
    for (const query of this.#queries) query.subscribe(changed);
  }

  /** `live` when all is there. */
  get status(): LiveStatus {
    return this.#queries.find(({ status }) => status !== 'live')?.status ?? 'live';
  }

  /** Why the server does not give it. */
  get error(): LiveError | undefined {
    return this.#queries.find(({ error }) => error !== undefined)?.error;
  }
}
