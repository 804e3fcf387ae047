import { CELL_CASES, JSON_CASES, KEYLESS_CASES } from './merge-cases-cells.ts';
import { CONSTRAINT_CASES } from './merge-cases-constraints.ts';
import { CRISS_CROSS_CASES, REPEATED_CASES } from './merge-cases-repeated.ts';
import { ROW_CASES } from './merge-cases-rows.ts';
import { OBJECT_CASES, TABLE_CASES } from './merge-cases-schema.ts';
import type { MergeCase } from './merge-cases-shape.ts';
import { STRATEGY_CASES } from './merge-cases-strategies.ts';

/** What merging does, case by case. */
export const MERGE_CASES: readonly MergeCase[] = [
  ...ROW_CASES,
  ...CELL_CASES,
  ...JSON_CASES,
  ...KEYLESS_CASES,
  ...TABLE_CASES,
  ...OBJECT_CASES,
  ...CONSTRAINT_CASES,
  ...REPEATED_CASES,
  ...CRISS_CROSS_CASES,
  ...STRATEGY_CASES,
];
