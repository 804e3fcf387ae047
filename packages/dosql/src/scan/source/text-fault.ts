/** What is wrong with a file of text, at which byte of the chunk. */
export class TextFault extends Error {
  override readonly name = 'TextFault';
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}
