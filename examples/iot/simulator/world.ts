import { HttpClient, type LocalApp } from '@dotdo/example-shared/local/app';
import { startLocally, type BuildingClient } from '../local.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The app on this machine, in a world whose time and bucket can be set: `world.worker.ts` is its Worker. */
export class World {
  readonly app: LocalApp;
  /** Noon of today, in UTC: a day's readings lie in one day. */
  readonly noon = Math.floor(Date.now() / DAY_MS) * DAY_MS + 12 * HOUR_MS;
  readonly #http: HttpClient;

  private constructor(app: LocalApp) {
    this.app = app;
    this.#http = new HttpClient(`${app.url.origin}/world`);
  }

  static async start(): Promise<World> {
    const world = new World(await startLocally('simulator/world.worker.ts'));
    await world.goTo(0);
    return world;
  }

  /** Noon, so many days on. */
  async goTo(days: number): Promise<void> {
    await this.#http.post('/state', { aheadMs: this.noon - Date.now() + days * DAY_MS });
  }

  /** R2 answers, fails, or says nothing until that changes. */
  async bucket(state: 'up' | 'down' | 'silent'): Promise<void> {
    await this.#http.post('/state', { bucket: state });
  }

  /** Lets the alarm of a building go off for all that is due by now; more often than it has to, as the platform may. */
  async alarm({ name }: BuildingClient): Promise<void> {
    await this.alarmOf(name);
  }

  /** The same of an object by its name: `hospital`, or `hospital/3` for a floor. */
  async alarmOf(name: string): Promise<void> {
    await this.#http.post('/alarm', { name, times: 12 });
  }

  /** What is in R2 of a building: names and sizes. */
  async files({ name }: BuildingClient): Promise<{ key: string; size: number }[]> {
    const files = await this.#http.get<{ key: string; size: number }[]>('/files');
    return files.filter(({ key }) => key.startsWith(`buildings/${name}/`));
  }

  /** Puts a building's object to sleep; what it had in memory is gone. */
  async evict({ name }: BuildingClient): Promise<void> {
    await this.app.harness.getWorker().evictDurableObject('Building', { name });
  }

  /** Ends an object in the middle of whatever it does: a building, or a floor by `building/floor`. */
  async crash(name: string): Promise<void> {
    await this.#http.post('/crash', { name });
  }
}
