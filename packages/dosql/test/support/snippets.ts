import { expect } from 'vitest';
import { DoSQLError, type Database, type Row, type SqlValue } from '../../src/index.ts';

/** A fenced block of a guide. */
export interface Snippet {
  readonly language: string;
  readonly text: string;
  /** Where it belongs, where its first line is a comment with a path: `// src/index.ts`. */
  readonly path: string | undefined;
  /** The table of results that follows it, a text for each line of cells; undefined where there is none. */
  readonly table: readonly string[] | undefined;
}

const squeeze = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** The fenced blocks of a Markdown text, in their order. */
export function snippetsOf(markdown: string): Snippet[] {
  const blocks = markdown.matchAll(/^```(\w+)\n([\s\S]*?)^```$(?:\n\n((?:\|.*\n?)+))?/gm);
  return [...blocks].map(([, language = '', text = '', table]) => ({
    language,
    text,
    path: /^(?:\/\/|--|#) ((?:[\w.-]+\/)*[\w.-]+\.\w+)$/m.exec(text.split('\n', 1)[0] ?? '')?.[1],
    table: table === undefined ? undefined : cellsOf(table),
  }));
}

/** The part of a Markdown text under a heading, up to the next one of its level or above. */
export function section(markdown: string, heading: string): string {
  const from = markdown.indexOf(`\n${heading}\n`);
  if (from < 0) throw new Error(`there is no heading "${heading}"`);
  const level = /^#+/.exec(heading)?.[0].length ?? 1;
  const rest = markdown
    .slice(from + heading.length + 1)
    .replaceAll(/```[\s\S]*?```/g, (block) => block.replaceAll('\n#', '\n\0'));
  const end = new RegExp(`^#{1,${level}} `, 'm').exec(rest)?.index ?? rest.length;
  return rest.slice(0, end).replaceAll('\n\0', '\n#');
}

/** Every block of TypeScript in the texts stands in `code`, up to white space. */
export function expectSnippetsIn(code: string, texts: readonly string[]): void {
  const run = squeeze(code);
  for (const text of texts) {
    const blocks = snippetsOf(text).filter(({ language, path }) => language === 'ts' && path === undefined);
    expect(blocks.length).toBeGreaterThan(0);
    for (const block of blocks) expect(run).toContain(squeeze(block.text));
  }
}

/**
 * Runs the blocks of SQL of a text one after the other. A table that follows a block is what it answers; a block of
 * text that follows it is the error that it ends with.
 */
export async function runSql(markdown: string, db: Database, before: () => void = () => {}): Promise<void> {
  const snippets = snippetsOf(markdown);
  for (const [i, { language, text, table }] of snippets.entries()) {
    if (language !== 'sql') continue;
    before();
    const next = snippets[i + 1];
    if (next?.language === 'text') {
      const error = await db.exec(text).then(
        () => undefined,
        (error: unknown) => DoSQLError.from(error),
      );
      expect.soft(squeeze(String(error?.message)), text).toBe(squeeze(next.text));
    } else if (table === undefined) await db.exec(text);
    else expect.soft(tableOf(await db.query(text)), text).toEqual(table);
  }
}

/** Compares values with the blocks of JSON of a text, or of another language, in their order. */
export class Printed {
  readonly #blocks: string[];

  constructor(markdown: string, wanted = 'json') {
    this.#blocks = snippetsOf(markdown)
      .filter(({ language }) => language === wanted)
      .map(({ text }) => text);
  }

  /** The next block says this. Integers are numbers there, times text. */
  next(value: unknown): void {
    const isExact = (_: string, part: unknown): unknown => (typeof part === 'bigint' ? Number(part) : part);
    const block = this.#blocks.shift() ?? 'null';
    expect.soft(JSON.parse(JSON.stringify(value, isExact) ?? 'null')).toEqual(JSON.parse(block));
  }

  /** The next block is this text. */
  nextText(text: string): void {
    expect.soft(text).toBe(this.#blocks.shift()?.trim());
  }

  /** All have been compared. */
  end(): void {
    expect(this.#blocks).toEqual([]);
  }
}

function tableOf(rows: readonly Row[]): string[] {
  const cell = (value: SqlValue | undefined): string => (value === null ? 'NULL' : String(value));
  return [Object.keys(rows[0] ?? {}), ...rows.map((row) => Object.values(row).map(cell))].map((cells) =>
    cells.join(' | '),
  );
}

function cellsOf(table: string): string[] {
  const lines = table
    .trim()
    .split('\n')
    .filter((_, i) => i !== 1);
  return lines.map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim())
      .join(' | '),
  );
}
