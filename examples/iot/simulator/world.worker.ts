import app, { Building as AppBuilding, Fleet, Floor as AppFloor, type Env } from '../src/worker.ts';

export { Fleet };

// The app, in a world whose time and bucket can be set: for tests and the demo. None of it is in the Worker that is deployed.

interface WorldState {
  /** How far ahead of the real time the app's is. */
  readonly aheadMs: number;
  /** Whether R2 answers, fails, or says nothing until that changes. */
  readonly bucket: 'up' | 'down' | 'silent';
}

/** All objects of this Worker are in one isolate. */
let world: WorldState = { aheadMs: 0, bucket: 'up' };
/** The calls of R2 that have had no answer. */
let unanswered: ((error: Error) => void)[] = [];

/** The app's building, in that world. */
export class Building extends AppBuilding {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, { ...env, TELEMETRY_ARCHIVE: bucketOfTheWorld(env.TELEMETRY_ARCHIVE) });
  }

  /** What the platform does when an alarm goes off, for as long as anything is due. */
  async goOff(times: number): Promise<void> {
    await this.ctx.storage.deleteAlarm();
    for (let i = 0; i < times; i++) await this.alarm();
  }

  /** Ends the object in the middle of whatever it does. */
  crash(): void {
    this.ctx.abort('crashed, as it was told to');
  }

  protected override now(): number {
    return Date.now() + world.aheadMs;
  }

  protected override get clock(): () => number {
    return () => this.now();
  }
}

/** The app's floor, in that world. */
export class Floor extends AppFloor {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, { ...env, TELEMETRY_ARCHIVE: bucketOfTheWorld(env.TELEMETRY_ARCHIVE) });
  }

  async goOff(times: number): Promise<void> {
    await this.ctx.storage.deleteAlarm();
    for (let i = 0; i < times; i++) await this.alarm();
  }

  /** Ends the object in the middle of whatever it does. */
  crash(): void {
    this.ctx.abort('crashed, as it was told to');
  }

  protected override now(): number {
    return Date.now() + world.aheadMs;
  }

  protected override get clock(): () => number {
    return () => this.now();
  }
}

/** A building, or a floor by `building/floor`, as the tests reach it. */
function objectOf(name: string, env: Env): { goOff(times: number): Promise<void>; crash(): Promise<void> } {
  const object = name.includes('/') ? env.FLOOR.getByName(name) : env.BUILDING.getByName(name);
  return object as unknown as ReturnType<typeof objectOf>;
}

/** The bucket, of which every call does what the world says. */
function bucketOfTheWorld(bucket: R2Bucket): R2Bucket {
  return new Proxy(bucket, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (world.bucket === 'down') return Promise.reject(new Error('R2 is away'));
        if (world.bucket === 'silent') return new Promise((_, reject) => unanswered.push(reject));
        return Reflect.apply(value, target, args);
      };
    },
  });
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === '/world/state') {
      world = { ...world, ...(await request.json<Partial<WorldState>>()) };
      if (world.bucket !== 'silent')
        for (const reject of unanswered) reject(new Error('the connection is lost'));
      if (world.bucket !== 'silent') unanswered = [];
      return Response.json(world);
    }
    if (pathname === '/world/alarm') {
      const { name, times } = await request.json<{ name: string; times: number }>();
      await objectOf(name, env).goOff(times);
      return Response.json(null);
    }
    if (pathname === '/world/crash') {
      const { name } = await request.json<{ name: string }>();
      // The call ends with the object.
      await objectOf(name, env)
        .crash()
        .catch(() => {});
      return Response.json(null);
    }
    if (pathname === '/world/files') {
      const { objects } = await env.TELEMETRY_ARCHIVE.list();
      return Response.json(objects.map(({ key, size }) => ({ key, size })));
    }
    return app.fetch(request, env);
  },
};
