/** Where the fields of consecutive rows stand; that of row `r` and slot `s` at `r * slotCount + s`. */
export interface FieldBlock {
  readonly rowCount: number;
  /** From where to where a field is; a NULL takes no bytes. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** How it is written, as the format numbers it. */
  readonly kinds: Uint8Array;
  readonly slotCount: number;
  /** Where the next block begins. */
  readonly end: number;
  /** Lines of the file that the rows take. */
  readonly lineCount: number;
  /** The text of a field. */
  readonly text: (bytes: Uint8Array, block: FieldBlock, at: number) => string;
}
