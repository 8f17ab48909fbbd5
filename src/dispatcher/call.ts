import type { Holding } from '../consume/commits.ts';
import type { Answer } from '../function/answer.ts';
import type { Caller, Invocation } from '../function/invoker.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { recordSize } from '../ports/record-size.ts';
import type { Tried } from './breaker.ts';

/** One event on its way to a function. */
export interface Delivery {
  /** Of a redriven event as it was at first, so that its topic and offset are not those of the holding. */
  record: StoredRecord;
  holding: Holding;
  /** Its place in the holding. */
  offset: number;
  /** Bytes, about. */
  size: number;
  /** When it came, on the monotonic clock in milliseconds. */
  arrived: number;
  /** What it is remembered by once it is delivered; empty when it is not. */
  identity: string;
  /** Bytes that it takes of a call's `batch.size`; 0 when calls have one event. */
  share: number;
  /** With `order: key`, of an event with a key. */
  lane: Lane | null;
  /** The next one that waits in its lane. */
  behind: Delivery | null;
}

/** Events of one key of a partition. */
export interface Lane {
  /** Null while it is not in use. */
  holding: Holding | null;
  key: Uint8Array;
  hash: number;
  /** Another one of the same slot, or that is not in use. */
  chain: Lane | null;
  /** Events in work. */
  working: number;
  /** Calls that are held back until nothing is in work. */
  calls: Call | null;
  /** Events that wait until nothing is in work, and no call is held back; linked by `behind`. */
  first: Delivery | null;
  last: Delivery | null;
  waiting: number;
  /** So many wait that the partition is paused. */
  crowded: boolean;
}

/** A record that has just come, and its place in the holding; `arrived` is the monotonic clock's time in milliseconds. */
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
export class Call implements Caller, Tried {
  readonly deliveries: readonly Delivery[];
  readonly records: readonly StoredRecord[];
  readonly #concluded: (call: Call) => void;
  /** Attempts begun with these events, also in larger calls, without those that cost none. */
  attempts = 0;
  /** Failures in a row: the wait for the next attempt grows by them. */
  failures = 0;
  failedAt = -1;
  begunAt = 0;
  excused = false;
  /** A stale connection may be tried again once per attempt. */
  fresh = true;
  /** When the first attempt began, in milliseconds since 1970. */
  firstTime = 0;
  /** No attempt begins later, in milliseconds since 1970. */
  deadline = Number.POSITIVE_INFINITY;
  /** Its number at the pace. */
  number = 0;
  answer: Answer | null = null;
  invocation: Invocation | null = null;
  timer: NodeJS.Timeout | null = null;
  /** Comes after it when both are held back in a lane. */
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

  /** A call with some of the events, which have been through the same. */
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
