import { StreamError } from './error.ts';

/** How long a stream's name may be, in UTF-16 code units. */
export const MAX_NAME_LENGTH = 512;

const CONTROL = /\p{Cc}|\p{Cs}/u;

/** A base path with a slash at both ends. */
export function basePathOf(path: string): string {
  return `/${path.split('/').filter(Boolean).join('/')}/`.replace('//', '/');
}

/**
 * The name of the stream at a URL's path: what is below the base path, each segment decoded once.
 *
 * @throws StreamError 400 for a path that names no stream, 404 for one outside of the base path.
 */
export function nameOf(pathname: string, basePath: string): string {
  if (!pathname.startsWith(basePath))
    throw new StreamError(404, `there are no streams at this path: they are below ${basePath}`);
  const segments = pathname.slice(basePath.length).split('/').map(decoded);
  if (segments.some((segment) => segment.includes('/')))
    throw new StreamError(400, 'the path names no stream: a segment holds an encoded slash');
  return checkedName(segments.join('/'));
}

/** @throws StreamError 400 for a name that no URL could have. */
export function checkedName(name: string): string {
  const isPath = name.split('/').every((segment) => !['', '.', '..'].includes(segment));
  if (!isPath || CONTROL.test(name))
    throw new StreamError(
      400,
      'that names no stream: the segments of a name must not be empty, "." or "..", nor hold control characters',
    );
  if (name.length > MAX_NAME_LENGTH)
    throw new StreamError(400, `the stream's name is longer than ${MAX_NAME_LENGTH} characters`);
  return name;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new StreamError(400, 'the path is not percent-encoded UTF-8');
  }
}
