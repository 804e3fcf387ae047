import { HttpError, methodNotAllowed } from './http.ts';

/** The paths of an app, each with the methods that it takes. Named groups of a path are its parameters. */
export type Routes<Handler> = readonly (readonly [
  path: RegExp,
  methods: Readonly<Record<string, Handler>>,
])[];

/** What a path and a method lead to. */
export interface Route<Handler> {
  readonly handler: Handler;
  /** What the path names, decoded. */
  readonly params: Readonly<Record<string, string>>;
}

/**
 * The handler for a path and a method; undefined for a path that is none of these.
 *
 * @throws HttpError 405 for a method that the path does not take, 400 for a part that is not URL-encoded.
 */
export function findRoute<Handler>(
  routes: Routes<Handler>,
  pathname: string,
  method: string,
): Route<Handler> | undefined {
  for (const [path, methods] of routes) {
    const match = path.exec(pathname);
    if (match === null) continue;
    const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (handler === undefined) throw methodNotAllowed(Object.keys(methods));
    const params = Object.entries(match.groups ?? {}).map(([name, part]) => [name, decode(part)]);
    return { handler, params: Object.fromEntries(params) as Record<string, string> };
  }
  return undefined;
}

/** The handler for a path and a method; throws a 404 where there is none, besides what `findRoute` throws. */
export function requireRoute<Handler>(
  routes: Routes<Handler>,
  pathname: string,
  method: string,
): Route<Handler> {
  const found = findRoute(routes, pathname, method);
  if (found === undefined) throw new HttpError(404, 'there is no such path');
  return found;
}

/** A part of a path, where "/" is written "%2F". */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new HttpError(400, `"${part}" is not encoded as a URL's parts are`);
  }
}
