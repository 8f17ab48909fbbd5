import type { Answer } from '../function/answer.ts';
import type { DeliveryOutcome, Report } from '../ports/report.ts';

/** Reports the outcome of events; `answer` is null when there was no call. */
export function reportDelivery(
  { report, subscription }: { report: Report; subscription: { name: string } },
  outcome: DeliveryOutcome,
  events: number,
  answer: Answer | null,
  reason: string | null,
): void {
  if (events === 0) return;
  report({
    kind: 'delivery',
    subscription: subscription.name,
    outcome,
    events,
    ms: answer?.ms ?? null,
    status: answer?.status ?? null,
    reason,
  });
}
