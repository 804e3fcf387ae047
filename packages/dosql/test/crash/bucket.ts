import { createDOBackend, type FilePage, type FileStat, type ReadOptions } from '@dotdo/fsx';
import { DurableObject } from 'cloudflare:workers';

/** A cold store that is killed together with those who use it, and keeps what it has said that it has. */
export class Bucket extends DurableObject {
  readonly #files = createDOBackend(this.ctx.storage);

  read(path: string, options?: ReadOptions): Promise<Uint8Array | null> {
    return this.#files.read(path, options);
  }

  write(path: string, bytes: Uint8Array): Promise<FileStat> {
    return this.#files.write(path, bytes);
  }

  remove(path: string): Promise<boolean> {
    return this.#files.delete(path);
  }

  stat(path: string): Promise<FileStat | null> {
    return this.#files.stat(path);
  }

  list(prefix?: string): Promise<FilePage> {
    return this.#files.list(prefix);
  }
}
