import type { BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, onTestFailed, onTestFinished } from 'vitest';
import { startBrowser, type TestBrowser } from './browser.ts';

/** The browser of a file of tests. */
export interface PageTest {
  /** What the test's pages logged as an error, or threw. */
  readonly complaints: readonly string[];
  /** A window with cookies and storage of its own, closed after the test. */
  readonly openBrowser: () => Promise<BrowserContext>;
}

/** Starts a browser for the tests of the file that calls this, and ends it after them. */
export function testInBrowser(): PageTest {
  let browser: TestBrowser;
  const complaints: string[] = [];
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser.browser.close());
  beforeEach(() => {
    complaints.length = 0;
  });
  return {
    complaints,
    openBrowser: async () => {
      const context = await browser.open(complaints);
      onTestFinished(() => context.close());
      onTestFailed(() => console.error(complaints));
      return context;
    },
  };
}
