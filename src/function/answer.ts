/** Why a call got no usable answer. */
export type CallFault =
  | 'timeout'
  | 'unreachable'
  | 'connection_lost'
  | 'stale_connection'
  | 'bad_reply'
  | 'invalid_call'
  | 'too_large'
  | 'function_error'
  | 'too_many_hops'
  | 'aborted';

/** The outcome of one call. */
export interface Answer {
  /** Null when no complete answer arrived. */
  status: number | null;
  fault: CallFault | null;
  retryAfter: string | string[] | null;
  /** A few words for people; holds no secrets of the config. */
  detail: string;
  /** Milliseconds of the call. */
  ms: number;
  /** For a call that is done: indexes of the events that the function lists as failed (`batchItemFailures`); null: none. */
  failed: readonly number[] | null;
  /** For a call that is done: the function's reply, when the subscription wants it; null: none. */
  reply: FunctionReply | null;
}

/** An answer without its time, which the call adds when it ends. */
export type UntimedAnswer = Omit<Answer, 'ms'>;

/** A function's reply. Header names are in lower case. */
export interface FunctionReply {
  headers: Record<string, string | string[] | undefined>;
  body: Uint8Array;
}

/** The answer for a call that cannot be made with these events. */
export function invalidCall(detail: string): Answer {
  return { status: null, fault: 'invalid_call', retryAfter: null, detail, ms: 0, failed: null, reply: null };
}

/** `again` costs no attempt. */
export type Conclusion = 'done' | 'retry' | 'again' | 'refused';

const RETRIED = new Set([404, 408, 409, 425, 429]);

/** Whether to try again after an answer. A retry cannot mend a 3xx and most 4xx; anything else it may. */
export function conclude({ status, fault }: Answer): Conclusion {
  if (fault === 'stale_connection') return 'again';
  if (fault === 'invalid_call' || fault === 'too_large' || fault === 'too_many_hops') return 'refused';
  if (status === null || fault !== null) return 'retry';
  if (status >= 200 && status < 300) return 'done';
  return status >= 500 || RETRIED.has(status) ? 'retry' : 'refused';
}

/** Whether the function asks for fewer calls, which no event causes. */
export function isThrottled({ status }: Answer): boolean {
  return status === 429;
}

/** The state of the function that an answer shows. */
export type Health = 'up' | 'failing' | 'unreachable' | 'unknown';

const DOWN = new Set([404, 408, 429]);

/** `failing`: the function or the event is the cause. A function that refuses an event is `up`. */
export function healthOf({ status, fault }: Answer): Health {
  if (fault === 'stale_connection' || fault === 'aborted') return 'unknown';
  if (fault === 'invalid_call' || fault === 'too_large') return 'unknown';
  if (fault === 'too_many_hops') return 'up';
  if (fault === 'unreachable') return 'unreachable';
  if (status === null || fault !== null) return 'failing';
  return status >= 500 || DOWN.has(status) ? 'failing' : 'up';
}

/** The reason of an answer that is not `done`, as a fixed word. */
export function reasonOf({ status, fault }: Answer): string {
  if (fault !== null) return fault;
  if (status === null) return 'bad_reply';
  // Done, except for some events.
  if (status >= 200 && status < 300) return 'item_failed';
  if (status === 429) return 'throttled';
  if (status >= 500) return 'server_error';
  if (RETRIED.has(status)) return 'not_ready';
  return status >= 300 && status < 400 ? 'redirect' : 'refused';
}
