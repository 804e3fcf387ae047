import type { ChangeEvent } from '../reader.ts';

/** Events that are handed over together. */
export interface Batch {
  /** Names the batch: the same each time that it is sent again, and of no other batch. */
  readonly id: string;
  /** The database's name. */
  readonly source: string;
  readonly slot: string;
  /** Names the numbering of this delivery's events, among all deliveries of all databases. */
  readonly stream: string;
  /** The number of the first event; those behind it count on. Numbers only rise, with gaps. */
  readonly sequence: number;
  readonly events: readonly ChangeEvent[];
  /**
   * Numbers that no event has any more, for what has been erased from the database since the batch was first sent: the
   * others have those that they had. {@link numbersOf} tells.
   */
  readonly erased?: readonly number[];
  /** True for dead letters that are sent again: newer changes of other rows may have come before. */
  readonly isReplay?: true;
}

/** The number of each event of a batch. */
export function numbersOf({ sequence, events, erased = [] }: Batch): number[] {
  const numbers: number[] = [];
  for (let number = sequence; numbers.length < events.length; number++)
    if (!erased.includes(number)) numbers.push(number);
  return numbers;
}

/** How a batch is being sent. */
export interface SendContext {
  /** Aborts when the time to send is over: the batch will be sent again, whatever becomes of this attempt. */
  readonly signal: AbortSignal;
  /** 1 the first time that this batch is sent. */
  readonly attempt: number;
}

/** An event that the sink will never take. */
export interface RefusedEvent {
  /** Which of the batch's events. */
  readonly index: number;
  readonly message: string;
}

/** What a sink did not take of a batch, all else of which it has. */
export interface SinkResult {
  readonly failed?: readonly RefusedEvent[] | undefined;
}

/**
 * Where events are delivered to.
 *
 * Treaty: `send` resolves only when all of the batch is kept over there. A {@link PermanentError} says that the batch,
 * as it is, will never be taken; any other error that it may be later, and it is sent again for as long as that takes.
 * A batch can come more than once, always with the same `id` and the same events, but for those that have been erased
 * from the database meanwhile: these are left out, and the others keep their numbers.
 */
export interface Sink {
  send(batch: Batch, context: SendContext): Promise<SinkResult | void>;
}

/** What is thrown for content that will never be taken. Its message tells it apart also on the other side of RPC. */
export class PermanentError extends Error {
  override readonly name: string = 'PermanentError';

  constructor(message: string, options?: ErrorOptions) {
    super(`PERMANENT: ${message}`, options);
  }
}

/** What is thrown when it is known how long to wait before sending again. */
export class RetryLaterError extends Error {
  override readonly name: string = 'RetryLaterError';
  /** In ms. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs: number | undefined) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Whether a sink's error is a {@link PermanentError}, thrown here or on the other side of RPC. */
export function isPermanent(error: unknown): boolean {
  return error instanceof Error && /^(?:\w*Error: )?PERMANENT: /.test(error.message);
}
