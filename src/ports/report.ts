import type { ErrorCode } from '../core/errors.ts';
import type { Verdict } from '../core/event.ts';

/** What happened in one commit group. */
export interface GroupFact {
  kind: 'group';
  topic: string;
  events: number;
  accepted: number;
  duplicate: number;
  changed: number;
  rejected: number;
  retry: number;
  unchecked: number;
  bytes: number;
  /** Milliseconds; null when the step was not needed. */
  claimMs: number | null;
  appendMs: number | null;
  error: string | null;
}

/** What happened to one request. */
export interface RequestFact {
  kind: 'request';
  /** A source's name from the config, or `unknown`. */
  source: string;
  /** Id of the key, or subject of the token, that was presented; never the key itself. */
  who: string | null;
  status: number;
  /** Milliseconds from the request's head to the reply. */
  ms: number;
  verdicts: Record<Verdict, number>;
  /** The fault of the whole request, if any. */
  error: ErrorCode | null;
  /** Of a request that must be signed: `secret-1` when the first secret matched, or why none did. */
  signature?: string;
  /** For the log: the bug behind an `internal` fault, the limit behind `overloaded`. */
  cause?: unknown;
}

export type DeliveryOutcome = 'delivered' | 'filtered' | 'retry' | 'dead_letter';

/** What happened in one call of a function, or to events that needed no call. */
export interface DeliveryFact {
  kind: 'delivery';
  subscription: string;
  outcome: DeliveryOutcome;
  events: number;
  /** Milliseconds of the call; null when there was none. */
  ms: number | null;
  status: number | null;
  /** Why it was not delivered, as a fixed word. */
  reason: string | null;
}

export type ReplyOutcome = 'stored' | 'failed' | 'bad_reply' | 'too_large' | 'too_many_hops';

/** What happened to events that a function replied with; `failed` ones are tried again. */
export interface ReplyFact {
  kind: 'reply';
  subscription: string;
  outcome: ReplyOutcome;
  events: number;
}

/**
 * The store of deliveries gave no answer. `unchecked`: the function was called, though it may have had the events
 * before. `not_remembered`: the events were delivered, but the store does not know it.
 */
export interface UnrememberedFact {
  kind: 'unremembered';
  subscription: string;
  outcome: 'unchecked' | 'not_remembered';
  events: number;
}

/** A subscription's circuit breaker opened or closed. Only the log uses it: metrics ask for the state. */
export interface BreakerFact {
  kind: 'breaker';
  subscription: string;
  /** True: the function is down, and only probes call it. */
  open: boolean;
  /** How the call that opened it ended, as a fixed word. */
  reason: string | null;
  /** Milliseconds that it was open, when it closes. */
  ms: number | null;
}

/** How one step of a workflow's instance ended, over all attempts of its call. */
export interface StepFact {
  kind: 'step';
  workflow: string;
  step: string;
  outcome: 'done' | 'failed' | 'undone' | 'undo_failed';
  attempts: number;
  /** Milliseconds from the first attempt on. */
  ms: number;
  status: number | null;
  /** Why it failed, as a fixed word. */
  reason: string | null;
}

/**
 * What happened to an instance of a workflow, or to an event that belongs to no instance. `failed`: people must look
 * at it. `unmatched`: no instance waited for the event. `id_taken`: an instance of another source has this id, so the
 * new one got a longer id.
 */
export interface InstanceFact {
  kind: 'instance';
  workflow: string;
  outcome:
    | 'started'
    | 'done'
    | 'undone'
    | 'failed'
    | 'unmatched'
    | 'id_taken'
    | 'too_large'
    | 'too_many_hops';
  /** The step that failed, if any, and why, as a fixed word. */
  step: string | null;
  reason: string | null;
}

/**
 * How the state of a partition of a stream was found. `lost`: the store had forgotten it, so windows that were open
 * are incomplete. `replayed`, `restored`: the store had forgotten it, but it was made again from the log or from
 * memory, so nothing is lost. `redefined`: the definition of the stream changed, so its windows begin anew.
 */
type StreamState = 'lost' | 'replayed' | 'restored' | 'redefined';

/** What a stream did with events, or how it found its state. */
export interface StreamOutcome {
  /** Counted in windows. */
  events?: number;
  /** Windows whose results were emitted. */
  emitted?: number;
  /**
   * Sent to the late topic: too late for all their windows, too far in the future, without room for a new window, or
   * in a loop.
   */
  late?: number;
  future?: number;
  full?: number;
  tooManyHops?: number;
  /** Left out, because the filter failed. */
  filterErrors?: number;
  /** Left out, because they have no key. */
  keyless?: number;
  /** Left out, because the log takes no record of this size. */
  tooLarge?: number;
  state?: StreamState;
  /** The partition of `state`: `topic/partition`. */
  partition?: string;
}

export interface StreamFact extends StreamOutcome {
  kind: 'stream';
  stream: string;
}

export type Fact =
  | GroupFact
  | RequestFact
  | DeliveryFact
  | ReplyFact
  | UnrememberedFact
  | BreakerFact
  | StepFact
  | InstanceFact
  | StreamFact;

/** Takes facts out, one per batch. Adapters turn them into counters and log lines. Does not throw. */
export type Report = (fact: Fact) => void;
