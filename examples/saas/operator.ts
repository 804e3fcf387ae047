import { issueToken } from '@dotdo/example-shared/token';
import { request } from '@dotdo/example-shared/page/request';
import { OPERATOR } from './src/token.ts';

/** A tenant, as the operator's list has it. */
export interface ListedTenant {
  readonly name: string;
  readonly schema_version: number;
  readonly created_at: string;
}

/** A tenant that has been made from backups. */
export interface RestoredTenant {
  readonly tenant: string;
  /** The point that it is as of. */
  readonly lsn: number;
  readonly files: number;
  /** Its owner's. */
  readonly token: string;
}

/** What the operator can do over HTTP, for scripts. */
export class Operator {
  readonly #origin: string;
  readonly #token: string;

  private constructor(origin: string, token: string) {
    this.#origin = origin;
    this.#token = token;
  }

  /** Whoever knows the secret signs a token with it, for as long as a script may take. */
  static async of(url: URL, secret: string): Promise<Operator> {
    const claims = { aud: OPERATOR, sub: 'script' };
    return new Operator(url.origin, await issueToken(secret, claims, '1h'));
  }

  /** The JSON that is answered; throws a `Refusal` unless it is success. */
  send<T>(method: string, path: string, body?: unknown): Promise<T> {
    return request<T>(method, `${this.#origin}/operator${path}`, { token: this.#token, body });
  }

  /** All tenants, page by page, in the order of their names. */
  async *tenants(pageLength = 1_000): AsyncGenerator<ListedTenant, void, undefined> {
    for (let after: string | null = ''; after !== null;) {
      const path: string = `/tenants?after=${encodeURIComponent(after)}&limit=${pageLength}`;
      const page: { tenants: ListedTenant[]; next: string | null } = await this.send('GET', path);
      yield* page.tenants;
      after = page.next;
    }
  }

  /** Wakes a tenant, which brings its schema up to date; returns the version. */
  async migrate(tenant: string): Promise<number> {
    const { schema_version } = await this.send<{ schema_version: number }>(
      'POST',
      `/tenants/${tenant}/migrate`,
    );
    return schema_version;
  }

  /** Backs a tenant up now. */
  backUp(tenant: string): Promise<{ readonly lsn: number; readonly files: number }> {
    return this.send('POST', `/tenants/${tenant}/backup`);
  }

  /** Makes a tenant that is not there from the backups of one that is, or was. */
  restore(tenant: string, backup: { readonly from: string; readonly at?: string }): Promise<RestoredTenant> {
    return this.send('POST', `/tenants/${tenant}/restore`, backup);
  }

  /** Rows out of the tables of all tenants. */
  async query<T>(sql: string, params: readonly unknown[] = [], as_of?: string): Promise<T[]> {
    return (await this.send<{ rows: T[] }>('POST', '/query', { sql, params, as_of })).rows;
  }
}
