export { openParquet, ParquetFile } from './parquet-file.ts';
