/**
 * Changes of text, and how two that were made at the same time go together. The Worker and the page use the same.
 *
 * A change is a list of splices: each takes `remove` characters out at `at` and puts `insert` in. Places count UTF-16
 * units of the text before the change; splices are in order and do not overlap.
 */
export type Splice = readonly [at: number, remove: number, insert: string];
export type TextChange = readonly Splice[];

/** Longest common sequences are looked for in tables of at most so many cells; else the middle is one splice. */
const MAX_CELLS = 250_000;

/** What turns `before` into `after`: word by word where they differ, so that separate edits stay separate. */
export function diff(before: string, after: string): TextChange {
  if (before === after) return [];
  let start = commonStart(before, after);
  let end = commonEnd(before, after, start);
  const [removed, inserted] = [
    before.slice(start, before.length - end),
    after.slice(start, after.length - end),
  ];
  if (removed === '' || inserted === '') return [aligned(before, [start, removed.length, inserted], 0)];
  // Whole words are compared, also those that begin or end alike.
  while (start > 0 && !isSpace(before[start - 1])) start--;
  while (end > 0 && !isSpace(before[before.length - end])) end--;
  const [from, to] = [before.slice(start, before.length - end), after.slice(start, after.length - end)];
  const changes: Splice[] = [];
  for (const [at, remove, insert] of diffWords(wordsOf(from), wordsOf(to))) {
    // Two words that differ often have most of their letters in common.
    const old = from.slice(at, at + remove);
    const head = commonStart(old, insert);
    const tail = commonEnd(old, insert, head);
    const splice = [
      start + at + head,
      remove - head - tail,
      insert.slice(head, insert.length - tail),
    ] as const;
    const [lastAt = 0, lastRemove = 0] = changes.at(-1) ?? [];
    changes.push(aligned(before, splice, lastAt + lastRemove));
  }
  return changes;
}

/**
 * The same change where a word begins, if it can be told so: who writes "two " before "three" has, letter by letter, put
 * "wo t" behind the "t". What someone else writes there at the same time must not come to stand in between.
 */
function aligned(text: string, [at, remove, insert]: Splice, from: number): Splice {
  if (remove > 0 && insert !== '') return [at, remove, insert];
  let turned = insert === '' ? text.slice(at, at + remove) : insert;
  for (let place = at; place >= from; place--) {
    if (place === 0 || isSpace(text[place - 1])) return [place, remove, insert === '' ? '' : turned];
    if (text[place - 1] !== turned.at(-1)) break;
    turned = `${text[place - 1]}${turned.slice(0, -1)}`;
  }
  return [at, remove, insert];
}

/** The text after a change; undefined for a change that does not fit the text. */
export function applyChange(text: string, change: TextChange): string | undefined {
  let result = '';
  let done = 0;
  for (const [at, remove, insert] of change) {
    if (at < done || at + remove > text.length) return undefined;
    result += text.slice(done, at) + insert;
    done = at + remove;
  }
  return result + text.slice(done);
}

/**
 * `change` as it has to be after `other`, which was made of the same text: nothing that either has put in is lost, and
 * what either took out is gone. Where both put something in at one place, that of `other` comes first.
 */
export function transform(change: TextChange, other: TextChange): TextChange {
  const result: Splice[] = [];
  for (const [at, remove, insert] of change) {
    const pieces = remaining(at, at + remove, other);
    const place = moved(at, other);
    let isInserted = insert === '';
    for (const [from, to] of pieces) {
      const start = moved(from, other);
      if (!isInserted && start >= place) {
        // Where nothing of the other's stands between, putting in and taking out are one splice.
        result.push(start === place ? [start, to - from, insert] : [place, 0, insert]);
        isInserted = true;
        if (start === place) continue;
      }
      result.push([start, to - from, '']);
    }
    if (!isInserted) result.push([place, 0, insert]);
  }
  return result;
}

/** Where a place is after a change: behind what was put in there, or in the place of what was taken out around it. */
export function moved(place: number, change: TextChange): number {
  let shift = 0;
  for (const [at, remove, insert] of change) {
    if (at > place) break;
    if (place < at + remove) return at + shift + insert.length;
    shift += insert.length - remove;
  }
  return place + shift;
}

/** The text with both what `ours` and what `theirs` changed of `base`; `change` is theirs, where it is known. */
export function mergeText(
  base: string,
  ours: string,
  theirs: string,
  change: TextChange = diff(base, theirs),
): string {
  if (ours === base) return theirs;
  return applyChange(ours, transform(change, diff(base, ours))) ?? ours;
}

/** Whether two changes of one text are about the same words, so that putting both together may make no sense. */
export function overlap(one: TextChange, other: TextChange): boolean {
  return one.some(([at, remove]) =>
    other.some(([otherAt, otherRemove]) =>
      remove === 0 || otherRemove === 0
        ? at <= otherAt + otherRemove && otherAt <= at + remove && (remove > 0 || otherRemove > 0)
        : at < otherAt + otherRemove && otherAt < at + remove,
    ),
  );
}

/** The parts of a stretch that a change leaves there, split where it puts something in. */
function remaining(from: number, to: number, change: TextChange): (readonly [from: number, to: number])[] {
  const parts: (readonly [number, number])[] = [];
  let start = from;
  for (const [at, remove] of change) {
    if (at + remove <= start && at < start) continue;
    if (at >= to) break;
    if (at > start) parts.push([start, at]);
    start = Math.max(start, at + remove);
  }
  if (start < to) parts.push([start, to]);
  return parts;
}

function diffWords(before: readonly string[], after: readonly string[]): Splice[] {
  const [rows, columns] = [before.length, after.length];
  if (rows * columns > MAX_CELLS) return [[0, before.join('').length, after.join('')]];
  // The length of what both still have in common behind each pair of words.
  const width = columns + 1;
  const common = new Uint32Array((rows + 1) * width);
  for (let row = rows - 1; row >= 0; row--)
    for (let column = columns - 1; column >= 0; column--)
      common[row * width + column] =
        before[row] === after[column]
          ? at(row + 1, column + 1) + (before[row]?.length ?? 0)
          : Math.max(at(row + 1, column), at(row, column + 1));
  function at(row: number, column: number): number {
    return common[row * width + column] ?? 0;
  }
  const splices: Splice[] = [];
  let place = 0;
  for (let row = 0, column = 0; row < rows || column < columns;) {
    let [removed, inserted] = ['', ''];
    while (
      (row < rows || column < columns) &&
      (row >= rows || column >= columns || before[row] !== after[column])
    ) {
      if (column >= columns || (row < rows && at(row + 1, column) >= at(row, column + 1)))
        removed += before[row++] ?? '';
      else inserted += after[column++] ?? '';
    }
    if (removed !== '' || inserted !== '') splices.push([place, removed.length, inserted]);
    place += removed.length;
    while (row < rows && column < columns && before[row] === after[column]) {
      place += before[row++]?.length ?? 0;
      column++;
    }
  }
  return splices;
}

function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{N}\p{M}]+|\s+|[^]/gu) ?? [];
}

/** How many units two texts begin with alike; never half a character. */
function commonStart(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length > 0 && isHigh(a.charCodeAt(length - 1)) ? length - 1 : length;
}

function commonEnd(a: string, b: string, start: number): number {
  const limit = Math.min(a.length, b.length) - start;
  let length = 0;
  while (length < limit && a.charCodeAt(a.length - 1 - length) === b.charCodeAt(b.length - 1 - length))
    length++;
  return length > 0 && isLow(a.charCodeAt(a.length - length)) ? length - 1 : length;
}

function isSpace(unit: string | undefined): boolean {
  return unit !== undefined && /\s/.test(unit);
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}
