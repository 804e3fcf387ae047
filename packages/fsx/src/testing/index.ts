export {
  createFaultyBackend,
  type Fault,
  type FaultOptions,
  type FaultReport,
  type FaultyBackend,
} from './faulty.ts';
export { conformance, type ConformanceTest, type WithStore } from './suite.ts';
