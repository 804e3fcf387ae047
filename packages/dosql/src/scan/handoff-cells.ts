import type { JsonbRows } from './handoff-jsonb.ts';
import { dateText, timestampText, timeText } from './time.ts';
import type { PlainVector, ScanColumn, Vector } from './vector.ts';
import type { SqlValue } from '../value/row.ts';

/**
 * Of which classes the values of a column were. What the SQL around them has to be follows from it: a CAST that
 * would change any of them must not stand there.
 */
export interface Seen {
  hasInteger: boolean;
  hasReal: boolean;
  hasText: boolean;
  hasBlob: boolean;
}

/** How values of a column are written. */
export interface Cells {
  readonly column: ScanColumn;
  /** Whether its numbers are reals all, also the whole ones. */
  readonly isReal: boolean;
  readonly seen: Seen;
}

/** Writes a value as JavaScript has it. */
export function writeValue(out: JsonbRows, { isReal, seen }: Cells, value: SqlValue): void {
  if (value === null) out.null();
  else if (typeof value === 'number') {
    if (!isReal && Number.isSafeInteger(value) && !Object.is(value, -0)) {
      seen.hasInteger = true;
      out.integer(value);
    } else {
      seen.hasReal = true;
      out.real(value);
    }
  } else if (typeof value === 'string') {
    seen.hasText = true;
    out.text(value);
  } else if (typeof value === 'bigint') {
    seen.hasInteger = true;
    out.bigint(value);
  } else {
    seen.hasBlob = true;
    out.blob(value, 0, value.length);
  }
}

/** A vector with where it stands in its runs. */
export interface Source extends Cells {
  readonly vector: Vector;
  run: number;
}

/** Writes the value of a row. */
export function writeCell(out: JsonbRows, source: Source, row: number): void {
  const { vector } = source;
  if (vector.kind === 'dictionary') {
    if (vector.nulls?.[row] === 1) out.null();
    else writePlain(out, source, vector.dictionary, vector.codes[row] as number);
  } else if (vector.kind === 'runs') {
    // Rows come in rising order, so a run is never looked for from the start again.
    while (row >= (vector.ends[source.run] as number)) source.run++;
    writePlain(out, source, vector.values, source.run);
  } else writePlain(out, source, vector, row);
}

function writePlain(out: JsonbRows, cells: Cells, vector: PlainVector, i: number): void {
  if (vector.nulls?.[i] === 1) {
    out.null();
    return;
  }
  switch (vector.kind) {
    case 'bytes':
      return writeBytes(
        out,
        cells,
        vector.data,
        vector.offsets[i] as number,
        vector.offsets[i + 1] as number,
      );
    case 'mixed':
      return writeValue(out, cells, vector.values[i] as SqlValue);
    case 'bigint':
      return writeNumber(out, cells, vector.values[i] as bigint);
    case 'number':
      return writeNumber(out, cells, vector.values[i] as number);
  }
}

function writeBytes(out: JsonbRows, cells: Cells, data: Uint8Array, start: number, end: number): void {
  if (cells.column.type === 'blob') {
    cells.seen.hasBlob = true;
    out.blob(data, start, end);
  } else {
    cells.seen.hasText = true;
    out.bytes(data, start, end);
  }
}

function writeNumber(out: JsonbRows, cells: Cells, value: number | bigint): void {
  const { type, unit = 'ms', isUtc = true } = cells.column;
  switch (type) {
    case 'timestamp':
      cells.seen.hasText = true;
      return out.text(timestampText(value, unit, isUtc));
    case 'date':
      cells.seen.hasText = true;
      return out.text(dateText(Number(value)));
    case 'time':
      cells.seen.hasText = true;
      return out.text(timeText(value, unit));
    case 'integer':
    case 'real':
    case 'text':
    case 'blob':
    case 'any':
      return writeValue(out, cells, value);
  }
}
