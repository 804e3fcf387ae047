import { DoSQLError } from '@dotdo/dosql';
import { errorResponse, HttpError } from '@dotdo/example-shared/http';
import type { Region } from './region.ts';
import { route } from './routes.ts';
import type { Site } from './site.ts';

export { Region } from './region.ts';
export { Site } from './site.ts';

/** What wrangler.jsonc binds. */
export interface Env {
  readonly REGION: DurableObjectNamespace<Region>;
  readonly SITE: DurableObjectNamespace<Site>;
  readonly ARCHIVE: R2Bucket;
  /** Signs tokens. */
  readonly TOKEN_SECRET: string;
  /** Hashes what users and sessions are known by. */
  readonly HASH_KEY: string;
  /** Set on a developer's machine only, where there are no jurisdictions. */
  readonly LOCAL_PLACEMENT?: string;
}

/**
 * Answers every request, or has an object of the site that it names answer it.
 *
 * Invariant: an object is reached only with a token for its very site, and for its region if the token names one.
 * User ids and whole addresses get no further than here: objects are told hashes and networks.
 */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      return await route(request, env);
    } catch (error) {
      if (error instanceof HttpError) return errorResponse(error);
      // Codes of DoSQL survive the way from an object to here; its class does not.
      return errorResponse(DoSQLError.from(error) ?? error);
    }
  },
};
