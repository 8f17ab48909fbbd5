import type { StoredRecord } from '../ports/event-log.ts';
import type { Answer } from './answer.ts';

/** Who is told how a call ended. */
export interface Caller {
  answered(answer: Answer): void;
}

/** A call on its way. */
export interface Invocation {
  /** Ends it with the fault `aborted`; the caller is told before this returns. Does nothing when it has ended. */
  abort(): void;
}

/** Whether events are looked for in the answer of a call that is done; `any`: all that it says is wanted. */
export type WantsReply = boolean | 'any';

/** Calls one subscription's function. */
export interface Invoker {
  /**
   * Begins a call with these events. The caller is told once how it ended, maybe before this returns. With
   * `fresh` false, a connection that turns out to be closed is a `connection_lost`, not a `stale_connection`.
   */
  invoke(records: readonly StoredRecord[], caller: Caller, fresh: boolean): Invocation;
  /** Bytes that an event takes of a call's `batch.size`. */
  sizeOf(record: StoredRecord): number;
  /**
   * Calls the function without an event, so that it stays ready: over HTTP with OPTIONS, on Lambda with no records.
   * Resolves when the call has ended, whatever was answered; rejects when none could be made.
   */
  warm(): Promise<void>;
  /** Drops all connections. */
  close(): Promise<void>;
}
