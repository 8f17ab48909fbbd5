import type { ErrorCode } from '../core/errors.ts';
import type { Verdict } from '../core/event.ts';

/** What happened in one commit group. */
export interface GroupFacts {
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
export interface RequestFacts {
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
  /** The signature, of requests that must have one: `secret-1` for the first secret, or why none matched. */
  signature?: string;
  /** For the log: the bug behind an `internal` fault, the limit behind `overloaded`. */
  cause?: unknown;
}

export type DeliveryOutcome = 'delivered' | 'filtered' | 'retry' | 'dead_letter';

/** What happened to one call of a function, or to events that needed none. */
export interface DeliveryFacts {
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

/** What happened to events that a function answered with; `failed` ones are tried again. */
export interface ReplyFacts {
  subscription: string;
  outcome: ReplyOutcome;
  events: number;
}

/**
 * Events whose store of deliveries gave no answer: called without knowing whether the function had them before,
 * or delivered without that being noted.
 */
export interface UnrememberedFacts {
  subscription: string;
  outcome: 'unchecked' | 'not_remembered';
  events: number;
}

/** A subscription's function is down, or up again. */
export interface BreakerFacts {
  subscription: string;
  /** True: calls are stopped, but for probes. */
  open: boolean;
  /** What the call that opened it ended with, as a fixed word. */
  reason: string | null;
  /** Milliseconds that it was open, when it closes. */
  ms: number | null;
}

/** What came of one step of a workflow's instance, over all attempts of its call. */
export interface StepFacts {
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
 * What became of an instance of a workflow, or of an event that is for none. `failed`: people must see to it.
 * `unmatched`: no instance waited for the event. `id_taken`: an instance of another source has its id, so it began under a longer one.
 */
export interface InstanceFacts {
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
  /** The step to blame, if any, and why, as a fixed word. */
  step: string | null;
  reason: string | null;
}

/**
 * The state of a partition of a stream. `lost`: the store had forgotten it, windows that were open are incomplete.
 * `replayed`, `restored`: the store had forgotten it, and it was made again from the log or from memory: nothing is
 * lost. `redefined`: the stream's definition has changed, so that its windows begin anew.
 */
type StreamState = 'lost' | 'replayed' | 'restored' | 'redefined';

/** What a stream did with events, or what became of its state. */
export interface StreamFacts {
  stream: string;
  /** Counted in windows. */
  events?: number;
  /** Windows told of. */
  emitted?: number;
  /** In the late topic: too late for all their windows, of a time to come, or without room for a window, or in a loop. */
  late?: number;
  future?: number;
  full?: number;
  tooManyHops?: number;
  /** Left out, as the filter cannot say anything of them. */
  filterErrors?: number;
  /** Left out, as they have no key. */
  keyless?: number;
  /** Left out, as the log takes no record so large. */
  tooLarge?: number;
  state?: StreamState;
  /** Whose state: `topic/partition`. */
  partition?: string;
}

/** Facts out, once per batch: the adapter turns them into counters and log lines. */
export interface Report {
  group(facts: GroupFacts): void;
  request(facts: RequestFacts): void;
  delivery(facts: DeliveryFacts): void;
  reply?(facts: ReplyFacts): void;
  unremembered?(facts: UnrememberedFacts): void;
  stream?(facts: StreamFacts): void;
  /** Only logs have a use for it: metrics ask for the state. */
  breaker?(facts: BreakerFacts): void;
  step?(facts: StepFacts): void;
  instance?(facts: InstanceFacts): void;
}
