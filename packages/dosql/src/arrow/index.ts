export { arrowStream, arrowTable } from './stream.ts';
export { rowTypes, rowVectors, type ArrowColumnType } from './infer.ts';
