import type { SensorType } from '../src/input.ts';
import type { Payload } from './gateway.ts';

const HOUR_MS = 3_600_000;

/** How each type goes up and down in a day: its value at night, and how much more there is at noon. */
const DAYS: Readonly<Record<SensorType, readonly [night: number, noon: number, noise: number]>> = {
  temperature: [19, 5, 0.6],
  humidity: [46, -8, 2],
  co2: [420, 380, 60],
  occupancy: [0, 14, 3],
  power: [400, 3_600, 300],
  water: [2, 30, 6],
};

/** A made-up sensor of a floor. */
export interface SimulatedSensor {
  readonly topic: string;
  readonly type: SensorType;
  /** What it measures at a time. */
  readonly at: (timestamp: number) => Payload;
}

/** So many sensors of each type on each floor. The same seed gives the same values. */
export function simulateSensors(
  building: string,
  floors: readonly string[],
  types: readonly SensorType[],
  count: number,
  random: () => number,
): SimulatedSensor[] {
  return floors.flatMap((floor) =>
    types.flatMap((type) =>
      Array.from({ length: count }, (_, i) => {
        const [night, noon, noise] = DAYS[type];
        const bias = (random() - 0.5) * noise;
        return {
          topic: `${building}/${floor}/${type}-${i + 1}`,
          type,
          at(timestamp: number): Payload {
            // 0 at midnight, 1 at noon.
            const day = (1 - Math.cos((timestamp / (24 * HOUR_MS)) * 2 * Math.PI)) / 2;
            const value = night + noon * day + bias + (random() - 0.5) * noise;
            const whole = type === 'occupancy' ? Math.max(0, Math.round(value)) : value;
            return { type, value: Math.round(whole * 100) / 100, timestamp };
          },
        };
      }),
    ),
  );
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
