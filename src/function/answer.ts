/** Why a call got no answer. */
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

/** What came of one call. */
export interface Answer {
  /** Null when no whole answer came. */
  status: number | null;
  fault: CallFault | null;
  retryAfter: string | string[] | null;
  /** A few words for people; holds no secrets of the config. */
  detail: string;
  /** Milliseconds of the call. */
  ms: number;
  /** Of a call that is done: the places of the events that it lists as failed (`batchItemFailures`); null: none. */
  failed: readonly number[] | null;
  /** Of a call that is done: what the function answered, when the subscription wants it; null: nothing. */
  reply: FunctionReply | null;
}

/** What a function answered: header names are in lower case. */
export interface FunctionReply {
  headers: Record<string, string | string[] | undefined>;
  body: Uint8Array;
}

/** Of a call that cannot be made with these events. */
export function invalidCall(detail: string): Answer {
  return { status: null, fault: 'invalid_call', retryAfter: null, detail, ms: 0, failed: null, reply: null };
}

/** `again` costs no attempt. */
export type Conclusion = 'done' | 'retry' | 'again' | 'refused';

const RETRIED = new Set([404, 408, 409, 425, 429]);

/** What follows from an answer: 3xx and most 4xx will not get better, everything else may. */
export function conclude({ status, fault }: Answer): Conclusion {
  if (fault === 'stale_connection') return 'again';
  if (fault === 'invalid_call' || fault === 'too_large' || fault === 'too_many_hops') return 'refused';
  if (status === null || fault !== null) return 'retry';
  if (status >= 200 && status < 300) return 'done';
  return status >= 500 || RETRIED.has(status) ? 'retry' : 'refused';
}

/** Too many calls are no event's doing. */
export function isThrottled({ status }: Answer): boolean {
  return status === 429;
}

/** What an answer says about the function, whatever the event was. */
export type Health = 'up' | 'failing' | 'unreachable' | 'unknown';

const DOWN = new Set([404, 408, 429]);

/** `failing` may also be the event's doing. An answer that refuses the event comes from a function that is up. */
export function healthOf({ status, fault }: Answer): Health {
  if (fault === 'stale_connection' || fault === 'aborted') return 'unknown';
  if (fault === 'invalid_call' || fault === 'too_large') return 'unknown';
  if (fault === 'too_many_hops') return 'up';
  if (fault === 'unreachable') return 'unreachable';
  if (status === null || fault !== null) return 'failing';
  return status >= 500 || DOWN.has(status) ? 'failing' : 'up';
}

/** The fixed word for an answer that is not `done`. */
export function reasonOf({ status, fault }: Answer): string {
  if (fault !== null) return fault;
  if (status === null) return 'bad_reply';
  // Done, but for some events.
  if (status >= 200 && status < 300) return 'item_failed';
  if (status === 429) return 'throttled';
  if (status >= 500) return 'server_error';
  if (RETRIED.has(status)) return 'not_ready';
  return status >= 300 && status < 400 ? 'redirect' : 'refused';
}
