import { chart, type Series } from '@dotdo/example-shared/page/chart';
import { byId, create } from '@dotdo/example-shared/page/dom';
import { SHOWN_MS } from './live.ts';
import { ALL, dateOf, REGIONS, type DayTotal, type Minute, type PageCount, type Visits } from './model.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const DAYS_SHOWN = 30;
const numbers = new Intl.NumberFormat('en');
const count = (value: number): string => numbers.format(value);

/** Numbers of today. */
export function drawTiles(days: Iterable<DayTotal>, visits: Iterable<Visits>, nowMs: number): void {
  const today = dateOf(nowMs);
  const total = [...days].find(({ date, event_type }) => date === today && event_type === ALL);
  const ended = [...visits].filter(({ date }) => date === today);
  const number = ended.reduce((sum, { visits }) => sum + visits, 0);
  const seconds = ended.reduce((sum, { seconds }) => sum + seconds, 0);
  byId('tiles').replaceChildren(
    tile('Users today', total === undefined ? '0' : `≈ ${count(total.users)}`),
    tile('Events today', count(total?.events ?? 0)),
    tile('Regions with events', String(total?.regions ?? 0)),
    tile('A visit lasts', number === 0 ? '–' : lengthOf(seconds / number)),
  );
}

/** A line for each region with an event in the last hour, and its name with the number of events. */
export function drawMinutes(minutes: Iterable<Minute>, nowMs: number): void {
  const to = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS;
  const from = to - SHOWN_MS + MINUTE_MS;
  const byRegion = Map.groupBy(
    [...minutes].filter(({ minute }) => Date.parse(minute) >= from),
    ({ region }) => region,
  );
  const shown = REGIONS.filter(({ id }) => byRegion.has(id));
  const series = shown.map(({ id, name, color }): Series => {
    const events = new Map(byRegion.get(id)?.map(({ minute, events }) => [Date.parse(minute), events]));
    const points: [number, number][] = [];
    // Of a minute in which nothing happened there is no row; this one has only begun.
    for (let at = from; at < to; at += MINUTE_MS) points.push([at, events.get(at) ?? 0]);
    points.push(...[...events].filter(([at]) => at === to));
    return { name, color, points };
  });
  const options = { label: 'Events a minute', from, to, formatX: timeOf, formatY: count };
  byId('minutes').replaceChildren(chart(series, options));
  byId('regions').replaceChildren(
    ...shown.map(({ id, name, color }) => {
      const events = byRegion.get(id)?.reduce((sum, { events }) => sum + events, 0) ?? 0;
      const dot = create('span', { className: 'dot' });
      dot.style.setProperty('--dot', color);
      return create('li', {}, dot, name, create('span', { className: 'count' }, count(events)));
    }),
  );
}

/** A bar for each day of the last month. */
export function drawDays(days: Iterable<DayTotal>, nowMs: number): void {
  const to = Date.parse(dateOf(nowMs));
  const from = to - (DAYS_SHOWN - 1) * DAY_MS;
  const points = [...days]
    .filter(({ event_type }) => event_type === ALL)
    .map(({ date, users }) => [Date.parse(date), users] as const)
    .filter(([at]) => at >= from)
    .toSorted(([a], [b]) => a - b);
  const series = [{ name: 'Users', color: 'var(--accent)', points }];
  // Half a day of room at both ends: a bar stands in the middle of its day.
  const range = { from: from - DAY_MS / 2, to: to + DAY_MS / 2 };
  const options = { label: 'Users a day', bars: true, ...range, formatX: dayOf, formatY: count };
  byId('days').replaceChildren(chart(series, options));
}

/** Types of events of today, the most frequent first. */
export function drawTypes(days: Iterable<DayTotal>, nowMs: number): void {
  const today = dateOf(nowMs);
  const types = [...days].filter(({ date, event_type }) => date === today && event_type !== ALL);
  const rows = types.toSorted((a, b) => b.events - a.events);
  drawTable(
    'types',
    ['Event', 'Events', 'Users'],
    rows.map(({ event_type, events, users }) => [event_type, count(events), `≈ ${count(users)}`]),
  );
}

/** Pages of today. */
export function drawPages(pages: readonly PageCount[]): void {
  drawTable(
    'pages',
    ['Page', 'Views'],
    pages.map(({ page_path, events }) => [page_path, count(events)]),
  );
}

function drawTable(id: string, heading: readonly string[], rows: readonly (readonly string[])[]): void {
  const head = create('tr', {}, ...heading.map((text) => create('th', { scope: 'col' }, text)));
  const body = rows.map((cells) => create('tr', {}, ...cells.map((text) => create('td', {}, text))));
  byId(id).replaceChildren(create('thead', {}, head), create('tbody', {}, ...body));
}

function tile(name: string, value: string): HTMLElement {
  return create(
    'div',
    { className: 'panel tile', role: 'group', ariaLabel: name },
    create('p', { className: 'value' }, value),
    create('p', { className: 'name' }, name),
  );
}

function lengthOf(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

function timeOf(ms: number): string {
  return new Date(ms).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
}

function dayOf(ms: number): string {
  return new Date(ms).toLocaleDateString('en', { day: 'numeric', month: 'short', timeZone: 'UTC' });
}
