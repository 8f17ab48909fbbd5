import type { SubscriptionConfig } from '../config-subscription-types.ts';
import type { Appender } from '../ports/event-log.ts';
import type { DeliveryOutcome, Report } from '../ports/report.ts';
import type { Breaker } from './breaker.ts';
import { Call, type Delivery } from './call.ts';
import { type Answer, conclude, reasonOf } from './conclude.ts';
import { DeadLetters, type Letter } from './dead-letter.ts';
import type { Invoker } from './invoke/invoker.ts';
import { Queue } from './queue.ts';
import { retryAfter, retryWait } from './retry.ts';

export interface DelivererOptions {
  subscription: SubscriptionConfig;
  invoker: Invoker;
  breaker: Breaker;
  log: Appender;
  report: Report;
  now: () => number;
  random: () => number;
  /** The event needs no more work: it is delivered, or stored as a dead letter. */
  settled(delivery: Delivery, isDelivered: boolean): void;
  /** A place may be free, a call due again, or nothing in work any more. */
  changed(): void;
}

/** Milliseconds: long enough to see which other idle connections were closed too. */
const AGAIN_MS = 10;

/** Calls from their first attempt to their conclusion: done, or stored as dead letters. */
export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #inflight = new Set<Call>();
  /** Their next attempt has its time; they hold no place meanwhile. */
  readonly #waiting = new Set<Call>();
  readonly #due = new Queue<Call>();
  readonly #letters: DeadLetters;
  #closing = false;

  constructor(options: DelivererOptions) {
    this.#options = options;
    const { log, subscription, random } = options;
    this.#letters = new DeadLetters({
      log,
      subscription: subscription.name,
      topic: subscription.deadLetter,
      random,
      stored: ({ delivery }: Letter) => options.settled(delivery, false),
      failed: (letters) => this.#report('retry', letters, null, 'dead_letter_failed'),
      idle: options.changed,
    });
  }

  /** Calls on their way. */
  get inflight(): number {
    return this.#inflight.size;
  }

  get isIdle(): boolean {
    return this.#inflight.size === 0 && !this.#letters.writing;
  }

  /** A call whose wait is over, or undefined. */
  due(): Call | undefined {
    return this.#due.shift();
  }

  /** First attempt of a call with these events. */
  deliver(deliveries: readonly Delivery[]): void {
    this.begin(new Call(deliveries, this.#answered));
  }

  /** Next attempt of a call. */
  begin(call: Call): void {
    if (call.firstTime === 0) call.firstTime = this.#options.now();
    call.attempts++;
    this.#options.breaker.began(call);
    this.#inflight.add(call);
    try {
      const invocation = this.#options.invoker.invoke(call.records, call, call.fresh);
      if (this.#inflight.has(call)) call.invocation = invocation;
    } catch (error) {
      const detail = (error as Error).message;
      call.answered({
        status: null,
        fault: 'invalid_call',
        retryAfter: null,
        detail,
        ms: 0,
        failed: null,
        reply: null,
      });
    }
  }

  /** Lets calls in flight end, and drops those that wait. */
  close(): void {
    this.#closing = true;
    this.#due.clear();
    for (const call of this.#waiting) if (call.timer !== null) clearTimeout(call.timer);
    this.#waiting.clear();
  }

  /** Drops everything. Answers that come later do not count. */
  abort(): void {
    this.close();
    this.#letters.stop();
    const calls = [...this.#inflight];
    this.#inflight.clear();
    for (const call of calls) {
      this.#options.breaker.dropped(call);
      call.invocation?.abort();
    }
  }

  /** Everything that is held. */
  *deliveries(): Generator<Delivery> {
    for (const calls of [this.#due, this.#waiting, this.#inflight]) {
      for (const call of calls) yield* call.deliveries;
    }
    for (const { delivery } of this.#letters.letters) yield delivery;
  }

  readonly #answered = (call: Call): void => {
    if (!this.#inflight.delete(call)) return;
    const answer = call.answer!;
    const { breaker, now, random, subscription } = this.#options;
    const { retry } = subscription;
    const conclusion = conclude(answer);
    const told = retryAfter(answer.retryAfter, now(), retry.max);
    const counts = breaker.answered(call, answer, told, call.attempts >= retry.attempts);
    if (conclusion === 'done') {
      for (const delivery of call.deliveries) this.#options.settled(delivery, true);
      this.#report('delivered', call.deliveries.length, answer, null);
    } else if (conclusion === 'again') {
      call.attempts--;
      call.fresh = false;
      this.#wait(call, AGAIN_MS, answer);
    } else if (!counts) {
      call.attempts--;
      call.fresh = true;
      // The breaker's wait is the call's, and it may be the next probe.
      this.#wait(call, 0, answer);
    } else if (conclusion === 'retry' && call.attempts < retry.attempts) {
      call.fresh = true;
      this.#wait(call, retryWait(call.attempts, retry, told, random), answer);
    } else {
      this.#giveUp(call, answer);
    }
    this.#options.changed();
  };

  #wait(call: Call, ms: number, answer: Answer): void {
    this.#report('retry', call.deliveries.length, answer, reasonOf(answer));
    // Whoever owns the partition next reads it again.
    if (this.#closing) return;
    this.#waiting.add(call);
    call.timer = setTimeout(this.#callDue, ms, call);
  }

  readonly #callDue = (call: Call): void => {
    this.#waiting.delete(call);
    this.#due.push(call);
    this.#options.changed();
  };

  #giveUp(call: Call, answer: Answer): void {
    const { attempts, firstTime } = call;
    const lastTime = this.#options.now();
    for (const delivery of call.deliveries) {
      this.#letters.add({ delivery, attempts, firstTime, lastTime, answer, cut: 0 });
    }
    this.#report('dead_letter', call.deliveries.length, answer, reasonOf(answer));
  }

  #report(outcome: DeliveryOutcome, events: number, answer: Answer | null, reason: string | null): void {
    this.#options.report.delivery({
      subscription: this.#options.subscription.name,
      outcome,
      events,
      ms: answer?.ms ?? null,
      status: answer?.status ?? null,
      reason,
    });
  }
}
