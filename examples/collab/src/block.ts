/** What a block can be. */
export const KINDS = ['paragraph', 'heading', 'list', 'code', 'image', 'table'] as const;
export type Kind = (typeof KINDS)[number];

/** How many blocks a document has at most, and how long the text of one is. */
export const MAX_BLOCKS = 5_000;
export const MAX_TEXT_LENGTH = 20_000;

/** What else there is to say of a block; each by itself, so that two people can change two of them. */
export interface Properties {
  /** Of a heading: 1 to 3. */
  readonly level?: number | undefined;
  /** How far it is moved in. Nesting is told by this alone, so no two people can make a block its own grandparent. */
  readonly indent?: number | undefined;
  /** Of a list: whether it is ticked off; one without it is no task. */
  readonly done?: boolean | undefined;
  /** Of code. */
  readonly language?: string | undefined;
  /** Of an image, whose text is its caption. */
  readonly url?: string | undefined;
}

/** A block, as a client has it. The rows of a table are the lines of its text, its cells are parted by tabs. */
export interface Block {
  readonly id: string;
  readonly kind: Kind;
  readonly text: string;
  readonly properties: Properties;
  readonly position: string;
}

/** A block, as the table has it. */
export interface BlockRow extends Omit<Block, 'properties'> {
  /** JSON. */
  readonly properties: string;
  /** In whose doing it came to be so. */
  readonly run: string;
}

/** A row as clients have it. */
export function blockOf({ id, kind, text, properties, position }: BlockRow): Block {
  return { id, kind, text, properties: JSON.parse(properties) as Properties, position };
}

/** The order of a document's blocks: two that merging has put at one place go by their ids. */
export function compareBlocks(a: Pick<Block, 'id' | 'position'>, b: Pick<Block, 'id' | 'position'>): number {
  if (a.position === b.position) return a.id < b.id ? -1 : 1;
  return a.position < b.position ? -1 : 1;
}
