/**
 * Names of files and folders for paths. What `a/B é` is called:
 *
 *     a%/^b%20%c3%a9
 *
 * - A folder's name ends in `%`, so the file `a` and the folder of `a/b` are two names.
 * - A capital letter is `^` and the small one, so no two names differ by case alone.
 * - Every other character but `a`–`z`, `0`–`9`, `-`, `_` and `.` is its UTF-8 bytes as `%` and two
 *   digits: no file system folds, composes or forbids what is left. So are the last dot of a name,
 *   which Windows drops, and the first character of the names it keeps for devices.
 * - A name of more than `partLength` is cut; the parts before the last are folders ending in `%+`.
 *
 * After `%` there are two digits, a `+` or the end, so each name is that of one path alone.
 */

/** File systems allow names of 255 bytes; two are for the ending. */
const partLength = 240;

const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The folder, inside the store's own, for files that are not written to their end. No path has this name. */
export const temporaryFolder = '%tmp';

/** The ending of a folder's name. */
export const folderEnding = '%';

/** The ending of the name of a folder in which a name goes on. */
export const partEnding = '%+';

/** Where the file of a path is: names of folders, and of the file last. */
export function namesOf(path: string): string[] {
  const segments = path.split('/');
  return segments.flatMap((segment, i) => {
    const parts = cut(encode(segment));
    const last = parts.pop() ?? '';
    return [...parts.map((part) => part + partEnding), i < segments.length - 1 ? last + folderEnding : last];
  });
}

/** What a name stands for; `undefined` where no path has it. */
export function decode(name: string): string | undefined {
  const bytes: number[] = [];
  for (let at = 0; at < name.length; at++) {
    const escape = /^(?:%([0-9a-f]{2})|\^([a-z])|([a-z0-9_.-]))/.exec(name.slice(at, at + 3));
    if (escape === null) return undefined;
    const [all, digits, letter, plain = ''] = escape;
    bytes.push(digits ? Number.parseInt(digits, 16) : (letter?.toUpperCase() ?? plain).charCodeAt(0));
    at += all.length - 1;
  }
  try {
    const segment = text.decode(new Uint8Array(bytes));
    return encode(segment) === name ? segment : undefined;
  } catch {
    return undefined;
  }
}

function encode(segment: string): string {
  const name = Array.from(segment, (character) => {
    if (/[a-z0-9_.-]/.test(character)) return character;
    if (/[A-Z]/.test(character)) return `^${character.toLowerCase()}`;
    return Array.from(utf8.encode(character), escaped).join('');
  }).join('');
  const undotted = name.endsWith('.') ? `${name.slice(0, -1)}%2e` : name;
  return /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/.test(undotted)
    ? escaped(undotted.charCodeAt(0)) + undotted.slice(1)
    : undotted;
}

function escaped(byte: number): string {
  return `%${byte.toString(16).padStart(2, '0')}`;
}

function cut(name: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at < name.length; at += partLength) parts.push(name.slice(at, at + partLength));
  return parts;
}
