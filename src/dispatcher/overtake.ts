import { type Answer, healthOf } from '../function/answer.ts';
import { type RetryPolicy, retryWait } from '../function/retry.ts';
import type { Breaker } from './breaker.ts';
import type { Call, Delivery } from './call.ts';
import { advance, returnToLane } from './lanes.ts';

export interface OvertakeOptions {
  breaker: Breaker;
  retry: RetryPolicy;
  random: () => number;
  makeCall(delivery: Delivery): Call;
  begin(call: Call): void;
  /** The call waits for its next attempt, as before it was taken. */
  resume(call: Call): void;
  giveUp(call: Call): void;
  /** A call is due. */
  changed(): void;
}

/**
 * The least time between two tries. A function that comes back between the two calls of a try seems to refuse only the
 * first event. The longer the time between tries, the less likely that is.
 */
const MIN_INTERVAL_MS = 2_000;

/**
 * Finds out, while the breaker is open and each lane waits for an event that fails, whether the function takes the next
 * event of one lane. The first event of the lane has all its attempts, after the waits of its retry policy. If all
 * fail, the next event is sent right after one more failure of the first. If it is taken, the function is up and
 * refuses only the first event: that is given up and never sent again, so that the order stays. If not, it waits behind
 * the first event again, has its attempts in the same way, and then the event behind it is tried.
 */
export class Overtake {
  readonly #options: OvertakeOptions;
  #head: Call | null = null;
  /** The next events of its lane. The last is tried now; those before it have had their attempts. */
  #behind: Call[] = [];
  #tries = 0;
  #isDue = false;
  #inflight: Call | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: OvertakeOptions) {
    this.#options = options;
  }

  get isActive(): boolean {
    return this.#head !== null;
  }

  /** The calls that are held here and not in flight. */
  *[Symbol.iterator](): Generator<Call> {
    if (this.#head === null) return;
    for (const call of [this.#head, ...this.#behind]) if (call !== this.#inflight) yield call;
  }

  /** Takes over a call with one event that failed, and the events that wait for it. */
  take(call: Call): void {
    this.#head = call;
    this.#tries = 0;
    this.#later(null);
  }

  /** Begins the next call; false when it is not due. */
  begin(): boolean {
    if (!this.#isDue || this.#head === null) return false;
    this.#isDue = false;
    this.#send(this.#head);
    return true;
  }

  /** A call ended. True when the caller has nothing more to do for it. */
  concluded(call: Call, answer: Answer, retryAfterMs: number | null): boolean {
    const head = this.#head;
    if (head === null || call !== this.#inflight) return false;
    this.#inflight = null;
    if (answer.fault === 'stale_connection') {
      call.attempts--;
      call.fresh = false;
      this.#send(call);
      return true;
    }
    call.fresh = true;
    const health = healthOf(answer);
    if (health === 'up' && call !== head) {
      const refused = [head, ...this.#behind.slice(0, -1)];
      this.clear();
      for (const one of refused) {
        one.attempts = Math.max(one.attempts, this.#options.retry.attempts);
        this.#options.giveUp(one);
      }
      return false;
    }
    if (health !== 'failing' || answer.status === 429 || !this.#options.breaker.isOpen) {
      this.#returnBehind();
      if (call === head) return false;
      call.attempts--;
      this.#options.resume(head);
      return true;
    }
    call.attempts--;
    if (call === head && this.#behind.length > 0) this.#send(this.#behind.at(-1)!);
    else this.#failed(head, retryAfterMs);
    return true;
  }

  /** Gives all calls back, unless one is in flight. */
  release(): void {
    const head = this.#head;
    if (head === null || this.#inflight !== null) return;
    this.#returnBehind();
    this.#options.resume(head);
  }

  /** Forgets all. */
  clear(): void {
    this.#head = null;
    this.#behind = [];
    this.#isDue = false;
    this.#inflight = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #send(call: Call): void {
    this.#inflight = call;
    this.#options.begin(call);
  }

  #failed(head: Call, retryAfterMs: number | null): void {
    if (++this.#tries >= this.#options.retry.attempts) {
      const lane = head.deliveries[0]!.lane!;
      if (lane.first === null) {
        this.release();
        return;
      }
      this.#behind.push(this.#options.makeCall(advance(lane)));
      this.#tries = 0;
    }
    this.#later(retryAfterMs);
  }

  #later(retryAfterMs: number | null): void {
    const { retry, random, changed } = this.#options;
    const wait = Math.max(MIN_INTERVAL_MS, retryWait(this.#tries + 1, retry, retryAfterMs, random));
    this.#timer = setTimeout(() => {
      this.#isDue = true;
      changed();
    }, wait);
  }

  /** Puts the events behind the first one back into their lane. */
  #returnBehind(): void {
    for (const call of this.#behind.toReversed()) returnToLane(call);
    this.clear();
  }
}

/** Whether the call has one event, and others of its lane wait for that alone. */
export function isAwaited({ deliveries }: Call): boolean {
  const lane = deliveries.length === 1 ? deliveries[0]!.lane : null;
  return lane !== null && lane.first !== null && lane.calls === null && lane.working === 1;
}
