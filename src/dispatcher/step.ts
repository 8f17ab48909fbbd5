import { type Answer, conclude, isThrottled } from '../function/answer.ts';
import type { RetryPolicy } from '../function/retry.ts';
import type { Call } from './call.ts';

/**
 * What comes next for a call's events. `reconnect`: the same call on another connection. `probe`: the same call
 * when the breaker allows it. `wait`: the same call after a back-off. `split`: two calls with half of the events.
 */
export type Step = 'done' | 'reconnect' | 'probe' | 'wait' | 'split' | 'give_up';

/** Whether the call's events would be given up for this answer, unless the function turns out to be down. */
export function isLast({ attempts, deliveries }: Call, answer: Answer, retry: RetryPolicy): boolean {
  if (attempts < retry.attempts || isThrottled(answer)) return false;
  return deliveries.length === 1 || answer.fault === 'unreachable';
}

/**
 * What follows from an answer; `counts` is false when the breaker holds the function to be down.
 *
 * Several events that failed together are split instead of being sent again: so one that fails in all company is
 * alone after few calls, and only what failed alone is given up. Where no event is at fault (429, or the function
 * was not reached) the same call is made again.
 */
export function stepAfter(call: Call, answer: Answer, counts: boolean, retry: RetryPolicy): Step {
  const conclusion = conclude(answer);
  if (conclusion === 'done') return 'done';
  if (conclusion === 'again') return 'reconnect';
  if (!counts || answer.fault === 'aborted') return 'probe';
  if (isThrottled(answer)) return 'wait';
  if (call.deliveries.length > 1) return answer.fault === 'unreachable' ? 'wait' : 'split';
  return conclusion === 'refused' || call.attempts >= retry.attempts ? 'give_up' : 'wait';
}

/** Whether an attempt that ended so, with that step, costs its events none of their attempts. */
export function isFree(step: Step, answer: Answer): boolean {
  if (step === 'reconnect' || step === 'probe' || isThrottled(answer)) return true;
  return step === 'split' && answer.fault === 'too_large';
}
