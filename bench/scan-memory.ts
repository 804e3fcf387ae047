/** Prints how many MiB a query over the file of the argument takes above what the process has before it. */
import { fstatSync, openSync, readSync } from 'node:fs';
import { Budget, openParquet, scanQuery } from '@dotdo/dosql/scan';

const path = process.argv[2] ?? '';
const descriptor = openSync(path, 'r');
const file = {
  name: path,
  size: fstatSync(descriptor).size,
  etag: path,
  isCopied: true,
  read: async (offset: number, length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(length);
    readSync(descriptor, bytes, 0, length, offset);
    return bytes;
  },
};
const budget = new Budget({ bytes: 2 ** 34, decodedBytes: 2 ** 36 });
const sql =
  'SELECT sensor_id, date, count(*), avg(value), max(ts) FROM t WHERE quality < 200 GROUP BY sensor_id, date';
const table = await openParquet(file, budget);
const before = process.memoryUsage().rss;
let peak = before;
const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 5);
const counted = {
  columns: table.columns,
  async *scan(request: Parameters<typeof table.scan>[0]) {
    for await (const batch of table.scan(request)) {
      peak = Math.max(peak, process.memoryUsage().rss);
      yield batch;
    }
  },
};
await scanQuery(sql, counted, { budget });
clearInterval(timer);
console.log(String((Math.max(peak, process.memoryUsage().rss) - before) / 2 ** 20));
