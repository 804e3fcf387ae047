const INDENT = ' '.repeat(10);

/** What a step has to say, printed below its title. */
let lines: string[] = [];

/** Runs a step of a demo and prints its title, what it took, and what it had to say. */
export async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await work();
  say(title, began);
  for (const text of lines) console.log(`${INDENT}${text}`);
  lines = [];
  return result;
}

/** Prints a title and what it took since `began`. */
export function say(title: string, began: number): void {
  console.log(`${`${Math.round(performance.now() - began)} ms`.padStart(8)}  ${title}`);
}

/** Adds a line to what the step has to say. */
export function line(text: string): void {
  lines.push(text);
}

/** Prints rows below a heading, each column as wide as it needs to be. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = heading.map((_, column) =>
    Math.max(...[heading, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  const print = (cells: readonly string[]): void =>
    console.log(
      `${INDENT}${cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd()}`,
    );
  print(heading);
  print(widths.map((width) => '─'.repeat(width)));
  for (const row of rows) print(row);
}
