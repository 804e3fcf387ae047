import type { RangeFile } from '../file.ts';
import type { Batch, ScanRequest } from '../table.ts';
import type { BigintVector, NumberVector } from '../vector.ts';
import { boundsOf, storedValue } from './bounds.ts';
import type { Footer } from './footer.ts';
import type { Statistics } from './metadata.ts';
import { chunkOf, leafOf } from './plan.ts';
import type { Leaf } from './schema.ts';

/**
 * The least and the greatest values of all row groups as rows, by the footer alone; undefined where that does not tell
 * them: of integers and what is counted by them it mostly does, of texts it may have cut them, of REALs left out a NaN.
 */
export function extremesOf(file: RangeFile, footer: Footer, request: ScanRequest): Batch | undefined {
  const groups = [...footer.metadata.rowGroups.entries()].filter(([, { rowCount }]) => rowCount > 0);
  const vectors = new Map<string, NumberVector | BigintVector>();
  for (const name of request.columns) {
    const leaf = leafOf(file.name, footer, name);
    if (leaf.conversion !== 'int32' && leaf.conversion !== 'int64') return undefined;
    const values = new BigInt64Array(2 * groups.length);
    const nulls = new Uint8Array(values.length);
    for (const [i, [index, { rowCount }]] of groups.entries()) {
      const { statistics } = chunkOf(file, footer, index, leaf);
      const bounds = extremesIn(leaf, statistics);
      if (bounds !== undefined) values.set(bounds, 2 * i);
      else if (boundsOf(leaf, statistics, rowCount).nullCount === rowCount) nulls.fill(1, 2 * i, 2 * i + 2);
      else return undefined;
    }
    vectors.set(name, vectorOf(values, nulls));
  }
  request.budget.counts.rowGroups.total += groups.length;
  request.budget.counts.rowGroups.pruned += groups.length;
  return {
    rowCount: 2 * groups.length,
    column: (name) => vectors.get(name) as NumberVector,
    async fetch() {},
  };
}

function extremesIn(leaf: Leaf, statistics: Statistics | undefined): [bigint, bigint] | undefined {
  if (statistics?.min === undefined || statistics.max === undefined || !statistics.isExact) return undefined;
  const min = storedValue(leaf, statistics.min);
  const max = storedValue(leaf, statistics.max);
  const areIntegers =
    (typeof min === 'number' || typeof min === 'bigint') &&
    (typeof max === 'number' || typeof max === 'bigint');
  return areIntegers ? [BigInt(min), BigInt(max)] : undefined;
}

/** Doubles where they hold all of the values. */
function vectorOf(values: BigInt64Array, nulls: Uint8Array): NumberVector | BigintVector {
  const numbers = Float64Array.from(values, Number);
  const { length } = values;
  return numbers.every(Number.isSafeInteger)
    ? { kind: 'number', length, nulls, values: numbers }
    : { kind: 'bigint', length, nulls, values };
}
