export { createDOBackend, type DOBackend } from './durable-object.ts';
export { FileStoreError, type FileStoreErrorCode } from './error.ts';
export type {
  FileData,
  FileEntry,
  FilePage,
  FileStat,
  FileStore,
  ListOptions,
  ReadOptions,
  Tier,
  WriteOptions,
} from './file-store.ts';
export { createMemoryBackend, type MemoryBackend } from './memory.ts';
export { comparePaths, maxPathBytes, normalisePath, normalisePrefix } from './path.ts';
export { createR2Backend, type R2Backend } from './r2.ts';
export { createTieredBackend, type Migration, type TieredBackend, type TieredOptions } from './tiered.ts';
