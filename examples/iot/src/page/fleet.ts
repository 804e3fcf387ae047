import { byId, create } from '@dotdo/example-shared/page/dom';
import { request } from '@dotdo/example-shared/page/request';
import type { Session } from './api.ts';
import { measure, type Summary } from './model.ts';

interface FleetBuilding {
  readonly name: string;
  readonly title: string;
  readonly alerts: { readonly critical: number; readonly warning: number; readonly info: number };
  readonly summaries: readonly Summary[];
}

const EVERY_MS = 3_000;

/** Shows every building, and again every few seconds. */
export async function openFleet({ token }: Session): Promise<void> {
  const draw = async (): Promise<void> => {
    const { buildings } = await request<{ buildings: FleetBuilding[] }>('GET', '/fleet', { token });
    byId('buildings').replaceChildren(...buildings.map(card));
  };
  await draw();
  setInterval(() => {
    // A server that is away is asked again.
    draw().catch(() => {});
  }, EVERY_MS);
}

function card({ title, name, alerts, summaries }: FleetBuilding): HTMLElement {
  const grave = (['critical', 'warning', 'info'] as const).filter((severity) => alerts[severity] > 0);
  return create(
    'li',
    { className: 'panel' },
    create('h2', {}, title, create('span', { className: 'count' }, name)),
    create(
      'p',
      { className: alerts.critical > 0 ? 'grave' : '' },
      grave.length === 0 ? 'All is well.' : grave.map((one) => `${alerts[one]} ${one}`).join(', '),
    ),
    ...summaries.map(({ sensor_type, mean_value, sensor_count }) =>
      create(
        'p',
        { className: 'count' },
        `${sensor_type} ${measure(mean_value, sensor_type)} of ${sensor_count}`,
      ),
    ),
  );
}
