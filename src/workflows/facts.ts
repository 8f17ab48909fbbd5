import type { InstanceFact, Report } from '../ports/report.ts';
import type { Failure, State } from './state.ts';

/** Tells of instances of one workflow. */
export interface Teller {
  tell(outcome: InstanceFact['outcome'], failure?: Pick<Failure, 'step' | 'reason'> | null): void;
}

export function makeTeller(report: Report, workflow: string): Teller {
  return {
    tell(outcome, failure = null) {
      const { step, reason } = failure ?? { step: null, reason: null };
      report({ kind: 'instance', workflow, outcome, step, reason });
    },
  };
}

/** Tells that an instance has begun or ended, if it has. */
export function tellChange(teller: Teller, before: State | null, { status, outcome, failure }: State): void {
  const isNew = before === null || before.status === 'expected';
  if (isNew && status === 'running') teller.tell('started');
  else if (before?.status === 'ending' && status === 'ended') teller.tell(outcome!, failure);
}
