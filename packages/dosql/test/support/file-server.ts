/** Rows of the files that the server has. */
export const SERVED_ROWS = 20_000;

/** A CSV file of about 300 kB. */
export function servedText(): string {
  const lines = Array.from({ length: SERVED_ROWS }, (_, i) => `${i},name ${i}`);
  return `id,name\n${lines.join('\n')}\n`;
}

/** How often each path was asked for. */
const asked = new Map<string, number>();

/** A web server of files, of good ones and of bad ones. */
export function serveFiles(request: Request): Response {
  const { pathname, origin, searchParams } = new URL(request.url);
  const times = (asked.get(request.url) ?? 0) + 1;
  asked.set(request.url, times);
  const text = servedText();
  const [, kind = ''] = pathname.split('/');
  const headers: Record<string, string> = { 'content-type': 'text/csv', etag: '"v1"' };
  if (kind === 'ranged') return ranged(request, text, headers);
  if (kind === 'typed') return ranged(request, 'a,b\n1,2\n', headers);
  if (kind === 'empty') return new Response(null, { status: 416, headers: { 'content-range': 'bytes */0' } });
  if (kind === 'weak') return ranged(request, text, { ...headers, etag: 'W/"v1"' });
  if (kind === 'unnamed') return ranged(request, text, { 'content-type': 'text/csv' });
  if (kind === 'changing') return ranged(request, text, { ...headers, etag: `"v${times}"` });
  if (kind === 'changes') return ranged(request, times > 1 ? `${text}1,x\n` : text, headers);
  if (kind === 'whole') return new Response(text, { headers });
  if (kind === 'huge') return new Response(stream(40), { headers });
  if (kind === 'announced')
    return new Response(stream(1), { headers: { ...headers, 'content-length': String(2 ** 30) } });
  if (kind === 'flaky' && times % 3 !== 0) return new Response('not now', { status: 503 });
  if (kind === 'flaky') return ranged(request, text, headers);
  if (kind === 'broken') return new Response('never', { status: 500 });
  if (kind === 'private') return new Response('no', { status: 403 });
  if (kind === 'to')
    return new Response(null, { status: 302, headers: { location: searchParams.get('to') ?? '' } });
  if (kind === 'hops') {
    const left = Number(searchParams.get('left'));
    const next = left === 0 ? `${origin}/ranged/a.csv` : `/hops/a.csv?left=${left - 1}`;
    return new Response(null, { status: 307, headers: { location: next } });
  }
  return new Response('nothing here', { status: 404 });
}

function ranged(request: Request, text: string, headers: Record<string, string>): Response {
  const bytes = new TextEncoder().encode(text);
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get('range') ?? '');
  const condition = request.headers.get('if-range');
  if (match === null || (condition !== null && condition !== headers['etag']))
    return new Response(bytes, { headers });
  const start = Number(match[1]);
  const end = Math.min(Number(match[2]) + 1, bytes.length);
  return new Response(bytes.slice(start, end), {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` },
  });
}

/** So many MB, of which no one knows the length beforehand. */
function stream(megabytes: number): ReadableStream<Uint8Array> {
  let left = megabytes;
  return new ReadableStream({
    pull(controller) {
      if (left-- === 0) controller.close();
      else controller.enqueue(new Uint8Array(2 ** 20).fill(48));
    },
  });
}
