export { arrowStream, arrowTable } from './stream.ts';
export { rowStream, rowTypes, rowVectors, type ArrowColumnType } from './infer.ts';
