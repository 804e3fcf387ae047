import { HttpError, json, methodNotAllowed, readJson } from '@dotdo/example-shared/http';
import { parseInput } from '@dotdo/example-shared/input';
import { issueToken, readToken, tokenIn } from '@dotdo/example-shared/token';
import { SUBJECT_HEADER, type Document } from './document.ts';
import { isWorkspaceName, NewWorkspace } from './input.ts';
import { audienceOf } from './place.ts';
import { refuse } from './upgrade.ts';
import type { Workspace } from './workspace.ts';

export { Document } from './document.ts';
export { Workspace } from './workspace.ts';

/** What wrangler.jsonc binds. */
export interface Env {
  readonly DOCUMENTS: DurableObjectNamespace<Document>;
  readonly WORKSPACES: DurableObjectNamespace<Workspace>;
  /** Keeps the documents' versions. */
  readonly ARCHIVE: R2Bucket;
  /** Signs the tokens. */
  readonly TOKEN_SECRET: string;
}

/**
 * Sends every request to the object that it is for, if it may go there.
 *
 * Invariant: a request reaches a document only with a token of its workspace or of itself, and with whom that token
 * is for. Which of the workspace's users may do what, the document knows.
 */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      const url = new URL(request.url);
      if (url.pathname === '/workspaces') return await createWorkspace(request, env);
      const { workspace, document, path } = destination(url.pathname);
      const place = document === undefined ? undefined : { workspace, id: document };
      const subject = await authorize(request, env, workspace, place && audienceOf(place));
      url.pathname = path;
      const inside = new Request(url, request);
      // Set, not added: what a client says here itself is not believed.
      inside.headers.set(SUBJECT_HEADER, subject);
      return await (place === undefined
        ? env.WORKSPACES.getByName(workspace).fetch(inside)
        : env.DOCUMENTS.getByName(audienceOf(place)).fetch(inside));
    } catch (error) {
      return await refuse(request, error);
    }
  },
};

/** `POST /workspaces { workspace, name }`: creates a workspace and answers its first user's token. */
async function createWorkspace(request: Request, env: Env): Promise<Response> {
  if (request.method !== 'POST') throw methodNotAllowed(['POST']);
  const { workspace, name } = parseInput(NewWorkspace, await readJson(request));
  // Without a secret nobody can create one, rather than create one and never get in.
  await issueToken(env.TOKEN_SECRET, { aud: workspace, sub: '' });
  const user = await env.WORKSPACES.getByName(workspace).create(workspace, name);
  if (user === undefined) throw new HttpError(409, `"${workspace}" is taken`);
  const token = await issueToken(env.TOKEN_SECRET, { aud: workspace, sub: user.id });
  return json({ workspace, id: user.id, token }, { status: 201 });
}

/** `/w/acme/search` is for a workspace, `/w/acme/d/<id>/blocks` for a document. */
function destination(pathname: string): { workspace: string; document: string | undefined; path: string } {
  const match =
    /^\/w\/(?<workspace>[^/]+)(?:\/d\/(?<document>[\w-]{36}))?(?<path>\/.*)?$/.exec(pathname)?.groups ?? {};
  const { workspace = '', document, path = '/' } = match;
  if (!isWorkspaceName(workspace))
    throw new HttpError(404, 'there is no such path: name a workspace, /w/<workspace>/…');
  return { workspace, document, path };
}

/** Whom the request's token is for, if it is one of the workspace, or of the document. */
async function authorize(
  { headers }: Request,
  env: Env,
  workspace: string,
  document: string | undefined,
): Promise<string> {
  const token = tokenIn(headers);
  const claims = token === undefined ? undefined : await readToken(env.TOKEN_SECRET, token);
  if (claims === undefined)
    throw new HttpError(
      401,
      'give a token that holds as Authorization: Bearer <token>',
      {},
      { 'www-authenticate': 'Bearer' },
    );
  if (claims.aud !== workspace && claims.aud !== document)
    throw new HttpError(
      403,
      document === undefined ? 'this token is for another workspace' : 'this token is for another document',
    );
  return claims.sub;
}
