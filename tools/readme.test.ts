import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { page } from '../bench/page.ts';
import { withFigures } from './figures.ts';

it('the README shows the figures of the committed benchmark results', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const squeeze = (text: string): string => text.replaceAll(/[\s-]+/g, ' ');
  expect(squeeze(readme)).toBe(squeeze(withFigures(readme)));
});

it('the page of charts shows the committed benchmark results', () => {
  expect(readFileSync(new URL('../bench/results/index.html', import.meta.url), 'utf8')).toBe(page());
});
