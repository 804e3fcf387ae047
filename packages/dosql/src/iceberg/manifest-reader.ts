import type { ManifestContent } from './change.ts';
import type { SnapshotContent } from './expire.ts';
import type { TableFiles } from './files.ts';
import { readManifest, readManifestList, type ManifestEntry, type ManifestFile } from './manifest.ts';
import type { Snapshot } from './metadata.ts';

/** How many objects are read at the same time. */
const IN_FLIGHT = 6;

/** Reads manifests, each once: snapshots share most of theirs. */
export class ManifestReader {
  readonly #files: TableFiles;
  readonly #entries = new Map<string, readonly ManifestEntry[]>();

  constructor(files: TableFiles) {
    this.#files = files;
  }

  /**
   * The manifests that a snapshot names.
   *
   * @throws DoSQLError `NO_SUCH_FILE`, `CORRUPT_FILE`, as all that follows
   */
  async list(snapshot: Snapshot): Promise<ManifestFile[]> {
    const path = snapshot['manifest-list'];
    return readManifestList(await this.#files.read(path), path);
  }

  /** What manifests list. */
  async contents(manifests: readonly ManifestFile[]): Promise<ManifestContent[]> {
    for (let i = 0; i < manifests.length; i += IN_FLIGHT)
      await Promise.all(manifests.slice(i, i + IN_FLIGHT).map((file) => this.#read(file)));
    return manifests.map((file) => ({ file, entries: this.#entries.get(file.manifest_path) ?? [] }));
  }

  /** What snapshots have. */
  async snapshots(snapshots: readonly Snapshot[]): Promise<SnapshotContent[]> {
    const contents: SnapshotContent[] = [];
    for (const snapshot of snapshots)
      contents.push({ snapshot, manifests: await this.contents(await this.list(snapshot)) });
    return contents;
  }

  async #read(file: ManifestFile): Promise<void> {
    const path = file.manifest_path;
    if (this.#entries.has(path)) return;
    this.#entries.set(path, readManifest(await this.#files.read(path), file));
  }
}
