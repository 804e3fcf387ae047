/** A request that the streams refuse: the HTTP status that says why, and headers that belong to it. */
export class StreamError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'StreamError';
    this.status = status;
    this.headers = headers;
  }
}

/** The stream is not there. */
export function notFound(name: string): StreamError {
  return new StreamError(404, `there is no stream ${JSON.stringify(name)}`);
}

/** The stream was deleted, and is kept only for the streams that were forked from it. */
export function gone(name: string): StreamError {
  return new StreamError(410, `the stream ${JSON.stringify(name)} was deleted`);
}
