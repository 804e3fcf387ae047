import { json, readJson } from '@dotdo/example-shared/http';
import { parseInput } from '@dotdo/example-shared/input';
import { requireRoute, type Routes } from '@dotdo/example-shared/router';
import { MAX_BATCH_BYTES, NewReading, NewReadings } from './input.ts';
import type { Intake } from './intake.ts';

type Handler = (intake: Intake, request: Request) => Promise<Response>;

/** What a device can ask of a building or a floor. */
export const DEVICE_ROUTES: Routes<Handler> = [
  [/^\/ingest$/, { POST: ingest }],
  [/^\/ingest-batch$/, { POST: ingestBatch }],
];

/** Answers a device; throws a 404 for any other path. */
export function routeDevice(intake: Intake, request: Request): Promise<Response> {
  const { handler } = requireRoute(DEVICE_ROUTES, new URL(request.url).pathname, request.method);
  return handler(intake, request);
}

/** `POST /ingest { sensor_id, sensor_type, value, timestamp, unit?, quality? }` */
async function ingest(intake: Intake, request: Request): Promise<Response> {
  const reading = parseInput(NewReading, await readJson(request));
  return json(await intake.add([reading]));
}

/** `POST /ingest-batch [ … ]`: all of them, or none when one is refused. Sent again, they are there once. */
async function ingestBatch(intake: Intake, request: Request): Promise<Response> {
  const readings = parseInput(NewReadings, await readJson(request, MAX_BATCH_BYTES));
  return json(await intake.add(readings));
}
