import * as v from 'valibot';
import { HttpError, type Issue } from './http.ts';

// What every app takes from outside, and how it says what is wrong with it. Objects are strict: an unknown field is
// refused, so that a typing error is told rather than ignored.

/** SQLite ends a text at U+0000, and a lone surrogate is no character: neither would come back as it was. */
export const text = v.pipe(
  v.string('give text'),
  v.check((text) => text.isWellFormed() && !text.includes('\0'), 'give well-formed text without U+0000'),
);

/** A name of something, or a title: one line. */
export const name = v.pipe(
  text,
  v.trim(),
  v.minLength(1, 'give at least 1 character'),
  v.maxLength(200, 'give at most 200 characters'),
);

/** The id of a row. */
export const id = v.pipe(v.number('give an id, a whole number'), v.safeInteger('give an id, a whole number'));

/** A whole number in a URL's query. */
export const queryInteger = v.pipe(
  v.string(),
  v.regex(/^\d{1,15}$/, 'give a whole number'),
  v.transform(Number),
);

/** A point of the past: `lsn:123`, ms since the epoch, or a time in ISO-8601, which DoSQL itself parses. */
export const point = v.pipe(
  v.string(),
  v.transform((text) => {
    const lsn = /^lsn:(\d{1,15})$/.exec(text)?.[1];
    if (lsn !== undefined) return { lsn: Number(lsn) };
    return /^\d{1,15}$/.test(text) ? Number(text) : text;
  }),
);

/** The query of a path that takes none. */
export const NoQuery = v.strictObject({});

/**
 * What `schema` makes of `value`.
 *
 * @throws HttpError 400 with each field that is wrong and why.
 */
export function parseInput<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const issues = result.issues.map((issue): Issue => {
    const field = v.getDotPath(issue) ?? '';
    if (issue.type === 'strict_object' && issue.expected === 'never')
      return { field, message: 'unknown field' };
    if (issue.type === 'strict_object' && issue.path !== undefined) return { field, message: 'is missing' };
    return { field, message: issue.type === 'strict_object' ? 'give a JSON object' : issue.message };
  });
  const text = issues.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`));
  throw new HttpError(400, text.join('; '), { issues });
}

/** The parameters of a URL; one that is given twice is refused rather than half ignored. */
export function parseQuery<S extends v.GenericSchema>(schema: S, query: URLSearchParams): v.InferOutput<S> {
  const twice = [...query.keys()].find((key) => query.getAll(key).length > 1);
  if (twice !== undefined)
    throw new HttpError(400, `${twice}: give it once`, {
      issues: [{ field: twice, message: 'give it once' }],
    });
  return parseInput(schema, Object.fromEntries(query));
}
