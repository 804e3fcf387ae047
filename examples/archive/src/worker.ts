import type { Env, Plant } from './plant.ts';

export { Plant } from './plant.ts';

export default {
  /** `/plants/:name/…`, each plant an object of its own. */
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, name, path] = /^\/plants\/([\w-]{1,60})\/([a-z/]+)$/.exec(pathname) ?? [];
    if (name === undefined) return new Response('Not found', { status: 404 });
    const plant = env.PLANT.getByName(name);
    const answer = await respond(plant, `${request.method} ${path}`, request, searchParams);
    return answer === undefined ? new Response('Not found', { status: 404 }) : Response.json(answer);
  },
};

async function respond(
  plant: DurableObjectStub<Plant>,
  route: string,
  request: Request,
  search: URLSearchParams,
): Promise<unknown> {
  const text = (name: string): string => search.get(name) ?? '';
  switch (route) {
    case 'POST tier':
      return plant.tier();
    case 'GET months': {
      const asOf = search.get('as_of');
      return plant.byMonth(asOf === null ? undefined : BigInt(asOf));
    }
    case 'GET months/plan':
      return plant.explainByMonth();
    case 'GET day/plan':
      return plant.explainDay(text('sensor'), text('day'));
    case 'PATCH reading': {
      const { sensor, at, temperature } = await request.json<{
        sensor: string;
        at: string;
        temperature: number;
      }>();
      return plant.correct(sensor, at, temperature);
    }
    case 'GET storage':
      return plant.storage();
    case 'POST days':
      return plant.simulate(Number(text('count')), Number(text('every')));
    default:
      return undefined;
  }
}
