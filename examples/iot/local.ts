import { LiveClient } from '@dotdo/cdc/client';
import { HttpClient, startApp, type Answer, type LocalApp } from '@dotdo/example-shared/local/app';
import { fleetToken } from './src/access.ts';
import type { Reading } from './src/input.ts';
import type { Receipt } from './src/intake.ts';
import type { FleetBuilding } from './src/fleet.ts';

/** Signs the tokens of apps on this machine. */
const SECRET = crypto.randomUUID();

/** Starts the app on a free port, with storage that lasts until `harness.close()`; `main` is a test's own Worker. */
export async function startLocally(main?: string): Promise<LocalApp> {
  const secrets = { TOKEN_SECRET: SECRET };
  return startApp(import.meta.dirname, main === undefined ? { secrets } : { secrets, main });
}

/** What one building's gateways and operators can do. */
export class BuildingClient {
  readonly name: string;
  readonly origin: string;
  /** Reads and acts. */
  readonly operator: HttpClient;
  /** Sends readings. */
  readonly device: HttpClient;

  constructor(origin: string, name: string, operatorToken: string, deviceToken: string) {
    this.name = name;
    this.origin = origin;
    this.operator = new HttpClient(`${origin}/buildings/${name}`, operatorToken);
    this.device = new HttpClient(`${origin}/buildings/${name}`, deviceToken);
  }

  /** Sends readings to the building, or to one of its floors. */
  send(readings: readonly object[], floor?: string): Promise<Answer<Receipt & { readonly error?: string }>> {
    const path = floor === undefined ? '/ingest-batch' : `/floors/${floor}/ingest-batch`;
    return this.device.send('POST', path, readings);
  }

  /** A connection for live queries of alerts and summaries. */
  live(): LiveClient {
    return new LiveClient({
      url: `${this.origin}/buildings/${this.name}/alerts/ws`.replace(/^http/, 'ws'),
      publication: 'live',
      protocols: [`bearer.${this.operator.token}`],
    });
  }
}

/** Who builds buildings, and sees all of them. */
export class FleetClient {
  readonly #origin: string;
  readonly #http: HttpClient;

  private constructor(origin: string, token: string) {
    this.#origin = origin;
    this.#http = new HttpClient(origin, token);
  }

  /** One of an app whose tokens `secret` signs. */
  static async at(url: URL, secret: string = SECRET): Promise<FleetClient> {
    return new FleetClient(url.origin, await fleetToken(secret, 'the fleet'));
  }

  get token(): string {
    return this.#http.token;
  }

  async build(building: string, title = building): Promise<BuildingClient> {
    const made = await this.#http.post<{ operator_token: string; device_token: string }>('/buildings', {
      building,
      title,
    });
    return new BuildingClient(this.#origin, building, made.operator_token, made.device_token);
  }

  async overview(): Promise<readonly FleetBuilding[]> {
    return (await this.#http.get<{ buildings: FleetBuilding[] }>('/fleet')).buildings;
  }
}

/** A reading of a sensor of temperature, now. */
export function reading(more: Partial<Reading> = {}): object {
  return { sensor_id: 't-1', sensor_type: 'temperature', value: 21, timestamp: Date.now(), ...more };
}
