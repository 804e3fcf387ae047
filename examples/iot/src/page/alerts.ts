import { create } from '@dotdo/example-shared/page/dom';
import { conditionText, measure, type Alert } from './model.ts';

const RANK = { critical: 0, warning: 1, info: 2 } as const;
const HUES = { critical: 5, warning: 40, info: 210 } as const;
const MAX_SHOWN = 100;

/** What can be done about an alert. */
export interface AlertActions {
  readonly acknowledge: (alert: Alert) => void;
  readonly resolve: (alert: Alert) => void;
}

/** The alerts that are not resolved, the gravest and newest first; how many there are. */
export function drawAlerts(place: HTMLElement, alerts: Iterable<Alert>, actions: AlertActions): number {
  const open = [...alerts]
    .filter(({ status }) => status !== 'RESOLVED')
    .sort((a, b) => RANK[a.severity] - RANK[b.severity] || b.triggered_at - a.triggered_at || b.id - a.id);
  place.replaceChildren(
    ...open.slice(0, MAX_SHOWN).map((alert) => item(alert, actions)),
    ...(open.length === 0 ? [create('li', { className: 'empty' }, 'All is well.')] : []),
  );
  return open.length;
}

function item(alert: Alert, { acknowledge, resolve }: AlertActions): HTMLElement {
  const { severity, sensor_id, sensor_type, floor, trigger_value, status, acknowledged_by } = alert;
  const chip = create('span', { className: 'chip' }, severity);
  chip.style.setProperty('--hue', String(HUES[severity]));
  const button = (text: string, act: (alert: Alert) => void): HTMLButtonElement => {
    const element = create('button', {}, text);
    element.ariaLabel = `${text} ${sensor_id}`;
    element.addEventListener('click', () => act(alert));
    return element;
  };
  const rule = { condition: alert.condition, threshold_value: alert.threshold_value, sensor_type };
  const text = conditionText({ ...rule, threshold_min: null, threshold_max: null });
  return create(
    'li',
    { className: status.toLowerCase() },
    create('p', {}, chip, ' ', create('strong', {}, sensor_id), floor === '' ? '' : ` on floor ${floor}`),
    create(
      'p',
      {},
      `${sensor_type} ${measure(trigger_value, sensor_type)}, ${text}, ${timeOf(alert.triggered_at)}`,
    ),
    create(
      'div',
      { className: 'actions' },
      acknowledged_by === null
        ? button('Acknowledge', acknowledge)
        : create('span', { className: 'count' }, `seen to by ${acknowledged_by}`),
      button('Resolve', resolve),
    ),
  );
}

function timeOf(ms: number): string {
  return new Date(ms).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hour12: false });
}
