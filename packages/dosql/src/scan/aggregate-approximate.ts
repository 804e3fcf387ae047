import { DoSQLError } from '../error.ts';
import type { Accumulator, Groups } from './aggregate.ts';
import type { Node } from './expression-node.ts';
import type { Frame } from './frame.ts';
import { hashBytes } from './group-table.ts';
import { ready, type Results } from './results.ts';
import { encodeText, type Scalar } from './scalar.ts';
import { grown } from './scratch.ts';
import { expand, flatNumbers, numberValues, scalarReader } from './values.ts';

/** 2^11 registers a group: an error of about 2.3%. */
const BITS = 11;
const REGISTERS = 2 ** BITS;
/** What they take is 2 kB a group. */
const MAX_GROUPS = 20_000;

/** `approx_count_distinct`: HyperLogLog (Flajolet et al., 2007), with linear counting while few registers are set. */
export class ApproximateCount implements Accumulator {
  readonly #operand: Node;
  #registers: Uint8Array = new Uint8Array(REGISTERS);

  constructor(operand: Node) {
    this.#operand = operand;
  }

  add(frame: Frame, groups: Groups, size: number): void {
    if (size > MAX_GROUPS)
      throw new DoSQLError(
        'TOO_BIG',
        `approx_count_distinct takes ${MAX_GROUPS.toLocaleString('en')} groups at most: use count(DISTINCT …), or group by less`,
      );
    this.#registers = grown(this.#registers, size * REGISTERS);
    const values = this.#operand.evaluate(frame);
    const numbers = flatNumbers(values);
    const bytes = numbers === undefined && values.type === 'text' ? expand(values.vector) : undefined;
    const read = numbers === undefined && bytes?.kind !== 'bytes' ? scalarReader(values) : undefined;
    for (let i = 0; i < frame.length; i++) {
      let hash: number;
      if (numbers !== undefined) {
        if (numbers.nulls?.[i] === 1) continue;
        hash = hashNumber(numbers.values[i]!);
      } else if (bytes?.kind === 'bytes') {
        if (bytes.nulls?.[i] === 1) continue;
        hash = finish(hashBytes(bytes.data, bytes.offsets[i]!, bytes.offsets[i + 1]!));
      } else {
        const scalar = read?.(i) ?? null;
        if (scalar === null) continue;
        hash = hashScalar(scalar);
      }
      const at = (typeof groups === 'number' ? groups : groups[i]!) * REGISTERS + (hash >>> (32 - BITS));
      const rank = Math.clz32((hash << BITS) | (1 << (BITS - 1))) + 1;
      if (this.#registers[at]! < rank) this.#registers[at] = rank;
    }
  }

  result(size: number): Results {
    this.#registers = grown(this.#registers, size * REGISTERS);
    const out = new Float64Array(size);
    for (let group = 0; group < size; group++)
      out[group] = estimate(this.#registers.subarray(group * REGISTERS, (group + 1) * REGISTERS));
    return ready(numberValues('integer', out, undefined));
  }
}

function estimate(registers: Uint8Array): number {
  let sum = 0;
  let zeros = 0;
  for (const rank of registers) {
    sum += 2 ** -rank;
    if (rank === 0) zeros++;
  }
  const raw = ((0.7213 / (1 + 1.079 / REGISTERS)) * REGISTERS * REGISTERS) / sum;
  if (raw <= 2.5 * REGISTERS && zeros > 0) return Math.round(REGISTERS * Math.log(REGISTERS / zeros));
  const whole = 2 ** 32;
  return Math.round(raw > whole / 30 ? -whole * Math.log(1 - raw / whole) : raw);
}

const bits = new Float64Array(1);
const halves = new Uint32Array(bits.buffer);

function hashNumber(value: number): number {
  bits[0] = value + 0;
  return finish(Math.imul(halves[0]! ^ Math.imul(halves[1]!, 0x9e3779b1), 0x85ebca6b));
}

function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function hashScalar(scalar: NonNullable<Scalar>): number {
  if (typeof scalar === 'bigint' || typeof scalar === 'number') {
    const number = Number(scalar);
    return (
      hashNumber(number) ^
      (typeof scalar === 'bigint' ? Number(BigInt.asIntN(32, scalar - BigInt(Math.trunc(number)))) : 0)
    );
  }
  const bytes = typeof scalar === 'string' ? encodeText(scalar) : scalar;
  return finish(hashBytes(bytes, 0, bytes.length));
}
