import type { ColumnType, ScanColumn } from '../vector.ts';

/** Types that are known better than the first rows tell, by the names of columns. */
export type Types = Readonly<Record<string, ColumnType>>;

/** The type given for a column; names are those of SQL, so upper and lower case are one. */
export function givenType(types: Types, name: string): ColumnType | undefined {
  if (Object.hasOwn(types, name)) return types[name];
  const lower = name.toLowerCase();
  return Object.entries(types).find(([key]) => key.toLowerCase() === lower)?.[1];
}

/** A column with the type that was given for it; times as fine as those that were found, or to microseconds. */
export function typed(found: ScanColumn, type: ColumnType): ScanColumn {
  if (type === found.type) return found;
  const { name } = found;
  if (type !== 'timestamp' && type !== 'time') return { name, type };
  return { name, type, unit: found.unit ?? 'us', isUtc: found.isUtc ?? false };
}

/** The names of columns: those in the file, made different where two are the same to SQL. */
export function uniqueNames(texts: readonly string[]): string[] {
  const used = new Set<string>();
  return texts.map((text, i) => {
    const name = text === '' ? `column${i}` : text;
    let unique = name;
    // As SQL compares names: upper and lower case are one.
    for (let n = 1; used.has(unique.toLowerCase()); n++) unique = `${name}_${n}`;
    used.add(unique.toLowerCase());
    return unique;
  });
}
