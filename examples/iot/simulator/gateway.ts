import type { BuildingClient } from '../local.ts';
import type { SensorType } from '../src/input.ts';

/** What a sensor publishes under `building/floor/sensor`. */
export interface Payload {
  readonly type: SensorType;
  readonly value: number;
  readonly timestamp: number;
}

/** A message in flight: MQTT keeps it under a packet's id until it is acknowledged. */
interface Message {
  readonly floor: string;
  readonly sensor: string;
  readonly payload: Payload;
  /** How often it has been sent. */
  sent: number;
}

/** What becomes of a request on the way: nothing, or it is lost, or its answer is, which looks the same from here. */
export type Weather = () => 'fine' | 'request lost' | 'answer lost';

const BATCH = 500;
const MAX_SENDINGS = 200;

/**
 * The gateway of a building, as an MQTT broker is for its sensors, with QoS 1: what is published is kept until the
 * building has answered for it, and sent again otherwise. So every reading arrives, and some more than once.
 */
export class Gateway {
  readonly #building: BuildingClient;
  /** Floors that have objects of their own. */
  readonly #floors: ReadonlySet<string>;
  readonly #weather: Weather;
  readonly #inFlight = new Map<number, Message>();
  #lastPacketId = 0;
  /** Messages that were sent again. */
  redelivered = 0;
  /** Of those that were answered, the ones that the building had already. */
  duplicates = 0;

  constructor(building: BuildingClient, floors: Iterable<string> = [], weather: Weather = () => 'fine') {
    this.#building = building;
    this.#floors = new Set(floors);
    this.#weather = weather;
  }

  /** Takes a message from a sensor. */
  publish(topic: string, payload: Payload): void {
    const [building, floor = '', sensor = ''] = topic.split('/');
    if (building !== this.#building.name) throw new Error(`"${topic}" is of another building`);
    this.#inFlight.set(++this.#lastPacketId, { floor, sensor, payload, sent: 0 });
  }

  /** Sends what is in flight, in batches, and takes note of what is acknowledged; returns how much is not. */
  async send(): Promise<number> {
    const byFloor = Map.groupBy(this.#inFlight, ([, { floor }]) =>
      this.#floors.has(floor) ? floor : undefined,
    );
    const batches = [...byFloor].flatMap(([floor, packets]) =>
      Array.from({ length: Math.ceil(packets.length / BATCH) }, (_, i) => ({
        floor,
        packets: packets.slice(i * BATCH, (i + 1) * BATCH),
      })),
    );
    await Promise.all(batches.map(({ floor, packets }) => this.#sendBatch(floor, packets)));
    return this.#inFlight.size;
  }

  /** Sends until all is acknowledged; throws when that takes too many times. */
  async sendAll(): Promise<void> {
    for (let i = 0; i < MAX_SENDINGS; i++) if ((await this.send()) === 0) return;
    throw new Error(`${this.#inFlight.size} messages are not acknowledged`);
  }

  async #sendBatch(
    floor: string | undefined,
    packets: readonly (readonly [number, Message])[],
  ): Promise<void> {
    for (const [, message] of packets) if (++message.sent > 1) this.redelivered++;
    const weather = this.#weather();
    if (weather === 'request lost') return;
    const readings = packets.map(
      ([
        ,
        {
          floor: own,
          sensor,
          payload: { type, ...rest },
        },
      ]) => ({
        sensor_id: floor === undefined && own !== '' ? `${own}.${sensor}` : sensor,
        sensor_type: type,
        ...rest,
      }),
    );
    // A connection that breaks, and an object that ends in the middle, answer nothing that makes sense.
    const answer = await this.#building.send(readings, floor).catch(() => undefined);
    if (answer === undefined || weather === 'answer lost') return;
    const { status, body } = answer;
    // What is refused as wrong will not become right: only what the building could not take is sent again.
    if (status >= 500) return;
    if (status !== 200) throw new Error(`the building refuses a batch: ${status} ${body.error}`);
    this.duplicates += body.duplicates;
    for (const [id] of packets) this.#inFlight.delete(id);
  }
}
