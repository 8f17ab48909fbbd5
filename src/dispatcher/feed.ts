import { Queue } from '../consume/queue.ts';
import { MAX_TIMER } from '../function/retry.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { type BatchLimits, batchLength, oldestArrival, takeBatch, takeNewest } from './batch.ts';
import type { Breaker } from './breaker.ts';
import type { Call, Delivery } from './call.ts';
import type { Deliverer } from './deliver.ts';
import { Lanes } from './lanes.ts';
import type { Pace } from './pace.ts';

export interface FeedOptions {
  limits: BatchLimits;
  /** Events of one key that may wait for an earlier one before their partition is paused; null: without `order: key`. */
  laneLimit: number | null;
  breaker: Breaker;
  pace: Pace;
  /** Bytes that an event takes of a batch. */
  sizeOf(record: StoredRecord): number;
  /** A call that waited in its lane may begin. */
  resume(call: Call): void;
  /** A call may be able to begin: its time has come, or its lane is free. */
  due(): void;
}

/** Milliseconds that an event may wait behind events that fail. After that, newer events have turns too. */
const PATIENCE_MS = 2_000;

/** Holds the events that were not sent yet, and decides which call begins next. */
export class Feed {
  readonly #options: FeedOptions;
  /** Events that may be sent; of each lane only the first. */
  readonly #ready = new Queue<Delivery>();
  readonly #lanes: Lanes | null;
  #timer: NodeJS.Timeout | null = null;
  /** It is the turn of a new event, not of one that waits for its next attempt. */
  #isNewsTurn = false;
  /** It is the turn of the newest event. */
  #isNewestTurn = false;
  /** When the timer ends, on the monotonic clock. */
  #timerAt = 0;

  constructor(options: FeedOptions) {
    this.#options = options;
    const { laneLimit, resume, due } = options;
    this.#lanes =
      laneLimit === null
        ? null
        : new Lanes({
            limit: laneLimit,
            ready: (delivery) => {
              this.#ready.push(delivery);
              due();
            },
            resume(call) {
              resume(call);
              due();
            },
          });
  }

  /** False while the function cannot be reached and there is an event for the next probe. */
  get wantsMore(): boolean {
    const { breaker } = this.#options;
    return !breaker.isOpen || breaker.isReached || this.#ready.length === 0;
  }

  /** Events that wait in lanes whose partition is paused because of them. */
  get parked(): number {
    return this.#lanes?.parked ?? 0;
  }

  push(delivery: Delivery): void {
    const { limits, sizeOf } = this.#options;
    if (limits.events > 1) delivery.share = sizeOf(delivery.record);
    if (this.#lanes === null) this.#ready.push(delivery);
    else this.#lanes.enter(delivery);
  }

  /** The event is concluded: the next one of its key may be sent. */
  concluded(delivery: Delivery): void {
    if (delivery.lane !== null) this.#lanes?.leave(delivery);
  }

  clear(): void {
    this.#ready.clear();
    this.#lanes?.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** All events that are held here; some come twice. */
  *[Symbol.iterator](): Generator<Delivery> {
    yield* this.#ready;
    if (this.#lanes !== null) yield* this.#lanes.deliveries();
  }

  /** Begins the next call; false when there is none to begin now. */
  begin(deliverer: Deliverer): boolean {
    const { breaker, pace } = this.#options;
    const now = performance.now();
    const wait = pace.wait(now);
    if (wait > 0) {
      this.#wake(now + wait, now);
      return false;
    }
    if (breaker.isOpen) return this.#probe(deliverer, now);
    deliverer.retries.keepOrder();
    // They take turns, so that neither many failing events nor many new ones keep the others waiting.
    this.#isNewsTurn = !this.#isNewsTurn;
    if (this.#isNewsTurn && this.#beginNew(deliverer, now)) return true;
    const again = deliverer.retries.due();
    if (again === undefined) return !this.#isNewsTurn && this.#beginNew(deliverer, now);
    deliverer.begin(again);
    return true;
  }

  /** Begins a call that may show that the function is up. */
  #probe(deliverer: Deliverer, now: number): boolean {
    const { breaker } = this.#options;
    const search = this.#ready.length > 0 ? breaker.searchWait : Number.POSITIVE_INFINITY;
    if (search === 0) {
      deliverer.deliver(this.#takeOne(now), true);
      return true;
    }
    if (search === Number.POSITIVE_INFINITY && this.#overtakes(deliverer)) return true;
    const { wait } = breaker;
    if (wait === 0) {
      if (breaker.wantsNew && this.#beginNew(deliverer, now)) return true;
      const again = breaker.isReached ? deliverer.retries.dueAlone() : deliverer.retries.due();
      if (again === undefined) return this.#beginNew(deliverer, now);
      deliverer.begin(again);
      return true;
    }
    const next = Math.min(search, wait);
    if (next !== Number.POSITIVE_INFINITY) this.#wake(now + next, now);
    return false;
  }

  #overtakes(deliverer: Deliverer): boolean {
    const isAlone = this.#lanes !== null && this.#options.limits.events === 1;
    return (
      isAlone && this.#ready.length === 0 && this.#options.breaker.isReached && deliverer.retries.overtakes()
    );
  }

  #beginNew(deliverer: Deliverer, now: number): boolean {
    const { limits } = this.#options;
    const length = batchLength(this.#ready, limits, now);
    if (length === 1 && limits.events === 1) {
      deliverer.deliver(this.#takeOne(now));
      return true;
    }
    if (length > 0) {
      deliverer.deliver(takeBatch(this.#ready, length));
      return true;
    }
    if (this.#ready.length > 0) this.#wake(oldestArrival(this.#ready) + limits.wait, now);
    return false;
  }

  /** The oldest event. When events that fail have kept it waiting for long: in turns the oldest and the newest. */
  #takeOne(now: number): Delivery[] {
    const ready = this.#ready;
    const isLate = this.#options.breaker.isDoubtful && ready.at(0).arrived + PATIENCE_MS < now;
    this.#isNewestTurn = isLate && !this.#isNewestTurn;
    return this.#isNewestTurn ? takeNewest(ready) : takeBatch(ready, 1);
  }

  #wake(at: number, now: number): void {
    if (this.#timer !== null) {
      if (this.#timerAt <= at) return;
      clearTimeout(this.#timer);
    }
    this.#timerAt = at;
    this.#timer = setTimeout(this.#woken, Math.min(MAX_TIMER, Math.ceil(at - now)));
  }

  readonly #woken = (): void => {
    this.#timer = null;
    this.#options.due();
  };
}
