export {
  createDOBackend,
  createMemoryBackend,
  createR2Backend,
  createResilientBackend,
  createTieredBackend,
  FileStoreError,
} from '@dotdo/fsx';
export type {
  DOBackend,
  FileSource,
  FileStat,
  FileStore,
  FileStoreErrorCode,
  ReadOptions,
  ResilientBackend,
  ResilientOptions,
  TieredBackend,
  TieredOptions,
  TieredStats,
  WriteOptions,
} from '@dotdo/fsx';
