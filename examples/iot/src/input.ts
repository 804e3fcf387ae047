import { name, queryInteger, text } from '@dotdo/example-shared/input';
import * as v from 'valibot';
import { DAY_MS } from './time.ts';

// Every shape that the app takes from outside.

/** What sensors measure, and in what. */
export const UNITS = {
  temperature: '°C',
  humidity: '%',
  co2: 'ppm',
  occupancy: 'people',
  power: 'W',
  water: 'l',
} as const;
export type SensorType = keyof typeof UNITS;

/** How many readings one request can have, and bytes. */
export const MAX_BATCH = 1_000;
export const MAX_BATCH_BYTES = 256 * 1024;

const buildingName = v.pipe(
  v.string('give text'),
  v.regex(/^[a-z][a-z0-9-]{1,62}$/, 'give 2 to 63 of a-z, 0-9 and -, a letter first'),
);
const floorName = v.pipe(
  v.string('give text'),
  v.regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'give 1 to 32 of a-z, 0-9 and -'),
);
const sensorId = v.pipe(
  v.string('give text'),
  v.regex(/^[A-Za-z0-9][\w.:-]{0,63}$/, 'give 1 to 64 letters, digits and . _ : -, a letter or digit first'),
);
const sensorType = v.picklist(Object.keys(UNITS) as SensorType[], `give ${Object.keys(UNITS).join(', ')}`);
const finite = v.pipe(v.number('give a number'), v.finite('give a number'));
const wholeMs = v.pipe(
  v.number('give ms since the epoch'),
  v.safeInteger('give ms since the epoch'),
  v.minValue(0, 'give ms since the epoch'),
);
const quality = v.pipe(
  v.number('give a whole number from 0 to 100'),
  v.integer('give a whole number from 0 to 100'),
  v.minValue(0, 'give a whole number from 0 to 100'),
  v.maxValue(100, 'give a whole number from 0 to 100'),
);
const unit = v.pipe(
  text,
  v.trim(),
  v.minLength(1, 'give a unit'),
  v.maxLength(16, 'give at most 16 characters'),
);

/** `POST /ingest`. Without a unit it is that of the type. */
export const NewReading = v.strictObject({
  sensor_id: sensorId,
  sensor_type: sensorType,
  value: finite,
  unit: v.optional(unit),
  quality: v.optional(quality, 100),
  timestamp: wholeMs,
});
/** What a sensor has measured, and when. */
export type Reading = v.InferOutput<typeof NewReading>;

/** `POST /ingest-batch` */
export const NewReadings = v.pipe(
  v.array(NewReading, 'give an array of readings'),
  v.minLength(1, 'give at least 1 reading'),
  v.maxLength(MAX_BATCH, `give at most ${MAX_BATCH} readings`),
);

/** `POST /buildings` */
export const NewBuilding = v.strictObject({ building: buildingName, title: name });

/** `POST /tokens` */
export const NewToken = v.strictObject({
  role: v.picklist(['device', 'operator'], 'give device or operator'),
  name,
});

/** `POST /floors` */
export const NewFloor = v.strictObject({ floor: floorName });

const condition = v.picklist(
  ['gt', 'gte', 'lt', 'lte', 'eq', 'neq', 'range_outside'],
  'give gt, gte, lt, lte, eq, neq or range_outside',
);
const severity = v.picklist(['info', 'warning', 'critical'], 'give info, warning or critical');
const cooldown = v.pipe(
  v.number('give seconds, from 0 to 86400'),
  v.integer('give seconds, from 0 to 86400'),
  v.minValue(0, 'give seconds, from 0 to 86400'),
  v.maxValue(86_400, 'give seconds, from 0 to 86400'),
);

/** `POST /alerts/rules`: a range has a least and a greatest value, every other condition one. */
export const NewRule = v.pipe(
  v.strictObject({
    sensor_id: v.optional(v.nullable(sensorId), null),
    sensor_type: sensorType,
    condition,
    threshold_value: v.optional(v.nullable(finite), null),
    threshold_min: v.optional(v.nullable(finite), null),
    threshold_max: v.optional(v.nullable(finite), null),
    severity: v.optional(severity, 'warning'),
    cooldown_seconds: v.optional(cooldown, 300),
    enabled: v.optional(v.boolean('give true or false'), true),
  }),
  v.forward(
    v.check(
      ({ condition, threshold_value }) => (condition === 'range_outside') === (threshold_value === null),
      'give it, unless the condition is range_outside',
    ),
    ['threshold_value'],
  ),
  v.forward(
    v.check(
      ({ condition, threshold_min: min, threshold_max: max }) =>
        condition === 'range_outside'
          ? min !== null && max !== null && min <= max
          : min === null && max === null,
      'give it with a threshold_max that is not less, for range_outside only',
    ),
    ['threshold_min'],
  ),
);

/** `PATCH /alerts/rules/:id` */
export const RulePatch = v.pipe(
  v.strictObject({
    enabled: v.optional(v.boolean('give true or false')),
    severity: v.optional(severity),
    cooldown_seconds: v.optional(cooldown),
  }),
  v.check((patch) => Object.keys(patch).length > 0, 'give at least one field'),
);

const alertId = v.pipe(v.number('give an id'), v.safeInteger('give an id'));

/** `POST /alerts/acknowledge` */
export const Acknowledgement = v.strictObject({ alert_id: alertId });

/** `POST /alerts/resolve` */
export const AlertResolution = v.strictObject({
  alert_id: alertId,
  reason: v.optional(v.pipe(text, v.trim(), v.maxLength(200, 'give at most 200 characters')), ''),
});

/** Whose rows a query is about, and whether each row is of a sensor or of all sensors of a type. */
const selection = {
  sensor_id: v.optional(sensorId),
  type: v.optional(sensorType),
  by: v.optional(v.picklist(['sensor', 'type'], 'give sensor or type'), 'sensor'),
};
const upTo = (most: number): v.GenericSchema<string, number> =>
  v.pipe(queryInteger, v.minValue(1, 'give at least 1'), v.maxValue(most, `give at most ${most}`));

/** `GET /realtime` */
export const RealtimeQuery = v.strictObject({ ...selection, minutes: v.optional(upTo(60), '5') });

/** `GET /query` */
export const SeriesQuery = v.strictObject({
  ...selection,
  hours: v.optional(upTo(24 * 30), '24'),
  granularity: v.optional(v.picklist(['minute', 'hour'], 'give minute or hour'), 'minute'),
});

/** A time in ms since the epoch, or a date or time in ISO-8601. */
const time = v.pipe(
  v.string(),
  v.transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : isoMs(text))),
  v.check((ms) => !Number.isNaN(ms), 'give a date, a time in ISO-8601 with its zone, or ms since the epoch'),
);
const period = { start: time, end: time };
const MAX_PERIOD = 'give a start before the end, at most 1100 days apart';
const isPeriod = ({ start, end }: { readonly start: number; readonly end: number }): boolean =>
  start < end && end - start <= 1_100 * DAY_MS;

/** `GET /historical` */
export const HistoricalQuery = v.pipe(
  v.strictObject({ ...selection, ...period }),
  v.check((query) => isPeriod(query), MAX_PERIOD),
);

/** `GET /alerts/history` */
export const AlertHistoryQuery = v.pipe(v.strictObject(period), v.check(isPeriod, MAX_PERIOD));

/** Whether a building could have this name. */
export function isBuildingName(name: string): boolean {
  return v.is(buildingName, name);
}

/** Whether a floor could have this name. */
export function isFloorName(name: string): boolean {
  return v.is(floorName, name);
}

/** Without a zone a time would be that of the machine; a date alone begins at midnight in UTC. */
function isoMs(text: string): number {
  const isWhole = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/.test(text);
  return isWhole ? Date.parse(text) : Number.NaN;
}
