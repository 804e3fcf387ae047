import { gather, type Values } from './values.ts';

/** Reads what was found for each group: for all, or for those at `groups`, which rise. */
export type Results = (groups?: Uint32Array) => Values;

/** Results that are there for all groups. */
export function ready(values: Values): Results {
  return (groups) => (groups === undefined ? values : gather(values, groups));
}

/** The numbers of all groups, where no others are asked for. */
export function allGroups(size: number): Uint32Array {
  const groups = new Uint32Array(size);
  for (let group = 0; group < size; group++) groups[group] = group;
  return groups;
}
