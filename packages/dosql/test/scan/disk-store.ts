import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileReader } from '../../src/scan/source/environment.ts';

/** The files below a folder as a store, which lists few at a time. */
export function storeOf(root: string): FileReader {
  const paths = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .toSorted();
  const sizeOf = (path: string): number => readFileSync(join(root, path)).length;
  const stat = (path: string): { size: number; etag: string } => ({
    size: sizeOf(path),
    etag: `${path} ${sizeOf(path)}`,
  });
  return {
    async read(path, { offset = 0, length } = {}) {
      const bytes = readFileSync(join(root, path));
      return new Uint8Array(bytes.subarray(offset, length === undefined ? undefined : offset + length));
    },
    stat: async (path) => (paths.includes(path) ? stat(path) : null),
    async list(prefix = '', { cursor = '' } = {}) {
      const rest = paths.filter((path) => path.startsWith(prefix) && path > cursor);
      const files = rest.slice(0, 2).map((path) => ({ path, ...stat(path) }));
      return rest.length > 2 ? { files, cursor: files.at(-1)?.path ?? '' } : { files };
    },
  };
}
