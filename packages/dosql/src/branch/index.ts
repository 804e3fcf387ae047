export { BranchRunner, type BranchInfo, type BranchOptions } from './run.ts';
