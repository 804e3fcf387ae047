import { json } from '@dotdo/example-shared/http';
import { parseQuery } from '@dotdo/example-shared/input';
import { HistoricalQuery, RealtimeQuery, SeriesQuery } from './input.ts';
import type { Context } from './routes.ts';
import { mergeSeries, readSeries, shownSeries, type SeriesRequest } from './series.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, startOf } from './time.ts';

/** `GET /realtime?minutes=&type=&sensor_id=&by=`: the minutes just past, with the one that has begun. */
export async function realtime(context: Context): Promise<Response> {
  const { minutes, ...selection } = parseQuery(RealtimeQuery, context.query);
  const end = startOf(context.now(), MINUTE_MS) + MINUTE_MS;
  return answer(context, [{ ...selection, source: 'minutes', start: end - (minutes + 1) * MINUTE_MS, end }]);
}

/** `GET /query?hours=&granularity=&type=&sensor_id=&by=`: minutes or hours. */
export async function series(context: Context): Promise<Response> {
  const { hours, granularity, ...selection } = parseQuery(SeriesQuery, context.query);
  const [spanMs, source] =
    granularity === 'hour' ? ([HOUR_MS, 'hours'] as const) : ([MINUTE_MS, 'minutes'] as const);
  const end = startOf(context.now(), spanMs) + spanMs;
  return answer(context, [{ ...selection, source, start: startOf(end - hours * HOUR_MS, spanMs), end }]);
}

/** `GET /historical?start=&end=&type=&sensor_id=&by=`: days, of readings hot and cold, and of those that have expired. */
export async function historical(context: Context): Promise<Response> {
  const request = parseQuery(HistoricalQuery, context.query);
  return answer(context, [
    { ...request, source: 'readings' },
    // Of those that have expired only whole days are known.
    { ...request, source: 'days', start: startOf(request.start, DAY_MS) },
  ]);
}

/** One answer over the building and all of its floors. A floor that does not answer is named, not passed over. */
async function answer({ db, floors }: Context, requests: readonly SeriesRequest[]): Promise<Response> {
  const [own, others] = await Promise.all([
    Promise.all(requests.map((request) => readSeries(db, request))),
    floors.ask((floor) => floor.series(requests)),
  ]);
  const ofFloors = others.answers.map(({ floor, value }) =>
    value.map((row) => (row.sensor_id === '' ? row : { ...row, floor })),
  );
  const rows = mergeSeries([...own, ...ofFloors]);
  return json({ data: rows.map(shownSeries), unreachable_floors: others.unreachable });
}
