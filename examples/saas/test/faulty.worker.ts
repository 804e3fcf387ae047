import type { Batch } from '@dotdo/cdc';
import worker, { Fleet as SoundFleet, Tenant as SoundTenant, type Env } from '../src/worker.ts';

interface FaultyEnv extends Env {
  /** `r2`: no bucket answers. `answers`: the first answer to everything that the fleet is told is lost. */
  readonly FAULT: 'r2' | 'answers';
}

/** A bucket that is away. */
const away = new Proxy({} as R2Bucket, {
  get: () => async () => {
    throw new Error('put: We encountered an internal error. Please try again. (10001)');
  },
});

function withFaults(env: FaultyEnv): FaultyEnv {
  return env.FAULT === 'r2' ? { ...env, TENANT_DATA: away, LAKE: away } : env;
}

/** A tenant whose alarms all go off twice. */
export class Tenant extends SoundTenant {
  constructor(ctx: DurableObjectState, env: FaultyEnv) {
    super(ctx, withFaults(env));
  }

  override async alarm(): Promise<void> {
    await super.alarm();
    await super.alarm();
  }

  /** The object is no more, and nothing of it in memory either. */
  async lose(): Promise<void> {
    await this.ctx.storage.deleteAll();
    await this.ctx.storage.sync();
    this.ctx.abort('lost');
  }
}

/** The fleet, which takes what it is told, and then may not have said so. */
export class Fleet extends SoundFleet {
  readonly #told = new Set<string>();
  readonly #loses: boolean;

  constructor(ctx: DurableObjectState, env: FaultyEnv) {
    super(ctx, withFaults(env));
    this.#loses = env.FAULT === 'answers';
  }

  override async register(name: string, schemaVersion: number): Promise<void> {
    await super.register(name, schemaVersion);
    this.#lose(name);
  }

  override async receiveChanges(batch: Batch): Promise<void> {
    await super.receiveChanges(batch);
    this.#lose(batch.id);
  }

  #lose(what: string): void {
    if (!this.#loses || this.#told.has(what)) return;
    this.#told.add(what);
    throw new Error('Network connection lost.');
  }
}

export default {
  /** `DELETE /objects/:name` loses a tenant's object; all else is the app's. */
  async fetch(request: Request, env: FaultyEnv): Promise<Response> {
    const [, name] = /^\/objects\/([\w-]+)$/.exec(new URL(request.url).pathname) ?? [];
    if (name === undefined) return worker.fetch(request, env);
    const tenant = env.TENANT.getByName(name) as unknown as DurableObjectStub<Tenant>;
    await tenant.lose().catch(() => {});
    return new Response(null, { status: 204 });
  },
};
