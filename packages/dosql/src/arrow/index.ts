export { arrowStream, arrowTable, type ArrowBatches } from './stream.ts';
export { rowTypes, rowVectors, type ArrowColumnType } from './infer.ts';
