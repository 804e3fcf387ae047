import sparticuz from '@sparticuz/chromium';
import { chromium, type Browser, type BrowserContext } from 'playwright-core';

/** A browser, and what its pages complained of. */
export interface TestBrowser {
  readonly browser: Browser;
  /** A window with cookies and storage of its own. What its pages log as an error, or throw, comes to `complaints`. */
  open(complaints: string[]): Promise<BrowserContext>;
}

/** Starts Chromium: that of the npm package, or the one that `CHROMIUM_PATH` names. */
export async function startBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? (await sparticuz.executablePath()),
    // Made for small functions: as one process it ends with its first context, and its safeguards are off.
    args: sparticuz.args.filter((arg) => !['--single-process', '--disable-web-security'].includes(arg)),
    headless: true,
  });
  return {
    browser,
    async open(complaints) {
      const context = await browser.newContext({ locale: 'en' });
      context.setDefaultTimeout(30_000);
      context.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text());
      });
      context.on('weberror', (error) => complaints.push(String(error.error())));
      return context;
    },
  };
}
