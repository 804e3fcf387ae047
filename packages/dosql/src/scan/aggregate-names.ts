import type { Call, Expression } from './plan-syntax.ts';

/** How many arguments each aggregate takes. Those of SQLite, and those that analysts know from DuckDB. */
export const AGGREGATES: Readonly<Record<string, { readonly least: number; readonly most: number }>> = {
  count: { least: 0, most: 1 },
  sum: { least: 1, most: 1 },
  total: { least: 1, most: 1 },
  avg: { least: 1, most: 1 },
  mean: { least: 1, most: 1 },
  min: { least: 1, most: 1 },
  max: { least: 1, most: 1 },
  group_concat: { least: 1, most: 2 },
  string_agg: { least: 2, most: 2 },
  any_value: { least: 1, most: 1 },
  median: { least: 1, most: 1 },
  quantile_cont: { least: 2, most: 2 },
  quantile: { least: 2, most: 2 },
  quantile_disc: { least: 2, most: 2 },
  approx_count_distinct: { least: 1, most: 1 },
  stddev: { least: 1, most: 1 },
  stddev_samp: { least: 1, most: 1 },
  stddev_pop: { least: 1, most: 1 },
  variance: { least: 1, most: 1 },
  var_samp: { least: 1, most: 1 },
  var_pop: { least: 1, most: 1 },
};

/** Whether an expression is the call of an aggregate; min and max of several arguments are functions of one row. */
export function isAggregate(expression: Expression): expression is Call {
  if (expression.kind !== 'call' || !Object.hasOwn(AGGREGATES, expression.name)) return false;
  return !(expression.name === 'min' || expression.name === 'max') || expression.args.length === 1;
}
