import type { ScanColumn, Vector } from '../vector.ts';
import { ESCAPED, PLAIN } from './csv-block.ts';
import { isNumeric, numberValues } from './field-values.ts';
import type { FieldBlock } from './fields.ts';

/**
 * The fields of one slot as values of a column. An empty field is NULL; in quotes it is empty text, and NULL where the
 * column is not text.
 *
 * @throws TextFault for a field that is none of the column's type.
 */
export function csvValues(bytes: Uint8Array, block: FieldBlock, slot: number, column: ScanColumn): Vector {
  return isNumeric(column) ? numberValues(bytes, block, slot, column) : texts(bytes, block, slot);
}

function texts(bytes: Uint8Array, block: FieldBlock, slot: number): Vector {
  const { rowCount, starts, ends, kinds, slotCount } = block;
  let size = 0;
  for (let row = 0, at = slot; row < rowCount; row++, at += slotCount)
    size += (ends[at] as number) - (starts[at] as number);
  const data = new Uint8Array(size);
  const offsets = new Uint32Array(rowCount + 1);
  let nulls: Uint8Array | undefined;
  let to = 0;
  for (let row = 0, at = slot; row < rowCount; row++, at += slotCount) {
    const start = starts[at] as number;
    const end = ends[at] as number;
    if (kinds[at] === ESCAPED) to = unescapeInto(data, to, bytes, start, end);
    else if (end - start < 32) for (let i = start; i < end; i++) data[to++] = bytes[i] as number;
    else {
      data.set(bytes.subarray(start, end), to);
      to += end - start;
    }
    if (start === end && kinds[at] === PLAIN) (nulls ??= new Uint8Array(rowCount))[row] = 1;
    offsets[row + 1] = to;
  }
  return { kind: 'bytes', length: rowCount, nulls, data: data.subarray(0, to), offsets };
}

function unescapeInto(data: Uint8Array, at: number, bytes: Uint8Array, start: number, end: number): number {
  let to = at;
  for (let i = start; i < end; i++) {
    data[to++] = bytes[i] as number;
    if (bytes[i] === 34) i++;
  }
  return to;
}
