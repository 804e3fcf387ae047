import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMemoryBackend, type FileStore } from '@dotdo/fsx';

/** A file store that others read over HTTP, by range too. */
export interface StoreServer {
  readonly store: FileStore;
  readonly origin: string;
  close(): void;
}

/** Starts one on a free port, with its files in memory. */
export async function startStoreServer(): Promise<StoreServer> {
  const store = createMemoryBackend();
  const server = createServer((request, response) => {
    const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '');
    void store.read(decodeURIComponent((request.url ?? '').slice(1))).then((bytes) => {
      if (bytes === null) response.writeHead(404).end();
      else if (range === null) response.writeHead(200).end(bytes);
      else {
        const end = range[2] === '' ? bytes.length : Math.min(bytes.length, Number(range[2]) + 1);
        response.writeHead(206).end(bytes.subarray(Number(range[1]), end));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  return { store, origin: `http://localhost:${port}`, close: () => server.close() };
}
