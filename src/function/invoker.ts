import type { StoredRecord } from '../ports/event-log.ts';
import type { Answer } from './answer.ts';

/** Receives the answer of a call. */
export interface Caller {
  answered(answer: Answer): void;
}

/** A call in flight. */
export interface Invocation {
  /** Ends the call with the fault `aborted`: `answered` is called before this returns. Does nothing when it has ended. */
  abort(): void;
}

/** Whether the answer of a call that is done may hold events; `any`: any answer is a reply. */
export type WantsReply = boolean | 'any';

/** Calls one subscription's function. */
export interface Invoker {
  /**
   * Begins a call with these events. `answered` is called once, maybe before this returns. With `fresh` false, a
   * connection that turns out to be closed is a `connection_lost`, not a `stale_connection`.
   */
  invoke(records: readonly StoredRecord[], caller: Caller, fresh: boolean): Invocation;
  /** Bytes that an event counts for in a call's `batch.size`. */
  sizeOf(record: StoredRecord): number;
  /**
   * Calls the function without an event, so that it stays ready: over HTTP with OPTIONS, on Lambda with no records.
   * Resolves when the call has ended, with any answer. Rejects when no call could be made.
   */
  warm(): Promise<void>;
  /** Closes all connections. */
  close(): Promise<void>;
}
