import { createDOBackend, type FileStore } from '@dotdo/fsx';
import { coldStore } from '../cold-store.ts';
import type { Core } from '../core.ts';
import type { Limits } from '../scan/budget.ts';
import { openParquet } from '../scan/parquet/index.ts';
import type { Buckets, FetchAccess } from '../scan/url.ts';
import { Analytics } from './analytics.ts';
import { BringChanged } from './bring-changed.ts';
import type { CopyTarget } from './copy.ts';
import { IcebergTables } from './iceberg.ts';
import { Manifest } from './manifest.ts';
import { Names } from './names.ts';
import { appFiles, rangeFile, type Places } from './places.ts';
import { Reads, type Opener } from './reads.ts';
import { FileRunner } from './runner.ts';
import { StoredTable } from './stored-table.ts';
import { Tiering, TIER_TIMER } from './tiering.ts';
import { Writes } from './writes.ts';

export type { CopyOptions, CopyResult } from './copy.ts';
export type { IcebergStatus } from './iceberg.ts';
export type { IcebergCatalogOptions, IcebergOptions } from './iceberg-options.ts';
export type { TierOptions } from './options.ts';
export type { FileReport } from './runner.ts';
export type { TierPass, TierStatus } from './tiering.ts';

/** What of the outside a database may reach, and how much of it. */
export interface FileAccess {
  /** Where cold files are kept: a store, or a bucket with a prefix. */
  readonly cold: FileStore | { readonly bucket: R2Bucket; readonly prefix: string | undefined } | undefined;
  readonly buckets: Buckets | undefined;
  readonly fetch: FetchAccess | undefined;
  readonly limits: Partial<Limits> | undefined;
}

/** What reads files and cold rows for a database. */
export interface FileStack {
  readonly runner: FileRunner;
  readonly tiering: Tiering;
  /** Where `copy` may write. */
  readonly target: CopyTarget;
}

/** Puts together what reads files and cold rows, in one turn. */
export function fileStack(core: Core, { cold, buckets, fetch: access, limits = {} }: FileAccess): FileStack {
  const { engine } = core;
  const { storage, catalog } = engine;
  const places: Places = {
    local: createDOBackend(storage, { clock: () => engine.nowMs() }),
    cold: coldStore(core, cold),
    moving: new Set(),
  };
  const manifest = new Manifest(storage.sql);
  engine.atomically(() => manifest.open());
  const names = new Names(
    catalog,
    manifest,
    (statement) => writes.isSafe(statement),
    () => engine.hasBranchesNow,
  );
  const opener: Opener = {
    file: async (file, { budget }) =>
      new StoredTable(await openParquet(rangeFile(file, places), budget), file.path),
    url: async (url, options) => {
      const { openSource } = await import('../scan/source/source.ts');
      const environment = {
        buckets,
        fetch: access,
        files: appFiles(places.local),
        fetcher: fetch,
        random: Math.random,
      };
      return openSource(url, environment, options);
    },
  };
  const reads = new Reads(engine, manifest, names, opener);
  const writes = new Writes(engine, manifest, names, reads);
  const analytics = new Analytics(engine, manifest, reads);
  const tiering = new Tiering(
    core,
    manifest,
    places,
    writes,
    (file, budget) => opener.file(file, { budget }),
    (tiered, files) => analytics.rollup(tiered, files),
    new IcebergTables(engine, manifest, places.cold),
  );
  const coldRows = new BringChanged(engine, manifest, reads, writes, () => tiering.shred());
  const runner = new FileRunner({ engine, names, reads, writes, analytics, cold: coldRows, limits }, () =>
    manifest.rolledBack(),
  );
  engine.files = runner;
  core.timers.on(TIER_TIMER, () => tiering.due());
  return { runner, tiering, target: { buckets, places } };
}
