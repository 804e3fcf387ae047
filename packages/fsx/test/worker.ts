import { DurableObject } from 'cloudflare:workers';
import type { Notes } from './readme.ts';
import type { Page } from './readme-transaction.ts';

export { Notes } from './readme.ts';
export { Page } from './readme-transaction.ts';

/** What the tests' Worker is bound to. */
interface Bindings {
  FILES: DurableObjectNamespace<FilesObject>;
  NOTES: DurableObjectNamespace<Notes>;
  PAGE: DurableObjectNamespace<Page>;
  BUCKET: R2Bucket;
}

declare global {
  namespace Cloudflare {
    interface Env extends Bindings {}
  }
}

/** An object whose storage the tests use from outside, through `runInDurableObject`. */
export class FilesObject extends DurableObject {}

export default {
  fetch: () => new Response('The tests run inside this Worker; it serves nothing.', { status: 404 }),
};
