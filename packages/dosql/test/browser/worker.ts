import { LiveObject as Base } from '../support/live-object.ts';

interface Env {
  readonly LIVE: DurableObjectNamespace<LiveObject>;
}

/** A page that shows a live query. */
const HTML = `<!doctype html><p id="status"></p><ul></ul><script type="module">
  import { liveQuery } from '/client.js';
  const query = liveQuery({
    url: '/live',
    publication: 'board',
    table: 'tasks',
    where: "status <> 'done'",
    persist: { storage: localStorage },
  });
  const show = () => {
    const { rows, status } = query.getSnapshot();
    document.querySelector('p').textContent = status;
    document.querySelector('ul').replaceChildren(...rows.map(({ title }) => {
      const item = document.createElement('li');
      item.textContent = title;
      return item;
    }));
  };
  query.subscribe(show);
  show();
</script>`;

/** The object of the tests, with a door for writes. */
export class LiveObject extends Base {
  override async fetch(request: Request): Promise<Response> {
    if (request.method !== 'POST') return super.fetch(request);
    const { db } = await this.open();
    await db.exec(await request.text());
    return new Response('done');
  }
}

export default {
  async fetch(request: Request, { LIVE }: Env): Promise<Response> {
    if (request.method === 'GET' && new URL(request.url).pathname === '/')
      return new Response(HTML, { headers: { 'content-type': 'text/html' } });
    return LIVE.get(LIVE.idFromName('one')).fetch(request);
  },
};
