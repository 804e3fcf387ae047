import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMemoryBackend, FileStoreError, type FileStore } from '@dotdo/fsx';
import { createFaultyBackend } from '@dotdo/fsx/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { IcebergTable, RestCatalog, type DataFile } from '../../src/iceberg/index.ts';
import {
  parseJson,
  printJson,
  type Snapshot,
  type SnapshotId,
  type TableMetadata,
} from '../../src/iceberg/metadata.ts';

const seed = Number(process.env.VITE_SEED ?? Date.now() % 2 ** 31);
const runs = Number(process.env.VITE_RUNS ?? 10);
const LOCATION = 's3://lake/db/t';
const COLUMNS = [{ name: 'id', type: 'int64', fieldId: 1 }] as const;

function file(name: string): DataFile {
  return { path: name, format: 'parquet', recordCount: 1, sizeBytes: 10 };
}

async function pathsOf(table: IcebergTable): Promise<string[]> {
  return (await table.files()).map(({ file_path }) => file_path.slice(LOCATION.length + 1)).toSorted();
}

type Update = {
  action: string;
  snapshot?: Snapshot;
  'snapshot-id'?: SnapshotId;
  'snapshot-ids'?: SnapshotId[];
};
type Requirement = { type: string; uuid?: string; 'snapshot-id'?: SnapshotId | null };
type Body = {
  location: string;
  schema: TableMetadata['schemas'][number];
  requirements: Requirement[];
  updates: Update[];
};

/** A catalog that keeps one table, as its protocol says. */
class Catalog {
  metadata: TableMetadata | undefined;
  requests: string[] = [];
  /** Statuses that the next commits are answered with; `lost` ones are carried out all the same. */
  answers: { status: number; isLost: boolean }[] = [];

  answer(
    method: string,
    url: string,
    authorization: string | undefined,
    text: string,
  ): { status: number; body: unknown } {
    this.requests.push(`${method} ${url}`);
    if (authorization !== 'Bearer secret') return { status: 401, body: { error: { message: 'no token' } } };
    if (url.startsWith('/cat/v1/config'))
      return { status: 200, body: { defaults: {}, overrides: { prefix: 'w1' } } };
    if (!url.startsWith('/cat/v1/w1/namespaces/a%1Fb/tables')) return { status: 400, body: {} };
    if (method === 'GET')
      return this.metadata === undefined
        ? { status: 404, body: { error: { message: 'no table' } } }
        : { status: 200, body: { 'metadata-location': 'x', metadata: this.metadata } };
    const body = parseJson(text) as Body;
    if (url.endsWith('/tables')) return this.#create(body);
    const next = this.answers.shift();
    if (next !== undefined && !next.isLost) return { status: next.status, body: {} };
    const done = this.#commit(body);
    return next === undefined ? done : { status: next.status, body: {} };
  }

  #create({ location, schema }: Body): { status: number; body: unknown } {
    if (this.metadata !== undefined) return { status: 409, body: {} };
    this.metadata = {
      'format-version': 2,
      'table-uuid': 'u-1',
      location,
      'last-sequence-number': 0,
      'last-updated-ms': 1,
      'last-column-id': 1,
      'current-schema-id': 0,
      schemas: [schema],
      'default-spec-id': 0,
      'partition-specs': [{ 'spec-id': 0, fields: [] }],
      'last-partition-id': 999,
      'default-sort-order-id': 0,
      'sort-orders': [{ 'order-id': 0, fields: [] }],
    };
    return { status: 200, body: {} };
  }

  #commit({ requirements, updates }: Body): { status: number; body: unknown } {
    const metadata = this.metadata as TableMetadata;
    const main = metadata.refs?.main?.['snapshot-id'] ?? null;
    const isMet = requirements.every((requirement) =>
      requirement.type === 'assert-table-uuid'
        ? requirement.uuid === metadata['table-uuid']
        : requirement['snapshot-id'] === main,
    );
    if (!isMet) return { status: 409, body: { error: { message: 'requirement failed' } } };
    let next = metadata;
    for (const { action, snapshot, 'snapshot-id': id, 'snapshot-ids': ids } of updates) {
      if (action === 'add-snapshot' && snapshot !== undefined)
        next = {
          ...next,
          snapshots: [...(next.snapshots ?? []), snapshot],
          'last-sequence-number': snapshot['sequence-number'],
        };
      else if (action === 'set-snapshot-ref' && id !== undefined)
        next = { ...next, 'current-snapshot-id': id, refs: { main: { 'snapshot-id': id, type: 'branch' } } };
      else if (action === 'remove-snapshots')
        next = {
          ...next,
          snapshots: (next.snapshots ?? []).filter((one) => ids?.includes(one['snapshot-id']) !== true),
        };
    }
    this.metadata = next;
    return { status: 200, body: {} };
  }
}

let catalog = new Catalog();
let server: Server;
let url = '';

beforeAll(async () => {
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const text = Buffer.concat(parts).toString();
      const { status, body } = catalog.answer(
        request.method ?? '',
        request.url ?? '',
        request.headers.authorization,
        text,
      );
      response.writeHead(status, { 'content-type': 'application/json' }).end(printJson(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  url = `http://localhost:${(server.address() as AddressInfo).port}/cat/`;
});

afterAll(() => server.close());

beforeEach(() => {
  catalog = new Catalog();
});

describe('a table of a REST catalog', () => {
  function open(store: FileStore, token = 'secret'): IcebergTable {
    const options = { url, warehouse: 'w', token, namespace: ['a', 'b'], table: 't', fetch };
    return new IcebergTable({ store, folder: 'db/t', catalog: new RestCatalog(options) });
  }

  test('is created, appended to, overwritten and expired through it', async () => {
    const store = createMemoryBackend();
    const table = open(store);
    await table.create({ location: LOCATION, columns: COLUMNS });
    await table.append([file('1')]);
    await table.append([file('2')]);
    await table.overwrite({ add: [file('3')], remove: ['1'] });
    expect(await pathsOf(table)).toEqual(['2', '3']);
    expect(catalog.requests[0]).toBe('GET /cat/v1/config?warehouse=w');
    await store.write('db/t/1', 'rows');
    expect(await table.expire({ olderThan: Date.now() + 1000 })).toContain(`${LOCATION}/1`);
    expect(await store.exists('db/t/1')).toBe(false);
    expect(catalog.metadata?.snapshots?.length).toBe(1);
    expect(await pathsOf(table)).toEqual(['2', '3']);
  });

  test('keeps every file when many commit at once', async () => {
    const store = createMemoryBackend();
    await open(store).create({ location: LOCATION, columns: COLUMNS });
    await Promise.all(Array.from({ length: 6 }, (_, i) => open(store).append([file(`${i}`)])));
    expect(await pathsOf(open(store))).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  test('commits once where the answer is lost, and says so where the commit was not done', async () => {
    const table = open(createMemoryBackend());
    await table.create({ location: LOCATION, columns: COLUMNS });
    catalog.answers = [{ status: 504, isLost: true }];
    await table.append([file('1')]);
    catalog.answers = [{ status: 502, isLost: false }];
    await expect(table.append([file('2')])).rejects.toThrow('STORAGE_UNAVAILABLE');
    expect(await pathsOf(table)).toEqual(['1']);
  });

  test('works upon snapshots whose numbers a double does not hold', async () => {
    const table = open(createMemoryBackend());
    await table.create({ location: LOCATION, columns: COLUMNS });
    const first = await table.append([file('1')]);
    const id = 9_007_199_254_740_993n;
    const renamed = { ...first, 'snapshot-id': id };
    const metadata = catalog.metadata as TableMetadata;
    catalog.metadata = {
      ...metadata,
      snapshots: [renamed],
      'current-snapshot-id': id,
      refs: { main: { 'snapshot-id': id, type: 'branch' } },
    };
    const second = await table.append([file('2')]);
    expect(second['parent-snapshot-id']).toBe(id);
    expect(await pathsOf(table)).toEqual(['1', '2']);
  });

  test('refuses who has no token', async () => {
    const table = open(createMemoryBackend(), 'wrong');
    await expect(table.metadata()).rejects.toThrow(
      /^FORBIDDEN: the catalog at .* answered 401 to configure: no token/,
    );
  });
});

describe('a table whose metadata stand in its folder', () => {
  test('commits once where the answer of the store is lost', async () => {
    const store = createMemoryBackend();
    let losing = 0;
    const lossy: FileStore = new Proxy(store, {
      get: (target, name, receiver) => {
        const member = Reflect.get(target, name, receiver) as unknown;
        if (typeof member !== 'function') return member;
        if (name !== 'write') return member.bind(target) as unknown;
        return async (...args: Parameters<FileStore['write']>) => {
          const stat = await target.write(...args);
          if (!args[0].endsWith('.metadata.json') || losing-- <= 0) return stat;
          throw new FileStoreError('STORAGE_UNAVAILABLE', 'the answer is lost');
        };
      },
    });
    const table = new IcebergTable({ store: lossy, folder: 'db/t' });
    await table.create({ location: LOCATION, columns: COLUMNS });
    losing = 1;
    await table.append([file('1')]);
    losing = 0;
    await table.append([file('2')]);
    expect(await pathsOf(table)).toEqual(['1', '2']);
    expect((await table.metadata())['last-sequence-number']).toBe(2);
  });

  for (let run = 0; run < runs; run++)
    test(`has each file once, those of failed calls once or not at all, seed ${seed + run}`, async () => {
      const store = createMemoryBackend();
      await new IcebergTable({ store, folder: 'db/t' }).create({ location: LOCATION, columns: COLUMNS });
      const rates = { before: 0.05, after: 0.05, busy: 0.02, 'short-read': 0.02 };
      const table = new IcebergTable({
        store: createFaultyBackend(store, { seed: seed + run, rates }),
        folder: 'db/t',
      });
      const done = new Set<string>();
      const removed = new Set<string>();
      const unknown = new Set<string>();
      for (let i = 0; i < 25; i++) {
        const name = `${i}`;
        const victim = [...done][i % 3];
        try {
          if (i % 5 === 4 && victim !== undefined) {
            await table.overwrite({ add: [file(name)], remove: [victim] });
            done.delete(victim);
            removed.add(victim);
          } else await table.append([file(name)]);
          done.add(name);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          unknown.add(name);
          // An overwrite that failed may have been done as well.
          if (i % 5 === 4 && victim !== undefined) {
            done.delete(victim);
            unknown.add(victim);
          }
        }
      }
      const paths = await pathsOf(new IcebergTable({ store, folder: 'db/t' }));
      expect(new Set(paths).size).toBe(paths.length);
      expect([...done].filter((name) => !paths.includes(name))).toEqual([]);
      expect(paths.filter((name) => removed.has(name) || !(done.has(name) || unknown.has(name)))).toEqual([]);
    });

  test('tells the files that its metadata name and that are not there', async () => {
    const store = createMemoryBackend();
    const table = new IcebergTable({ store, folder: 'db/t' });
    await table.create({ location: LOCATION, columns: COLUMNS });
    const snapshot = await table.append([file('1')]);
    const list = snapshot['manifest-list'].replace(LOCATION, 'db/t');
    const bytes = (await store.read(list)) ?? expect.fail('no list');
    await store.write(list, bytes.subarray(0, bytes.length - 5));
    await expect(table.files()).rejects.toThrow(/^CORRUPT_FILE: .*ends too early/);
    await store.delete(list);
    await expect(table.files()).rejects.toThrow(/^NO_SUCH_FILE: .*is not there/);
  });
});
