import type { InstanceFact, Report } from '../ports/report.ts';
import type { Failure, State } from './state.ts';

/** Reports outcomes of the instances of one workflow. */
export interface InstanceReporter {
  report(outcome: InstanceFact['outcome'], failure?: Pick<Failure, 'step' | 'reason'> | null): void;
}

export function makeInstanceReporter(report: Report, workflow: string): InstanceReporter {
  return {
    report(outcome, failure = null) {
      const { step, reason } = failure ?? { step: null, reason: null };
      report({ kind: 'instance', workflow, outcome, step, reason });
    },
  };
}

/** Reports that an instance has begun or ended, if it has. */
export function reportChange(
  reporter: InstanceReporter,
  before: State | null,
  { status, outcome, failure }: State,
): void {
  const isNew = before === null || before.status === 'expected';
  if (isNew && status === 'running') reporter.report('started');
  else if (before?.status === 'ending' && status === 'ended') reporter.report(outcome!, failure);
}
