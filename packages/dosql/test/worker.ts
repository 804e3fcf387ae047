import { DurableObject } from 'cloudflare:workers';
import type { QueuedEvent } from '@dotdo/cdc';
import { consume, crm, worker, type Env as GuideEnv } from './guide.ts';
import type { Plant } from './guide-tiering.ts';
import type { Guide } from './readme.ts';
import type { Inbox, Outbox } from './support/deliver-objects.ts';
import { serveFiles } from './support/file-server.ts';
import type { LiveObject } from './support/live-object.ts';
import { DB, DoSQLError, type Database } from '../src/index.ts';

interface Env extends GuideEnv {
  TEST: DurableObjectNamespace<TestObject>;
  PLAIN: DurableObjectNamespace<PlainObject>;
  SILENT: DurableObjectNamespace<SilentObject>;
  GUIDE: DurableObjectNamespace<Guide>;
  INBOX: DurableObjectNamespace<Inbox>;
  OUTBOX: DurableObjectNamespace<Outbox>;
  QUEUE: Queue<QueuedEvent>;
  LIVE: DurableObjectNamespace<LiveObject>;
  PLANT: DurableObjectNamespace<Plant>;
  BUCKET: R2Bucket;
  TELEMETRY: R2Bucket;
  LAKE: R2Bucket;
}

declare global {
  // The type that `env` of cloudflare:workers has in the tests.
  // oxlint-disable-next-line typescript/no-namespace
  namespace Cloudflare {
    interface Env extends TestEnv {}
  }
}
type TestEnv = Env;

/** The object that tests run in. */
export class TestObject extends DurableObject<Env> {
  database: Promise<Database> | undefined;

  open(): Promise<Database> {
    return (this.database ??= DB('test', { storage: this.ctx.storage }));
  }

  override async alarm(): Promise<void> {
    await (await this.open()).alarm();
  }

  /** Fails with a database error, for a caller on the other side of RPC. */
  async fail(sql: string): Promise<void> {
    await (await this.open()).exec(sql);
  }

  /** Fails with an error that carries nothing but its message. */
  async failPlainly(sql: string): Promise<void> {
    try {
      await this.fail(sql);
    } catch (error) {
      throw new Error(DoSQLError.from(error)?.message, { cause: error });
    }
  }
}

/** A class whose storage is not SQLite. */
export class PlainObject extends DurableObject<Env> {
  async open(): Promise<void> {
    await DB('plain', { storage: this.ctx.storage });
  }
}

/** A class without alarm(). */
export class SilentObject extends DurableObject<Env> {
  open(options: { keep?: number; maxBytes?: number } = {}): Promise<Database> {
    return DB('silent', { storage: this.ctx.storage, history: options });
  }
}

export { Mirror, Shop } from './guide.ts';
export { Plant } from './guide-tiering.ts';
export { Guide } from './readme.ts';
export { Inbox, Outbox } from './support/deliver-objects.ts';
export { LiveObject } from './support/live-object.ts';

export default {
  /** What the tests reach by the global fetch: the hosts of the guide, and one of files. */
  async fetch(request: Request, env: Env): Promise<Response> {
    const { hostname } = new URL(request.url);
    if (hostname.endsWith('files.example')) return serveFiles(request);
    if (hostname === 'crm.example') return crm.fetch(request, env);
    return hostname === 'shop.example' ? worker.fetch(request, env) : new Response('ok');
  },
  /** Keeps every message where a test can find it. */
  async queue(batch: MessageBatch<QueuedEvent>, env: Env): Promise<void> {
    if (batch.queue === 'jobs') return consume(batch, env);
    for (const { body } of batch.messages) await env.BUCKET.put(`queued/${body.id}`, JSON.stringify(body));
  },
};
