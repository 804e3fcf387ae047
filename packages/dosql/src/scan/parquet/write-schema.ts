import { DoSQLError } from '../../error.ts';
import type { TimeUnit } from '../vector.ts';
import type { StructWriter } from './thrift-write.ts';

/** How a column is stored. `timestamp`, `time` and `date` have the values of a `NumberVector` of that type. */
export type WriteType =
  | 'boolean'
  | 'int32'
  | 'int64'
  | 'double'
  | 'utf8'
  | 'binary'
  | 'timestamp'
  | 'date'
  | 'time';

/** A column that is written. */
export interface WriteColumn {
  readonly name: string;
  readonly type: WriteType;
  /** For `timestamp` and `time`; `ms` by default. */
  readonly unit?: TimeUnit | undefined;
  /** For `timestamp` and `time`: false for those of no particular zone. */
  readonly isUtc?: boolean | undefined;
  /** No value is NULL; spares the levels that say which are. */
  readonly required?: boolean | undefined;
  /** What Iceberg knows the column by. */
  readonly fieldId?: number | undefined;
}

/** Parquet's number of a physical type. */
export const PHYSICAL = { BOOLEAN: 0, INT32: 1, INT64: 2, DOUBLE: 5, BYTE_ARRAY: 6 } as const;

/** The physical type that a column is stored as. */
export function physicalType(column: WriteColumn): number {
  switch (column.type) {
    case 'boolean':
      return PHYSICAL.BOOLEAN;
    case 'int32':
    case 'date':
      return PHYSICAL.INT32;
    case 'int64':
    case 'timestamp':
      return PHYSICAL.INT64;
    case 'time':
      return (column.unit ?? 'ms') === 'ms' ? PHYSICAL.INT32 : PHYSICAL.INT64;
    case 'double':
      return PHYSICAL.DOUBLE;
    default:
      return PHYSICAL.BYTE_ARRAY;
  }
}

/**
 * Checks names and gives the columns as they are.
 *
 * @throws DoSQLError `BAD_PARAMETER` when two have one name.
 */
export function checkColumns(columns: readonly WriteColumn[]): readonly WriteColumn[] {
  const names = new Set<string>();
  for (const { name } of columns) {
    if (names.has(name))
      throw new DoSQLError('BAD_PARAMETER', `two columns are called ${name}: give one of them another name`);
    names.add(name);
  }
  return columns;
}

const CONVERTED = {
  UTF8: 0,
  DATE: 6,
  TIME_MILLIS: 7,
  TIME_MICROS: 8,
  TIMESTAMP_MILLIS: 9,
  TIMESTAMP_MICROS: 10,
};
const UNIT_FIELD = { ms: 1, us: 2, ns: 3 };

/** Writes the schema: the root and a leaf for each column. */
export function writeSchema(file: StructWriter, id: number, columns: readonly WriteColumn[]): void {
  file.structs(id, [undefined, ...columns], (element, column) => {
    if (column === undefined) element.text(4, 'schema').int32(5, columns.length);
    else writeElement(element, column);
  });
}

function writeElement(element: StructWriter, column: WriteColumn): void {
  element
    .int32(1, physicalType(column))
    .int32(3, column.required === true ? 0 : 1)
    .text(4, column.name)
    .int32(6, convertedType(column))
    .int32(9, column.fieldId)
    .struct(10, logicalType(column));
}

/** What readers from before the logical types go by; they know none for nanoseconds and for times without a zone. */
function convertedType({ type, unit = 'ms', isUtc = true }: WriteColumn): number | undefined {
  if (type === 'utf8') return CONVERTED.UTF8;
  if (type === 'date') return CONVERTED.DATE;
  if (unit === 'ns' || !isUtc) return undefined;
  if (type === 'timestamp') return unit === 'ms' ? CONVERTED.TIMESTAMP_MILLIS : CONVERTED.TIMESTAMP_MICROS;
  if (type === 'time') return unit === 'ms' ? CONVERTED.TIME_MILLIS : CONVERTED.TIME_MICROS;
  return undefined;
}

function logicalType(column: WriteColumn): ((union: StructWriter) => void) | undefined {
  const { type, unit = 'ms', isUtc = true } = column;
  switch (type) {
    case 'utf8':
      return (union) => union.struct(1, () => {});
    case 'date':
      return (union) => union.struct(6, () => {});
    case 'time':
    case 'timestamp':
      return (union) =>
        union.struct(type === 'time' ? 7 : 8, (time) =>
          time.bool(1, isUtc).struct(2, (units) => units.struct(UNIT_FIELD[unit], () => {})),
        );
    default:
      return undefined;
  }
}
