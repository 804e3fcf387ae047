import { inject } from 'vitest';

/** Two fixed seeds, so that a run can be repeated; `VITE_SEED=n` replays one, `VITE_SEED=random` looks for a new one. */
export function seeds(fixed: number): number[] {
  const given = inject('seed');
  if (given === 'random') return [Math.floor(Math.random() * 2 ** 31)];
  return Number(given) > 0 ? [Number(given)] : [fixed, fixed + 1];
}
