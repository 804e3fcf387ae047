import type { LiveClient, LiveQuery } from '@dotdo/cdc/client';
import { until, type LocalApp } from '@dotdo/example-shared/local/app';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FleetClient, reading, startLocally, type BuildingClient } from '../local.ts';

interface Alert {
  readonly id: number;
  readonly sensor_id: string;
  readonly trigger_value: number;
  readonly threshold_value: number;
  readonly severity: string;
  readonly status: string;
  readonly acknowledged_by: string | null;
  readonly resolved_reason: string | null;
}

const MINUTE_MS = 60_000;

let app: LocalApp;
let fleet: FleetClient;
let count = 0;
let connections: LiveClient[] = [];

beforeAll(async () => {
  app = await startLocally();
  fleet = await FleetClient.at(app.url);
});
afterAll(async () => app.harness.close());
afterEach(() => {
  for (const connection of connections) connection.close();
  connections = [];
});

function build(): Promise<BuildingClient> {
  return fleet.build(`tower-${++count}`);
}

function rule({ operator }: BuildingClient, more: object = {}): Promise<{ id: number }> {
  return operator.post('/alerts/rules', {
    sensor_type: 'temperature',
    condition: 'gt',
    threshold_value: 30,
    ...more,
  });
}

async function active({ operator }: BuildingClient): Promise<Alert[]> {
  return (await operator.get<{ alerts: Alert[] }>('/alerts/active')).alerts;
}

/** Sends values of one sensor, each a minute after the one before, the last of them now; the alerts that each raised. */
async function send(building: BuildingClient, values: readonly number[], more: object = {}): Promise<number> {
  const now = Date.now();
  const readings = values.map((value, i) =>
    reading({ value, timestamp: now - (values.length - 1 - i) * MINUTE_MS, ...more }),
  );
  const { status, body } = await building.send(readings);
  expect(status).toBe(200);
  return body.alerts;
}

/** Puts a building's object to sleep. */
function evict({ name }: BuildingClient, webSockets: 'hibernate' | 'close'): Promise<void> {
  return app.harness.getWorker().evictDurableObject('Building', { name, webSockets });
}

/** Follows a building's alerts, as its page does. */
async function follow(building: BuildingClient): Promise<LiveQuery<Alert>> {
  const connection = building.live();
  connections.push(connection);
  const alerts = connection.query<Alert>({ table: 'alerts' });
  await until(() => alerts.status === 'live');
  return alerts;
}

function statuses(alerts: LiveQuery<Alert>): string[] {
  return Array.from(alerts.rows.values(), ({ sensor_id, status }) => `${sensor_id} ${status}`);
}

describe('rules', () => {
  it.each([
    ['gt', { threshold_value: 30 }, [31, 30, 29], [31]],
    ['gte', { threshold_value: 30 }, [31, 30, 29], [31, 30]],
    ['lt', { threshold_value: 30 }, [31, 30, 29], [29]],
    ['lte', { threshold_value: 30 }, [31, 30, 29], [30, 29]],
    ['eq', { threshold_value: 30 }, [31, 30, 29], [30]],
    ['neq', { threshold_value: 30 }, [31, 30, 29], [31, 29]],
    ['range_outside', { threshold_min: 18, threshold_max: 26 }, [17.9, 18, 26, 26.1], [17.9, 26.1]],
  ])('%s is broken by what it says', async (condition, thresholds, values, broken) => {
    const building = await build();
    await rule(building, { threshold_value: undefined, condition, ...thresholds, cooldown_seconds: 0 });
    expect(await send(building, values)).toBe(broken.length);
    expect((await active(building)).map(({ trigger_value }) => trigger_value).reverse()).toEqual(broken);
  });

  it('are for every sensor of a type, or for one', async () => {
    const building = await build();
    await rule(building, { threshold_value: 30 });
    await rule(building, { threshold_value: 20, sensor_id: 't-2', severity: 'critical' });
    await send(building, [25]);
    await send(building, [25], { sensor_id: 't-2' });
    await send(building, [35], { sensor_id: 'c-1', sensor_type: 'co2' });
    await send(building, [35], { sensor_id: 't-3' });
    expect(await active(building)).toMatchObject([
      { sensor_id: 't-2', severity: 'critical', threshold_value: 20 },
      { sensor_id: 't-3', severity: 'warning', threshold_value: 30 },
    ]);
  });

  it('wait for their cooldown, from reading to reading, also over several requests', async () => {
    const building = await build();
    await rule(building, { cooldown_seconds: 150 });
    // Minutes 0 to 9: alerts at 0, 3, 6 and 9.
    expect(
      await send(
        building,
        Array.from({ length: 10 }, () => 31),
      ),
    ).toBe(4);
    expect(await send(building, [40])).toBe(0);
    expect(await send(building, [40], { sensor_id: 't-2' })).toBe(1);
  });

  it('raise one alert when many break one at the same time', async () => {
    const building = await build();
    await rule(building);
    const raised = await Promise.all(Array.from({ length: 10 }, (_, i) => send(building, [31 + i])));
    expect(raised.reduce((sum, alerts) => sum + alerts)).toBe(1);
    expect(await active(building)).toHaveLength(1);
  });

  it('raise nothing for a reading that comes again, or is hours old', async () => {
    const building = await build();
    await rule(building, { cooldown_seconds: 0 });
    const one = reading({ value: 31 });
    await building.send([one]);
    await building.send([one]);
    await send(building, [31], { sensor_id: 't-2', timestamp: Date.now() - 90 * MINUTE_MS });
    expect(await active(building)).toHaveLength(1);
  });

  it('raise no more than can be seen to, and go on when some have been', async () => {
    const building = await build();
    await rule(building, { cooldown_seconds: 0 });
    const now = Date.now();
    const raised: number[] = [];
    for (let batch = 0; batch < 6; batch++) {
      const readings = Array.from({ length: 1_000 }, (_, i) =>
        reading({ value: 31, timestamp: now - 10_000 + batch * 1_000 + i }),
      );
      raised.push((await building.send(readings)).body.alerts);
    }
    expect(raised).toEqual([1_000, 1_000, 1_000, 1_000, 1_000, 0]);
    await building.operator.post('/alerts/resolve', { alert_id: 7 });
    expect(await send(building, [31, 32], { sensor_id: 't-2' })).toBe(1);
  });

  it('can be changed, and hold for what comes then', async () => {
    const building = await build();
    const { id } = await rule(building, { cooldown_seconds: 0 });
    await building.operator.patch(`/alerts/rules/${id}`, { enabled: false });
    expect(await send(building, [31])).toBe(0);
    await building.operator.patch(`/alerts/rules/${id}`, { enabled: true, severity: 'critical' });
    expect(await send(building, [31])).toBe(1);
    await evict(building, 'close');
    expect(await send(building, [32])).toBe(1);
    expect((await building.operator.send('DELETE', `/alerts/rules/${id}`)).status).toBe(204);
    expect(await send(building, [33])).toBe(0);
    expect((await active(building)).map(({ severity }) => severity)).toEqual(['critical', 'critical']);
    expect((await building.operator.send('PATCH', `/alerts/rules/${id}`, { enabled: true })).status).toBe(
      404,
    );
    expect(await building.operator.get('/alerts/rules')).toEqual({ rules: [] });
  });

  it('are refused when they say nothing', async () => {
    const { operator } = await build();
    const refused = async (more: object): Promise<string> => {
      const { status, body } = await operator.send<{ error: string }>('POST', '/alerts/rules', {
        sensor_type: 'co2',
        ...more,
      });
      expect(status).toBe(400);
      return body.error;
    };
    expect(await refused({ condition: 'gt' })).toContain('threshold_value: give it');
    expect(await refused({ condition: 'range_outside', threshold_value: 3 })).toContain('threshold_value');
    expect(await refused({ condition: 'range_outside', threshold_min: 3 })).toContain('threshold_min');
    expect(await refused({ condition: 'range_outside', threshold_min: 3, threshold_max: 2 })).toContain(
      'threshold_min',
    );
    expect(await refused({ condition: 'about', threshold_value: 3 })).toContain('condition: give gt');
    expect(await refused({ condition: 'gt', threshold_value: 3, cooldown_seconds: -1 })).toContain(
      'cooldown',
    );
  });
});

describe('alerts', () => {
  it('are acknowledged, then resolved, by whoever is first', async () => {
    const building = await build();
    await rule(building);
    await send(building, [31]);
    const [alert] = await active(building);
    expect(alert).toMatchObject({ sensor_id: 't-1', status: 'ACTIVE', trigger_value: 31 });
    const { token } = await building.operator.post<{ token: string }>('/tokens', {
      role: 'operator',
      name: 'Ruß',
    });
    const act = (path: string, body: object, by = building.operator.token): Promise<Response> =>
      fetch(`${building.origin}/buildings/${building.name}/alerts/${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${by}` },
        body: JSON.stringify(body),
      });
    const alert_id = alert?.id;
    expect(await (await act('acknowledge', { alert_id }, token)).json()).toMatchObject({
      status: 'ACKNOWLEDGED',
      acknowledged_by: 'Ruß',
    });
    expect(await (await act('acknowledge', { alert_id })).json()).toMatchObject({ acknowledged_by: 'Ruß' });
    expect(await active(building)).toHaveLength(1);
    expect(await (await act('resolve', { alert_id, reason: 'window shut' })).json()).toMatchObject({
      status: 'RESOLVED',
      acknowledged_by: 'Ruß',
      resolved_by: 'operator',
    });
    expect(await (await act('resolve', { alert_id, reason: 'again' }, token)).json()).toMatchObject({
      resolved_by: 'operator',
      resolved_reason: 'window shut',
    });
    expect((await act('acknowledge', { alert_id })).status).toBe(409);
    expect((await act('acknowledge', { alert_id: 99 })).status).toBe(404);
    expect((await act('resolve', { alert_id: 99 })).status).toBe(404);
    expect((await act('resolve', { alert_id: 'first' })).status).toBe(400);
    expect(await active(building)).toEqual([]);
  });

  it('come to every open page, and what becomes of them', async () => {
    const building = await build();
    await rule(building);
    const [one, other] = [await follow(building), await follow(building)];
    await send(building, [31]);
    for (const alerts of [one, other]) await until(() => statuses(alerts).join() === 't-1 ACTIVE');
    await building.operator.post('/alerts/acknowledge', { alert_id: 1 });
    for (const alerts of [one, other]) await until(() => statuses(alerts).join() === 't-1 ACKNOWLEDGED');
  });

  it('come after hibernation, each once, over the socket that was open all the while', async () => {
    const building = await build();
    await rule(building);
    const alerts = await follow(building);
    const heard: string[] = [];
    const connected: string[] = [];
    alerts.onChange((changes) => heard.push(...changes.map(({ op, after }) => `${op} ${after?.sensor_id}`)));
    alerts.subscribe(() => connected.push(alerts.status));
    for (const sensor_id of ['t-1', 't-2', 't-3']) {
      await evict(building, 'hibernate');
      await send(building, [31], { sensor_id });
      await until(() => heard.length >= Number(sensor_id.slice(2)));
    }
    expect(heard).toEqual(['insert t-1', 'insert t-2', 'insert t-3']);
    expect(new Set(connected)).toEqual(new Set(['live']));
  });

  it('that were missed come when the connection is made again', async () => {
    const building = await build();
    await rule(building);
    const alerts = await follow(building);
    await evict(building, 'close');
    await send(building, [31]);
    await until(() => alerts.status === 'live' && alerts.rows.size === 1);
  });

  it('are for operators, on pages of the same site', async () => {
    const building = await build();
    const open = async (token: string, headers: Record<string, string> = {}): Promise<number> => {
      const { href } = new URL(`/buildings/${building.name}/alerts/ws?publication=live`, app.url);
      const response = await app.harness.fetch(href, {
        headers: { upgrade: 'websocket', authorization: `Bearer ${token}`, ...headers },
      });
      response.webSocket?.accept();
      response.webSocket?.close();
      return response.status;
    };
    expect(await open(building.operator.token)).toBe(101);
    expect(await open(building.operator.token, { origin: 'https://evil.example' })).toBe(403);
    expect(await open(building.device.token)).toBe(403);
    expect(await open('guess')).toBe(401);
  });

  it('bear nonsense on their sockets', async () => {
    const building = await build();
    await rule(building);
    const alerts = await follow(building);
    const url = `${building.origin}/buildings/${building.name}/alerts/ws?publication=live`;
    const socket = new WebSocket(url.replace(/^http/, 'ws'), [
      'dosql.cdc',
      `bearer.${building.operator.token}`,
    ]);
    await new Promise((resolve) => socket.addEventListener('open', resolve));
    socket.send('ping');
    await new Promise((resolve) => socket.addEventListener('message', resolve));
    for (const message of [
      '{',
      '{"type":"subscribe"}',
      '{"type":"subscribe","id":"a","tables":["readings"]}',
    ])
      socket.send(message);
    socket.send('x'.repeat(100_000));
    await new Promise((resolve) => socket.addEventListener('close', resolve));
    await send(building, [31]);
    await until(() => alerts.rows.size === 1);
  });
});
