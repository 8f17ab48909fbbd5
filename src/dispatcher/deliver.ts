import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { waitBefore } from '../consume/attempts.ts';
import { type DeadLetter, storeDeadLetter } from '../consume/dead-letter.ts';
import { Outbox } from '../consume/outbox.ts';
import { type Answer, conclude, invalidCall, reasonOf } from '../function/answer.ts';
import type { Invoker } from '../function/invoker.ts';
import { retryAfter } from '../function/retry.ts';
import type { Appender } from '../ports/event-log.ts';
import type { DeliveryOutcome, Report } from '../ports/report.ts';
import type { Breaker } from './breaker.ts';
import { Call, type Delivery } from './call.ts';
import { reportDelivery } from './facts.ts';
import { returnToLane } from './lanes.ts';
import type { Pace } from './pace.ts';
import { Replies } from './replies.ts';
import { Retries } from './retries.ts';
import { halves, partsOf } from './split.ts';
import { costsNoAttempt, isLast, stepAfter } from './step.ts';

export interface DelivererOptions {
  subscription: SubscriptionConfig;
  invoker: Invoker;
  breaker: Breaker;
  pace: Pace;
  log: Appender;
  report: Report;
  now: () => number;
  random: () => number;
  /** The event is concluded: it is delivered, or stored as a dead letter. */
  settled(delivery: Delivery, isDelivered: boolean): void;
  /** A call may have ended, another may be due, or nothing may be in work any more. */
  changed(): void;
}

/** Makes calls, from their first attempt until their events are delivered or stored as dead letters. */
export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #inflight = new Set<Call>();
  /** Calls that have failed. */
  readonly retries: Retries;
  readonly #letters: Outbox;
  /** Events whose dead letter is not stored yet. */
  readonly #buried = new Set<Delivery>();
  readonly #replies: Replies | null;
  #closing = false;

  constructor(options: DelivererOptions) {
    this.#options = options;
    const { log, subscription, random } = options;
    this.retries = new Retries({
      ...options,
      makeCall: (delivery) => new Call([delivery], this.#answered),
      begin: (call) => this.begin(call, true),
      giveUp: (call) => this.#giveUp(call, call.answer!),
    });
    this.#letters = new Outbox({
      log,
      random,
      tried: (verdict, letters) => {
        if (verdict === 'failed') this.#report('retry', letters, null, 'dead_letter_failed');
      },
    });
    const { name, reply } = subscription;
    this.#replies =
      reply === null
        ? null
        : new Replies({ log, subscription: name, topic: reply, report: options.report, random });
  }

  /** Calls in flight. */
  get inflight(): number {
    return this.#inflight.size;
  }

  get isIdle(): boolean {
    return this.#inflight.size === 0 && this.#buried.size === 0;
  }

  /** Begins the first attempt of a call with these events; `isSearch` as for `Breaker.began`. */
  deliver(deliveries: readonly Delivery[], isSearch = false): void {
    this.begin(new Call(deliveries, this.#answered), isSearch);
  }

  /** Begins the next attempt of a call. */
  begin(call: Call, isSearch = false): void {
    const { now, breaker, pace, invoker, subscription } = this.#options;
    if (call.firstTime === 0) call.firstTime = now();
    if (call.deadline === Number.POSITIVE_INFINITY && subscription.retryAge !== null) {
      call.deadline = now() + subscription.retryAge;
    }
    call.attempts++;
    breaker.began(call, isSearch);
    call.number = pace.began(performance.now());
    this.#inflight.add(call);
    try {
      const invocation = invoker.invoke(call.records, call, call.fresh);
      if (this.#inflight.has(call)) call.invocation = invocation;
    } catch (error) {
      call.answered(invalidCall((error as Error).message));
    }
  }

  /** Lets calls in flight end, and drops calls that wait. */
  close(): void {
    this.#closing = true;
    this.retries.close();
    this.#replies?.close();
    this.#letters.close();
  }

  /** Drops all calls. Answers that come later do not count. */
  abort(): void {
    this.close();
    this.#letters.drop();
    this.#buried.clear();
    const calls = [...this.#inflight];
    this.#inflight.clear();
    for (const call of calls) {
      this.#options.breaker.dropped(call);
      call.invocation?.abort();
    }
  }

  /** All events that are held here. */
  *deliveries(): Generator<Delivery> {
    for (const calls of [this.retries, this.#inflight]) {
      for (const call of calls) yield* call.deliveries;
    }
    yield* this.#buried;
  }

  readonly #answered = (call: Call): void => {
    if (!this.#inflight.has(call)) return;
    if (this.#replies === null || call.answer!.reply === null) this.#conclude(call);
    else void this.#publish(call, this.#replies);
  };

  /** Stores the function's answer before its events are done. Until then the call counts as in flight. */
  async #publish(call: Call, replies: Replies): Promise<void> {
    const answer = call.answer!;
    const fault = await replies.publish(call.records, answer.reply!);
    if (fault !== null) call.answer = { ...answer, ...fault, failed: null, reply: null };
    this.#conclude(call);
  }

  #conclude(call: Call): void {
    if (!this.#inflight.delete(call)) return;
    const answer = call.answer!;
    const { breaker, pace, now, subscription } = this.#options;
    const { retry } = subscription;
    const retryAfterMs = retryAfter(answer.retryAfter, now(), retry.max);
    const last = isLast(call, answer, retry);
    const counts = breaker.answered(call, answer, retryAfterMs, last);
    pace.answered(call.number, answer);
    if (this.retries.concluded(call, answer, retryAfterMs)) {
      this.#report('retry', 1, answer, reasonOf(answer));
      this.#options.changed();
      return;
    }
    const step = stepAfter(call, answer, counts, retry);
    if (costsNoAttempt(step, answer)) call.attempts--;
    call.fresh = step !== 'reconnect';
    if (step === 'done') this.#done(call, answer);
    else if (step === 'give_up') this.#giveUp(call, answer);
    else if (step === 'split') this.#split(call, retryAfterMs, answer);
    else this.#wait(call, step, retryAfterMs, answer);
    this.#options.changed();
  }

  #done(call: Call, answer: Answer): void {
    const { settled, subscription } = this.#options;
    const { done, failed, after } = partsOf(call, answer.failed);
    // First, so that nothing overtakes these events when their lane becomes free.
    for (const held of after) returnToLane(held);
    for (const delivery of done) settled(delivery, true);
    this.#report('delivered', done.length, answer, null);
    if (failed === null) return;
    if (failed.attempts >= subscription.retry.attempts) this.#giveUp(failed, answer);
    else this.#wait(failed, 'wait', null, answer);
  }

  #split(call: Call, retryAfterMs: number | null, answer: Answer): void {
    this.#report('retry', call.deliveries.length, answer, reasonOf(answer));
    if (this.#closing) return;
    call.failures++;
    const isRefused = conclude(answer) === 'refused';
    const left = Math.max(0, call.deadline - this.#options.now());
    const wait = () => (isRefused ? 0 : Math.min(left, this.retries.backOff(call, retryAfterMs)));
    const { one, other, after } = halves(call);
    this.retries.delay(one, wait());
    if (after) returnToLane(other);
    else this.retries.delay(other, wait());
  }

  #wait(call: Call, step: 'reconnect' | 'probe' | 'wait', retryAfterMs: number | null, answer: Answer): void {
    // A call that may be the next probe waits for the breaker only.
    const { retry } = this.#options.subscription;
    const ms = step === 'probe' ? 0 : waitBefore(step, call, retry, retryAfterMs, this.#options.random);
    // The next attempt would be too late.
    if (this.retries.isLate(call, ms) && answer.fault !== 'aborted') this.#giveUp(call, answer);
    else {
      this.#report('retry', call.deliveries.length, answer, reasonOf(answer));
      this.retries.delay(call, ms);
    }
  }

  #giveUp({ attempts, firstTime, deliveries }: Call, answer: Answer): void {
    const { subscription, now } = this.#options;
    const reason = reasonOf(answer);
    const letter = {
      topic: subscription.deadLetter,
      origin: { name: subscription.name, step: null },
      reason,
      status: answer.status,
      attempts,
      firstTime,
      lastTime: now(),
      detail: answer.detail,
    };
    for (const delivery of deliveries) void this.#bury(delivery, { ...letter, record: delivery.record });
    this.#report('dead_letter', deliveries.length, answer, reason);
  }

  async #bury(delivery: Delivery, letter: DeadLetter): Promise<void> {
    this.#buried.add(delivery);
    const written = await storeDeadLetter(this.#letters, letter);
    // After an abort its partition is lost.
    if (!this.#buried.delete(delivery)) return;
    if (written === 'stored') this.#options.settled(delivery, false);
    this.#options.changed();
  }

  #report(outcome: DeliveryOutcome, events: number, answer: Answer | null, reason: string | null): void {
    reportDelivery(this.#options, outcome, events, answer, reason);
  }
}
