import { STATUS_TEXTS } from '@dotdo/example-shared/page/live-status';
import { LiveClient, type LiveQuery } from '@dotdo/cdc/client';
import { byId, fillSelect } from '@dotdo/example-shared/page/dom';
import { drawAlerts } from './alerts.ts';
import { ask, pathOf, type Session } from './api.ts';
import { drawCharts } from './charts.ts';
import type { Alert, SeriesRow, Status, Summary } from './model.ts';
import { Rules } from './rules.ts';

const RANGES = {
  hour: { text: 'last hour', hours: 1, granularity: 'minute' },
  day: { text: 'last day', hours: 24, granularity: 'hour' },
  week: { text: 'last week', hours: 168, granularity: 'hour' },
  month: { text: 'last month', hours: 720, granularity: 'hour' },
} as const;
const HOUR_MS = 3_600_000;
/** How soon after news the charts are read anew; what comes in between comes along. */
const RELOAD_MS = 3_000;

/** One building as it is now: what its sensors report, the alerts that it has raised, and its rules. */
export class Room {
  readonly #session: Session;
  readonly #alerts: LiveQuery<Alert>;
  readonly #summaries: LiveQuery<Summary>;
  readonly #rules: Rules;
  readonly #range = byId<HTMLSelectElement>('range');
  #series: readonly SeriesRow[] = [];
  #isReloading = false;

  /**
   * Opens a building.
   *
   * @throws Refusal for a token that is none.
   */
  static async open(session: Session): Promise<void> {
    const { title } = await ask<Status>(session, 'GET', '/status');
    byId('title').textContent = title;
    document.title = `${title} · Telemetry`;
    await new Room(session).#load();
  }

  private constructor(session: Session) {
    this.#session = session;
    this.#rules = new Rules(
      session,
      () => this.#drawCharts(),
      (error) => this.#notify(error),
    );
    const client = new LiveClient({
      url: pathOf(session, '/alerts/ws'),
      publication: 'live',
      // A browser cannot give a WebSocket an Authorization header, but it can offer subprotocols.
      protocols: [`bearer.${session.token}`],
    });
    this.#alerts = client.query<Alert>({ table: 'alerts', where: "status <> 'RESOLVED'" });
    this.#summaries = client.query<Summary>({ table: 'summaries' });
    this.#alerts.subscribe(() => this.#drawAlerts());
    this.#summaries.subscribe(() => {
      this.#drawCharts();
      this.#reloadSoon();
    });
    fillSelect(
      this.#range,
      Object.entries(RANGES).map(([name, { text }]) => [name, text]),
      'hour',
    );
    this.#range.addEventListener('change', () => void this.#reload());
    // Other people's changes draw the page at any moment, and a message outlasts them.
    document.addEventListener('click', () => this.#notify(''), { capture: true });
  }

  async #load(): Promise<void> {
    await Promise.all([this.#reload(), this.#rules.load()]);
  }

  /** Reads the charts' past, and how the archive is. */
  async #reload(): Promise<void> {
    const { hours, granularity } = RANGES[this.#range.value as keyof typeof RANGES];
    try {
      const [{ data }, { archive, late_readings }] = await Promise.all([
        ask<{ data: SeriesRow[] }>(
          this.#session,
          'GET',
          `/query?by=type&hours=${hours}&granularity=${granularity}`,
        ),
        ask<Status>(this.#session, 'GET', '/status'),
      ]);
      this.#series = data;
      byId('archive').textContent = archiveText(archive, late_readings);
      this.#drawCharts();
    } catch (error) {
      this.#notify(error);
    }
  }

  #reloadSoon(): void {
    if (this.#isReloading) return;
    this.#isReloading = true;
    setTimeout(() => {
      this.#isReloading = false;
      void this.#reload();
    }, RELOAD_MS);
  }

  #drawCharts(): void {
    const { hours } = RANGES[this.#range.value as keyof typeof RANGES];
    const to = Date.now();
    drawCharts(byId('charts'), {
      summaries: this.#summaries.rows.values(),
      series: this.#series,
      rules: this.#rules.all,
      from: to - hours * HOUR_MS,
      to,
      formatX: (time) => timeText(time, hours),
    });
  }

  /** Drawn when they change only: a button that is being pressed stays where it is while readings come in. */
  #drawAlerts(): void {
    const { status, error } = this.#alerts;
    const live = byId('live');
    live.textContent = STATUS_TEXTS[status];
    live.title = error?.message ?? '';
    live.classList.toggle('on', status === 'live');
    const count = drawAlerts(byId('alerts'), this.#alerts.rows.values(), {
      acknowledge: ({ id }) => this.#act('/alerts/acknowledge', { alert_id: id }),
      resolve: ({ id }) => this.#act('/alerts/resolve', { alert_id: id }),
    });
    byId('alert-count').textContent = count === 0 ? '' : String(count);
  }

  /** What comes of it comes over the socket, like what others do. */
  #act(path: string, body: object): void {
    ask(this.#session, 'POST', path, body).catch((error: unknown) => this.#notify(error));
  }

  #notify(message: unknown): void {
    byId('notice').textContent = message instanceof Error ? message.message : String(message);
  }
}

function archiveText({ cold_rows, waiting_files, problem }: Status['archive'], late: number): string {
  if (problem !== null)
    return `The archive does not answer: ${waiting_files} files and ${late} late readings wait`;
  return cold_rows === 0 ? '' : `${cold_rows.toLocaleString('en')} rows in the archive`;
}

function timeText(time: number, hours: number): string {
  const date = new Date(time);
  return hours > 24
    ? date.toLocaleDateString('en', { month: 'short', day: 'numeric' })
    : date.toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hour12: false });
}
