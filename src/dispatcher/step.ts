import { type NextAttempt, nextAttempt } from '../consume/attempts.ts';
import { type Answer, isThrottled } from '../function/answer.ts';
import type { RetryPolicy } from '../function/retry.ts';
import type { Call } from './call.ts';

/**
 * The next step for a call's events. `probe`: the same call when the breaker allows it. `split`: two calls, each with
 * half of the events.
 */
export type Step = NextAttempt | 'probe' | 'split';

/** Whether this answer would send the call's events to the dead-letter topic, unless the function is found to be down. */
export function isLast({ attempts, deliveries }: Call, answer: Answer, retry: RetryPolicy): boolean {
  if (attempts < retry.attempts || isThrottled(answer)) return false;
  return deliveries.length === 1 || answer.fault === 'unreachable';
}

/**
 * The step that follows from an answer; `counts` is false when the breaker says that the function is down.
 *
 * A batch that failed is split instead of being sent again, so that an event that fails in every batch is alone after
 * few calls. Only an event that failed alone is given up. Where no event can be the cause (429, or the function was not
 * reached), the same call is made again.
 */
export function stepAfter(call: Call, answer: Answer, counts: boolean, retry: RetryPolicy): Step {
  const next = nextAttempt(call, answer, retry);
  if (next === 'done' || next === 'reconnect') return next;
  if (!counts || answer.fault === 'aborted') return 'probe';
  if (call.deliveries.length === 1 || isThrottled(answer)) return next;
  return answer.fault === 'unreachable' ? 'wait' : 'split';
}

/** Whether an attempt with this answer and step costs its events none of their attempts. */
export function costsNoAttempt(step: Step, answer: Answer): boolean {
  if (step === 'reconnect' || step === 'probe' || isThrottled(answer)) return true;
  return step === 'split' && answer.fault === 'too_large';
}
