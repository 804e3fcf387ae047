export { createNodeBackend, type NodeBackend } from './node.ts';
