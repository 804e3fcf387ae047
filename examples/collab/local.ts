import { HttpClient, startApp, until, type LocalApp } from '@dotdo/example-shared/local/app';
import { DocumentClient, type ClientOptions } from './src/client/document-client.ts';

/** Starts the app on a free port, with storage that lasts until `harness.close()`. */
export async function startLocally(): Promise<LocalApp> {
  return startApp(import.meta.dirname);
}

/** A user of a workspace. */
export class Person extends HttpClient {
  readonly origin: string;
  readonly workspace: string;
  readonly id: string;

  constructor(origin: string, workspace: string, id: string, token: string) {
    super(`${origin}/w/${workspace}`, token);
    this.origin = origin;
    this.workspace = workspace;
    this.id = id;
  }

  /** Creates a workspace, and its first user. */
  static async found(origin: string, workspace: string, name: string): Promise<Person> {
    const { id, token } = await new HttpClient(origin).post<{ id: string; token: string }>('/workspaces', {
      workspace,
      name,
    });
    return new Person(origin, workspace, id, token);
  }

  /** Another user of the workspace. */
  async invite(name: string): Promise<Person> {
    const { id, token } = await this.post<{ id: string; token: string }>('/users', { name });
    return new Person(this.origin, this.workspace, id, token);
  }

  /** A new document of this person's. */
  async create(title: string): Promise<DocumentAccess> {
    const { id } = await this.post<{ id: string }>('/documents', { title });
    return this.document(id);
  }

  /** A document of the workspace, as this person may use it. */
  document(id: string): DocumentAccess {
    return new DocumentAccess(`${this.origin}/w/${this.workspace}/d/${id}`, id, this.token);
  }
}

/** A document, over HTTP and over its socket, with someone's token. */
export class DocumentAccess extends HttpClient {
  readonly url: string;
  readonly id: string;

  constructor(url: string, id: string, token: string) {
    super(url, token);
    this.url = url;
    this.id = id;
  }

  /** Opens the document in a window. */
  window(options: Partial<ClientOptions> = {}): DocumentClient {
    return new DocumentClient({ url: this.url, token: this.token, ...options });
  }

  /** The same, when it is there. */
  async open(options: Partial<ClientOptions> = {}): Promise<DocumentClient> {
    const window = this.window(options);
    await until(() => window.status === 'live');
    return window;
  }

  /** The same document with another token. */
  as(token: string): DocumentAccess {
    return new DocumentAccess(this.url, this.id, token);
  }
}

/** The texts that a window shows, one after the other. */
export function textsIn({ replica }: DocumentClient): string[] {
  return replica.blocks.map(({ text }) => text);
}
