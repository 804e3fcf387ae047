import { runConformanceTests, type ConformanceTestOptions } from '@durable-streams/server-conformance-tests';
import type { TestHarness } from 'wrangler';
import { afterAll, beforeAll, describe } from 'vitest';
import { startServer } from './server.ts';

// The protocol's public suite, whole but for `subscriptions`: calls of webhooks and leases that a server may offer
// beside its streams. Changes leave a database by slots and sinks.
const options: ConformanceTestOptions = { baseUrl: '', longPollTimeoutMs: 2_000 };
let harness: TestHarness | undefined;

beforeAll(async () => {
  const server = await startServer();
  ({ harness } = server);
  options.baseUrl = server.origin;
});

afterAll(() => harness?.close());

// The tests mostly wait: for streams to expire, and for polls to end.
describe.concurrent('the Durable Streams protocol', { timeout: 30_000 }, () => {
  runConformanceTests(options);
});
