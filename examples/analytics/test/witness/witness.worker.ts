import { Buffer } from 'node:buffer';
import type { Batch } from '@dotdo/cdc';
import { DB, type Database } from '@dotdo/dosql';
import { createCrypto } from '@dotdo/dosql/crypto';
import { Region as OwnRegion } from '../../src/region.ts';
import { Site as OwnSite } from '../../src/site.ts';
import { Cleaner } from '../../src/privacy.ts';
import own, { type Env } from '../../src/worker.ts';
import { bytesIn } from './bytes.ts';

// The app as it is deployed, with a witness at each way out of a region and of the site: what goes there is written
// down, and can be made to fail. All objects of one local runtime share this module.

/** What has gone out, by where it went, as base64. */
const sent: { to: string; bytes: string }[] = [];
/** What is broken at the moment: `site` answers nothing, `answer` takes everything and loses the answer. */
let broken: ReadonlySet<string> = new Set();

function witness(to: string, value: unknown): void {
  sent.push({ to, bytes: Buffer.from(bytesIn(value)).toString('base64') });
}

function watchedSite(namespace: Env['SITE']): Env['SITE'] {
  return {
    getByName(name: string) {
      const stub = namespace.getByName(name);
      return {
        async receiveChanges(batch: Batch) {
          witness('site', batch);
          if (broken.has('site')) throw new Error('the site is down');
          await stub.receiveChanges(batch);
          if (broken.has('answer')) throw new Error('the answer is lost');
        },
        async forget(region: string, since: string) {
          witness('site', [region, since]);
          if (broken.has('site')) throw new Error('the site is down');
          await stub.forget(region, since);
        },
      };
    },
  } as unknown as Env['SITE'];
}

function watchedBucket(bucket: R2Bucket): R2Bucket {
  return new Proxy(bucket, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (broken.has('r2')) throw new Error('R2 is down');
        if (name === 'put') {
          const body = await new Response(args[1] as BodyInit).arrayBuffer();
          witness('r2', [args[0], new Uint8Array(body), args[2]]);
          args[1] = body;
        }
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
}

export class Region extends OwnRegion {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, { ...env, SITE: watchedSite(env.SITE) });
  }

  /** Has the alarm go off, whether it is time or not. */
  ring(): Promise<void> {
    return this.alarm();
  }

  /** Erases a person and ends before anything is counted anew. */
  async eraseHalf(userHash: string): Promise<void> {
    const db = await this.#database();
    const transaction = db.transaction.bind(db);
    db.transaction = async () => {
      throw new Error('the object ends here');
    };
    await this.erase(userHash).catch(() => {});
    db.transaction = transaction;
  }

  /** Has timers of a name be due, and runs them. */
  async makeDue(name: string): Promise<void> {
    this.ctx.storage.sql.exec('UPDATE __dosql_timer SET at = 0 WHERE name LIKE ?', name);
    await this.alarm();
  }

  /** Has the log wait for the site no longer than for one change, and a day go by. */
  async fallBehind(): Promise<void> {
    this.ctx.storage.sql.exec('UPDATE __dosql_hold SET changes = 1');
    this.ctx.storage.sql.exec('UPDATE __dosql_log SET at = at - 1');
    await this.makeDue('dosql:trim');
  }

  async #database(): Promise<Database> {
    return DB(this.ctx.id.name ?? '', { storage: this.ctx.storage });
  }
}

export class Site extends OwnSite {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, { ...env, ARCHIVE: watchedBucket(env.ARCHIVE) });
  }

  /** Moves what is old enough to R2 now; the alarm does once an hour. */
  async tierPass(): Promise<unknown> {
    await this.status();
    return (await DB(this.ctx.id.name ?? '', { storage: this.ctx.storage })).tierPass();
  }
}

/** What is below `/witness/` is the witness's, all else the app's. */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, scope, what] = pathname.split('/');
    if (scope !== 'witness') return own.fetch(request, env);
    const site = searchParams.get('site') ?? '';
    switch (what) {
      case 'sent':
        return Response.json(sent);
      case 'break':
        broken = new Set(searchParams.get('what')?.split(','));
        return Response.json([...broken]);
      case 'alarm': {
        await Promise.all([europe(env, site).ring(), europe(env, site).ring()]);
        return Response.json({});
      }
      case 'receive': {
        const { batch, times } = await request.json<{ batch: JsonBatch; times: number }>();
        const decoded = decode(batch);
        for (let i = 0; i < times; i++) await env.SITE.getByName(site).receiveChanges(decoded);
        return Response.json({});
      }
      case 'tier': {
        const stub = env.SITE.getByName(site) as unknown as { tierPass(): Promise<unknown> };
        return Response.json(await stub.tierPass());
      }
      case 'erase-half': {
        const { userId } = await request.json<{ userId: string }>();
        const hash = await new Cleaner(createCrypto({ key: env.HASH_KEY })).userHash(site, userId);
        await europe(env, site).eraseHalf(hash);
        return Response.json({});
      }
      case 'behind':
        await europe(env, site).fallBehind();
        return Response.json({});
      case 'later':
        await europe(env, site).makeDue(`${searchParams.get('timer')}:${searchParams.get('only') ?? '%'}`);
        return Response.json({});
      default:
        return new Response(null, { status: 404 });
    }
  },
};

/** The region that things are done to. */
function europe(env: Env, site: string): Pick<Region, 'ring' | 'eraseHalf' | 'makeDue' | 'fallBehind'> {
  return env.REGION.getByName(`${site}/eu`) as unknown as Region;
}

interface JsonBatch extends Omit<Batch, 'events'> {
  readonly events: readonly { readonly lsn: number; readonly after: { readonly sketch: string } | null }[];
}

function decode(batch: JsonBatch): Batch {
  const events = batch.events.map((event) => ({
    ...event,
    lsn: BigInt(event.lsn),
    tx: BigInt(event.lsn),
    timestamp: new Date(),
    after: event.after && {
      ...event.after,
      sketch: new Uint8Array(Buffer.from(event.after.sketch, 'base64')),
    },
  }));
  return { ...batch, events: events as unknown as Batch['events'] };
}
