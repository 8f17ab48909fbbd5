import { type Answer, healthOf } from '../function/answer.ts';
import { type RetryPolicy, retryWait } from '../function/retry.ts';
import type { Breaker } from './breaker.ts';
import type { Call, Delivery } from './call.ts';
import { advance, holdBack } from './lanes.ts';

export interface OvertakeOptions {
  breaker: Breaker;
  retry: RetryPolicy;
  random: () => number;
  makeCall(delivery: Delivery): Call;
  begin(call: Call): void;
  /** The call waits for its turn, as before it was taken. */
  resume(call: Call): void;
  giveUp(call: Call): void;
  /** A call is due. */
  changed(): void;
}

/**
 * Milliseconds between two looks at the next event. A function that comes back just between the two calls of a look
 * is taken for one that refuses the first event: that must not be likely.
 */
const LEAST_MS = 2_000;

/**
 * While a function is held to be down and all lanes wait behind events that it has refused: looks in one lane whether
 * it takes the next event. The first event of the lane has all its attempts, after the waits of its policy. If all
 * fail, the next event is sent right after another failure of the first one. If that is taken, the function is up and
 * refuses the first one: it is given up, and is not sent again, so that the order stays. If not, the next event waits
 * behind the first one as before, has its attempts in the same way, and then it is the turn of the one behind it.
 */
export class Overtake {
  readonly #options: OvertakeOptions;
  #head: Call | null = null;
  /** The next ones of its lane; the last of them is tried now, those before have had their attempts. */
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

  /** What is held here, but for what is on its way. */
  *[Symbol.iterator](): Generator<Call> {
    if (this.#head === null) return;
    for (const call of [this.#head, ...this.#behind]) if (call !== this.#inflight) yield call;
  }

  /** Takes over a call of one event that failed, with the events that wait for it. */
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

  /** A call ended. True when nothing more is to be done for it now. */
  concluded(call: Call, answer: Answer, told: number | null): boolean {
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
      this.#holdBack();
      if (call === head) return false;
      call.attempts--;
      this.#options.resume(head);
      return true;
    }
    call.attempts--;
    if (call === head && this.#behind.length > 0) this.#send(this.#behind.at(-1)!);
    else this.#failed(head, told);
    return true;
  }

  /** Lets everything go on as usual, once nothing of it is on its way. */
  release(): void {
    const head = this.#head;
    if (head === null || this.#inflight !== null) return;
    this.#holdBack();
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

  #failed(head: Call, told: number | null): void {
    if (++this.#tries >= this.#options.retry.attempts) {
      const lane = head.deliveries[0]!.lane!;
      if (lane.first === null) {
        this.release();
        return;
      }
      this.#behind.push(this.#options.makeCall(advance(lane)));
      this.#tries = 0;
    }
    this.#later(told);
  }

  #later(told: number | null): void {
    const { retry, random, changed } = this.#options;
    const wait = Math.max(LEAST_MS, retryWait(this.#tries + 1, retry, told, random));
    this.#timer = setTimeout(() => {
      this.#isDue = true;
      changed();
    }, wait);
  }

  /** The events behind the first one wait in their lane again. */
  #holdBack(): void {
    for (const call of this.#behind.toReversed()) holdBack(call);
    this.clear();
  }
}

/** Whether others wait for the call's event alone. */
export function isAwaited({ deliveries }: Call): boolean {
  const lane = deliveries.length === 1 ? deliveries[0]!.lane : null;
  return lane !== null && lane.first !== null && lane.calls === null && lane.working === 1;
}
