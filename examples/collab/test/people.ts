import type { LocalApp } from '@dotdo/example-shared/local/app';
import { afterAll, afterEach } from 'vitest';
import type { DocumentClient } from '../src/client/document-client.ts';
import { Person, startLocally } from '../local.ts';

/** Two users of a workspace, and the windows that they have open. */
export interface People {
  readonly app: LocalApp;
  readonly ada: Person;
  readonly bo: Person;
  /** What is put in here is closed after the test. */
  readonly windows: DocumentClient[];
}

/** Starts the app for the tests of the file that calls this. */
export async function startWithPeople(): Promise<People> {
  const app = await startLocally();
  const windows: DocumentClient[] = [];
  afterEach(() => {
    for (const window of windows.splice(0)) window.close();
  });
  afterAll(() => app.harness.close());
  const ada = await Person.found(app.url.origin, 'acme', 'Ada');
  return { app, ada, bo: await ada.invite('Bo'), windows };
}
