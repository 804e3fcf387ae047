import { chart } from '@dotdo/example-shared/page/chart';
import { create } from '@dotdo/example-shared/page/dom';
import { measure, UNITS, type Rule, type SeriesRow, type Summary } from './model.ts';

const COLORS: Readonly<Record<string, string>> = {
  info: 'var(--faint)',
  warning: 'var(--past)',
  critical: 'var(--danger)',
};

/** What the charts are drawn of. */
export interface ChartData {
  readonly summaries: Iterable<Summary>;
  readonly series: readonly SeriesRow[];
  readonly rules: readonly Rule[];
  readonly from: number;
  readonly to: number;
  /** How a time is written below a chart. */
  readonly formatX: (time: number) => string;
}

/** A panel for each type of sensor that the building has: what it is now, and how it came to that. */
export function drawCharts(place: HTMLElement, data: ChartData): void {
  const now = Map.groupBy(data.summaries, ({ sensor_type }) => sensor_type);
  const series = Map.groupBy(data.series, ({ sensor_type }) => sensor_type);
  const types = Object.keys(UNITS).filter((type) => now.has(type) || series.has(type));
  place.replaceChildren(
    ...types.map((type) => panel(type, now.get(type) ?? [], series.get(type) ?? [], data)),
    ...(types.length === 0 ? [create('p', { className: 'empty' }, 'No sensor has reported yet.')] : []),
  );
}

function panel(
  type: string,
  summaries: readonly Summary[],
  rows: readonly SeriesRow[],
  { rules, from, to, formatX }: ChartData,
): HTMLElement {
  const sensors = summaries.reduce((sum, { sensor_count }) => sum + sensor_count, 0);
  const mean = summaries.reduce((sum, one) => sum + one.mean_value * one.sensor_count, 0) / sensors;
  const [least, most] = [
    Math.min(...summaries.map(({ min_value }) => min_value)),
    Math.max(...summaries.map(({ max_value }) => max_value)),
  ];
  const line = (
    name: string,
    color: string,
    of: (row: SeriesRow) => number,
  ): Parameters<typeof chart>[0][number] => ({
    name,
    color,
    points: rows.map((row) => [row.time, of(row)] as const),
  });
  const image = chart(
    [
      line('most', 'var(--line)', ({ max_value }) => max_value),
      line('least', 'var(--line)', ({ min_value }) => min_value),
      line('mean', 'var(--accent)', ({ avg_value }) => avg_value),
    ],
    {
      label: `${type}, mean, least and most`,
      height: 150,
      from,
      to,
      marks: rules
        .filter((rule) => rule.sensor_type === type && rule.sensor_id === null && rule.enabled)
        .flatMap(marks),
      formatX,
      formatY: (value) => value.toLocaleString('en', { maximumFractionDigits: 1 }),
    },
  );
  const section = create(
    'section',
    { className: 'panel' },
    create('h2', {}, type, create('span', { className: 'count' }, sensors === 0 ? '' : `${sensors} sensors`)),
    create(
      'p',
      { className: 'now' },
      ...(sensors === 0
        ? ['–']
        : [
            create('span', {}, measure(mean, type)),
            create('small', {}, `${measure(least, type)} to ${measure(most, type)}`),
          ]),
    ),
    image,
  );
  section.ariaLabel = type;
  return section;
}

function marks(rule: Rule): { y: number; color: string }[] {
  const color = COLORS[rule.severity] ?? '';
  return [rule.threshold_value, rule.threshold_min, rule.threshold_max].flatMap((y) =>
    y === null ? [] : [{ y, color }],
  );
}
