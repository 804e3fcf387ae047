import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Billed } from './harness/billed.ts';
import type { Bill } from './cost.worker.ts';
import { print, report } from './harness/report.ts';
import { startWorker } from './harness/wrangler.ts';

/**
 * Dollars a million, beyond what is included: https://developers.cloudflare.com/durable-objects/platform/pricing/,
 * https://developers.cloudflare.com/d1/platform/pricing/ and https://developers.cloudflare.com/r2/pricing/.
 */
const PRICES = {
  asOf: '2026-11',
  rowsRead: 0.001,
  rowsWritten: 1,
  objectRequests: 0.15,
  classA: 4.5,
  classB: 0.36,
};

/** Dollars for a million of it. */
function dollars({ rowsRead, rowsWritten, classA = 0, classB = 0 }: Billed & Partial<Bill>): number {
  const { rowsRead: read, rowsWritten: written, classA: a, classB: b } = PRICES;
  return Number((rowsRead * read + rowsWritten * written + classA * a + classB * b).toPrecision(4));
}

/** What the platform bills: for each statement of the workloads, beside bare SQLite and D1, and for what is done seldom. */
export async function cost(): Promise<void> {
  const file = join(import.meta.dirname, 'results/workloads.json');
  if (!existsSync(file))
    throw new Error('measure `workloads` first: what statements are billed for comes from it');
  const { billed } = JSON.parse(readFileSync(file, 'utf8')) as {
    billed: ({ workload: string; engine: string } & Billed)[];
  };
  const statements = billed.map((bill) => ({
    ...bill,
    // A request to an object each; D1 has no charge of its own for requests.
    dollarsPerMillion: Number(
      (dollars(bill) + (bill.engine.startsWith('D1') ? 0 : PRICES.objectRequests)).toPrecision(4),
    ),
  }));
  const { origin, close } = await startWorker('./cost.jsonc');
  try {
    const response = await fetch(origin);
    if (!response.ok) throw new Error(await response.text());
    const seldom = (await response.json<Bill[]>()).map((bill) => ({
      ...bill,
      dollarsPerMillion: dollars(bill),
    }));
    report('cost', { prices: PRICES, statements, seldom });
    print('dollars for a million operations, each a request', [
      ['', 'engine', 'rows read', 'rows written', '$ a million'],
      ...statements.map(({ workload, engine, rowsRead, rowsWritten, dollarsPerMillion }) => [
        workload,
        engine,
        rowsRead.toFixed(1),
        rowsWritten.toFixed(1),
        dollarsPerMillion.toFixed(2),
      ]),
    ]);
    print('what is done seldom, for once', [
      ['', 'rows read', 'rows written', 'R2 class A', 'R2 class B', '$'],
      ...seldom.map(({ name, rowsRead, rowsWritten, classA, classB, dollarsPerMillion }) => [
        name,
        String(rowsRead),
        String(rowsWritten),
        String(classA),
        String(classB),
        (dollarsPerMillion / 1e6).toFixed(6),
      ]),
    ]);
  } finally {
    await close();
  }
}
