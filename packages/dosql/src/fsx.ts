export { createDOBackend, createMemoryBackend, createR2Backend, createTieredBackend } from '@dotdo/fsx';
export type { FileStore } from '@dotdo/fsx';
