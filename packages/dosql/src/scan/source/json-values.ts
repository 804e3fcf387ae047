import type { SqlValue } from '../../value/row.ts';
import type { ScanColumn, Vector } from '../vector.ts';
import { isNumeric, misfit, numberValues, parseInteger, smallInteger } from './field-values.ts';
import type { FieldBlock } from './fields.ts';
import { ESCAPED, NULL, NUMBER, PLAIN, WORD } from './json-block.ts';
import { TextFault } from './text-fault.ts';

const utf8 = new TextEncoder();

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * The values of one slot as values of a column: objects and arrays as their JSON text, true and false as 1 and 0.
 *
 * @throws TextFault for a value that is none of the column's type.
 */
export function jsonValues(bytes: Uint8Array, block: FieldBlock, slot: number, column: ScanColumn): Vector {
  if (isNumeric(column)) return numberValues(bytes, block, slot, column);
  return column.type === 'any' ? mixed(bytes, block, slot) : texts(bytes, block, slot, column);
}

function mixed(bytes: Uint8Array, block: FieldBlock, slot: number): Vector {
  const { rowCount, kinds, slotCount } = block;
  const values: SqlValue[] = [];
  for (let row = 0, at = slot; row < rowCount; row++, at += slotCount) {
    const kind = kinds[at] as number;
    if (kind === NULL) values.push(null);
    else if (kind === NUMBER) values.push(numberAt(bytes, block, at));
    else if (kind === WORD) values.push(bytes[block.starts[at] as number] === 116 ? 1 : 0);
    else values.push(block.text(bytes, block, at));
  }
  return { kind: 'mixed', length: rowCount, nulls: undefined, values };
}

/** A number: exact where it is an integer of 64 bits. */
function numberAt(bytes: Uint8Array, block: FieldBlock, at: number): number | bigint {
  const start = block.starts[at] as number;
  const small = smallInteger(bytes, start, block.ends[at] as number);
  if (small !== undefined) return small;
  const text = block.text(bytes, block, at);
  if (!JSON_NUMBER.test(text)) throw new TextFault(start, `${text.slice(0, 60)} is no JSON number`);
  const integer = parseInteger(text);
  if (integer === undefined) return Number(text);
  return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
}

function texts(bytes: Uint8Array, block: FieldBlock, slot: number, column: ScanColumn): Vector {
  const { rowCount, starts, ends, kinds, slotCount } = block;
  let size = 0;
  for (let row = 0, at = slot; row < rowCount; row++, at += slotCount)
    size += ((ends[at] as number) - (starts[at] as number)) * (kinds[at] === ESCAPED ? 3 : 1);
  // What is escaped takes more bytes than it stands for; but a byte that is no UTF-8 becomes three.
  const data = new Uint8Array(size);
  const offsets = new Uint32Array(rowCount + 1);
  let nulls: Uint8Array | undefined;
  let to = 0;
  for (let row = 0, at = slot; row < rowCount; row++, at += slotCount) {
    const start = starts[at] as number;
    const end = ends[at] as number;
    const kind = kinds[at] as number;
    if (kind === NULL) (nulls ??= new Uint8Array(rowCount))[row] = 1;
    else if (kind === ESCAPED) to += utf8.encodeInto(block.text(bytes, block, at), data.subarray(to)).written;
    else if (end - start < 32) for (let i = start; i < end; i++) data[to++] = bytes[i] as number;
    else {
      data.set(bytes.subarray(start, end), to);
      to += end - start;
    }
    if (kind !== PLAIN && kind !== NULL && column.type === 'blob') throw misfit(bytes, block, at, column);
    offsets[row + 1] = to;
  }
  return { kind: 'bytes', length: rowCount, nulls, data: data.subarray(0, to), offsets };
}
