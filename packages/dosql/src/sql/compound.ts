/** SQLite in a Durable Object joins this many SELECTs to one (https://sqlite.org/limits.html, by workerd's util/sqlite.c++). */
const MAX_TERMS = 5;

/** `selects` joined by `operator`, nested where they are more than SQLite joins at once. */
export function compound(selects: readonly string[], operator: 'UNION' | 'UNION ALL'): string {
  if (selects.length <= MAX_TERMS) return selects.join(` ${operator} `);
  const size = MAX_TERMS ** Math.ceil(Math.log(selects.length) / Math.log(MAX_TERMS) - 1);
  const groups = Array.from({ length: Math.ceil(selects.length / size) }, (_, i) =>
    selects.slice(i * size, (i + 1) * size),
  );
  return groups.map((group) => `SELECT * FROM (${compound(group, operator)})`).join(` ${operator} `);
}

/** `terms` joined by an associative operator as a balanced tree: expressions here may be 100 levels deep. */
export function balanced(terms: readonly string[], operator: '+' | 'OR'): string {
  if (terms.length <= 2) return terms.join(` ${operator} `);
  const half = Math.ceil(terms.length / 2);
  return `(${balanced(terms.slice(0, half), operator)}) ${operator} (${balanced(terms.slice(half), operator)})`;
}
