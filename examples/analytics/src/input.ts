import * as v from 'valibot';
import { queryInteger, text } from '@dotdo/example-shared/input';
import { REGIONS } from './placement.ts';
import { ROLES } from './token.ts';

// Every shape that the app takes from outside.

/** The largest body of a batch. */
export const MAX_BATCH_BYTES = 1024 * 1024;
/** Events of a batch, at most. */
const MAX_EVENTS = 1_000;
/** The longest `eventData`, as JSON text. */
const MAX_DATA_LENGTH = 4_096;

const short = (length: number): v.GenericSchema<string, string> =>
  v.pipe(
    text,
    v.minLength(1, 'give at least 1 character'),
    v.maxLength(length, `give at most ${length} characters`),
  );
const webUrl = v.pipe(
  short(2_000),
  v.check(
    (url) => /^https?:\/\//i.test(url) && URL.canParse(url),
    'give an address that begins with https://',
  ),
);

const siteName = v.pipe(
  v.string('give text'),
  v.regex(/^[a-z][a-z0-9-]{1,62}$/, 'give 2 to 63 of a-z, 0-9 and -, a letter first'),
);
const region = v.picklist(REGIONS, `give ${REGIONS.join(', ')}`);

/** `POST /signup` */
export const SignUp = v.strictObject({ site: siteName });

/** `POST /s/:site/tokens` */
export const NewToken = v.strictObject({
  role: v.picklist(ROLES, `give ${ROLES.join(', ')}`),
  region: v.optional(region),
});

/** `POST /s/:site/ingest`: the time of an event is looked at apart, as it depends on the present. */
export const NewEvent = v.strictObject({
  /** The same when the event is sent again. */
  id: v.pipe(text, v.regex(/^[\w-]{8,64}$/, 'give 8 to 64 of letters, digits, _ and -')),
  sessionId: short(100),
  userId: v.optional(short(320)),
  /** The visitor's, where a server reports for others; otherwise the sender's counts. */
  ipAddress: v.optional(v.pipe(text, v.ip('give an IP address'))),
  userAgent: v.optional(short(500)),
  eventType: v.pipe(
    text,
    v.regex(/^[a-z][a-z0-9_.-]{0,39}$/, 'give up to 40 of a-z, 0-9, _ . and -, a letter first'),
  ),
  eventData: v.optional(
    v.pipe(
      v.record(v.string(), v.unknown(), 'give a JSON object'),
      v.check(
        (data) => JSON.stringify(data).length <= MAX_DATA_LENGTH,
        `give at most ${MAX_DATA_LENGTH} characters`,
      ),
    ),
  ),
  pageUrl: webUrl,
  referrer: v.optional(webUrl),
  timestamp: v.pipe(v.number('give ms since the epoch'), v.safeInteger('give whole ms since the epoch')),
});

/** `POST /s/:site/ingest/batch` */
export const Batch = v.strictObject({
  events: v.pipe(
    v.array(NewEvent, 'give a list of events'),
    v.minLength(1, 'give at least 1 event'),
    v.maxLength(MAX_EVENTS, `give at most ${MAX_EVENTS} events`),
  ),
});

/** `POST /s/:site/erasures` */
export const Erasure = v.strictObject({ userId: short(320) });

const eventType = v.optional(v.pipe(v.string(), v.maxLength(40, 'give at most 40 characters')));

/** `GET /s/:site/regions/:region/query` */
export const RegionQuery = v.strictObject({
  range: v.optional(v.picklist(['hour', 'day', 'week'], 'give hour, day or week'), 'day'),
  event_type: eventType,
});

const time = v.pipe(
  v.string('give a time such as 2026-11-21T09:30:00Z'),
  v.isoTimestamp('give a time such as 2026-11-21T09:30:00Z'),
  v.transform((text) => Date.parse(text)),
  v.number('give a time that there is'),
);
const ORDER = 'give a "from" before "to"';

/** `GET /s/:site/users` and `…/regions/:region/users`: from a minute up to, and without, another. */
export const WindowQuery = v.pipe(
  v.strictObject({ from: time, to: time }),
  v.check(({ from, to }) => from < to, ORDER),
);

/** A day that there is; the 30th of February is none. */
const date = v.pipe(
  v.string('give a day such as 2026-11-21'),
  v.check(isDate, 'give a day such as 2026-11-21'),
);
/** The days that one request sums up, at most. */
const MAX_DAYS = 1_100;
const RANGE = `give at most ${MAX_DAYS} days, from one to a later one`;

/** `GET /s/:site/history`: days from one up to, and without, another. */
export const HistoryQuery = v.pipe(
  v.strictObject({
    from: date,
    to: date,
    by: v.optional(v.picklist(['day', 'month'], 'give day or month'), 'day'),
    event_type: eventType,
  }),
  v.check(({ from, to }) => isRange(from, to), RANGE),
);

/** `GET /s/:site/pages` */
export const PagesQuery = v.pipe(
  v.strictObject({
    from: date,
    to: date,
    event_type: v.optional(v.string(), 'page_view'),
    limit: v.optional(
      v.pipe(queryInteger, v.minValue(1, 'give at least 1'), v.maxValue(100, 'give at most 100')),
      '20',
    ),
  }),
  v.check(({ from, to }) => isRange(from, to), RANGE),
);

function isRange(from: string, to: string): boolean {
  return from < to && Date.parse(to) - Date.parse(from) <= MAX_DAYS * 86_400_000;
}

function isDate(text: string): boolean {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  // Date.parse takes the 30th of February for the 2nd of March.
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}
