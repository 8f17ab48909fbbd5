import type { InstanceFact, Report } from '../ports/report.ts';
import type { Failure, State } from './state.ts';

/** Reports an outcome of an instance of one workflow. */
export type InstanceReporter = (
  outcome: InstanceFact['outcome'],
  failure?: Pick<Failure, 'step' | 'reason'> | null,
) => void;

export function makeInstanceReporter(report: Report, workflow: string): InstanceReporter {
  return (outcome, failure) => {
    const { step, reason } = failure ?? { step: null, reason: null };
    report({ kind: 'instance', workflow, outcome, step, reason });
  };
}

/** Reports that an instance has begun or ended, if it has. */
export function reportChange(
  report: InstanceReporter,
  before: State | null,
  { status, outcome, failure }: State,
): void {
  const isNew = before === null || before.status === 'expected';
  if (isNew && status === 'running') report('started');
  else if (before?.status === 'ending' && status === 'ended') report(outcome!, failure);
}
