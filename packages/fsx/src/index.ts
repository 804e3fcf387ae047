export { createDOBackend, type DOBackend } from './durable-object.ts';
export { FileStoreError, type FileStoreErrorCode, type FileStoreErrorOptions } from './error.ts';
export type {
  FileData,
  FileEntry,
  FilePage,
  FileSource,
  FileStat,
  FileStore,
  ListOptions,
  ReadOptions,
  Tier,
  WriteOptions,
} from './file-store.ts';
export { createMemoryBackend, type MemoryBackend } from './memory.ts';
export { comparePaths, maxPathBytes, normalisePath, normalisePrefix } from './path.ts';
export type { BreakerChange, BreakerOptions, BreakerState, BreakerView } from './breaker.ts';
export { createR2Backend, type R2Backend } from './r2.ts';
export { createResilientBackend, type ResilientBackend, type ResilientOptions } from './resilient.ts';
export {
  createTieredBackend,
  type FileCount,
  type Migration,
  type TieredBackend,
  type TieredOptions,
  type TieredStats,
} from './tiered.ts';
