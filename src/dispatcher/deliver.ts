import type { SubscriptionConfig } from '../config/subscription/types.ts';
import { type Answer, conclude, invalidCall, reasonOf } from '../function/answer.ts';
import type { Invoker } from '../function/invoker.ts';
import { retryAfter } from '../function/retry.ts';
import type { Appender } from '../ports/event-log.ts';
import type { DeliveryOutcome, Report } from '../ports/report.ts';
import { Again } from './retries.ts';
import type { Breaker } from './breaker.ts';
import { Call, type Delivery } from './call.ts';
import { makeReplies, type Replies } from './replies.ts';
import { DeadLetters, type Letter } from './dead-letter-writer.ts';
import { reportDelivery } from './facts.ts';
import { holdBack } from './lanes.ts';
import type { Pace } from './pace.ts';
import { halves, partsOf } from './split.ts';
import { isFree, isLast, type Step, stepAfter } from './step.ts';

export interface DelivererOptions {
  subscription: SubscriptionConfig;
  invoker: Invoker;
  breaker: Breaker;
  pace: Pace;
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
  /** Those that have failed. */
  readonly again: Again;
  readonly #letters: DeadLetters;
  readonly #replies: Replies | null;
  #closing = false;

  constructor(options: DelivererOptions) {
    this.#options = options;
    const { log, subscription, random } = options;
    this.again = new Again({
      ...options,
      makeCall: (delivery) => new Call([delivery], this.#answered),
      begin: (call) => this.begin(call, true),
      giveUp: (call) => this.#giveUp(call, call.answer!),
    });
    this.#letters = new DeadLetters({
      log,
      subscription: subscription.name,
      topic: subscription.deadLetter,
      random,
      stored: ({ delivery }: Letter) => options.settled(delivery, false),
      failed: (letters) => this.#report('retry', letters, null, 'dead_letter_failed'),
      idle: options.changed,
    });
    const { name, reply } = subscription;
    this.#replies =
      reply === null
        ? null
        : makeReplies({ log, subscription: name, topic: reply, report: options.report, random });
  }

  /** Calls on their way. */
  get inflight(): number {
    return this.#inflight.size;
  }

  get isIdle(): boolean {
    return this.#inflight.size === 0 && !this.#letters.writing;
  }

  /** First attempt of a call with these events; `isSearch` as the breaker's. */
  deliver(deliveries: readonly Delivery[], isSearch = false): void {
    this.begin(new Call(deliveries, this.#answered), isSearch);
  }

  /** Next attempt of a call. */
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

  /** Lets calls in flight end, and drops those that wait. */
  close(): void {
    this.#closing = true;
    this.again.close();
    this.#replies?.close();
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
    for (const calls of [this.again, this.#inflight]) {
      for (const call of calls) yield* call.deliveries;
    }
    for (const { delivery } of this.#letters.letters) yield delivery;
  }

  readonly #answered = (call: Call): void => {
    if (!this.#inflight.has(call)) return;
    if (this.#replies === null || call.answer!.reply === null) this.#conclude(call);
    else void this.#publish(call, this.#replies);
  };

  /** What the function answered is stored before its events are done; meanwhile the call keeps its place. */
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
    const told = retryAfter(answer.retryAfter, now(), retry.max);
    const last = isLast(call, answer, retry);
    const counts = breaker.answered(call, answer, told, last);
    pace.answered(call.number, answer);
    if (this.again.concluded(call, answer, told)) {
      this.#report('retry', 1, answer, reasonOf(answer));
      this.#options.changed();
      return;
    }
    const step = stepAfter(call, answer, counts, retry);
    if (isFree(step, answer)) call.attempts--;
    call.fresh = step !== 'reconnect';
    if (step === 'done') this.#done(call, answer);
    else if (step === 'give_up') this.#giveUp(call, answer);
    else if (step === 'split') this.#split(call, told, answer);
    else this.#wait(call, step, told, answer);
    this.#options.changed();
  }

  #done(call: Call, answer: Answer): void {
    const { settled, subscription } = this.#options;
    const { done, failed, after } = partsOf(call, answer.failed);
    // First, so that nothing overtakes it when its lane becomes free.
    for (const held of after) holdBack(held);
    for (const delivery of done) settled(delivery, true);
    this.#report('delivered', done.length, answer, null);
    if (failed === null) return;
    if (failed.attempts >= subscription.retry.attempts) this.#giveUp(failed, answer);
    else this.#wait(failed, 'wait', null, answer);
  }

  #split(call: Call, told: number | null, answer: Answer): void {
    this.#report('retry', call.deliveries.length, answer, reasonOf(answer));
    if (this.#closing) return;
    call.failures++;
    const isRefused = conclude(answer) === 'refused';
    const left = Math.max(0, call.deadline - this.#options.now());
    const wait = () => (isRefused ? 0 : Math.min(left, this.again.backOff(call, told)));
    const { one, other, after } = halves(call);
    this.again.delay(one, wait());
    if (after) holdBack(other);
    else this.again.delay(other, wait());
  }

  #wait(call: Call, step: Step, told: number | null, answer: Answer): void {
    // The breaker's wait is the call's, and it may be the next probe.
    let ms = step === 'reconnect' ? AGAIN_MS : 0;
    if (step === 'wait') {
      call.failures++;
      ms = this.again.backOff(call, told);
    }
    // It would be too late then.
    if (this.again.isLate(call, ms) && answer.fault !== 'aborted') this.#giveUp(call, answer);
    else {
      this.#report('retry', call.deliveries.length, answer, reasonOf(answer));
      this.again.delay(call, ms);
    }
  }

  #giveUp(call: Call, answer: Answer): void {
    const { attempts, firstTime } = call;
    const lastTime = this.#options.now();
    for (const delivery of call.deliveries) {
      this.#letters.add({ delivery, attempts, firstTime, lastTime, answer, cut: 0 });
    }
    this.#report('dead_letter', call.deliveries.length, answer, reasonOf(answer));
  }

  #report(outcome: DeliveryOutcome, events: number, answer: Answer | null, reason: string | null): void {
    reportDelivery(this.#options, outcome, events, answer, reason);
  }
}
