/** Where a document is. */
export interface Place {
  readonly workspace: string;
  /** The document's id. */
  readonly id: string;
}

/** The name of a document's object, and what the tokens of its guests open. */
export function audienceOf({ workspace, id }: Place): string {
  return `${workspace}/${id}`;
}
