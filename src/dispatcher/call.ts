import type { Attempted } from '../consume/attempts.ts';
import type { Holding } from '../consume/commits.ts';
import type { Answer } from '../function/answer.ts';
import type { Caller, Invocation } from '../function/invoker.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { recordSize } from '../ports/record-size.ts';
import type { BreakerCall } from './breaker.ts';

/** One event on its way to a function. */
export interface Delivery {
  /** A redriven event is here as it was at first, so its topic and offset are not those of the holding. */
  record: StoredRecord;
  holding: Holding;
  /** Its offset in the holding. */
  offset: number;
  /** Bytes, roughly. */
  size: number;
  /** When it was read, in milliseconds on the monotonic clock. */
  arrived: number;
  /** Its key in the dedupe store; empty for a subscription without `dedupe`. */
  identity: string;
  /** Bytes that it takes of a call's `batch.size`; 0 when calls have one event. */
  share: number;
  /** Null without `order: key`, and for an event without a key. */
  lane: Lane | null;
  /** The next event that waits in its lane. */
  behind: Delivery | null;
}

/** The events of one key of a partition that are not concluded. */
export interface Lane {
  /** Null while it is not in use. */
  holding: Holding | null;
  key: Uint8Array;
  hash: number;
  /** The next lane of the same slot, or of those that are not in use. */
  chain: Lane | null;
  /** Events in work. */
  working: number;
  /** Calls that wait here until nothing is in work; linked by `next`. */
  calls: Call | null;
  /** Events that wait here until nothing is in work and no call waits; linked by `behind`. */
  first: Delivery | null;
  last: Delivery | null;
  waiting: number;
  /** More events wait than may, so the partition is paused. */
  crowded: boolean;
}

/** A record that was just read, and its offset in the holding. `arrived`: milliseconds on the monotonic clock. */
export function deliveryOf(
  record: StoredRecord,
  holding: Holding,
  offset: number,
  arrived: number,
): Delivery {
  return {
    record,
    holding,
    offset,
    size: recordSize(record),
    arrived,
    identity: '',
    share: 0,
    lane: null,
    behind: null,
  };
}

/** Events that are sent together, over all attempts. */
export class Call implements Caller, BreakerCall, Attempted {
  readonly deliveries: readonly Delivery[];
  readonly records: readonly StoredRecord[];
  readonly #concluded: (call: Call) => void;
  /** Attempts begun with these events, also in larger calls. Attempts that cost none are not counted. */
  attempts = 0;
  failures = 0;
  failedAt = -1;
  begunAt = 0;
  excused = false;
  fresh = true;
  /** When the first attempt began, in milliseconds since 1970. */
  firstTime = 0;
  /** No attempt begins later, in milliseconds since 1970. */
  deadline = Number.POSITIVE_INFINITY;
  /** Its number from `Pace.began`. */
  number = 0;
  answer: Answer | null = null;
  invocation: Invocation | null = null;
  timer: NodeJS.Timeout | null = null;
  /** The next call that waits in the same lane. */
  next: Call | null = null;

  constructor(deliveries: readonly Delivery[], concluded: (call: Call) => void) {
    this.deliveries = deliveries;
    this.records = deliveries.map(({ record }) => record);
    this.#concluded = concluded;
  }

  get event(): object {
    return this.deliveries[0]!;
  }

  get isAlone(): boolean {
    return this.deliveries.length === 1;
  }

  /** A call with some of these events, and with their history. */
  part(deliveries: readonly Delivery[]): Call {
    const call = new Call(deliveries, this.#concluded);
    call.attempts = this.attempts;
    call.failures = this.failures;
    call.failedAt = this.failedAt;
    call.firstTime = this.firstTime;
    call.deadline = this.deadline;
    call.answer = this.answer;
    return call;
  }

  answered(answer: Answer): void {
    this.answer = answer;
    this.invocation = null;
    this.#concluded(this);
  }
}
