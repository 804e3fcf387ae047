import { Frame } from './frame.ts';
import { bytes, doubles, integers } from './scratch.ts';
import { truthOf, type Affinity, type Scalar } from './scalar.ts';
import {
  constantValues,
  expand,
  flatNumbers,
  fromScalars,
  numberValues,
  pick,
  plainType,
  scalarReader,
  type Values,
  type ValueType,
} from './values.ts';
import type { DictionaryVector, PlainVector, RunsVector, Vector } from './vector.ts';

/** The truths of a predicate, one for each row. */
export type Truths = Uint8Array<ArrayBuffer>;
/** It does not hold. */
export const FALSE = 0;
/** It holds. */
export const TRUE = 1;
/** It is NULL. */
export const UNKNOWN = 2;

/** An expression ready to be evaluated. */
export interface Node {
  /** The columns that it reads, rising. */
  readonly columns: readonly number[];
  readonly affinity: Affinity;
  /** What its values are where that is known beforehand. */
  readonly type: ValueType | undefined;
  /** Its value, where it is the same for every row; undefined where it is not. */
  readonly constant: Scalar | undefined;
  /** It is a column as it stands. */
  readonly isColumn: boolean;
  /** Its values over all rows of a frame. */
  evaluate(frame: Frame): Values;
  /** Whether it is true, row by row. */
  truths(frame: Frame): Truths;
}

/** An expression that is the same value everywhere. */
export function constantNode(value: Scalar): Node {
  const truth = truthOf(value);
  return {
    columns: [],
    affinity: 'none',
    type: undefined,
    constant: value,
    isColumn: false,
    evaluate: (frame) => constantValues(value, frame.length),
    truths: (frame) => bytes(frame.length).fill(truth === null ? UNKNOWN : truth ? TRUE : FALSE),
  };
}

/** A column as it is. */
export function columnNode(index: number, type: ValueType, affinity: Affinity): Node {
  return {
    columns: [index],
    affinity,
    type,
    constant: undefined,
    isColumn: true,
    evaluate: (frame) => frame.column(index),
    truths: (frame) => truthsOf(frame.column(index)),
  };
}

/** An expression over `inputs` that has values. */
export function valueNode(
  inputs: readonly Node[],
  evaluate: (frame: Frame) => Values,
  options: { readonly affinity?: Affinity; readonly type?: ValueType | undefined } = {},
): Node {
  return once({
    columns: columnsOf(inputs),
    affinity: options.affinity ?? 'none',
    type: options.type,
    constant: constantOf(inputs, (frame) => scalarReader(evaluate(frame))(0)),
    isColumn: false,
    evaluate,
    truths: (frame) => truthsOf(evaluate(frame)),
  });
}

/** An expression over `inputs` that is true, false or unknown. */
export function truthNode(inputs: readonly Node[], truths: (frame: Frame) => Truths): Node {
  return once({
    columns: columnsOf(inputs),
    affinity: 'none',
    type: plainType('integer'),
    constant: constantOf(inputs, (frame) => {
      const truth = truths(frame)[0];
      return truth === UNKNOWN ? null : BigInt(truth ?? 0);
    }),
    isColumn: false,
    evaluate: (frame) => truthValues(truths(frame)),
    truths,
  });
}

function columnsOf(inputs: readonly Node[]): number[] {
  return [...new Set(inputs.flatMap(({ columns }) => columns))].toSorted((a, b) => a - b);
}

function constantOf(inputs: readonly Node[], value: (frame: Frame) => Scalar): Scalar | undefined {
  if (inputs.some(({ constant }) => constant === undefined)) return undefined;
  return value(new Frame(1, () => constantValues(null, 1)));
}

/** Truths as the integers 1, 0 and NULL. */
export function truthValues(truths: Truths): Values {
  const { length } = truths;
  const values = doubles(length);
  let unknown = 0;
  for (let i = 0; i < length; i++) {
    values[i] = truths[i]! & 1;
    unknown |= truths[i]!;
  }
  if (unknown < UNKNOWN) return numberValues('integer', values, undefined);
  const nulls = new Uint8Array(length);
  for (let i = 0; i < length; i++) nulls[i] = truths[i]! >> 1;
  return numberValues('integer', values, nulls);
}

/** Whether each value is true. */
export function truthsOf(values: Values): Truths {
  const { length } = values.vector;
  const out = bytes(length);
  const numbers = values.type === 'integer' || values.type === 'real' ? flatNumbers(values) : undefined;
  if (numbers === undefined) {
    const read = scalarReader(values);
    for (let i = 0; i < length; i++) {
      const truth = truthOf(read(i));
      out[i] = truth === null ? UNKNOWN : truth ? TRUE : FALSE;
    }
    return out;
  }
  for (let i = 0; i < length; i++) out[i] = numbers.values[i]! !== 0 ? TRUE : FALSE;
  return withUnknown(out, numbers.nulls);
}

/** `truths`, unknown where there are NULLs. */
export function withUnknown(truths: Truths, nulls: Uint8Array | undefined): Truths {
  if (nulls !== undefined) for (let i = 0; i < truths.length; i++) if (nulls[i] === 1) truths[i] = UNKNOWN;
  return truths;
}

/** 1 where the value is NULL; undefined where none is. */
export function nullsOf({ vector }: Values): Uint8Array | undefined {
  if (vector.kind === 'mixed') {
    const nulls = new Uint8Array(vector.length);
    for (let i = 0; i < vector.length; i++) nulls[i] = vector.values[i] === null ? 1 : 0;
    return nulls;
  }
  if (vector.kind !== 'runs') return vector.nulls;
  const inner = nullsOf({ ...plainType('any'), vector: vector.values });
  if (inner === undefined) return undefined;
  const nulls = new Uint8Array(vector.length);
  forRuns(vector, (run, from, to) => nulls.fill(inner[run]!, from, to));
  return nulls;
}

function forRuns({ ends }: RunsVector, use: (run: number, from: number, to: number) => void): void {
  let from = 0;
  for (let run = 0; run < ends.length; run++) {
    const to = ends[run]!;
    if (to > from) use(run, from, to);
    from = to;
  }
}

/**
 * What depends on one column alone is evaluated once for each entry of its dictionary, or once for each run,
 * rather than for each row.
 */
function once(node: Node): Node {
  const [column, ...others] = node.columns;
  if (column === undefined || others.length > 0) return node;
  return {
    ...node,
    evaluate(frame) {
      const values = frame.column(column);
      const coded = codedOf(values.vector);
      if (coded === undefined) return node.evaluate(frame);
      const inner = node.evaluate(innerFrame(values, coded));
      if (coded.kind === 'runs') return overRuns(inner, coded);
      return overCodes(inner, coded, () => node.evaluate(nullFrame(values)));
    },
    truths(frame) {
      const values = frame.column(column);
      const coded = codedOf(values.vector);
      if (coded === undefined) return node.truths(frame);
      const inner = node.truths(innerFrame(values, coded));
      const out = bytes(coded.length);
      if (coded.kind === 'runs') {
        forRuns(coded, (run, from, to) => out.fill(inner[run]!, from, to));
        return out;
      }
      const { codes, nulls } = coded;
      for (let i = 0; i < out.length; i++) out[i] = inner[codes[i]!]!;
      if (nulls === undefined) return out;
      const ofNull = node.truths(nullFrame(values))[0]!;
      for (let i = 0; i < out.length; i++) if (nulls[i] === 1) out[i] = ofNull;
      return out;
    },
  };
}

function codedOf(vector: Vector): DictionaryVector | RunsVector | undefined {
  if (vector.kind === 'dictionary') return vector.dictionary.length <= vector.length ? vector : undefined;
  return vector.kind === 'runs' && vector.ends.length <= vector.length ? vector : undefined;
}

function innerFrame(values: Values, coded: DictionaryVector | RunsVector): Frame {
  const vector: PlainVector = coded.kind === 'runs' ? coded.values : coded.dictionary;
  const inner: Values = { ...values, vector };
  return new Frame(vector.length, () => inner);
}

function nullFrame(values: Values): Frame {
  const nothing = constantValues(null, 1);
  return new Frame(1, () => ({ ...values, type: 'any', vector: nothing.vector }));
}

function overRuns(inner: Values, coded: RunsVector): Values {
  const { vector } = inner;
  // A constant over all runs has runs itself.
  const plain = expand(vector);
  return { ...inner, vector: { ...coded, values: plain } };
}

function overCodes(inner: Values, coded: DictionaryVector, ofNull: () => Values): Values {
  const dictionary = expand(inner.vector);
  const { length, codes, nulls } = coded;
  const hasNulls = nullsOf({ ...inner, vector: dictionary })?.includes(1) === true;
  const forNull = nulls === undefined ? null : scalarReader(ofNull())(0);
  if (!hasNulls && forNull === null) return { ...inner, vector: { ...coded, dictionary } };
  if (forNull === null) return { ...inner, vector: pick(dictionary, codes, length, nulls) };
  // NULL has a value of its own: one more entry.
  const read = scalarReader({ ...inner, vector: dictionary });
  const known = Array.from({ length: dictionary.length }, (_, i) => read(i));
  const extended = fromScalars([...known, forNull]);
  const own = integers(length);
  for (let i = 0; i < length; i++) own[i] = nulls?.[i] === 1 ? dictionary.length : codes[i]!;
  return { ...extended, vector: pick(expand(extended.vector), own, length, undefined) };
}
