/** A statement's parameters. */
export type Values = (string | number | null)[];

/** One way to use SQLite in a Durable Object. Every call does the whole of its work before it resolves. */
export interface Adapter {
  /** Runs DDL. */
  setUp(sql: string): Promise<void>;
  /** Reads rows, for each of `all` in turn. */
  read(sql: string, all: Values[]): Promise<number>;
  /** Runs a statement for each of `all` in turn, with what the adapter tells of each. */
  write(sql: string, all: Values[]): Promise<void>;
  /** The same, all or none. */
  writeTogether(sql: string, all: Values[]): Promise<void>;
  /** The same as a transaction whose callback waits for each statement. */
  writeInTransaction(sql: string, all: Values[]): Promise<void>;
}
