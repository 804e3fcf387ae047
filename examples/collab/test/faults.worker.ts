import worker from '../src/worker.ts';
import type { Env } from '../src/worker.ts';
import { Document as App } from '../src/document.ts';

export { Workspace } from '../src/workspace.ts';

/** What can go wrong with a document. */
export type Fault = 'crash' | 'alarmTwice' | 'endDay' | 'bucketDown' | 'bucketUp';

/** The app as it is shipped, in a world where things go wrong: the tests say when, under paths of their own. */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const fault = /^\/fault\/(?<what>\w+)\/(?<name>.+)$/.exec(new URL(request.url).pathname)?.groups;
    if (fault === undefined) return worker.fetch(request, env);
    const { what = '', name = '' } = fault;
    const object = env.DOCUMENTS.getByName(
      decodeURIComponent(name),
    ) as unknown as DurableObjectStub<Document>;
    await object[what as Fault]();
    return new Response();
  },
};

/** A document whose object can be killed, whose alarm can come twice, and whose bucket is down until it is mended. */
export class Document extends App {
  constructor(ctx: DurableObjectState, env: Env) {
    const isDown = (): boolean => ctx.storage.kv.get('bucket is down') === true;
    const ARCHIVE = new Proxy(env.ARCHIVE, {
      get: (bucket, property) =>
        typeof bucket[property as 'get'] === 'function'
          ? (...args: unknown[]): unknown => {
              if (isDown())
                throw new Error('put: We encountered an internal error. Please try again. (10001)');
              return (bucket[property as 'get'] as unknown as (...args: unknown[]) => unknown).apply(
                bucket,
                args,
              );
            }
          : bucket[property as 'get'],
    });
    super(ctx, { ...env, ARCHIVE });
  }

  /** Ends the object where it stands, sockets and all that is not committed. */
  crash(): void {
    this.ctx.abort('the test has killed it');
  }

  async alarmTwice(): Promise<void> {
    await Promise.all([this.alarm(), this.alarm()]);
  }

  /** Brings the end of the day forward to now; the alarm comes twice. */
  async endDay(): Promise<void> {
    this.ctx.storage.sql.exec("UPDATE __dosql_timer SET at = ? WHERE name LIKE 'day:%'", Date.now());
    await this.alarmTwice();
  }

  bucketDown(): void {
    this.ctx.storage.kv.put('bucket is down', true);
  }

  bucketUp(): void {
    this.ctx.storage.kv.delete('bucket is down');
  }
}
