import { HttpClient, type LocalApp } from '@dotdo/example-shared/local/app';
import { issueToken } from '@dotdo/example-shared/token';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FleetClient, reading, startLocally, type BuildingClient } from '../local.ts';

let app: LocalApp;
let fleet: FleetClient;
let acme: BuildingClient;
let globex: BuildingClient;

beforeAll(async () => {
  app = await startLocally();
  fleet = await FleetClient.at(app.url);
  acme = await fleet.build('acme');
  globex = await fleet.build('globex');
});
afterAll(async () => app.harness.close());

/** The status of a request with a token. */
async function ask(token: string, method: string, path: string, body?: unknown): Promise<number> {
  return (await new HttpClient(app.url.origin, token).send(method, path, body)).status;
}

it('a token opens one building, as what it was given for', async () => {
  const paths = ['/realtime', '/status', '/sensors', '/alerts/active', '/alerts/rules', '/floors'];
  for (const path of paths) {
    expect(await ask(acme.operator.token, 'GET', `/buildings/acme${path}`)).toBe(200);
    expect(await ask(acme.operator.token, 'GET', `/buildings/globex${path}`)).toBe(403);
    expect(await ask(acme.device.token, 'GET', `/buildings/acme${path}`)).toBe(403);
    expect(await ask(fleet.token, 'GET', `/buildings/acme${path}`)).toBe(403);
    expect(await ask('', 'GET', `/buildings/acme${path}`)).toBe(401);
    expect(await ask('a.b.c', 'GET', `/buildings/acme${path}`)).toBe(401);
  }
  for (const path of ['/ingest', '/ingest-batch', '/floors/1/ingest', '/floors/1/ingest-batch'])
    for (const [token, status] of [
      [globex.device.token, 403],
      [acme.operator.token, 403],
      [fleet.token, 403],
      ['', 401],
    ] as const)
      expect(await ask(token, 'POST', `/buildings/acme${path}`, reading())).toBe(status);
  expect(await acme.operator.get('/sensors')).toMatchObject({ sensors: [] });
});

it('a token of another secret, or that has expired, opens nothing', async () => {
  const forged = await issueToken('another secret, just as long', {
    aud: 'building:acme',
    sub: 'eve',
    role: 'operator',
  });
  expect(await ask(forged, 'GET', '/buildings/acme/status')).toBe(401);
  const [head, , signature] = acme.device.token.split('.');
  const claims = { aud: 'building:acme', sub: 'eve', role: 'operator', exp: 4_000_000_000 };
  const body = Buffer.from(JSON.stringify(claims)).toString('base64url');
  expect(await ask(`${head}.${body}.${signature}`, 'GET', '/buildings/acme/status')).toBe(401);
});

it('only the fleet makes buildings and sees all of them', async () => {
  for (const token of [acme.operator.token, acme.device.token]) {
    expect(await ask(token, 'GET', '/fleet')).toBe(403);
    expect(await ask(token, 'POST', '/buildings', { building: 'mine', title: 'Mine' })).toBe(403);
  }
  expect(await ask('', 'POST', '/buildings', { building: 'mine', title: 'Mine' })).toBe(401);
  expect(await ask(fleet.token, 'POST', '/buildings', { building: 'acme', title: 'Again' })).toBe(409);
  expect(await ask(fleet.token, 'POST', '/buildings', { building: 'No', title: 'No' })).toBe(400);
  expect(await ask(fleet.token, 'DELETE', '/buildings')).toBe(405);
  expect(await ask(fleet.token, 'GET', '/fleet?all=1')).toBe(400);
});

it('an operator hands on what an operator may, for the same building', async () => {
  const { token } = await acme.operator.post<{ token: string }>('/tokens', { role: 'device', name: 'roof' });
  expect(await ask(token, 'POST', '/buildings/acme/ingest', reading())).toBe(200);
  expect(await ask(token, 'GET', '/buildings/acme/status')).toBe(403);
  expect(await ask(token, 'POST', '/buildings/globex/ingest', reading())).toBe(403);
  expect(await ask(acme.operator.token, 'POST', '/buildings/acme/tokens', { role: 'fleet', name: 'x' })).toBe(
    400,
  );
});

it('what a client says of itself in headers is not believed', async () => {
  const response = await fetch(`${app.url.origin}/buildings/acme/status`, {
    headers: { authorization: `Bearer ${acme.device.token}`, 'x-holder-role': 'operator' },
  });
  expect(response.status).toBe(403);
});

it('paths and methods that there are not are told apart', async () => {
  const { token } = acme.operator;
  expect(await ask(token, 'GET', '/buildings/acme/nothing')).toBe(404);
  expect(await ask(token, 'GET', '/buildings/acme')).toBe(404);
  expect(await ask(token, 'GET', '/nothing')).toBe(404);
  expect(await ask(token, 'DELETE', '/buildings/acme/realtime')).toBe(405);
  expect(await ask(acme.device.token, 'GET', '/buildings/acme/ingest')).toBe(405);
  expect(await ask(token, 'GET', '/buildings/acme/realtime?minutes=0')).toBe(400);
  expect(await ask(token, 'GET', '/buildings/acme/realtime?minutes=61')).toBe(400);
  expect(await ask(token, 'GET', '/buildings/acme/realtime?minutes=5&minutes=6')).toBe(400);
  expect(await ask(token, 'GET', "/buildings/acme/realtime?type=co2'")).toBe(400);
  expect(await ask(token, 'GET', '/buildings/acme/historical?start=2026-01-01')).toBe(400);
  expect(await ask(token, 'GET', '/buildings/acme/historical?start=2026-01-02&end=2026-01-01')).toBe(400);
  expect(await ask(token, 'GET', '/buildings/acme/historical?start=2026-01-01T12:00&end=2026-01-02')).toBe(
    400,
  );
});

it('a building that was never made leaves nothing behind', async () => {
  const ids = await app.harness.getWorker().listDurableObjectIds('Building');
  expect(await ask(acme.operator.token, 'GET', '/buildings/umbrella/status')).toBe(403);
  expect(await app.harness.getWorker().listDurableObjectIds('Building')).toEqual(ids);
});
